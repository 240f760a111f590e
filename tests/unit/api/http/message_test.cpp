#include "api/http/message.h"

#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/http/gzip.h"
#include "api/http/url.h"

namespace moth::http {
namespace {

TEST(HeadersTest, NamesCompareWithoutCase) {
  Headers headers{{"Content-Type", "a"}, {"X-Many", "1"}, {"x-many", "2"}};
  EXPECT_EQ(headers.get("content-type"), "a");
  EXPECT_EQ(headers.all("X-MANY").size(), 2U);
  headers.set("X-Many", "3");
  EXPECT_EQ(headers.all("x-many"), std::vector<std::string_view>{"3"});
  headers.remove("CONTENT-TYPE");
  EXPECT_FALSE(headers.has("Content-Type"));
}

TEST(HeadersTest, TokensAreFoundInListsOnly) {
  Headers headers{{"Connection", "keep-alive, Upgrade"}};
  EXPECT_TRUE(headers.has_token("connection", "upgrade"));
  EXPECT_FALSE(headers.has_token("connection", "up"));
}

TEST(RequestTest, TargetIsTakenApart) {
  Request request;
  request.set_target("/api//v1/na%2Fme/%zz?watch=true&a=1%2C2&a=b+c&empty");
  EXPECT_EQ(request.path, "/api//v1/na%2Fme/%zz");
  EXPECT_EQ(request.segments, (std::vector<std::string>{"api", "v1", "na/me", "%zz"}));
  EXPECT_TRUE(request.query.flag("watch"));
  EXPECT_TRUE(request.query.flag("empty"));
  EXPECT_FALSE(request.query.flag("missing"));
  EXPECT_EQ(request.query.all("a"), (std::vector<std::string>{"1,2", "b c"}));
}

TEST(RequestTest, AbsoluteFormLosesItsOrigin) {
  Request request;
  request.set_target("http://example.org/x/y?z=1");
  EXPECT_EQ(request.path, "/x/y");
  EXPECT_EQ(request.query.get("z"), "1");
}

TEST(QueryTest, ValuesAreReadAsTheApiServerReadsThem) {
  Query query = Query::parse("f=false&z=0&limit=500&bad=x1&big=99999999999999999999&plus=%2B5");
  EXPECT_FALSE(query.flag("f"));
  EXPECT_FALSE(query.flag("z"));
  EXPECT_EQ(**query.integer("limit"), 500);
  EXPECT_EQ(**query.integer("plus"), 5);
  EXPECT_FALSE(query.integer("none")->has_value());
  ASSERT_FALSE(query.integer("bad"));
  EXPECT_NE(query.integer("bad").error().message.find("parsing \"x1\": invalid syntax"),
            std::string::npos);
  EXPECT_NE(query.integer("big").error().message.find("value out of range"), std::string::npos);
}

TEST(RequestTest, LoopbackIsRecognised) {
  Request request;
  for (const char* address : {"127.0.0.1:1", "[::1]:2", "@", "[::ffff:127.0.0.1]:9"}) {
    request.remote_address = address;
    EXPECT_TRUE(request.from_loopback()) << address;
  }
  request.remote_address = "10.0.0.1:80";
  EXPECT_FALSE(request.from_loopback());
  EXPECT_EQ(request.remote_host(), "10.0.0.1");
}

TEST(ResponseTest, ErrorsBecomeStatusObjectsAndBack) {
  Response response = Response::from_error(Error::not_found("deployments.apps", "web"));
  EXPECT_EQ(response.status, 404);
  EXPECT_EQ(string_or(Json::parse(response.body), "reason"), "NotFound");
  Error error = error_from_response(response);
  EXPECT_EQ(error.reason, Reason::kNotFound);
  EXPECT_EQ(error.message, "deployments.apps \"web\" not found");
  EXPECT_EQ(error.group, "apps");
}

TEST(ResponseTest, PlainErrorsKeepTheirText) {
  Error error = error_from_response(Response::text(403, "no way\n"));
  EXPECT_EQ(error.reason, Reason::kForbidden);
  EXPECT_EQ(error.message, "no way");
  EXPECT_EQ(error_from_response(Response::text(502, "")).message,
            "the server answered 502 Bad Gateway");
}

TEST(UrlTest, PartsAreRead) {
  auto url = parse_url("https://user:p%40ss@[::1]:6443/api?x=1#frag");
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 6443);
  EXPECT_EQ(url->password, "p@ss");
  EXPECT_EQ(url->target, "/api?x=1");
  EXPECT_EQ(url->authority(), "[::1]:6443");
  EXPECT_EQ(parse_url("http://example.org")->target, "/");
  EXPECT_EQ(parse_url("HTTP://example.org?q")->target, "/?q");
  EXPECT_EQ(parse_url("https://example.org/")->port, 443);
  EXPECT_EQ(parse_url("http+unix://%2Frun%2Fm.sock/x")->unix_path, "/run/m.sock");
}

TEST(UrlTest, NonsenseIsRefused) {
  for (const char* text : {"example.org", "ftp://x/", "http://", "http://a:99999/", "http://a:b/",
                           "http://[::1/", "http://a b/", "http://::1/", "http+unix:///x"}) {
    EXPECT_FALSE(parse_url(text)) << text;
  }
}

TEST(UrlTest, EncodingIsReversible) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes.push_back(static_cast<char>(i));
  EXPECT_EQ(percent_decode(percent_encode(bytes)), bytes);
  EXPECT_EQ(encode_query({{"a b", "c&d"}, {"e", ""}}), "a%20b=c%26d&e=");
  EXPECT_EQ(percent_decode("100%"), "100%");
}

