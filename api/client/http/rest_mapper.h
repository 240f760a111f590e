#pragma once
// RestMapper: which resources a server has, and which one is meant by a word that somebody typed
// (deploy, deployments.apps, Deployment) or by an object's apiVersion and kind. Immutable once
// made; pure.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/gvk.h"

namespace moth::client {

struct ApiResource {
  std::string group, version;
  std::string plural, singular, kind;
  bool namespaced = true;
  std::vector<std::string> short_names, categories, verbs, subresources;

  Gvr gvr() const { return {group, version, plural}; }
  Gvk gvk() const { return {group, version, kind}; }
  std::string api_version() const { return gvk().api_version(); }
  // "deployments.apps": how messages of kubectl name a type.
  std::string qualified_plural() const { return group.empty() ? plural : plural + "." + group; }
  // "deployment.apps": how output names an object's type.
  std::string qualified_kind() const;
  bool has_verb(std::string_view verb) const;
  // "/api/v1/namespaces/NS/pods/NAME/SUB"; empty parts are left out. `ns` is ignored when the
  // resource is not namespaced.
  std::string path(std::string_view ns, std::string_view name = "",
                   std::string_view subresource = "") const;
};

class RestMapper {
 public:
  // From aggregated discovery documents, those of /api first. InternalError when they are none.
  static Result<RestMapper> from_discovery(const std::vector<Json>& documents);

  // By plural, singular, kind or short name, in any case, optionally with ".group" or
  // ".version.group". A full name wins over a short one; among groups the order of discovery
  // decides. Null when unknown.
  const ApiResource* find(std::string_view word) const;
  // Null when the server does not have it.
  const ApiResource* find_kind(const Gvk& gvk) const;
  // Every listable resource of the category ("all"), in the order of discovery.
  std::vector<const ApiResource*> category(std::string_view name) const;
  // All, one for each group and plural in its preferred version.
  std::vector<const ApiResource*> preferred() const;
  const std::vector<ApiResource>& all() const { return resources_; }
  bool has_group(std::string_view group) const;
  // Groups with their versions as "apps/v1", in the order of discovery.
  const std::vector<std::string>& group_versions() const { return group_versions_; }

 private:
  std::vector<ApiResource> resources_;  // preferred versions of a group first
  std::vector<std::string> group_versions_;
};

}  // namespace moth::client
