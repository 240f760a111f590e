#include "api/machinery/meta.h"

#include <charconv>

#include "api/base/json.h"
#include "api/machinery/time.h"

namespace moth {
namespace {

Labels read_labels(const Json& metadata, std::string_view key) {
  Labels labels;
  const Json* member = find_member(metadata, key);
  if (!member || !member->is_object()) return labels;
  for (const auto& [name, value] : member->items()) {
    if (value.is_string()) labels.emplace(name, value.get<std::string>());
  }
  return labels;
}

std::optional<WallTime> read_time(const Json& metadata, std::string_view key) {
  const Json* member = find_member(metadata, key);
  if (!member || !member->is_string()) return std::nullopt;
  auto time = parse_rfc3339(member->get_ref<const std::string&>());
  if (!time) return std::nullopt;
  return *time;
}

}  // namespace

const OwnerReference* Meta::controller() const {
  for (const OwnerReference& owner : owners) {
    if (owner.controller) return &owner;
  }
  return nullptr;
}

const std::string& Meta::annotation(std::string_view key) const {
  static const std::string kNone;
  auto it = annotations.find(key);
  return it == annotations.end() ? kNone : it->second;
}

Meta parse_meta(const Json& object) {
  Meta meta;
  const Json* metadata = find_member(object, "metadata");
  if (!metadata || !metadata->is_object()) return meta;
  meta.name = string_or(*metadata, "name");
  meta.generate_name = string_or(*metadata, "generateName");
  meta.ns = string_or(*metadata, "namespace");
  meta.uid = string_or(*metadata, "uid");
  std::string version = string_or(*metadata, "resourceVersion");
  std::from_chars(version.data(), version.data() + version.size(), meta.resource_version);
  meta.generation = int_or(*metadata, "generation");
  meta.created = read_time(*metadata, "creationTimestamp");
  meta.deletion_time = read_time(*metadata, "deletionTimestamp");
  if (const Json* grace = find_member(*metadata, "deletionGracePeriodSeconds");
      grace && grace->is_number_integer()) {
    meta.deletion_grace_seconds = grace->get<std::int64_t>();
  }
  meta.labels = read_labels(*metadata, "labels");
  meta.annotations = read_labels(*metadata, "annotations");
  if (const Json* owners = find_member(*metadata, "ownerReferences");
      owners && owners->is_array()) {
    for (const Json& owner : *owners) {
      meta.owners.push_back({string_or(owner, "apiVersion"), string_or(owner, "kind"),
                             string_or(owner, "name"), string_or(owner, "uid"),
                             bool_or(owner, "controller"), bool_or(owner, "blockOwnerDeletion")});
    }
  }
  if (const Json* list = find_member(*metadata, "finalizers"); list && list->is_array()) {
    for (const Json& finalizer : *list) {
      if (finalizer.is_string()) meta.finalizers.push_back(finalizer.get<std::string>());
    }
  }
  return meta;
}

}  // namespace moth
