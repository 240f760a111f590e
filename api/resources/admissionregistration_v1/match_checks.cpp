#include "api/resources/admissionregistration_v1/match_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/selectors.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxConditions = 64;

bool contains(const std::vector<std::string>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

// A list that must not be empty and in which `*` stands alone.
void check_list(FieldErrors& errors, const Json& rule, const char* key, const FieldPath& path,
                const char* things) {
  std::vector<std::string> given = strings(rule, key);
  if (given.empty()) {
    errors.push_back(FieldError::required(path.child(key), ""));
  } else if (given.size() > 1 && contains(given, "*")) {
    errors.push_back(
        FieldError::invalid(path.child(key), items(rule, key),
                            fmt::format("if '*' is present, must not specify other {}", things)));
  }
}

void check_operations(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  check_list(errors, rule, "operations", path, "operations");
  static const std::vector<std::string> kOperations = {"*", "CONNECT", "CREATE", "DELETE",
                                                       "UPDATE"};
  std::vector<std::string> given = strings(rule, "operations");
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (contains(kOperations, given[i])) continue;
    errors.push_back(
        FieldError::not_supported(path.child("operations").index(i), given[i], kOperations));
  }
}

// pods, pods/log, pods/*, */scale, *, */*: none may say what another one says already.
void check_resources(FieldErrors& errors, const Json& rule, const FieldPath& parent) {
  FieldPath path = parent.child("resources");
  std::vector<std::string> given = strings(rule, "resources");
  if (given.empty()) errors.push_back(FieldError::required(path, ""));
  std::set<std::string> whole_resources, whole_subresources;
  bool plain = false;
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i].empty()) {
      errors.push_back(FieldError::required(path.index(i), ""));
      continue;
    }
    auto slash = given[i].find('/');
    if (slash == std::string::npos) {
      plain = plain || given[i] != "*";
      continue;
    }
    if (given[i] == "*/*") continue;
    std::string resource = given[i].substr(0, slash), subresource = given[i].substr(slash + 1);
    if (whole_resources.contains(resource)) {
      errors.push_back(FieldError::invalid(
          path.index(i), given[i],
          fmt::format("if '{}/*' is present, must not specify {}", resource, given[i])));
    }
    if (whole_subresources.contains(subresource)) {
      errors.push_back(FieldError::invalid(
          path.index(i), given[i],
          fmt::format("if '*/{}' is present, must not specify {}", subresource, given[i])));
    }
    if (subresource == "*") whole_resources.insert(resource);
    if (resource == "*") whole_subresources.insert(subresource);
  }
  if (given.size() > 1 && contains(given, "*/*")) {
    errors.push_back(FieldError::invalid(path, items(rule, "resources"),
                                         "if '*/*' is present, must not specify other resources"));
  }
  if (plain && contains(given, "*")) {
    errors.push_back(FieldError::invalid(
        path, items(rule, "resources"),
        "if '*' is present, must not specify other resources without subresources"));
  }
}

void check_rule(FieldErrors& errors, const Json& rule, const FieldPath& path) {
  check_operations(errors, rule, path);
  check_list(errors, rule, "apiGroups", path, "API groups");
  check_list(errors, rule, "apiVersions", path, "API versions");
  std::vector<std::string> versions = strings(rule, "apiVersions");
  for (std::size_t i = 0; i < versions.size(); ++i) {
    if (versions[i].empty()) {
      errors.push_back(FieldError::required(path.child("apiVersions").index(i), ""));
    }
  }
  check_resources(errors, rule, path);
  check_supported(errors, rule, "scope", path, {"*", "Cluster", "Namespaced"});
}

}  // namespace

void default_rules(Json& object, const char* key) {
  edit_items(object, key, [](Json& rule) { default_to(rule, "scope", "*"); });
}

void default_matching(Json& object) {
  default_to(object, "matchPolicy", "Equivalent");
  default_to(object, "namespaceSelector", Json::object());
  default_to(object, "objectSelector", Json::object());
}

void check_rules(FieldErrors& errors, const Json& object, const char* key, const FieldPath& path) {
  const Json& rules = items(object, key);
  for (std::size_t i = 0; i < rules.size(); ++i) {
    check_rule(errors, rules[i], path.child(key).index(i));
  }
}

void check_selectors(FieldErrors& errors, const Json& object, const FieldPath& path) {
  for (const char* key : {"namespaceSelector", "objectSelector"}) {
    if (const Json* selector = member(object, key)) {
      append(errors, validate_label_selector(*selector, path.child(key)));
    }
  }
}

void check_match_resources(FieldErrors& errors, const Json& match, const FieldPath& path) {
  check_supported(errors, match, "matchPolicy", path, {"Equivalent", "Exact"}, true);
  for (const char* key : {"namespaceSelector", "objectSelector"}) {
    if (!has(match, key)) errors.push_back(FieldError::required(path.child(key), ""));
  }
  check_selectors(errors, match, path);
  for (const char* key : {"resourceRules", "excludeResourceRules"}) {
    check_rules(errors, match, key, path);
    const Json& rules = items(match, key);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      std::vector<std::string> names = strings(rules[i], "resourceNames");
      UniqueNames seen;
      for (std::size_t n = 0; n < names.size(); ++n) {
        FieldPath at = path.child(key).index(i).child("resourceNames").index(n);
        add_invalid(errors, at, names[n], check_path_segment_name(names[n]));
        seen.add(errors, names[n], at);
      }
    }
  }
}

void check_match_conditions(FieldErrors& errors, const Json& object, const FieldPath& parent) {
  FieldPath path = parent.child("matchConditions");
  const Json& conditions = items(object, "matchConditions");
  if (conditions.size() > kMaxConditions) {
    errors.push_back(FieldError::too_many(path, conditions.size(), kMaxConditions));
  }
  UniqueNames names;
  for (std::size_t i = 0; i < conditions.size(); ++i) {
    FieldPath at = path.index(i);
    std::string expression = string_or(conditions[i], "expression");
    if (expression.find_first_not_of(" \t\r\n") == std::string::npos) {
      errors.push_back(FieldError::required(at.child("expression"), ""));
    }
    if (!check_required(errors, conditions[i], "name", at)) continue;
    check_name(errors, conditions[i], "name", at, check_qualified_name);
    names.add(errors, string_or(conditions[i], "name"), at.child("name"));
  }
}

}  // namespace moth::resources
