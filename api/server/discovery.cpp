#include "api/server/discovery.h"

#include <map>
#include <vector>

namespace moth::server {
namespace {

using resources::ResourceDef;

// Group-versions in registry order: groups as they first appear, versions as they appear in them.
struct GroupRows {
  std::string group;
  std::vector<std::pair<std::string, std::vector<const ResourceDef*>>> versions;
};

std::vector<GroupRows> rows_by_group(const resources::Registry& registry) {
  std::vector<GroupRows> groups;
  for (const ResourceDef* def : registry.all()) {
    if (!def->served) continue;
    auto group = std::find_if(groups.begin(), groups.end(),
                              [&](const GroupRows& rows) { return rows.group == def->group; });
    if (group == groups.end()) group = groups.insert(groups.end(), {def->group, {}});
    auto version = std::find_if(group->versions.begin(), group->versions.end(),
                                [&](const auto& rows) { return rows.first == def->version; });
    if (version == group->versions.end()) {
      version = group->versions.insert(group->versions.end(), {def->version, {}});
    }
    version->second.push_back(def);
  }
  return groups;
}

Json kind_json(const Gvk& kind) {
  return {{"group", kind.group}, {"version", kind.version}, {"kind", kind.kind}};
}

Json discovery_resource(const ResourceDef& def) {
  Json entry = {{"resource", def.resource},
                {"responseKind", kind_json(def.gvk())},
                {"scope", def.namespaced ? "Namespaced" : "Cluster"},
                {"singularResource", def.singular},
                {"verbs", resources::verb_names(def.verbs)}};
  if (!def.short_names.empty()) entry["shortNames"] = def.short_names;
  if (!def.categories.empty()) entry["categories"] = def.categories;
  Json subresources = Json::array();
  for (const auto& subresource : def.subresources) {
    subresources.push_back({{"subresource", subresource.name},
                            {"responseKind", kind_json(subresource.kind)},
                            {"verbs", resources::verb_names(subresource.verbs)}});
  }
  if (!subresources.empty()) entry["subresources"] = std::move(subresources);
  return entry;
}

Json group_json(const GroupRows& rows) {
  Json versions = Json::array();
  for (const auto& [version, defs] : rows.versions) {
    versions.push_back({{"groupVersion", rows.group + "/" + version}, {"version", version}});
  }
  Json preferred = versions.front();
  return {{"name", rows.group},
          {"versions", std::move(versions)},
          {"preferredVersion", std::move(preferred)}};
}

}  // namespace

Json aggregated_discovery(const resources::Registry& registry, bool core) {
  Json items = Json::array();
  for (const GroupRows& rows : rows_by_group(registry)) {
    if (rows.group.empty() != core) continue;
    Json versions = Json::array();
    for (const auto& [version, defs] : rows.versions) {
      Json list = Json::array();
      for (const ResourceDef* def : defs) list.push_back(discovery_resource(*def));
      versions.push_back(
          {{"version", version}, {"freshness", "Current"}, {"resources", std::move(list)}});
    }
    Json metadata = {{"creationTimestamp", nullptr}};
    if (!core) metadata["name"] = rows.group;
    items.push_back({{"metadata", std::move(metadata)}, {"versions", std::move(versions)}});
  }
  return {{"kind", "APIGroupDiscoveryList"},
          {"apiVersion", "apidiscovery.k8s.io/v2"},
          {"metadata", Json::object()},
          {"items", std::move(items)}};
}

Json api_versions() {
  return {
      {"kind", "APIVersions"}, {"versions", {"v1"}}, {"serverAddressByClientCIDRs", Json::array()}};
}

Json api_group_list(const resources::Registry& registry) {
  Json groups = Json::array();
  for (const GroupRows& rows : rows_by_group(registry)) {
    if (!rows.group.empty()) groups.push_back(group_json(rows));
  }
  return {{"kind", "APIGroupList"}, {"apiVersion", "v1"}, {"groups", std::move(groups)}};
}

std::optional<Json> api_group(const resources::Registry& registry, std::string_view group) {
  for (const GroupRows& rows : rows_by_group(registry)) {
    if (rows.group != group || group.empty()) continue;
    Json json = group_json(rows);
    json["kind"] = "APIGroup";
    json["apiVersion"] = "v1";
    return json;
  }
  return std::nullopt;
}

std::optional<Json> api_resource_list(const resources::Registry& registry, std::string_view group,
                                      std::string_view version) {
  Json list = Json::array();
  for (const ResourceDef* def : registry.all()) {
    if (!def->served || def->group != group || def->version != version) continue;
    Json entry = {{"name", def->resource},
                  {"singularName", def->singular},
                  {"namespaced", def->namespaced},
                  {"kind", def->kind},
                  {"verbs", resources::verb_names(def->verbs)}};
    if (!def->short_names.empty()) entry["shortNames"] = def->short_names;
    if (!def->categories.empty()) entry["categories"] = def->categories;
    list.push_back(std::move(entry));
    for (const auto& subresource : def->subresources) {
      Json sub = {{"name", def->resource + "/" + subresource.name},
                  {"singularName", ""},
                  {"namespaced", def->namespaced},
                  {"kind", subresource.kind.kind},
                  {"verbs", resources::verb_names(subresource.verbs)}};
      if (subresource.kind.group != def->group || subresource.kind.version != def->version) {
        sub["group"] = subresource.kind.group;
        sub["version"] = subresource.kind.version;
      }
      list.push_back(std::move(sub));
    }
  }
  if (list.empty()) return std::nullopt;
  std::string group_version =
      group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
  return Json{{"kind", "APIResourceList"},
              {"apiVersion", "v1"},
              {"groupVersion", group_version},
              {"resources", std::move(list)}};
}

}  // namespace moth::server
