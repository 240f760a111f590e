#include "api/resources/apiextensions_v1/definition_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>

#include "api/resources/admissionregistration_v1/match_checks.h"
#include "api/resources/apiextensions_v1/prepared_schema.h"
#include "api/resources/check.h"
#include "api/resources/conditions.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxVersions = 100;
constexpr std::size_t kMaxSelectableFields = 8;

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

void label(FieldErrors& errors, const std::string& value, const FieldPath& path) {
  add_invalid(errors, path, value, check_dns1035_label(value));
}

void kind_name(FieldErrors& errors, const std::string& value, const FieldPath& path) {
  for (const std::string& message : check_dns1035_label(lower(value))) {
    errors.push_back(FieldError::invalid(
        path, value, "may have mixed case, but should otherwise match: " + message));
  }
}

void check_names(FieldErrors& errors, const Json& names, const FieldPath& path) {
  std::string plural = string_or(names, "plural"), singular = string_or(names, "singular");
  std::string kind = string_or(names, "kind"), list_kind = string_or(names, "listKind");
  if (plural.empty()) {
    errors.push_back(FieldError::required(path.child("plural"), ""));
  } else {
    label(errors, plural, path.child("plural"));
  }
  if (!singular.empty()) label(errors, singular, path.child("singular"));
  if (kind.empty()) {
    errors.push_back(FieldError::required(path.child("kind"), ""));
  } else {
    kind_name(errors, kind, path.child("kind"));
  }
  if (!list_kind.empty()) kind_name(errors, list_kind, path.child("listKind"));
  for (const char* key : {"shortNames", "categories"}) {
    const Json& list = items(names, key);
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (list[i].is_string()) label(errors, list[i].get<std::string>(), path.child(key).index(i));
    }
  }
  if (!kind.empty() && kind == list_kind) {
    errors.push_back(FieldError::invalid(path.child("listKind"), list_kind,
                                         "kind and listKind may not be the same"));
  }
}

void check_group(FieldErrors& errors, const Json& definition, const FieldPath& path) {
  std::string group = string_or(object_of(definition, "spec"), "group");
  if (group.empty()) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  auto wrong = check_dns1123_subdomain(group);
  if (!wrong.empty()) {
    add_invalid(errors, path, group, wrong);
  } else if (group.find('.') == std::string::npos) {
    errors.push_back(FieldError::invalid(path, group, "should be a domain with at least one dot"));
  }
  bool ours = group.ends_with(".k8s.io") || group.ends_with(".kubernetes.io");
  const Json& annotations = object_of(object_of(definition, "metadata"), "annotations");
  if (ours && string_or(annotations, "api-approved.kubernetes.io").empty()) {
    errors.push_back(FieldError::required(
        FieldPath("metadata").child("annotations").key("api-approved.kubernetes.io"),
        "protected groups must have approval annotation \"api-approved.kubernetes.io\", see "
        "https://github.com/kubernetes/enhancements/pull/1111"));
  }
}

// A plain path: members by name, `.a.b` or `['a.b']`.
bool simple_path(FieldErrors& errors, const Json& object, const char* key, const FieldPath& path) {
  std::string text = string_or(object, key);
  FieldPath at = path.child(key);
  if (text.empty()) {
    errors.push_back(FieldError::required(at, ""));
    return false;
  }
  if (text[0] != '.') {
    errors.push_back(FieldError::invalid(at, text, "must be a simple json path starting with ."));
    return false;
  }
  return true;
}

void check_columns(FieldErrors& errors, const Json& list, const FieldPath& path) {
  static const std::array<std::string_view, 5> kTypes = {"boolean", "date", "integer", "number",
                                                         "string"};
  static const std::array<std::string_view, 8> kFormats = {
      "byte", "date", "date-time", "double", "float", "int32", "int64", "password"};
  for (std::size_t i = 0; i < list.size(); ++i) {
    FieldPath at = path.index(i);
    const Json& entry = list[i];
    if (string_or(entry, "name").empty())
      errors.push_back(FieldError::required(at.child("name"), ""));
    std::string type = string_or(entry, "type"), format = string_or(entry, "format");
    if (type.empty()) {
      errors.push_back(FieldError::required(at.child("type"),
                                            "must be one of boolean,date,integer,number,string"));
    } else if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
      errors.push_back(FieldError::invalid(at.child("type"), type,
                                           "must be one of boolean,date,integer,number,string"));
    }
    if (!format.empty() && std::find(kFormats.begin(), kFormats.end(), format) == kFormats.end()) {
      errors.push_back(FieldError::invalid(
          at.child("format"), format,
          "must be one of byte,date,date-time,double,float,int32,int64,password"));
    }
    simple_path(errors, entry, "jsonPath", at);
  }
}

