#include "api/server/streams/proxy.h"

#include <algorithm>
#include <array>
#include <vector>

namespace moth::server::streams {
namespace {

constexpr std::array<std::string_view, 9> kHopHeaders = {
    "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
    "Te",         "Trailer",          "Upgrade",    "Transfer-Encoding"};

bool of_the_hop(const http::Headers& headers, std::string_view name) {
  for (std::string_view hop : kHopHeaders) {
    if (http::iequals(name, hop)) return true;
  }
  return headers.has_token("Connection", name);
}

bool credential(std::string_view name) {
  return http::iequals(name, "Authorization") ||
         (name.size() > 12 && http::iequals(name.substr(0, 12), "Impersonate-"));
}

}  // namespace

std::optional<ProxyName> split_proxy_name(std::string_view id) {
  std::vector<std::string> parts(1);
  for (char c : id) {
    if (c == ':')
      parts.emplace_back();
    else
      parts.back().push_back(c);
  }
  ProxyName result;
  switch (parts.size()) {
    case 1:
      result.name = parts[0];
      break;
    case 2:
      result.name = parts[0];
      result.port = parts[1];
      break;
    case 3:
      result.scheme = parts[0];
      result.name = parts[1];
      result.port = parts[2];
      break;
    default:
      return std::nullopt;
  }
  bool scheme = result.scheme.empty() || result.scheme == "http" || result.scheme == "https";
  if (!scheme || result.name.empty()) return std::nullopt;
  return result;
}

ProxyPath split_proxy_path(std::string_view raw_path, bool namespaced) {
  int left = namespaced ? 7 : 5;  // api v1 namespaces NS pods NAME proxy
  std::size_t at = 0;
  while (at < raw_path.size() && left > 0) {
    while (at < raw_path.size() && raw_path[at] == '/') ++at;
    at = std::min(raw_path.find('/', at), raw_path.size());
    --left;
  }
  return {std::string(raw_path.substr(0, at)), std::string(raw_path.substr(at))};
}

http::Headers forwarded_headers(const http::Request& request, const ProxyPath& path, bool upgrade) {
  http::Headers headers;
  for (const http::Header& line : request.headers) {
    bool kept =
        upgrade && (http::iequals(line.name, "Connection") || http::iequals(line.name, "Upgrade"));
    if (!kept && of_the_hop(request.headers, line.name)) continue;
    if (credential(line.name) || http::iequals(line.name, "Content-Length") ||
        http::iequals(line.name, "Expect")) {
      continue;
    }
    headers.add(line.name, line.value);
  }
  std::string chain(request.headers.get("X-Forwarded-For"));
  if (std::string_view host = request.remote_host(); !host.empty()) {
    chain += (chain.empty() ? "" : ", ") + std::string(host);
  }
  if (!chain.empty()) headers.set("X-Forwarded-For", chain);
  headers.set("X-Forwarded-Uri", path.prefix + path.rest);
  if (const std::string* host = request.headers.find("Host")) {
    headers.set("X-Forwarded-Host", *host);
  }
  headers.set("X-Forwarded-Proto", request.tls ? "https" : "http");
  return headers;
}

std::string rewritten_link(std::string_view link, std::string_view prefix,
                           std::string_view backend_host) {
  std::string_view path = link;
  for (std::string_view scheme : {"http:", "https:", ""}) {
    if (!link.starts_with(scheme) || !link.substr(scheme.size()).starts_with("//")) continue;
    std::string_view rest = link.substr(scheme.size() + 2);
    auto end = std::min(rest.find_first_of("/?#"), rest.size());
    if (rest.substr(0, end) != backend_host) return std::string(link);
    path = rest.substr(end);
    if (path.empty()) path = "/";
    break;
  }
  bool has_prefix = path.starts_with(prefix) &&
                    (path.size() == prefix.size() ||
                     std::string_view("/?#").find(path[prefix.size()]) != std::string_view::npos);
  if (!path.starts_with('/') || has_prefix) return std::string(link);
  return std::string(prefix) + std::string(path);
}

http::Headers returned_headers(const http::Headers& answer, const ProxyPath& path,
                               std::string_view backend_host) {
  http::Headers headers;
  for (const http::Header& line : answer) {
    if (of_the_hop(answer, line.name)) continue;
    bool link = http::iequals(line.name, "Location");
    headers.add(line.name,
                link ? rewritten_link(line.value, path.prefix, backend_host) : line.value);
  }
  return headers;
}

}  // namespace moth::server::streams
