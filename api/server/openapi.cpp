#include "api/server/openapi.h"

#include "api/base/executors.h"
#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/managed_text.h"
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

namespace {

using Rows = std::vector<const resources::ResourceDef*>;

std::string write_document(const Rows& rows, const std::string& version) {
  std::vector<schema::ResourceInfo> infos;
  for (const auto* def : rows) infos.push_back(describe_for_openapi(*def));
  schema::OpenApiOptions options;
  options.version = version;
  std::string text = schema::openapi_v3_document(rows[0]->group, rows[0]->version, infos, options);
  Rows custom;
  for (const auto* def : rows) {
    if (def->custom) custom.push_back(def);
  }
  if (custom.empty()) return text;
  // The types hold no validation; what is published is the schema as it was given.
  Json document = Json::parse(text);
  for (const auto* def : custom)
    document["components"]["schemas"][schema::openapi_name(def->type())] = def->custom->openapi();
  return dump_json(document);
}

}  // namespace

Task<std::optional<OpenApi::Document>> OpenApi::document(std::string path,
                                                         asio::any_io_executor background) {
  forget_changed();
  if (auto it = documents_.find(path); it != documents_.end()) co_return it->second;
  resources::Registry::Rows all = registry_.all();  // keeps the custom types valid
  std::uint64_t generation = generation_;
  Rows rows;
  bool custom = false;
  for (const auto* def : all) {
    if (!def->served || schema::group_version_path(def->group, def->version) != path) continue;
    rows.push_back(def);
    custom = custom || def->custom;
  }
  if (rows.empty()) co_return std::nullopt;
  auto make = [&rows, this] {
    std::string text = write_document(rows, version_);
    std::string hash = schema::openapi_hash(text);
    return Document{std::make_shared<const std::string>(std::move(text)), hash};
  };
  Document made;
  if (custom) {
    made = co_await call_on(background, make);
  } else {
    made = make();
  }
  if (generation == generation_) documents_.emplace(path, made);
  co_return made;
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
    if (def->custom) text += raw_json_text(def->custom->openapi());
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