void check_subresources(FieldErrors& errors, const Json& subresources, const FieldPath& path) {
  const Json* scale = member(subresources, "scale");
  if (!scale) return;
  FieldPath at = path.child("scale");
  auto below = [&](const char* key, std::initializer_list<std::string_view> roots,
                   const char* what) {
    std::string text = string_or(*scale, key);
    bool fits = std::any_of(roots.begin(), roots.end(), [&](std::string_view root) {
      return text.starts_with(root) && text.size() > root.size();
    });
    if (!fits || pointer_of(text).empty())
      errors.push_back(FieldError::invalid(at.child(key), text, what));
  };
  if (simple_path(errors, *scale, "specReplicasPath", at))
    below("specReplicasPath", {".spec."}, "should be a json path under .spec");
  if (simple_path(errors, *scale, "statusReplicasPath", at))
    below("statusReplicasPath", {".status."}, "should be a json path under .status");
  if (!string_or(*scale, "labelSelectorPath").empty() &&
      simple_path(errors, *scale, "labelSelectorPath", at)) {
    below("labelSelectorPath", {".status.", ".spec."},
          "should be a json path under either .spec or .status");
  }
}

// The part of the schema that a plain path leads to; null when there is none.
const Json* schema_at(const Json& schema, const std::string& pointer) {
  const Json* at = &schema;
  for (std::size_t start = 1; start <= pointer.size();) {
    std::size_t end = std::min(pointer.find('/', start), pointer.size());
    at = at ? find_path(*at, "properties", pointer.substr(start, end - start)) : nullptr;
    start = end + 1;
  }
  return at;
}

void check_selectable(FieldErrors& errors, const Json& list, const Json& schema,
                      const FieldPath& path) {
  if (list.size() > kMaxSelectableFields)
    errors.push_back(FieldError::too_many(path, list.size(), kMaxSelectableFields));
  std::set<std::string> seen;
  for (std::size_t i = 0; i < list.size(); ++i) {
    FieldPath at = path.index(i);
    if (!simple_path(errors, list[i], "jsonPath", at)) continue;
    std::string text = string_or(list[i], "jsonPath"), pointer = pointer_of(text);
    at = at.child("jsonPath");
    if (!seen.insert(text).second) {
      errors.push_back(FieldError::duplicate(at, text));
      continue;
    }
    if (pointer.empty() || text.starts_with(".metadata.")) {
      errors.push_back(FieldError::invalid(at, text,
                                           pointer.empty()
                                               ? "is an invalid path: must be a simple path"
                                               : "must not point to fields in metadata"));
      continue;
    }
    const Json* target = schema_at(schema, pointer);
    if (!target) {
      errors.push_back(FieldError::invalid(
          at, text, "is an invalid path: does not refer to a field in the schema"));
      continue;
    }
    std::string type = string_or(*target, "type");
    if (type != "string" && type != "integer" && type != "boolean") {
      errors.push_back(FieldError::invalid(
          at, text,
          "must point to a field of type string, boolean or integer. Enum string fields "
          "and strings with formats are allowed."));
    }
  }
}

// What all versions have in common is reported once, at the place that upstream's internal form
// keeps it at.
struct VersionPaths {
  bool same_schema, same_columns, same_subresources, same_selectable;
};

VersionPaths shared(const Json& versions) {
  auto same = [&](const char* key) {
    for (const Json& version : versions) {
      const Json* a = find_member(versions[0], key);
      const Json* b = find_member(version, key);
      if ((a == nullptr) != (b == nullptr) || (a && *a != *b)) return false;
    }
    return true;
  };
  return {same("schema"), same("additionalPrinterColumns"), same("subresources"),
          same("selectableFields")};
}

