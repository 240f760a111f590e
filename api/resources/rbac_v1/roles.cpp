#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/resources/edit.h"
#include "api/resources/rbac_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void check_rule(FieldErrors& errors, const Json& rule, bool namespaced, const FieldPath& path) {
  if (items(rule, "verbs").empty()) {
    errors.push_back(
        FieldError::required(path.child("verbs"), "verbs must contain at least one value"));
  }
  const Json& urls = items(rule, "nonResourceURLs");
  bool groups = !items(rule, "apiGroups").empty();
  bool resources = !items(rule, "resources").empty();
  if (urls.empty()) {
    if (!groups) {
      errors.push_back(FieldError::required(path.child("apiGroups"),
                                            "resource rules must supply at least one api group"));
    }
    if (!resources) {
      errors.push_back(FieldError::required(path.child("resources"),
                                            "resource rules must supply at least one resource"));
    }
    return;
  }
  FieldPath at = path.child("nonResourceURLs");
  if (namespaced) {
    errors.push_back(
        FieldError::invalid(at, urls, "namespaced rules cannot apply to non-resource URLs"));
  }
  if (groups || resources || !items(rule, "resourceNames").empty()) {
    errors.push_back(FieldError::invalid(
        at, urls, "rules cannot apply to both regular resources and non-resource URLs"));
  }
}

void check_rules(FieldErrors& errors, const Json& object, bool namespaced) {
  const Json& rules = items(object, "rules");
  for (std::size_t i = 0; i < rules.size(); ++i) {
    check_rule(errors, rules[i], namespaced, FieldPath("rules").index(i));
  }
}

FieldErrors validate_role(const Json& object) {
  FieldErrors errors;
  check_rules(errors, object, true);
  return errors;
}

FieldErrors validate_cluster_role(const Json& object) {
  FieldErrors errors;
  check_rules(errors, object, false);
  const Json* aggregation = member(object, "aggregationRule");
  if (!aggregation) return errors;
  FieldPath path = FieldPath("aggregationRule").child("clusterRoleSelectors");
  const Json& selectors = items(*aggregation, "clusterRoleSelectors");
  if (selectors.empty()) {
    errors.push_back(FieldError::required(
        path, "at least one clusterRoleSelector required if aggregationRule is non-nil"));
  }
  for (std::size_t i = 0; i < selectors.size(); ++i) {
    append(errors, validate_label_selector(selectors[i], path.index(i)));
    if (!LabelSelector::from_json(selectors[i])) {
      errors.push_back(FieldError::invalid(path.index(i), selectors[i], "invalid label selector."));
    }
  }
  return errors;
}

ResourceDef rbac_row(std::string resource, std::string singular, const std::string& kind) {
  ResourceDef row = row_of("rbac.authorization.k8s.io", "v1", std::move(resource),
                           std::move(singular), kind, "rbac.v1." + kind);
  row.allow_create_on_update = true;
  row.validate_name = check_path_segment_name;
  return row;
}

}  // namespace

ResourceDef roles() {
  ResourceDef row = rbac_row("roles", "role", "Role");
  row.validate = validate_role;
  return row;
}

ResourceDef cluster_roles() {
  ResourceDef row = rbac_row("clusterroles", "clusterrole", "ClusterRole");
  row.namespaced = false;
  row.validate = validate_cluster_role;
  return row;
}

}  // namespace moth::resources
