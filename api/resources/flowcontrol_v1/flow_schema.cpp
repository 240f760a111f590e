#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/flowcontrol_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kUsualPrecedence = 1000;
constexpr std::int64_t kMaxPrecedence = 10000;

const std::vector<std::string>& verbs() {
  static const std::vector<std::string> kVerbs = {
      "*",     "connect", "create", "delete", "deletecollection", "get", "list",
      "patch", "proxy",   "update", "watch"};
  return kVerbs;
}

// A list that must not be empty and in which `*` stands alone. `things`: what it lists.
void check_list(FieldErrors& errors, const Json& rule, const char* key, const FieldPath& path,
                const char* when_empty, const char* things) {
  std::vector<std::string> given = strings(rule, key);
  if (given.empty()) {
    errors.push_back(FieldError::required(path.child(key), when_empty));
  } else if (given.size() > 1 && std::find(given.begin(), given.end(), "*") != given.end()) {
    errors.push_back(
        FieldError::invalid(path.child(key), items(rule, key),
                            fmt::format("if '*' is present, must not specify other {}", things)));
  }
}

void check_verbs(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  check_list(errors, rule, "verbs", path, "verbs must contain at least one value", "verbs");
  for (const std::string& verb : strings(rule, "verbs")) {
    if (std::find(verbs().begin(), verbs().end(), verb) != verbs().end()) continue;
    errors.push_back(FieldError::not_supported(path.child("verbs"), items(rule, "verbs"), verbs()));
    return;
  }
}

void check_resource_rule(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  check_verbs(errors, rule, path);
  check_list(errors, rule, "apiGroups", path, "resource rules must supply at least one api group",
             "api groups");
  check_list(errors, rule, "resources", path, "resource rules must supply at least one resource",
             "resources");
  std::vector<std::string> namespaces = strings(rule, "namespaces");
  FieldPath at = path.child("namespaces");
  if (namespaces.empty()) {
    if (bool_or(rule, "clusterScope")) return;
    errors.push_back(FieldError::required(
        at, "resource rules that are not cluster scoped must supply at least one namespace"));
    return;
  }
  if (std::find(namespaces.begin(), namespaces.end(), "*") != namespaces.end()) {
    check_list(errors, rule, "namespaces", path, "", "namespaces");
    return;
  }
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    add_invalid(errors, at.index(i), namespaces[i], check_dns1123_label(namespaces[i]));
  }
}

void check_url(FieldErrors& errors, const std::string& url, const FieldPath& path) {
  if (url.empty()) {
    errors.push_back(FieldError::required(path, "must not be empty"));
  } else if (url == "/" || url == "*") {
    return;
  } else if (url[0] != '/') {
    errors.push_back(FieldError::invalid(path, url, "must start with slash"));
  } else if (url.find(' ') != std::string::npos) {
    errors.push_back(FieldError::invalid(path, url, "must not contain white-space"));
  } else if (url.find("//") != std::string::npos) {
    errors.push_back(FieldError::invalid(path, url, "must not contain double slash"));
  } else if (auto star = url.find('*');
             star != std::string::npos && (star + 1 != url.size() || url[star - 1] != '/')) {
    errors.push_back(FieldError::invalid(path, url, "wildcard can only do suffix matching"));
  }
}

void check_path_rule(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  check_verbs(errors, rule, path);
  check_list(errors, rule, "nonResourceURLs", path,
             "nonResourceURLs must contain at least one value", "non-resource URLs");
  std::size_t i = 0;
  for (const std::string& url : strings(rule, "nonResourceURLs")) {
    check_url(errors, url, path.child("nonResourceURLs").index(i++));
  }
}

// A subject holds just the member that its kind names.
void check_subject(FieldErrors& errors, const Json& subject, const FieldPath& path) {
  struct Sort {
    const char* kind;
    const char* member;
  };
  static constexpr Sort kSorts[] = {
      {"ServiceAccount", "serviceAccount"}, {"User", "user"}, {"Group", "group"}};
  std::string kind = string_or(subject, "kind");
  bool known = false;
  for (const Sort& sort : kSorts) {
    FieldPath at = path.child(sort.member);
    const Json* given = member(subject, sort.member);
    if (kind == sort.kind) {
      known = true;
      if (!given) {
        errors.push_back(FieldError::required(
            at, fmt::format("{} is required when subject kind is '{}'", sort.member, sort.kind)));
        continue;
      }
      check_required(errors, *given, "name", at);
      if (kind == "ServiceAccount") check_required(errors, *given, "namespace", at);
    } else if (given && !given->empty()) {
      errors.push_back(FieldError::forbidden(
          at,
          fmt::format("{} is forbidden when subject kind is not '{}'", sort.member, sort.kind)));
    }
  }
  if (!known) {
    errors.push_back(
        FieldError::not_supported(path.child("kind"), kind, {"Group", "ServiceAccount", "User"}));
  }
}

