#include "api/server/meta_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api/base/json.h"
#include "api/machinery/time.h"

namespace moth::server {
namespace {

// 256 KiB of annotations in all [apimachinery objectmeta].
constexpr std::size_t kMaxAnnotationBytes = 256u << 10;

Json& metadata_of(Json& object) {
  Json& metadata = object["metadata"];
  if (!metadata.is_object()) metadata = Json::object();
  return metadata;
}

const Json& metadata_of(const Json& object) {
  static const Json kEmpty = Json::object();
  const Json* metadata = find_member(object, "metadata");
  return metadata && metadata->is_object() ? *metadata : kEmpty;
}

void validate_labels(const Json& metadata, const FieldPath& path, FieldErrors& errors) {
  const Json* labels = find_member(metadata, "labels");
  if (!labels || !labels->is_object()) return;
  for (const auto& [key, value] : labels->items()) {
    add_invalid(errors, path.child("labels"), key, check_qualified_name(key));
    if (!value.is_string()) continue;
    add_invalid(errors, path.child("labels"), value,
                check_label_value(value.get_ref<const std::string&>()));
  }
}

void validate_annotations(const Json& metadata, const FieldPath& path, FieldErrors& errors) {
  const Json* annotations = find_member(metadata, "annotations");
  if (!annotations || !annotations->is_object()) return;
  std::size_t total = 0;
  for (const auto& [key, value] : annotations->items()) {
    std::string lower = key;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    add_invalid(errors, path.child("annotations"), key, check_qualified_name(lower));
    total += key.size();
    if (value.is_string()) total += value.get_ref<const std::string&>().size();
  }
  if (total > kMaxAnnotationBytes) {
    errors.push_back(FieldError::too_long(path.child("annotations"), kMaxAnnotationBytes));
  }
}

void validate_owners(const Json& metadata, const FieldPath& path, FieldErrors& errors) {
  const Json* owners = find_member(metadata, "ownerReferences");
  if (!owners || !owners->is_array()) return;
  std::string controller;
  for (std::size_t i = 0; i < owners->size(); ++i) {
    const Json& owner = (*owners)[i];
    FieldPath at = path.child("ownerReferences").index(i);
    auto require = [&](const char* field) {
      std::string value = string_or(owner, field);
      if (value.empty())
        errors.push_back(FieldError::invalid(at.child(field), "", "must not be empty"));
    };
    require("apiVersion");
    require("kind");
    require("name");
    require("uid");
    if (!bool_or(owner, "controller")) continue;
    if (!controller.empty()) {
      errors.push_back(FieldError::invalid(
          path.child("ownerReferences"), *owners,
          fmt::format(
              "Only one reference can have Controller set to true. Found \"true\" in references "
              "for {} and {}",
              controller, string_or(owner, "name"))));
    }
    controller = string_or(owner, "name");
  }
}

}  // namespace

bool spec_differs(const Json& a, const Json& b) {
  auto relevant = [](const std::string& key) {
    return key != "metadata" && key != "status" && key != "apiVersion" && key != "kind";
  };
  for (const auto& [key, value] : a.items()) {
    if (!relevant(key)) continue;
    const Json* other = find_member(b, key);
    if (!other || *other != value) return true;
  }
  for (const auto& [key, value] : b.items()) {
    if (relevant(key) && !a.contains(key)) return true;
  }
  return false;
}

Result<> prepare_meta_for_create(Json& object, const resources::ResourceDef& def,
                                 std::string_view ns, WallTime now, const RandomSource& random) {
  Json& metadata = metadata_of(object);
  std::string body_ns = string_or(metadata, "namespace");
  if (def.namespaced) {
    if (!body_ns.empty() && body_ns != ns) {
      return fail(Error::bad_request(
          "the namespace of the provided object does not match the namespace sent on the request"));
    }
    metadata["namespace"] = ns;
  } else if (!body_ns.empty()) {
    metadata.erase("namespace");
  }
  if (!string_or(metadata, "resourceVersion").empty()) {
    return fail(Error::bad_request("resourceVersion should not be set on objects to be created"));
  }
  for (const char* field : {"resourceVersion", "selfLink", "deletionTimestamp",
                            "deletionGracePeriodSeconds", "managedFields"}) {
    metadata.erase(field);
  }
  std::string generate = string_or(metadata, "generateName");
  if (string_or(metadata, "name").empty() && !generate.empty()) {
    metadata["name"] = generate_name(generate, random);
  }
  metadata["uid"] = uuid_v4(random);
  metadata["creationTimestamp"] = format_rfc3339(now);
  metadata.erase("generation");
  if (def.has_generation) metadata["generation"] = 1;
  return {};
}

void keep_server_meta(Json& object, const Json& old) {
  Json& metadata = metadata_of(object);
  const Json& before = metadata_of(old);
  static constexpr std::array kKept = {"name",
                                       "namespace",
                                       "uid",
                                       "generation",
                                       "creationTimestamp",
                                       "deletionTimestamp",
                                       "generateName",
                                       "deletionGracePeriodSeconds"};
  for (const char* field : kKept) {
    if (const Json* value = find_member(before, field)) {
      metadata[field] = *value;
    } else {
      metadata.erase(field);
    }
  }
  metadata.erase("resourceVersion");
  metadata.erase("selfLink");
  metadata.erase("managedFields");
}

void raise_generation(Json& object, const Json& old) {
  if (!spec_differs(object, old)) return;
  metadata_of(object)["generation"] = int_or(metadata_of(old), "generation") + 1;
}

FieldErrors validate_meta(const Json& object, const resources::ResourceDef& def) {
  FieldErrors errors;
  const Json& metadata = metadata_of(object);
  FieldPath path("metadata");
  std::string name = string_or(metadata, "name");
  if (name.empty()) {
    errors.push_back(FieldError::required(path.child("name"), "name or generateName is required"));
  } else {
    Messages wrong = def.validate_name ? def.validate_name(name) : check_dns1123_subdomain(name);
    add_invalid(errors, path.child("name"), name, wrong);
  }
  if (std::string ns = string_or(metadata, "namespace"); !ns.empty()) {
    add_invalid(errors, path.child("namespace"), ns, check_dns1123_label(ns));
  }
  validate_labels(metadata, path, errors);
  validate_annotations(metadata, path, errors);
  validate_owners(metadata, path, errors);
  if (const Json* finalizers = find_member(metadata, "finalizers");
      finalizers && finalizers->is_array()) {
    for (const Json& finalizer : *finalizers) {
      if (!finalizer.is_string()) continue;
      add_invalid(errors, path.child("finalizers"), finalizer,
                  check_qualified_name(finalizer.get_ref<const std::string&>()));
    }
  }
  return errors;
}

FieldErrors validate_meta_update(const Json& object, const Json& old) {
  FieldErrors errors;
  const Json& after = metadata_of(object);
  const Json& before = metadata_of(old);
  if (!find_member(before, "deletionTimestamp")) return errors;
  const Json* finalizers = find_member(after, "finalizers");
  if (!finalizers || !finalizers->is_array()) return errors;
  const Json* held = find_member(before, "finalizers");
  Json added = Json::array();
  for (const Json& finalizer : *finalizers) {
    bool known = held && std::find(held->begin(), held->end(), finalizer) != held->end();
    if (!known) added.push_back(finalizer);
  }
  if (!added.empty()) {
    errors.push_back(
        FieldError::forbidden(FieldPath("metadata").child("finalizers"),
                              fmt::format("no new finalizers can be added if the object is being "
                                          "deleted, found new finalizers {}",
                                          added.dump())));
  }
  return errors;
}

}  // namespace moth::server
