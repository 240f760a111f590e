#pragma once
// Who a request comes from: a verified client certificate, a bearer token of the token file, or
// nobody (anonymous). The tokens of service accounts are ServiceAccountTokens'.
// Immutable after construction; any thread.
#include <map>
#include <string>

#include "api/base/result.h"
#include "api/http/message.h"
#include "api/server/request_context.h"

namespace moth::server {

class Authenticator {
 public:
  // Tokens by their text.
  explicit Authenticator(std::map<std::string, UserInfo> tokens);
  // Unauthorized for credentials that are not valid; system:anonymous when there are none.
  Result<UserInfo> authenticate(const http::Request& request) const;
  // Whose a token of the file is; null: nobody's.
  const UserInfo* find(std::string_view token) const;

 private:
  std::map<std::string, UserInfo> tokens_;
};

// The token of an `Authorization: Bearer TOKEN` header; empty: there is none.
std::string_view bearer_token(const http::Request& request);

// Browsers cannot give a WebSocket an Authorization header: there the token is one of the offered
// subprotocols, base64url.bearer.authorization.k8s.io.TOKEN. Makes the header of it, if there is
// none, and takes it off the offer, in which another must be left. Otherwise Unauthorized.
Result<> take_websocket_token(http::Request& request);

// Lines `token,user,uid,"group,group"` (upstream's --token-auth-file). BadRequest names the line.
Result<std::map<std::string, UserInfo>> parse_token_file(std::string_view text);

}  // namespace moth::server
