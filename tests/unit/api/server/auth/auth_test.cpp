#include <gtest/gtest.h>

#include "api/server/auth/authenticator.h"
#include "api/server/auth/authorizer.h"
#include "api/server/auth/jwt.h"

namespace moth::server {
namespace {

http::Request with_token(const std::string& header) {
  http::Request request;
  if (!header.empty()) request.headers.set("Authorization", header);
  return request;
}

TEST(TokenFile, ReadsRecords) {
  auto tokens = parse_token_file("abc,alice,1\n\n\"d,e\",bob,2,\"dev,system:masters\"\r\n");
  ASSERT_TRUE(tokens);
  ASSERT_EQ(tokens->size(), 2u);
  EXPECT_EQ(tokens->at("abc").name, "alice");
  EXPECT_TRUE(tokens->at("abc").groups.empty());
  EXPECT_EQ(tokens->at("d,e").groups, (std::vector<std::string>{"dev", "system:masters"}));
}

TEST(TokenFile, RefusesWithTheLine) {
  auto few = parse_token_file("a,b,c\nx,y\n");
  ASSERT_FALSE(few);
  EXPECT_NE(few.error().message.find("line 2"), std::string::npos);
  auto twice = parse_token_file("a,b,c\na,d,e\n");
  ASSERT_FALSE(twice);
  EXPECT_NE(twice.error().message.find("twice"), std::string::npos);
  EXPECT_FALSE(parse_token_file(",b,c\n"));
}

TEST(Authenticator, Tokens) {
  Authenticator tokens({{"secret", {"alice", "1", {"dev"}}}});
  auto alice = tokens.authenticate(with_token("Bearer secret"));
  ASSERT_TRUE(alice);
  EXPECT_EQ(alice->name, "alice");
  EXPECT_TRUE(alice->in_group("dev"));
  EXPECT_TRUE(alice->in_group("system:authenticated"));
  EXPECT_TRUE(tokens.authenticate(with_token("bearer  secret")));
  for (const char* header : {"Bearer wrong", "Bearer", "Bearer ", "Basic secret", "secret"}) {
    auto refused = tokens.authenticate(with_token(header));
    ASSERT_FALSE(refused) << header;
    EXPECT_EQ(refused.error().reason, Reason::kUnauthorized);
  }
  auto nobody = tokens.authenticate(with_token(""));
  ASSERT_TRUE(nobody);
  EXPECT_EQ(nobody->name, "system:anonymous");
  EXPECT_FALSE(nobody->in_group("system:authenticated"));
}

TEST(WebSocketToken, BecomesAHeaderAndLeavesTheOffer) {
  const std::string bearer = "base64url.bearer.authorization.k8s.io.";
  const std::string secret = bearer + jwt::encode_base64url("secret");
  struct Case {
    std::string upgrade, offered, authorization;
    bool good = true;
    std::string token, left;
  };
  const Case cases[] = {
      {"websocket", "v4.k8s.io," + secret + ", v5.k8s.io", "", true, "Bearer secret",
       "v4.k8s.io, v5.k8s.io"},
      {"WebSocket", secret + ",v4.k8s.io", "Bearer other", true, "Bearer other", "v4.k8s.io"},
      {"websocket", "v4.k8s.io", "", true, "", "v4.k8s.io"},
      {"websocket", "", "", true, "", ""},
      {"SPDY/3.1", secret, "", true, "", secret},
      // Nothing to answer with; two tokens; no base64url; empty.
      {"websocket", secret, "", false, "", ""},
      {"websocket", secret + ",v4.k8s.io," + secret, "", false, "", ""},
      {"websocket", bearer + "a+b=,v4.k8s.io", "", false, "", ""},
      {"websocket", bearer + ",v4.k8s.io", "", false, "", ""},
  };
  for (const Case& one : cases) {
    http::Request request = with_token(one.authorization);
    request.headers.set("Upgrade", one.upgrade);
    if (!one.offered.empty()) request.headers.set("Sec-WebSocket-Protocol", one.offered);
    auto taken = take_websocket_token(request);
    ASSERT_EQ(taken.has_value(), one.good) << one.offered;
    if (!taken) {
      EXPECT_EQ(taken.error().reason, Reason::kUnauthorized);
      continue;
    }
    EXPECT_EQ(request.headers.get("Authorization"), one.token) << one.offered;
    EXPECT_EQ(request.headers.get("Sec-WebSocket-Protocol"), one.left) << one.offered;
  }
}

TEST(Authenticator, Certificates) {
  Authenticator none({});
  http::Request request;
  auto peer = std::make_shared<http::PeerCertificate>();
  peer->common_name = "admin";
  peer->organizations = {"system:masters"};
  request.peer = peer;
  auto admin = none.authenticate(request);
  ASSERT_TRUE(admin);
  EXPECT_EQ(admin->name, "admin");
  EXPECT_TRUE(admin->in_group("system:masters"));
  http::Request bad;
  bad.peer_error = "expired";
  EXPECT_FALSE(none.authenticate(bad));
}

Attributes path(const char* path, const char* verb) {
  Attributes wanted;
  wanted.is_resource = false;
  wanted.path = path;
  wanted.verb = verb;
  return wanted;
}

TEST(Authorizer, MastersMayAll) {
  Authorizer authorizer;
  Attributes wanted;
  wanted.verb = "delete";
  wanted.resource = "nodes";
  EXPECT_TRUE(authorizer.check({"root", "", {"system:masters"}}, wanted));
  auto refused = authorizer.check({"jo", "", {"system:authenticated"}}, wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kForbidden);
  EXPECT_EQ(refused.error().message,
            "nodes is forbidden: User \"jo\" cannot delete resource \"nodes\" in API group \"\" at "
            "the cluster scope");
}

TEST(Authorizer, WhatEverybodyMayRead) {
  Authorizer authorizer;
  auto may = [&](const char* where, const char* verb, const char* group) {
    return static_cast<bool>(authorizer.check({"jo", "", {group}}, path(where, verb)));
  };
  for (const char* group : {"system:unauthenticated", "system:authenticated"}) {
    EXPECT_TRUE(may("/livez", "get", group));
    EXPECT_TRUE(may("/version", "get", group));
    EXPECT_FALSE(may("/livezoo", "get", group));
    EXPECT_FALSE(may("/livez", "post", group));
    EXPECT_FALSE(may("/metrics", "get", group));
    EXPECT_FALSE(may("/moth/v1/images", "get", group));
  }
  EXPECT_FALSE(may("/apis", "get", "system:unauthenticated"));
  EXPECT_TRUE(may("/apis", "get", "system:authenticated"));
  EXPECT_TRUE(may("/apis/apps/v1", "get", "system:authenticated"));
  EXPECT_TRUE(may("/openapi/v3", "get", "system:authenticated"));
}

}  // namespace
}  // namespace moth::server
