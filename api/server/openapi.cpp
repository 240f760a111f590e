#include "api/server/openapi.h"

#include <set>

#include "api/schema/openapi_v3.h"

namespace moth::server {
namespace {

schema::ResourceInfo describe(const resources::ResourceDef& def) {
  schema::ResourceInfo info;
  info.group = def.group;
  info.version = def.version;
  info.resource = def.resource;
  info.kind = def.kind;
  info.namespaced = def.namespaced;
  info.verbs = resources::verb_names(def.verbs);
  info.type = schema::find_type(def.type_name);
  info.list_type = schema::find_type(def.type_name + "List");
  for (const auto& subresource : def.subresources) {
    schema::ResourceInfo::Subresource entry;
    entry.name = subresource.name;
    entry.group = subresource.kind.group;
    entry.version = subresource.kind.version;
    entry.kind = subresource.kind.kind;
    entry.verbs = resources::verb_names(subresource.verbs);
    entry.type = schema::find_type(entry.group, entry.version, entry.kind);
    info.subresources.push_back(std::move(entry));
  }
  return info;
}

}  // namespace

OpenApi::OpenApi(const resources::Registry& registry, std::string version)
    : registry_(registry), version_(std::move(version)) {}

const OpenApi::Document* OpenApi::document(const std::string& path) {
  if (auto it = documents_.find(path); it != documents_.end()) return &it->second;
  std::vector<schema::ResourceInfo> infos;
  GroupVersion wanted;
  for (const auto* def : registry_.all()) {
    if (schema::group_version_path(def->group, def->version) != path) continue;
    wanted = {def->group, def->version};
    infos.push_back(describe(*def));
  }
  if (infos.empty()) return nullptr;
  schema::OpenApiOptions options;
  options.version = version_;
  std::string text = schema::openapi_v3_document(wanted.group, wanted.version, infos, options);
  std::string hash = schema::openapi_hash(text);
  return &documents_
              .emplace(path, Document{std::make_shared<const std::string>(std::move(text)), hash})
              .first->second;
}

const OpenApi::Document& OpenApi::index() {
  if (index_) return *index_;
  // A hash of the rows instead of the documents: those are built only when somebody wants them.
  std::string rows = version_;
  std::set<std::pair<std::string, std::string>> group_versions;
  for (const auto* def : registry_.all()) {
    rows += def->group + def->version + def->resource;
    group_versions.emplace(def->group, def->version);
  }
  std::string hash = schema::openapi_hash(rows);
  std::vector<schema::OpenApiIndexEntry> entries;
  for (const auto& [group, version] : group_versions) entries.push_back({group, version, hash});
  std::string text = schema::openapi_v3_index(entries);
  index_ = Document{std::make_shared<const std::string>(std::move(text)), hash};
  return *index_;
}

}  // namespace moth::server