void check_version(FieldErrors& errors, const Json& version, const FieldPath& path,
                   const VersionPaths& common, bool first) {
  FieldPath spec("spec");
  if (bool_or(version, "deprecated") == false && has(version, "deprecationWarning")) {
    errors.push_back(FieldError::invalid(path.child("deprecationWarning"),
                                         version["deprecationWarning"],
                                         "can only be set for deprecated versions"));
  }
  const Json* schema = find_path(version, "schema", "openAPIV3Schema");
  if (!schema || !schema->is_object()) {
    errors.push_back(
        FieldError::required(path.child("schema", "openAPIV3Schema"), "schemas are required"));
    return;
  }
  auto judge = [&](bool same, const char* own, auto check, const FieldPath& at) {
    if (same && !first) return;
    check(same ? spec.child(own) : at);
  };
  judge(
      common.same_schema, "validation",
      [&](const FieldPath& at) {
        append(errors, judge_schema(*schema, at.child("openAPIV3Schema")).errors);
      },
      path.child("schema"));
  judge(
      common.same_subresources, "subresources",
      [&](const FieldPath& at) {
        check_subresources(errors, object_of(version, "subresources"), at);
      },
      path.child("subresources"));
  judge(
      common.same_columns, "additionalPrinterColumns",
      [&](const FieldPath& at) {
        check_columns(errors, items(version, "additionalPrinterColumns"), at);
      },
      path.child("additionalPrinterColumns"));
  judge(
      common.same_selectable && common.same_schema, "selectableFields",
      [&](const FieldPath& at) {
        check_selectable(errors, items(version, "selectableFields"), *schema, at);
      },
      path.child("selectableFields"));
}

void check_versions(FieldErrors& errors, const Json& versions, const FieldPath& path) {
  std::size_t stored = 0;
  std::set<std::string> names;
  bool unique = true;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    std::string name = string_or(versions[i], "name");
    stored += bool_or(versions[i], "storage");
    unique = names.insert(name).second && unique;
    if (name.empty()) {
      errors.push_back(FieldError::required(path.index(i).child("name"), ""));
    } else {
      label(errors, name, path.index(i).child("name"));
    }
  }
  if (!unique)
    errors.push_back(FieldError::invalid(path, versions, "must contain unique version names"));
  if (stored != 1) {
    errors.push_back(FieldError::invalid(
        path, versions, "must have exactly one version marked as storage version"));
  }
  if (versions.size() > kMaxVersions) {
    errors.push_back(FieldError::too_many(path, versions.size(), kMaxVersions));
    return;
  }
  if (versions.empty()) return;
  VersionPaths common = shared(versions);
  for (std::size_t i = 0; i < versions.size(); ++i)
    check_version(errors, versions[i], path.index(i), common, i == 0);
}

void check_webhook(FieldErrors& errors, const Json& conversion, const FieldPath& path) {
  const Json& webhook = object_of(conversion, "webhook");
  if (!has(webhook, "clientConfig")) {
    errors.push_back(FieldError::required(path.child("clientConfig"),
                                          "required when strategy is set to Webhook"));
  } else {
    check_client(errors, webhook, path);
  }
  std::vector<std::string> versions = strings(webhook, "conversionReviewVersions");
  FieldPath at = path.child("conversionReviewVersions");
  bool known = std::any_of(versions.begin(), versions.end(), [](const std::string& version) {
    return version == "v1" || version == "v1beta1";
  });
  if (versions.empty()) {
    errors.push_back(FieldError::required(at, "must specify one of v1, v1beta1"));
  } else if (!known) {
    errors.push_back(FieldError::invalid(at, webhook["conversionReviewVersions"],
                                         "must include at least one of v1, v1beta1"));
  }
}

void check_conversion(FieldErrors& errors, const Json& conversion, const FieldPath& path) {
  std::string strategy = string_or(conversion, "strategy");
  if (strategy.empty()) {
    errors.push_back(FieldError::required(path.child("strategy"), ""));
  } else if (strategy == "Webhook") {
    check_webhook(errors, conversion, path.child("webhook"));
  } else if (strategy != "None") {
    errors.push_back(
        FieldError::not_supported(path.child("strategy"), strategy, {"None", "Webhook"}));
  }
  if (strategy == "None" && has(conversion, "webhook")) {
    errors.push_back(FieldError::forbidden(
        path.child("webhook"), "should not be set when strategy is not set to Webhook"));
  }
}

FieldErrors check_spec(const Json& definition) {
  FieldErrors errors;
  const Json& spec = object_of(definition, "spec");
  const Json& names = object_of(spec, "names");
  FieldPath path("spec");
  std::string wanted = string_or(names, "plural") + "." + string_or(spec, "group");
  std::string name = string_or(object_of(definition, "metadata"), "name");
  if (name != wanted) {
    errors.push_back(FieldError::invalid(FieldPath("metadata").child("name"), name,
                                         "must be spec.names.plural+\".\"+spec.group"));
  }
  check_group(errors, definition, path.child("group"));
  check_supported(errors, spec, "scope", path, {"Cluster", "Namespaced"}, true);
  if (bool_or(spec, "preserveUnknownFields")) {
    errors.push_back(FieldError::invalid(
        path.child("preserveUnknownFields"), true,
        "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
        "spec.versions[*].schema instead"));
  }
  check_versions(errors, items(spec, "versions"), path.child("versions"));
  check_names(errors, names, path.child("names"));
  check_conversion(errors, object_of(spec, "conversion"), path.child("conversion"));
  return errors;
}

}  // namespace

