#include "api/client/http/rest_mapper.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/http/url.h"

namespace moth::client {
namespace {

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::vector<std::string> texts(const Json& object, std::string_view key) {
  std::vector<std::string> out;
  const Json* list = find_member(object, key);
  if (!list || !list->is_array()) return out;
  for (const Json& entry : *list) {
    if (entry.is_string()) out.push_back(entry.get<std::string>());
  }
  return out;
}

ApiResource read_resource(const Json& json, std::string group, std::string version) {
  ApiResource resource;
  resource.group = std::move(group);
  resource.version = std::move(version);
  resource.plural = string_or(json, "resource");
  resource.singular = string_or(json, "singularResource");
  resource.namespaced = string_or(json, "scope") == "Namespaced";
  if (const Json* kind = find_member(json, "responseKind"))
    resource.kind = string_or(*kind, "kind");
  if (resource.singular.empty()) resource.singular = lower(resource.kind);
  resource.short_names = texts(json, "shortNames");
  resource.categories = texts(json, "categories");
  resource.verbs = texts(json, "verbs");
  if (const Json* subresources = find_member(json, "subresources");
      subresources && subresources->is_array()) {
    for (const Json& entry : *subresources)
      resource.subresources.push_back(string_or(entry, "subresource"));
  }
  return resource;
}

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

}  // namespace

std::string ApiResource::qualified_kind() const {
  std::string name = lower(kind);
  return group.empty() ? name : name + "." + group;
}

bool ApiResource::has_verb(std::string_view verb) const {
  return contains(verbs, verb);
}

std::string ApiResource::path(std::string_view ns, std::string_view name,
                              std::string_view subresource) const {
  std::string path = group.empty() ? "/api/" + version : "/apis/" + group + "/" + version;
  if (namespaced && !ns.empty()) path += "/namespaces/" + http::percent_encode(ns);
  path += "/" + plural;
  if (!name.empty()) path += "/" + http::percent_encode(name);
  if (!subresource.empty()) path += "/" + std::string(subresource);
  return path;
}

Result<RestMapper> RestMapper::from_discovery(const std::vector<Json>& documents) {
  RestMapper mapper;
  for (const Json& document : documents) {
    const Json* groups = find_member(document, "items");
    if (string_or(document, "kind") != "APIGroupDiscoveryList" || !groups || !groups->is_array()) {
      return fail(Error::of(Reason::kInternalError,
                            "the server does not speak aggregated discovery "
                            "(apidiscovery.k8s.io/v2): it must be Kubernetes 1.30 or later"));
    }
    for (const Json& group : *groups) {
      const Json* metadata = find_member(group, "metadata");
      std::string name = metadata ? string_or(*metadata, "name") : "";
      const Json* versions = find_member(group, "versions");
      if (!versions || !versions->is_array()) continue;
      for (const Json& version : *versions) {
        std::string version_name = string_or(version, "version");
        mapper.group_versions_.push_back(GroupVersion{name, version_name}.text());
        const Json* resources = find_member(version, "resources");
        if (!resources || !resources->is_array()) continue;
        for (const Json& resource : *resources)
          mapper.resources_.push_back(read_resource(resource, name, version_name));
      }
    }
  }
  return mapper;
}

const ApiResource* RestMapper::find(std::string_view word) const {
  std::string name = lower(word);
  std::string group, version;
  bool qualified = false;
  if (auto dot = name.find('.'); dot != std::string::npos) {
    group = name.substr(dot + 1);
    name.resize(dot);
    qualified = true;
  }
  auto group_matches = [&](const ApiResource& resource) {
    if (!qualified) return true;
    if (resource.group == group) return true;
    // version.group, or the version alone for the core group ("pods.v1" and "pods.v1.").
    std::string with_version = resource.version + "." + resource.group;
    return with_version == group || (resource.group.empty() && resource.version == group);
  };
  for (const ApiResource& resource : resources_) {
    bool named =
        resource.plural == name || resource.singular == name || lower(resource.kind) == name;
    if (named && group_matches(resource)) return &resource;
  }
  for (const ApiResource& resource : resources_) {
    if (contains(resource.short_names, name) && group_matches(resource)) return &resource;
  }
  return nullptr;
}

const ApiResource* RestMapper::find_kind(const Gvk& gvk) const {
  for (const ApiResource& resource : resources_) {
    if (resource.kind == gvk.kind && resource.group == gvk.group && resource.version == gvk.version)
      return &resource;
  }
  return nullptr;
}

std::vector<const ApiResource*> RestMapper::preferred() const {
  std::vector<const ApiResource*> list;
  for (const ApiResource& resource : resources_) {
    bool known = std::any_of(list.begin(), list.end(), [&](const ApiResource* other) {
      return other->group == resource.group && other->plural == resource.plural;
    });
    if (!known) list.push_back(&resource);
  }
  return list;
}

std::vector<const ApiResource*> RestMapper::category(std::string_view name) const {
  std::vector<const ApiResource*> list;
  for (const ApiResource* resource : preferred()) {
    if (contains(resource->categories, name) && resource->has_verb("list"))
      list.push_back(resource);
  }
  return list;
}

bool RestMapper::has_group(std::string_view group) const {
  return std::any_of(resources_.begin(), resources_.end(),
                     [&](const ApiResource& resource) { return resource.group == group; });
}

}  // namespace moth::client