TEST(GzipTest, RoundTrip) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += std::to_string(i);
  auto packed = gzip(text);
  ASSERT_TRUE(packed);
  EXPECT_LT(packed->size(), text.size());
  EXPECT_EQ(*gunzip(*packed, text.size()), text);
  EXPECT_EQ(*gunzip(*packed + *gzip("more"), text.size() + 4), text + "more");
  EXPECT_EQ(*gunzip(*gzip(""), 0), "");
}

TEST(GzipTest, BombsAndGarbageAreRefused) {
  auto bomb = gzip(std::string(50'000'000, '\0'));
  auto outcome = gunzip(*bomb, 1 << 20);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().reason, Reason::kRequestEntityTooLarge);
  EXPECT_EQ(gunzip("hello", 100).error().reason, Reason::kBadRequest);
  EXPECT_EQ(gunzip("", 100).error().reason, Reason::kBadRequest);
  EXPECT_EQ(gunzip(bomb->substr(0, 20), 100).error().reason, Reason::kBadRequest);
}

TEST(GzipTest, OnlyLargeResponsesToOtherMachinesAreCompressed) {
  Request request;
  request.remote_address = "10.1.2.3:5";
  request.headers.add("Accept-Encoding", "deflate, gzip");
  Response response = Response::json(200, std::string(kGzipThreshold + 1, 'x'));
  EXPECT_TRUE(gzip_wanted(request, response));
  Response packed = gzip_response(response);
  EXPECT_EQ(packed.headers.get("Content-Encoding"), "gzip");
  EXPECT_EQ(*gunzip(packed.body, kGzipThreshold + 1), response.body);
  EXPECT_FALSE(gzip_wanted(request, packed));
  request.remote_address = "127.0.0.1:5";
  EXPECT_FALSE(gzip_wanted(request, response));
  request.remote_address = "10.1.2.3:5";
  request.headers.set("Accept-Encoding", "gzip;q=0");
  EXPECT_FALSE(gzip_wanted(request, response));
  request.headers.set("Accept-Encoding", "gzip;q=0.5");
  EXPECT_TRUE(gzip_wanted(request, response));
}

}  // namespace
}  // namespace moth::http
