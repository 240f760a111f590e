#include "api/server/openapi.h"

#include "api/base/json.h"
#include "api/schema/openapi_v3.h"
#include "api/server/openapi_describe.h"

namespace moth::server {

schema::ResourceInfo describe_for_openapi(const resources::ResourceDef& def) {
  schema::ResourceInfo info;
  info.group = def.group;
  info.version = def.version;
  info.resource = def.resource;
  info.kind = def.kind;
  info.namespaced = def.namespaced;
  info.verbs = resources::verb_names(def.verbs);
  info.type = def.type();
  info.list_type = def.list_type();
  for (const auto& subresource : def.subresources) {
    schema::ResourceInfo::Subresource entry;
    entry.name = subresource.name;
    entry.group = subresource.kind.group;
    entry.version = subresource.kind.version;
    entry.kind = subresource.kind.kind;
    entry.verbs = resources::verb_names(subresource.verbs);
    bool own = def.custom && entry.kind == def.kind && entry.group == def.group;
    entry.type = own ? def.type() : schema::find_type(entry.group, entry.version, entry.kind);
    info.subresources.push_back(std::move(entry));
  }
  return info;
}

OpenApi::OpenApi(const resources::Registry& registry, std::string version)
    : registry_(registry), version_(std::move(version)) {}

// Documents of built-in kinds never change; those with custom kinds do.
void OpenApi::forget_changed() {
  std::uint64_t now = registry_.generation();
  if (now == generation_) return;
  generation_ = now;
  documents_.clear();
  index_.reset();
}

std::optional<OpenApi::Document> OpenApi::document(const std::string& path) {
  forget_changed();
  if (auto it = documents_.find(path); it != documents_.end()) return it->second;
  std::vector<schema::ResourceInfo> infos;
  GroupVersion wanted;
  resources::Registry::Rows rows = registry_.all();  // keeps the custom types valid
  std::vector<const resources::ResourceDef*> custom;
  for (const auto* def : rows) {
    if (!def->served || schema::group_version_path(def->group, def->version) != path) continue;
    wanted = {def->group, def->version};
    infos.push_back(describe_for_openapi(*def));
    if (def->custom) custom.push_back(def);
  }
  if (infos.empty()) return std::nullopt;
  schema::OpenApiOptions options;
  options.version = version_;
  std::string text = schema::openapi_v3_document(wanted.group, wanted.version, infos, options);
  if (!custom.empty()) {
    // The types hold no validation; what is published is the schema as it was given.
    Json document = Json::parse(text);
    for (const auto* def : custom) {
      document["components"]["schemas"][schema::openapi_name(def->type())] = def->custom->openapi();
    }
    text = document.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  std::string hash = schema::openapi_hash(text);
  Document made{std::make_shared<const std::string>(std::move(text)), hash};
  documents_.emplace(path, made);
  return made;
}

OpenApi::Document OpenApi::index() {
  forget_changed();
  if (index_) return *index_;
  // Hashes of the rows instead of the documents: those are built only when somebody wants them.
  std::map<std::pair<std::string, std::string>, std::string> group_versions;
  for (const auto* def : registry_.all()) {
    if (!def->served) continue;
    std::string& text =
        group_versions.try_emplace({def->group, def->version}, version_).first->second;
    text += " " + def->group + " " + def->version + " " + def->resource;
    if (def->custom) text += def->custom->openapi().dump();
  }
  std::vector<schema::OpenApiIndexEntry> entries;
  for (const auto& [group_version, text] : group_versions)
    entries.push_back({group_version.first, group_version.second, schema::openapi_hash(text)});
  std::string text = schema::openapi_v3_index(entries);
  std::string hash = schema::openapi_hash(text);
  index_ = Document{std::make_shared<const std::string>(std::move(text)), hash};
  return *index_;
}

}  // namespace moth::server
