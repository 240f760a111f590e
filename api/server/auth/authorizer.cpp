#include "api/server/auth/authorizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace moth::server {
namespace {

constexpr std::array<std::string_view, 4> kPublic = {"/healthz", "/livez", "/readyz", "/version"};

bool below(std::string_view path, std::string_view root) {
  return path == root || (path.starts_with(root) && path[root.size()] == '/');
}

bool lower_method_is_read(const std::string& method) {
  return method == "GET" || method == "HEAD";
}

}  // namespace

Result<> authorize(const UserInfo& user, const RequestInfo& info) {
  if (user.in_group("system:masters")) return {};
  if (!info.is_resource && lower_method_is_read(info.verb)) {
    for (std::string_view root : kPublic) {
      if (below(info.path, root)) return {};
    }
    if (user.in_group("system:authenticated")) {
      for (std::string_view root : {"/api", "/apis", "/openapi"}) {
        if (below(info.path, root)) return {};
      }
    }
  }
  if (!info.is_resource) {
    std::string verb = info.verb;
    std::transform(verb.begin(), verb.end(), verb.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return fail(Error::of(
        Reason::kForbidden,
        fmt::format("forbidden: User \"{}\" cannot {} path \"{}\"", user.name, verb, info.path)));
  }
  std::string resource = info.gvr.resource;
  if (!info.subresource.empty()) resource += "/" + info.subresource;
  std::string where =
      info.ns.empty() ? "at the cluster scope" : fmt::format("in the namespace \"{}\"", info.ns);
  return fail(
      Error::forbidden(info.gvr.qualified(), info.name,
                       fmt::format("User \"{}\" cannot {} resource \"{}\" in API group \"{}\" {}",
                                   user.name, info.verb, resource, info.gvr.group, where)));
}

}  // namespace moth::server
