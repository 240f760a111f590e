#include "api/server/auth/token_claims.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/server/auth/rbac.h"

namespace moth::server {
namespace {

constexpr const char* kPrivate = "kubernetes.io";
constexpr const char* kLegacyIssuer = "kubernetes/serviceaccount";
constexpr std::chrono::seconds kLeeway{60};

Error refused(std::string why) {
  return Error::of(Reason::kUnauthorized, std::move(why));
}

std::int64_t seconds_of(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// Numbers may have a fraction (RFC 7519); absurd ones are refused.
std::optional<WallTime> time_claim(const Json& claims, const char* name) {
  const Json* value = find_member(claims, name);
  if (!value || !value->is_number()) return std::nullopt;
  const double seconds = value->get<double>();
  if (!(seconds >= 0 && seconds < 1e11)) return std::nullopt;
  // The clock counts nanoseconds and ends in 2262.
  const double last = 9.2e9;
  return WallTime(std::chrono::seconds(static_cast<std::int64_t>(std::min(seconds, last))));
}

Json ref_json(const TokenRef& ref) {
  return {{"name", ref.name}, {"uid", ref.uid}};
}

std::optional<TokenRef> ref_claim(const Json& claims, const char* name) {
  const Json* ref = find_member(claims, name);
  if (!ref || !ref->is_object()) return std::nullopt;
  return TokenRef{string_or(*ref, "name"), string_or(*ref, "uid")};
}

Result<TokenClaims> parse_legacy(const Json& json) {
  auto text = [&](const char* name) {
    return string_or(json, std::string("kubernetes.io/serviceaccount/") + name);
  };
  TokenClaims claims;
  claims.legacy = true;
  claims.ns = text("namespace");
  claims.account = text("service-account.name");
  claims.account_uid = text("service-account.uid");
  claims.secret = TokenRef{text("secret.name"), ""};
  if (claims.ns.empty() || claims.account.empty() || claims.account_uid.empty() ||
      claims.secret->name.empty() ||
      string_or(json, "sub") != rbac::service_account_user(claims.ns, claims.account)) {
    return fail(refused("the token lacks claims of a service account"));
  }
  return claims;
}

std::string quoted(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ' ';
    out += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  return out + "]";
}

}  // namespace

Json to_json(const TokenClaims& claims, const std::string& issuer) {
  std::string user = rbac::service_account_user(claims.ns, claims.account);
  if (claims.legacy) {
    return {{"iss", kLegacyIssuer},
            {"kubernetes.io/serviceaccount/namespace", claims.ns},
            {"kubernetes.io/serviceaccount/secret.name", claims.secret->name},
            {"kubernetes.io/serviceaccount/service-account.name", claims.account},
            {"kubernetes.io/serviceaccount/service-account.uid", claims.account_uid},
            {"sub", user}};
  }
  Json own = {{"namespace", claims.ns},
              {"serviceaccount", ref_json({claims.account, claims.account_uid})}};
  if (claims.pod) own["pod"] = ref_json(*claims.pod);
  if (claims.secret) own["secret"] = ref_json(*claims.secret);
  if (claims.node) own["node"] = ref_json(*claims.node);
  if (claims.warn_after) own["warnafter"] = seconds_of(*claims.warn_after);
  return {{"iss", issuer},
          {"sub", user},
          {"aud", claims.audiences},
          {"exp", seconds_of(claims.expires)},
          {"iat", seconds_of(claims.issued)},
          {"nbf", seconds_of(claims.not_before)},
          {"jti", claims.id},
          {kPrivate, std::move(own)}};
}

Result<TokenClaims> parse_token_claims(const Json& json, const std::string& issuer) {
  std::string from = string_or(json, "iss");
  if (from == kLegacyIssuer) return parse_legacy(json);
  if (from != issuer) return fail(refused("the token is of another issuer"));
  const Json* own = find_member(json, kPrivate);
  auto account = own ? ref_claim(*own, "serviceaccount") : std::nullopt;
  TokenClaims claims;
  if (account) {
    claims.ns = string_or(*own, "namespace");
    claims.account = account->name;
    claims.account_uid = account->uid;
  }
  if (claims.ns.empty() || claims.account.empty() || claims.account_uid.empty() ||
      string_or(json, "sub") != rbac::service_account_user(claims.ns, claims.account)) {
    return fail(refused("the token lacks claims of a service account"));
  }
  auto expires = time_claim(json, "exp"), not_before = time_claim(json, "nbf"),
       issued = time_claim(json, "iat");
  if (!expires || !not_before || !issued) return fail(refused("the token lacks its times"));
  claims.expires = *expires;
  claims.not_before = *not_before;
  claims.issued = *issued;
  claims.warn_after = time_claim(*own, "warnafter");
  claims.pod = ref_claim(*own, "pod");
  claims.secret = ref_claim(*own, "secret");
  claims.node = ref_claim(*own, "node");
  claims.id = string_or(json, "jti");
  if (const Json* audience = find_member(json, "aud")) {
    if (audience->is_string()) claims.audiences.push_back(audience->get<std::string>());
    if (audience->is_array()) {
      for (const Json& entry : *audience) {
        if (entry.is_string()) claims.audiences.push_back(entry.get<std::string>());
      }
    }
  }
  return claims;
}

Result<std::vector<std::string>> check_token_claims(const TokenClaims& claims, WallTime now,
                                                    const std::vector<std::string>& audiences,
                                                    const std::vector<std::string>& api_audiences) {
  const auto& wanted = audiences.empty() ? api_audiences : audiences;
  // Old tokens say nothing of an audience: they are for the API.
  const auto& given = claims.legacy ? api_audiences : claims.audiences;
  std::vector<std::string> shared;
  for (const std::string& audience : given) {
    if (std::find(wanted.begin(), wanted.end(), audience) != wanted.end())
      shared.push_back(audience);
  }
  if (shared.empty()) {
    return fail(refused(fmt::format("token audiences {} is invalid for the target audiences {}",
                                    quoted(given), quoted(wanted))));
  }
  if (claims.legacy) return shared;
  if (now > claims.expires + kLeeway) return fail(refused("service account token has expired"));
  if (now + kLeeway < claims.not_before)
    return fail(refused("service account token is not valid yet"));
  return shared;
}

UserInfo user_of(const TokenClaims& claims) {
  UserInfo user;
  user.name = rbac::service_account_user(claims.ns, claims.account);
  user.uid = claims.account_uid;
  user.groups = {"system:serviceaccounts", "system:serviceaccounts:" + claims.ns,
                 "system:authenticated"};
  constexpr std::string_view kExtra = "authentication.kubernetes.io/";
  auto add = [&](std::string_view key, std::string value) {
    user.extra[std::string(kExtra) + std::string(key)] = {std::move(value)};
  };
  if (!claims.id.empty()) add("credential-id", "JTI=" + claims.id);
  if (claims.pod) {
    add("pod-name", claims.pod->name);
    add("pod-uid", claims.pod->uid);
  }
  if (claims.node) {
    add("node-name", claims.node->name);
    add("node-uid", claims.node->uid);
  }
  return user;
}

}  // namespace moth::server
