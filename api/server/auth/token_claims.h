#pragma once
// What a service account's token says. Pure; any thread.
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/server/request_context.h"

namespace moth::server {

struct TokenRef {
  std::string name, uid;
};

struct TokenClaims {
  std::string ns, account, account_uid;
  std::optional<TokenRef> pod, secret, node;
  std::vector<std::string> audiences;
  std::string id;  // jti
  WallTime issued, not_before, expires;
  // Used after this moment the token is late: its holder should have fetched a new one.
  std::optional<WallTime> warn_after;
  // Of a Secret of type kubernetes.io/service-account-token: no times, no audiences; good as long
  // as the Secret holds it.
  bool legacy = false;
};

Json to_json(const TokenClaims& claims, const std::string& issuer);
// Unauthorized, with the reason, when a claim is missing, of a wrong type or of another issuer.
Result<TokenClaims> parse_token_claims(const Json& claims, const std::string& issuer);

// Checks the times (a minute of leeway, as upstream) and whether one of `audiences` is meant. The
// audiences that both have. Errors are Unauthorized with upstream's text.
Result<std::vector<std::string>> check_token_claims(const TokenClaims& claims, WallTime now,
                                                    const std::vector<std::string>& audiences,
                                                    const std::vector<std::string>& api_audiences);

// Whom it identifies: name, uid, groups, and extra with the credential's id and what it is bound
// to.
UserInfo user_of(const TokenClaims& claims);

}  // namespace moth::server