std::string pointer_of(std::string_view path) {
  std::string pointer;
  while (!path.empty()) {
    std::string name;
    if (path[0] == '.') {
      std::size_t end = std::min(path.find_first_of(".[", 1), path.size());
      name = path.substr(1, end - 1);
      path.remove_prefix(end);
    } else if (path.starts_with("['") && path.find("']") != std::string_view::npos) {
      std::size_t end = path.find("']");
      name = path.substr(2, end - 2);
      path.remove_prefix(end + 2);
    }
    if (name.empty() || name.find_first_of("/~*?()[]{}@, ") != std::string::npos) return "";
    pointer += "/" + name;
  }
  return pointer;
}

std::string stored_version(const Json& definition) {
  for (const Json& version : items(object_of(definition, "spec"), "versions")) {
    if (bool_or(version, "storage")) return string_or(version, "name");
  }
  return "";
}

void set_definition_defaults(Json& definition) {
  Json* spec = member(definition, "spec");
  if (!spec || !spec->is_object()) return;
  Json& names = object_at(*spec, "names");
  std::string kind = string_or(names, "kind");
  if (string_or(names, "singular").empty() && !kind.empty()) names["singular"] = lower(kind);
  if (string_or(names, "listKind").empty() && !kind.empty()) names["listKind"] = kind + "List";
  Json& conversion = object_at(*spec, "conversion");
  if (string_or(conversion, "strategy").empty()) conversion["strategy"] = "None";
  if (Json* client = member(conversion, "webhook")) {
    Json* config = member(*client, "clientConfig");
    Json* service = config ? member(*config, "service") : nullptr;
    if (service && service->is_object() && !has(*service, "port")) (*service)["port"] = 443;
  }
  edit_items(*spec, "versions", [](Json& version) {
    for (const char* flag : {"served", "storage"}) {
      if (!has(version, flag)) version[flag] = false;
    }
  });
}

FieldErrors validate_definition(const Json& definition) {
  FieldErrors errors = check_spec(definition);
  append(errors, validate_definition_status(definition));
  return errors;
}

FieldErrors validate_definition_update(const Json& definition, const Json& old) {
  const Json& spec = object_of(definition, "spec");
  const Json& before = object_of(old, "spec");
  // What was accepted stays acceptable, so that a definition can always be finished off.
  FieldErrors errors = spec == before ? FieldErrors{} : check_spec(definition);
  append(errors, validate_definition_status(definition));
  FieldPath path("spec");
  if (condition_is_true(old, "Established")) {
    check_immutable(errors, spec, before, "scope", path);
    check_immutable(errors, object_of(spec, "names"), object_of(before, "names"), "kind",
                    path.child("names"));
  }
  check_immutable(errors, spec, before, "group", path);
  check_immutable(errors, object_of(spec, "names"), object_of(before, "names"), "plural",
                  path.child("names"));
  return errors;
}

FieldErrors validate_definition_status(const Json& definition) {
  FieldErrors errors;
  FieldPath path = FieldPath("status").child("storedVersions");
  std::set<std::string> known;
  for (const Json& version : items(object_of(definition, "spec"), "versions"))
    known.insert(string_or(version, "name"));
  const Json& stored = items(object_of(definition, "status"), "storedVersions");
  if (stored.empty()) {
    errors.push_back(FieldError::invalid(path, stored, "must have at least one stored version"));
  }
  std::string current = stored_version(definition);
  bool has_current = false;
  for (std::size_t i = 0; i < stored.size(); ++i) {
    has_current = has_current || stored[i] == current;
    if (!stored[i].is_string() || !known.contains(stored[i].get<std::string>()))
      errors.push_back(
          FieldError::invalid(path.index(i), stored[i], "must appear in spec.versions"));
  }
  if (!stored.empty() && !current.empty() && !has_current) {
    errors.push_back(FieldError::invalid(path, stored, "must have the storage version " + current));
  }
  return errors;
}

}  // namespace moth::resources