void check_rule(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  const Json& subjects = items(rule, "subjects");
  if (subjects.empty()) {
    errors.push_back(
        FieldError::required(path.child("subjects"), "subjects must contain at least one value"));
  }
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    check_subject(errors, subjects[i], path.child("subjects").index(i));
  }
  const Json& resources = items(rule, "resourceRules");
  const Json& paths = items(rule, "nonResourceRules");
  if (resources.empty() && paths.empty()) {
    errors.push_back(FieldError::required(
        path, "at least one of resourceRules and nonResourceRules has to be non-empty"));
  }
  for (std::size_t i = 0; i < resources.size(); ++i) {
    check_resource_rule(errors, resources[i], path.child("resourceRules").index(i));
  }
  for (std::size_t i = 0; i < paths.size(); ++i) {
    check_path_rule(errors, paths[i], path.child("nonResourceRules").index(i));
  }
}

void check_precedence(FieldErrors& errors, const Json& object, const Json& spec) {
  FieldPath path = FieldPath("spec").child("matchingPrecedence");
  std::int64_t value = int_or(spec, "matchingPrecedence");
  if (value <= 0) {
    errors.push_back(FieldError::invalid(path, value, "must be a positive value"));
  } else if (value > kMaxPrecedence) {
    errors.push_back(FieldError::invalid(
        path, value, fmt::format("must not be greater than {}", kMaxPrecedence)));
  } else if (value == 1 && name_cell(object) != "exempt") {
    errors.push_back(FieldError::invalid(
        path, value, "only the schema named 'exempt' may have matchingPrecedence 1"));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_precedence(errors, object, spec);
  if (const Json* method = member(spec, "distinguisherMethod")) {
    std::string type = string_or(*method, "type");
    if (type != "ByNamespace" && type != "ByUser") {
      errors.push_back(FieldError::not_supported(path.child("distinguisherMethod", "type"), type,
                                                 {"ByNamespace", "ByUser"}));
    }
  }
  const Json& level = object_of(spec, "priorityLevelConfiguration");
  FieldPath at = path.child("priorityLevelConfiguration");
  if (check_required(errors, level, "name", at, "must reference a priority level")) {
    check_name(errors, level, "name", at, check_dns1123_subdomain);
  }
  const Json& rules = items(spec, "rules");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    check_rule(errors, rules[i], path.child("rules").index(i));
  }
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  std::string missing = "?";
  for (const Json& condition : items(object_of(object, "status"), "conditions")) {
    if (string_or(condition, "type") == "Dangling") missing = string_or(condition, "status");
  }
  return Json::array({name_cell(object),
                      string_or(object_of(spec, "priorityLevelConfiguration"), "name"),
                      int_or(spec, "matchingPrecedence"),
                      or_none(string_or(object_of(spec, "distinguisherMethod"), "type")),
                      age_cell(object, context), missing});
}

}  // namespace

ResourceDef flow_schemas() {
  ResourceDef row = row_of("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "flowschema",
                           "FlowSchema", "flowcontrol.v1.FlowSchema");
  row.namespaced = false;
  row.subresources = {own_subresource(row, "status")};
  row.allow_unconditional_update = false;
  row.has_generation = true;
  row.set_defaults = [](Json& object) {
    default_number(object_at(object, "spec"), "matchingPrecedence", kUsualPrecedence);
  };
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate;
  row.columns = columns(
      {column("Name", "Name of the schema"), column("PriorityLevel", "Where its requests go"),
       column("MatchingPrecedence", "Order among the schemas, lowest first", "integer"),
       column("DistinguisherMethod", "What tells its flows apart"),
       column("Age", "Time since creation"),
       column("MissingPL", "Whether its priority level is not there")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
