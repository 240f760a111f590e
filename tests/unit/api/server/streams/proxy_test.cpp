#include "api/server/streams/proxy.h"

#include <gtest/gtest.h>

#include "api/server/streams/addresses.h"

namespace moth::server::streams {
namespace {

TEST(Proxy, Names) {
  struct Case {
    const char* id;
    const char* scheme;
    const char* name;
    const char* port;
  };
  for (const Case& good :
       {Case{"web", "", "web", ""}, Case{"web:80", "", "web", "80"},
        Case{"web:http", "", "web", "http"}, Case{"https:web:443", "https", "web", "443"},
        Case{"https:web:", "https", "web", ""}, Case{":web:80", "", "web", "80"}}) {
    auto name = split_proxy_name(good.id);
    ASSERT_TRUE(name) << good.id;
    EXPECT_EQ(name->scheme, good.scheme);
    EXPECT_EQ(name->name, good.name);
    EXPECT_EQ(name->port, good.port);
  }
  for (const char* bad : {"", ":80", "ftp:web:80", "a:b:c:d", "http::80"}) {
    EXPECT_FALSE(split_proxy_name(bad)) << bad;
  }
}

TEST(Proxy, AddressesOfTheMachineItselfAreNoBackends) {
  for (const char* good : {"10.43.0.7", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1"}) {
    EXPECT_TRUE(proxyable_address(good)) << good;
  }
  for (const char* bad :
       {"127.0.0.1", "127.9.9.9", "0.0.0.0", "169.254.169.254", "224.0.0.1", "255.255.255.255",
        "::1", "::", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "localhost", ""}) {
    EXPECT_FALSE(proxyable_address(bad)) << bad;
  }
}

TEST(Proxy, PathsStayAsOnTheWire) {
  ProxyPath path = split_proxy_path("/api/v1/namespaces/n/pods/http:p:80/proxy/a%2Fb//c/", true);
  EXPECT_EQ(path.prefix, "/api/v1/namespaces/n/pods/http:p:80/proxy");
  EXPECT_EQ(path.rest, "/a%2Fb//c/");
  EXPECT_EQ(split_proxy_path("/api/v1/nodes/n/proxy", false).rest, "");
  EXPECT_EQ(split_proxy_path("/api/v1/nodes/n/proxy/", false).rest, "/");
  EXPECT_EQ(split_proxy_path("/api", true).prefix, "/api");
}

TEST(Proxy, HeadersOnTheWay) {
  http::Request request;
  request.remote_address = "192.0.2.7:4711";
  request.tls = true;
  request.headers = {{"Host", "moth:6443"},           {"Authorization", "Bearer secret"},
                     {"Connection", "X-Hop"},         {"X-Hop", "1"},
                     {"Impersonate-User", "root"},    {"Accept", "*/*"},
                     {"X-Forwarded-For", "10.1.1.1"}, {"Content-Length", "3"}};
  ProxyPath path{"/api/v1/namespaces/n/pods/p/proxy", "/x"};
  http::Headers headers = forwarded_headers(request, path, false);
  for (const char* gone :
       {"Authorization", "Connection", "X-Hop", "Impersonate-User", "Content-Length"}) {
    EXPECT_FALSE(headers.has(gone)) << gone;
  }
  EXPECT_EQ(headers.get("Accept"), "*/*");
  EXPECT_EQ(headers.get("Host"), "moth:6443");
  EXPECT_EQ(headers.get("X-Forwarded-For"), "10.1.1.1, 192.0.2.7");
  EXPECT_EQ(headers.get("X-Forwarded-Uri"), "/api/v1/namespaces/n/pods/p/proxy/x");
  EXPECT_EQ(headers.get("X-Forwarded-Host"), "moth:6443");
  EXPECT_EQ(headers.get("X-Forwarded-Proto"), "https");
  request.headers.set("Connection", "Upgrade");
  request.headers.set("Upgrade", "websocket");
  headers = forwarded_headers(request, path, true);
  EXPECT_EQ(headers.get("Connection"), "Upgrade");
  EXPECT_EQ(headers.get("Upgrade"), "websocket");
}

TEST(Proxy, Links) {
  struct Case {
    const char* link;
    const char* rewritten;
  };
  for (const Case& link :
       {Case{"/", "/p/"}, Case{"/a/b?c#d", "/p/a/b?c#d"}, Case{"/p", "/p"}, Case{"/p/x", "/p/x"},
        Case{"/px", "/p/px"}, Case{"rel", "rel"}, Case{"#top", "#top"}, Case{"", ""},
        Case{"http://10.0.0.1:80/x", "/p/x"}, Case{"http://10.0.0.1:80", "/p/"},
        Case{"//10.0.0.1:80/x", "/p/x"}, Case{"https://elsewhere/x", "https://elsewhere/x"},
        Case{"//elsewhere/x", "//elsewhere/x"}, Case{"mailto:a@b", "mailto:a@b"}}) {
    EXPECT_EQ(rewritten_link(link.link, "/p", "10.0.0.1:80"), link.rewritten) << link.link;
  }
  http::Headers back = returned_headers(
      {{"Location", "/login"}, {"Content-Type", "text/html"}, {"Connection", "close"}}, {"/p", "/"},
      "h");
  EXPECT_EQ(back.get("Location"), "/p/login");
  EXPECT_FALSE(back.has("Connection"));
}

TEST(Proxy, PagesInPiecesOfAnySize) {
  const std::string page =
      "<!DOCTYPE html><a class=x href=\"/one?a>b\">1</a><img src='/two'><link href=/three>"
      "<!-- <a href=\"/no\"> --><script>var a = '<a href=\"/no\">';</script><form ACTION=\"/four\">"
      "<a href=\"five\" title=\"/no\">5 < 6</a><p";
  const std::string expected =
      "<!DOCTYPE html><a class=x href=\"/p/one?a>b\">1</a><img src='/p/two'><link href=/p/three>"
      "<!-- <a href=\"/no\"> --><script>var a = '<a href=\"/no\">';</script>"
      "<form ACTION=\"/p/four\"><a href=\"five\" title=\"/no\">5 < 6</a><p";
  for (std::size_t step = 1; step <= page.size(); step += 3) {
    HtmlLinks links("/p", "h");
    std::string out;
    for (std::size_t at = 0; at < page.size(); at += step) out += links.take(page.substr(at, step));
    out += links.finish();
    EXPECT_EQ(out, expected) << step;
  }
}

}  // namespace
}  // namespace moth::server::streams
