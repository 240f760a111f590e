#pragma once
// Names of kinds and resources: group, version, and Kind or plural resource. Value types.
#include <compare>
#include <string>
#include <string_view>
#include <utility>

namespace moth {

struct GroupVersion {
  std::string group;  // empty: the core group
  std::string version;
  auto operator<=>(const GroupVersion&) const = default;
  // "v1" or "apps/v1".
  std::string text() const { return group.empty() ? version : group + "/" + version; }
};

// Splits an apiVersion: "v1" has the core group.
inline GroupVersion parse_api_version(std::string_view api_version) {
  auto slash = api_version.find('/');
  if (slash == std::string_view::npos) return {"", std::string(api_version)};
  return {std::string(api_version.substr(0, slash)), std::string(api_version.substr(slash + 1))};
}

struct Gvk {
  std::string group, version, kind;
  auto operator<=>(const Gvk&) const = default;
  GroupVersion group_version() const { return {group, version}; }
  std::string api_version() const { return group_version().text(); }
  static Gvk of(std::string_view api_version, std::string_view kind) {
    GroupVersion parsed = parse_api_version(api_version);
    return {std::move(parsed.group), std::move(parsed.version), std::string(kind)};
  }
};

struct Gvr {
  std::string group, version, resource;  // resource: lower-case plural, e.g. deployments
  auto operator<=>(const Gvr&) const = default;
  GroupVersion group_version() const { return {group, version}; }
  // "pods" or "deployments.apps": how messages name a resource.
  std::string qualified() const { return group.empty() ? resource : resource + "." + group; }
};

}  // namespace moth
