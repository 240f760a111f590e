#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/rbac_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr const char* kGroup = "rbac.authorization.k8s.io";

void set_defaults(Json& object) {
  default_text(object_at(object, "roleRef"), "apiGroup", kGroup);
  edit_items(object, "subjects", [](Json& subject) {
    std::string kind = string_or(subject, "kind");
    if (kind == "User" || kind == "Group") default_text(subject, "apiGroup", kGroup);
  });
}

// Text that has to be one of `supported`, missing text included.
void check_one_of(FieldErrors& errors, const Json& object, std::string_view key,
                  const FieldPath& path, const std::vector<std::string>& supported) {
  std::string text = string_or(object, key);
  for (const std::string& one : supported) {
    if (text == one) return;
  }
  errors.push_back(FieldError::not_supported(path.child(key), text, supported));
}

void check_subject(FieldErrors& errors, const Json& subject, bool namespaced,
                   const FieldPath& path) {
  check_required(errors, subject, "name", path);
  std::string kind = string_or(subject, "kind");
  if (kind == "ServiceAccount") {
    check_name(errors, subject, "name", path, check_dns1123_subdomain);
    check_one_of(errors, subject, "apiGroup", path, {""});
    if (!namespaced) check_required(errors, subject, "namespace", path);
  } else if (kind == "User" || kind == "Group") {
    check_one_of(errors, subject, "apiGroup", path, {kGroup});
  } else {
    errors.push_back(
        FieldError::not_supported(path.child("kind"), kind, {"ServiceAccount", "User", "Group"}));
  }
}

FieldErrors validate_binding(const Json& object, bool namespaced) {
  FieldErrors errors;
  const Json& reference = object_of(object, "roleRef");
  FieldPath path("roleRef");
  check_one_of(errors, reference, "apiGroup", path, {kGroup});
  check_one_of(errors, reference, "kind", path,
               namespaced ? std::vector<std::string>{"Role", "ClusterRole"}
                          : std::vector<std::string>{"ClusterRole"});
  if (check_required(errors, reference, "name", path)) {
    check_name(errors, reference, "name", path, check_path_segment_name);
  }
  const Json& subjects = items(object, "subjects");
  for (std::size_t i = 0; i < subjects.size(); ++i) {
    check_subject(errors, subjects[i], namespaced, FieldPath("subjects").index(i));
  }
  return errors;
}

FieldErrors validate_binding_update(const Json& object, const Json& old, bool namespaced) {
  FieldErrors errors = validate_binding(object, namespaced);
  const Json& reference = object_of(object, "roleRef");
  if (reference != object_of(old, "roleRef")) {
    errors.push_back(FieldError::invalid(FieldPath("roleRef"), reference, "cannot change roleRef"));
  }
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  std::vector<std::string> users, groups, accounts;
  for (const Json& subject : items(object, "subjects")) {
    std::string kind = string_or(subject, "kind");
    std::string name = string_or(subject, "name");
    if (kind == "User") users.push_back(name);
    if (kind == "Group") groups.push_back(name);
    if (kind == "ServiceAccount") accounts.push_back(string_or(subject, "namespace") + "/" + name);
  }
  const Json& reference = object_of(object, "roleRef");
  return Json::array(
      {name_cell(object), string_or(reference, "kind") + "/" + string_or(reference, "name"),
       age_cell(object, context), join(users, ", "), join(groups, ", "), join(accounts, ", ")});
}

ResourceDef binding_row(std::string resource, std::string singular, const std::string& kind) {
  ResourceDef row =
      row_of(kGroup, "v1", std::move(resource), std::move(singular), kind, "rbac.v1." + kind);
  row.allow_create_on_update = true;
  row.validate_name = check_path_segment_name;
  row.set_defaults = set_defaults;
  row.columns = columns(
      {column("Name", "Name of the binding"), column("Role", "Kind and name of what is granted"),
       column("Age", "Time since creation"),
       column("Users", "Users among the subjects", "string", 1),
       column("Groups", "Groups among the subjects", "string", 1),
       column("ServiceAccounts", "Service accounts among the subjects", "string", 1)});
  row.row = cells;
  return row;
}

}  // namespace

ResourceDef role_bindings() {
  ResourceDef row = binding_row("rolebindings", "rolebinding", "RoleBinding");
  row.validate = [](const Json& object) { return validate_binding(object, true); };
  row.validate_update = [](const Json& object, const Json& old) {
    return validate_binding_update(object, old, true);
  };
  return row;
}

ResourceDef cluster_role_bindings() {
  ResourceDef row = binding_row("clusterrolebindings", "clusterrolebinding", "ClusterRoleBinding");
  row.namespaced = false;
  row.validate = [](const Json& object) { return validate_binding(object, false); };
  row.validate_update = [](const Json& object, const Json& old) {
    return validate_binding_update(object, old, false);
  };
  return row;
}

}  // namespace moth::resources
