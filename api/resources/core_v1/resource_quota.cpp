#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/resource_names.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void set_defaults(Json& object) {
  for (const char* part : {"spec", "status"}) {
    if (Json* json = member(object, part)) {
      round_resource_list(member(*json, "hard"));
      round_resource_list(member(*json, "used"));
    }
  }
}

void check_amounts(FieldErrors& errors, const Json& owner, const char* key, const FieldPath& path) {
  for (const auto& [name, quantity] : parse_resource_list(find_member(owner, key))) {
    FieldPath at = path.child(key).key(name);
    check_quota_resource_name(errors, name, at);
    if (quantity.sign() < 0) {
      errors.push_back(FieldError::invalid(at, quantity.to_string(), kNonNegative));
    }
    if (is_integer_resource(name) && !quantity.is_whole()) {
      errors.push_back(FieldError::invalid(at, quantity.to_string(), "must be an integer"));
    }
  }
}

bool is_scope(std::string_view scope) {
  static constexpr std::string_view kScopes[] = {
      "Terminating",          "NotTerminating", "BestEffort",
      "NotBestEffort",        "PriorityClass",  "CrossNamespacePodAffinity",
      "VolumeAttributesClass"};
  return std::find(std::begin(kScopes), std::end(kScopes), scope) != std::end(kScopes);
}

// Scopes pick out pods, or claims: they mean nothing for other objects.
bool fits_scope(std::string_view resource, std::string_view scope) {
  static constexpr std::string_view kCompute[] = {
      "pods", "cpu", "memory", "limits.cpu", "limits.memory", "requests.cpu", "requests.memory"};
  if (!is_scope(scope)) return true;
  if (scope == "VolumeAttributesClass") {
    return resource == "persistentvolumeclaims" || resource == "requests.storage";
  }
  if (scope == "BestEffort") return resource == "pods";
  return std::find(std::begin(kCompute), std::end(kCompute), resource) != std::end(kCompute);
}

std::size_t count_misfits(const Json& spec, std::string_view scope) {
  std::size_t count = 0;
  for (const auto& [name, value] : object_of(spec, "hard").items()) {
    if (is_standard_quota_resource(name) && !fits_scope(name, scope)) ++count;
  }
  return count;
}

void check_conflicts(FieldErrors& errors, const std::vector<std::string>& scopes, const Json& spec,
                     const FieldPath& path) {
  auto given = [&](const char* scope) {
    return std::find(scopes.begin(), scopes.end(), scope) != scopes.end();
  };
  bool effort = given("BestEffort") && given("NotBestEffort");
  bool end = given("Terminating") && given("NotTerminating");
  for (int i = 0; i < (effort ? 1 : 0) + (end ? 1 : 0); ++i) {
    errors.push_back(FieldError::invalid(path, items(spec, "scopes"), "conflicting scopes"));
  }
}

void check_scopes(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  FieldPath at = path.child("scopes");
  const Json& list = items(spec, "scopes");
  std::vector<std::string> scopes = strings(spec, "scopes");
  for (const std::string& scope : scopes) {
    if (!is_scope(scope)) errors.push_back(FieldError::invalid(at, list, "unsupported scope"));
    for (std::size_t i = count_misfits(spec, scope); i > 0; --i) {
      errors.push_back(FieldError::invalid(at, list, "unsupported scope applied to resource"));
    }
  }
  check_conflicts(errors, scopes, spec, at);
}

void check_operator(FieldErrors& errors, const Json& requirement, const FieldPath& path) {
  std::string scope = string_or(requirement, "scopeName");
  std::string op = string_or(requirement, "operator");
  const Json& values = items(requirement, "values");
  bool by_value = scope == "PriorityClass" || scope == "VolumeAttributesClass";
  if (is_scope(scope) && !by_value && op != "Exists") {
    errors.push_back(FieldError::invalid(
        path.child("operator"), op,
        "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, "
        "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, "
        "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"));
  }
  if (op == "In" || op == "NotIn") {
    if (values.empty()) {
      errors.push_back(FieldError::required(
          path.child("values"),
          "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"));
    }
  } else if (op == "Exists" || op == "DoesNotExist") {
    if (!values.empty()) {
      errors.push_back(FieldError::invalid(
          path.child("values"), values,
          "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"));
    }
  } else {
    errors.push_back(
        FieldError::invalid(path.child("operator"), op, "not a valid selector operator"));
  }
}

// Upstream names the list, not the element.
void check_scope_selector(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* selector = member(spec, "scopeSelector");
  if (!selector) return;
  FieldPath at = path.child("scopeSelector", "matchExpressions");
  std::vector<std::string> scopes;
  for (const Json& requirement : items(*selector, "matchExpressions")) {
    std::string scope = string_or(requirement, "scopeName");
    if (!is_scope(scope)) {
      errors.push_back(FieldError::invalid(at.child("scopeName"), scope, "unsupported scope"));
    }
    for (std::size_t i = count_misfits(spec, scope); i > 0; --i) {
      errors.push_back(FieldError::invalid(at, *selector, "unsupported scope applied to resource"));
    }
    check_operator(errors, requirement, at);
    scopes.push_back(std::move(scope));
  }
  check_conflicts(errors, scopes, spec, at);
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  check_amounts(errors, spec, "hard", path);
  check_scopes(errors, spec, path);
  check_scope_selector(errors, spec, path);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  auto scopes_of = [](const Json& quota) {
    std::vector<std::string> scopes = strings(object_of(quota, "spec"), "scopes");
    return std::set<std::string>(scopes.begin(), scopes.end());
  };
  if (scopes_of(object) != scopes_of(old)) {
    errors.push_back(FieldError::invalid(FieldPath("spec").child("scopes"),
                                         items(object_of(object, "spec"), "scopes"),
                                         "field is immutable"));
  }
  return errors;
}

FieldErrors validate_status(const Json& object, const Json&) {
  FieldErrors errors;
  const Json& status = object_of(object, "status");
  check_amounts(errors, status, "hard", FieldPath("status"));
  check_amounts(errors, status, "used", FieldPath("status"));
  return errors;
}

// `cpu: 1/2, pods: 3/10`, limits and requests apart.
Json cells(const Json& object, const RowContext& context) {
  const Json& status = object_of(object, "status");
  ResourceList used = parse_resource_list(find_member(status, "used"));
  std::vector<std::string> requests, limits;
  for (const auto& [name, hard] : parse_resource_list(find_member(status, "hard"))) {
    auto& list = name.starts_with("limits") ? limits : requests;
    list.push_back(
        fmt::format("{}: {}/{}", name, amount(used, name).to_string(), hard.to_string()));
  }
  return Json::array(
      {name_cell(object), join(requests, ", "), join(limits, ", "), age_cell(object, context)});
}

}  // namespace

ResourceDef resource_quotas() {
  ResourceDef row =
      row_of("", "v1", "resourcequotas", "resourcequota", "ResourceQuota", "core.v1.ResourceQuota");
  row.short_names = {"quota"};
  row.subresources = {own_subresource(row, "status")};
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.columns =
      columns({column("Name", "Name of the quota, unique in its namespace"),
               column("Request", "Requests and counts: used and allowed"),
               column("Limit", "Limits: used and allowed"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
