#pragma once
// Who a request comes from: a verified client certificate, a bearer token, or nobody (anonymous).
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

 private:
  std::map<std::string, UserInfo> tokens_;
};

// Lines `token,user,uid,"group,group"` (upstream's --token-auth-file). BadRequest names the line.
Result<std::map<std::string, UserInfo>> parse_token_file(std::string_view text);

}  // namespace moth::server
