#pragma once
// ServiceAccountTokens: issues the signed tokens of service accounts and says whose a token is.
//
// Checking a token takes its signature (any thread) and a look at what it is bound to: the account,
// the pod, the secret or the node must be there, with the uid in the token (control thread). Both
// are remembered together, in a bounded cache, until one of these objects goes; so a request with a
// known token costs one hash and one look-up on io. The cache is the one thing here that both
// threads touch; it has a lock of its own.
#include <memory>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/machinery/names.h"
#include "api/resources/registry.h"
#include "api/server/auth/jwt.h"
#include "api/server/auth/token_claims.h"
#include "api/server/storage.h"

namespace moth::server {

struct TokenOptions {
  jwt::PrivateKey key;
  std::string issuer = "https://kubernetes.default.svc.cluster.local";
  std::vector<std::string> api_audiences;  // empty: the issuer
  std::size_t cache_entries = 4096;
};

// What a token is wanted for; the fields of a TokenRequest.
struct TokenWish {
  std::string ns, account;
  std::vector<std::string> audiences;  // empty: the API's
  std::int64_t seconds = 3600;
  // "Pod", "Secret" or "Node"; empty: bound to the account alone.
  std::string bound_api_version, bound_kind, bound_name, bound_uid;
};

struct IssuedToken {
  std::string token;
  WallTime expires;  // when its holder should have another one at the latest
  std::vector<std::string> audiences;
};

struct TokenIdentity {
  UserInfo user;
  std::vector<std::string> audiences;  // those of the token that were asked for
};

class ServiceAccountTokens {
 public:
  // Storage, registry and clock outlive it; so do the executors. Made on control.
  ServiceAccountTokens(Executors& executors, Clock& clock, Storage& storage,
                       const resources::Registry& registry, RandomSource random,
                       TokenOptions options);
  ~ServiceAccountTokens();

  // Whom the API should take the bearer for. Unauthorized, always with the same text. io.
  Task<Result<UserInfo>> authenticate(std::string token);
  // The same for a TokenReview: empty `audiences` are the API's. Errors say why. Control.
  Result<TokenIdentity> review(const std::string& token,
                               const std::vector<std::string>& audiences) const;

  // NotFound for absent accounts and bound objects, BadRequest for a pod of another account,
  // Conflict for another uid. Control; signs on the blocking executor.
  Task<Result<IssuedToken>> issue(TokenWish wish);
  // For a Secret of type kubernetes.io/service-account-token. Any thread, 1 ms.
  Result<std::string> legacy_token(const std::string& ns, const std::string& account,
                                   const std::string& account_uid, const std::string& secret) const;

  const std::string& issuer() const;
  const std::vector<std::string>& api_audiences() const;
  // Documents for OpenID Connect; `server_url` is where the keys can be fetched. Any thread.
  std::string openid_configuration(const std::string& server_url) const;
  std::string key_set() const;

  std::size_t cached() const;  // any thread

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace moth::server
