// Forged, damaged and foreign tokens.
#include "api/server/auth/jwt.h"

#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/server/auth/token_claims.h"
#include "daemon/pki/certificates.h"

namespace moth::server {
namespace {

using std::chrono::seconds;

const WallTime kNow{seconds(1'750'000'000)};
constexpr const char* kIssuer = "https://kubernetes.default.svc.cluster.local";

jwt::PrivateKey make_key(pki::SigningKeyType type) {
  return *jwt::PrivateKey::parse(*pki::make_signing_key(type));
}
const jwt::PrivateKey& rsa() {
  static const jwt::PrivateKey kKey = make_key(pki::SigningKeyType::kRsa2048);
  return kKey;
}
const jwt::PrivateKey& ec() {
  static const jwt::PrivateKey kKey = make_key(pki::SigningKeyType::kEcP256);
  return kKey;
}
std::vector<jwt::PublicKey> known() {
  return {rsa().public_key(), ec().public_key()};
}

std::string join(const Json& header, const Json& claims, const std::string& signature) {
  return jwt::encode_base64url(header.dump()) + "." + jwt::encode_base64url(claims.dump()) + "." +
         signature;
}

TEST(Base64Url, RoundTripsAndRefuses) {
  for (const std::string& text : {std::string(), std::string("a"), std::string("ab"),
                                  std::string("abc"), std::string("\xff\xfe\x00\x01", 4)}) {
    auto back = jwt::decode_base64url(jwt::encode_base64url(text));
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, text);
  }
  EXPECT_EQ(jwt::encode_base64url("\xfb\xff"), "-_8");
  for (const char* bad : {"a", "ab=", "a+b/", "-_9"})
    EXPECT_FALSE(jwt::decode_base64url(bad)) << bad;
}

TEST(Jwt, BothAlgorithmsHold) {
  for (const auto* key : {&rsa(), &ec()}) {
    auto token = key->sign({{"sub", "me"}});
    ASSERT_TRUE(token);
    EXPECT_TRUE(jwt::looks_like_token(*token));
    auto claims = jwt::verify(*token, known());
    ASSERT_TRUE(claims) << claims.error().message;
    EXPECT_EQ(string_or(*claims, "sub"), "me");
  }
  EXPECT_EQ(rsa().public_key().algorithm(), "RS256");
  EXPECT_EQ(ec().public_key().algorithm(), "ES256");
}

TEST(Jwt, ForgeriesAreRefused) {
  const Json claims = {{"sub", "me"}};
  const std::string good = *rsa().sign(claims);
  const std::string signature = good.substr(good.rfind('.') + 1);
  const std::string id = rsa().public_key().id();
  const Json evil = {{"sub", "system:admin"}};
  jwt::PrivateKey stranger = make_key(pki::SigningKeyType::kEcP256);
  std::string flipped = good;
  char& last = flipped[flipped.size() - 5];
  last = last == 'A' ? 'B' : 'A';
  const std::vector<std::pair<const char*, std::string>> cases = {
      {"no algorithm", join({{"alg", "none"}, {"kid", id}}, evil, "")},
      {"None", join({{"alg", "None"}, {"kid", id}}, evil, "AA")},
      {"shared secret", join({{"alg", "HS256"}, {"kid", id}}, evil, signature)},
      {"other algorithm of the same key", join({{"alg", "RS512"}, {"kid", id}}, claims, signature)},
      {"ES256 with an RSA key", join({{"alg", "ES256"}, {"kid", id}}, claims, signature)},
      {"changed claims", join({{"alg", "RS256"}, {"kid", id}}, evil, signature)},
      {"changed signature", flipped},
      {"no signature", good.substr(0, good.rfind('.') + 1)},
      {"unknown key", *stranger.sign(claims)},
      {"unknown key that names a known one",
       [&] {
         std::string token = *stranger.sign(claims);
         auto dot = token.find('.');
         return jwt::encode_base64url(
                    Json{{"alg", "ES256"}, {"kid", ec().public_key().id()}}.dump()) +
                token.substr(dot);
       }()},
      {"empty", ""},
      {"dots", ".."},
      {"text", "not a token"},
      {"huge", std::string(20'000, 'A') + ".A.A"},
      {"header is a list", join(Json::array(), evil, signature)},
      {"critical extension",
       join({{"alg", "RS256"}, {"kid", id}, {"crit", {"x"}}}, claims, signature)},
  };
  for (const auto& [name, token] : cases) {
    auto verdict = jwt::verify(token, known());
    ASSERT_FALSE(verdict) << name;
    EXPECT_EQ(verdict.error().reason, Reason::kUnauthorized) << name;
  }
}

TEST(Jwt, KeySetNamesTheNumbers) {
  Json r = rsa().public_key().jwk();
  EXPECT_EQ(r["kty"], "RSA");
  EXPECT_EQ(r["e"], "AQAB");
  EXPECT_EQ(jwt::decode_base64url(r["n"].get<std::string>())->size(), 256u);
  Json e = ec().public_key().jwk();
  EXPECT_EQ(e["crv"], "P-256");
  EXPECT_EQ(jwt::decode_base64url(e["x"].get<std::string>())->size(), 32u);
  EXPECT_EQ(e["kid"], ec().public_key().id());
}

TokenClaims sample() {
  TokenClaims claims;
  claims.ns = "shop";
  claims.account = "robot";
  claims.account_uid = "u-1";
  claims.pod = TokenRef{"web-0", "p-1"};
  claims.node = TokenRef{"box", "n-1"};
  claims.audiences = {kIssuer};
  claims.id = "j-1";
  claims.issued = claims.not_before = kNow;
  claims.expires = kNow + seconds(3600);
  return claims;
}

TEST(TokenClaims, RoundTrip) {
  auto back = parse_token_claims(to_json(sample(), kIssuer), kIssuer);
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->pod->uid, "p-1");
  EXPECT_EQ(back->expires, kNow + seconds(3600));
  UserInfo user = user_of(*back);
  EXPECT_EQ(user.name, "system:serviceaccount:shop:robot");
  EXPECT_EQ(user.groups,
            (std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:shop",
                                      "system:authenticated"}));
  EXPECT_EQ(user.extra.at("authentication.kubernetes.io/pod-name").front(), "web-0");
  EXPECT_EQ(user.extra.at("authentication.kubernetes.io/credential-id").front(), "JTI=j-1");
}

TEST(TokenClaims, WhatIsMissingIsRefused) {
  const Json good = to_json(sample(), kIssuer);
  EXPECT_FALSE(parse_token_claims(good, "https://elsewhere"));
  for (const char* field : {"exp", "nbf", "iat", "sub", "iss", "kubernetes.io"}) {
    Json bad = good;
    bad.erase(field);
    EXPECT_FALSE(parse_token_claims(bad, kIssuer)) << field;
  }
  Json other = good;
  other["sub"] = "system:serviceaccount:shop:admin";
  EXPECT_FALSE(parse_token_claims(other, kIssuer));
  Json text = good;
  text["exp"] = "never";
  EXPECT_FALSE(parse_token_claims(text, kIssuer));
}

TEST(TokenClaims, TimesAndAudiences) {
  const std::vector<std::string> api = {kIssuer};
  EXPECT_TRUE(check_token_claims(sample(), kNow, {}, api));
  EXPECT_TRUE(check_token_claims(sample(), kNow + seconds(3659), {}, api));
  auto late = check_token_claims(sample(), kNow + seconds(3661), {}, api);
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().message, "service account token has expired");
  EXPECT_FALSE(check_token_claims(sample(), kNow - seconds(61), {}, api));
  auto vault = check_token_claims(sample(), kNow, {"vault"}, api);
  ASSERT_FALSE(vault);
  EXPECT_EQ(vault.error().message,
            "token audiences [\"https://kubernetes.default.svc.cluster.local\"] is invalid for the "
            "target audiences [\"vault\"]");
  TokenClaims both = sample();
  both.audiences.emplace_back("vault");
  auto shared = check_token_claims(both, kNow, {"vault", "x"}, api);
  ASSERT_TRUE(shared);
  EXPECT_EQ(*shared, std::vector<std::string>{"vault"});
}

}  // namespace
}  // namespace moth::server
