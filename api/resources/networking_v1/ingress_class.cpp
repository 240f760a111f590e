#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/check_text.h"
#include "api/resources/edit.h"
#include "api/resources/networking_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

void set_defaults(Json& object) {
  Json* spec = member(object, "spec");
  Json* parameters = spec ? member(*spec, "parameters") : nullptr;
  if (parameters) default_to(*parameters, "scope", "Cluster");
}

void check_parameters(FieldErrors& errors, const Json& parameters, const FieldPath& path) {
  check_name(errors, parameters, "apiGroup", path, check_dns1123_subdomain);
  for (const char* key : {"kind", "name"}) {
    if (check_required(errors, parameters, key, path)) {
      check_name(errors, parameters, key, path, check_path_segment_name);
    }
  }
  if (!has(parameters, "scope")) {
    errors.push_back(FieldError::required(path.child("scope"), ""));
    return;
  }
  std::string scope = string_or(parameters, "scope");
  FieldPath at = path.child("namespace");
  if (scope != "Cluster" && scope != "Namespace") {
    errors.push_back(
        FieldError::not_supported(path.child("scope"), scope, {"Cluster", "Namespace"}));
  } else if (scope == "Cluster") {
    if (has(parameters, "namespace")) {
      errors.push_back(FieldError::forbidden(at, "`parameters.scope` is set to 'Cluster'"));
    }
  } else if (!has(parameters, "namespace")) {
    errors.push_back(FieldError::required(at, "`parameters.scope` is set to 'Namespace'"));
  } else {
    std::string ns = string_or(parameters, "namespace");
    add_invalid(errors, at, ns, check_dns1123_label(ns));
  }
}

FieldErrors validate(const Json& object) {
  constexpr std::size_t kMaxController = 250;
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  std::string controller = string_or(spec, "controller");
  if (controller.size() > kMaxController) {
    errors.push_back(FieldError::too_long(path.child("controller"), kMaxController));
  }
  check_domain_prefixed_path(errors, controller, path.child("controller"));
  if (const Json* parameters = member(spec, "parameters")) {
    check_parameters(errors, *parameters, path.child("parameters"));
  }
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors;
  check_immutable(errors, object_of(object, "spec"), object_of(old, "spec"), "controller",
                  FieldPath("spec"));
  append(errors, validate(object));
  return errors;
}

std::string parameters_cell(const Json& spec) {
  const Json* parameters = member(spec, "parameters");
  if (!parameters) return "<none>";
  std::string group = string_or(*parameters, "apiGroup");
  return string_or(*parameters, "kind") + (group.empty() ? "" : "." + group) + "/" +
         string_or(*parameters, "name");
}

}  // namespace

ResourceDef ingress_classes() {
  ResourceDef row = row_of("networking.k8s.io", "v1", "ingressclasses", "ingressclass",
                           "IngressClass", "networking.v1.IngressClass");
  row.namespaced = false;
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns = columns({column("Name", "Name of the class"),
                         column("Controller", "Controller that serves it"),
                         column("Parameters", "Object with settings for the controller"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    const Json& spec = object_of(object, "spec");
    return Json::array({name_cell(object), string_or(spec, "controller"), parameters_cell(spec),
                        age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
