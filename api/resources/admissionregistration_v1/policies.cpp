#include <algorithm>
#include <cctype>

#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/resources/admissionregistration_v1/match_checks.h"
#include "api/resources/admissionregistration_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr const char* kNeedsOne = "validations or auditAnnotations must contain at least one item";

void default_match_resources(Json& spec, const char* key) {
  Json* match = member(spec, key);
  if (!match) return;
  default_matching(*match);
  default_rules(*match, "resourceRules");
  default_rules(*match, "excludeResourceRules");
}

void set_policy_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_to(spec, "failurePolicy", "Fail");
  default_match_resources(spec, "matchConstraints");
}

bool is_blank(const std::string& text) {
  return text.find_first_not_of(" \t\r\n") == std::string::npos;
}

// How a name in expressions has to look.
bool is_identifier(const std::string& text) {
  auto fits = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  return !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) == 0 &&
         std::all_of(text.begin(), text.end(), fits);
}

void check_param_kind(FieldErrors& errors, const Json& spec) {
  const Json* kind = member(spec, "paramKind");
  if (!kind) return;
  FieldPath path = FieldPath("spec").child("paramKind");
  if (check_required(errors, *kind, "apiVersion", path)) {
    std::string version = string_or(*kind, "apiVersion");
    if (std::count(version.begin(), version.end(), '/') > 1) {
      errors.push_back(FieldError::invalid(path.child("apiVersion"), version,
                                           "unexpected GroupVersion string: " + version));
    }
  }
  if (!check_required(errors, *kind, "kind", path)) return;
  std::string name = string_or(*kind, "kind"), lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (Messages wrong = check_dns1035_label(lower); !wrong.empty()) {
    errors.push_back(FieldError::invalid(
        path.child("kind"), name,
        "may have mixed case, but should otherwise match: " + join(wrong, ",")));
  }
}

void check_variables(FieldErrors& errors, const Json& spec) {
  const Json& variables = items(spec, "variables");
  UniqueNames names;
  for (std::size_t i = 0; i < variables.size(); ++i) {
    FieldPath at = FieldPath("spec").child("variables").index(i);
    std::string name = string_or(variables[i], "name");
    if (is_blank(name)) {
      errors.push_back(FieldError::required(at.child("name"), "name is not specified"));
    } else if (!is_identifier(name)) {
      errors.push_back(
          FieldError::invalid(at.child("name"), name, "name is not a valid CEL identifier"));
    } else {
      names.add(errors, name, at.child("name"));
    }
    if (is_blank(string_or(variables[i], "expression"))) {
      errors.push_back(FieldError::required(at.child("expression"), "expression is not specified"));
    }
  }
}

void check_constraints(FieldErrors& errors, const Json& spec) {
  FieldPath path = FieldPath("spec").child("matchConstraints");
  const Json* match = member(spec, "matchConstraints");
  if (!match) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  check_match_resources(errors, *match, path);
  if (items(*match, "resourceRules").empty()) {
    errors.push_back(FieldError::required(path.child("resourceRules"), ""));
  }
}

void check_validation(FieldErrors& errors, const Json& validation, const FieldPath& path) {
  std::string expression = string_or(validation, "expression");
  std::string message = string_or(validation, "message");
  bool lines = expression.find('\n') != std::string::npos;
  if (!message.empty() && is_blank(message)) {
    errors.push_back(FieldError::invalid(path.child("message"), message,
                                         "message must be non-empty if specified"));
  } else if (message.find('\n') != std::string::npos) {
    errors.push_back(FieldError::invalid(path.child("message"), message,
                                         "message must not contain line breaks"));
  } else if (lines && message.empty()) {
    errors.push_back(FieldError::required(
        path.child("message"), "message must be specified if expression contains line breaks"));
  }
  if (is_blank(expression)) {
    errors.push_back(FieldError::required(path.child("expression"), "expression is not specified"));
  }
  check_supported(errors, validation, "reason", path,
                  {"Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"});
}

void check_audit_annotations(FieldErrors& errors, const Json& object, const Json& spec) {
  const Json& annotations = items(spec, "auditAnnotations");
  UniqueNames keys;
  for (std::size_t i = 0; i < annotations.size(); ++i) {
    FieldPath at = FieldPath("spec").child("auditAnnotations").index(i);
    if (check_required(errors, annotations[i], "key", at)) {
      std::string key = string_or(annotations[i], "key");
      add_invalid(errors, at.child("key"), key,
                  check_qualified_name(name_cell(object) + "/" + key));
      keys.add(errors, key, at.child("key"));
    }
    if (is_blank(string_or(annotations[i], "valueExpression"))) {
      errors.push_back(
          FieldError::required(at.child("valueExpression"), "valueExpression is not specified"));
    }
  }
}

// What validating and mutating policies have in common.
void check_policy(FieldErrors& errors, const Json& spec) {
  FieldPath path("spec");
  check_supported(errors, spec, "failurePolicy", path, {"Fail", "Ignore"}, true);
  check_param_kind(errors, spec);
  check_constraints(errors, spec);
  check_match_conditions(errors, spec, path);
  check_variables(errors, spec);
}

FieldErrors validate_validating(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_policy(errors, spec);
  const Json& validations = items(spec, "validations");
  if (validations.empty() && items(spec, "auditAnnotations").empty()) {
    errors.push_back(FieldError::required(path.child("validations"), kNeedsOne));
    errors.push_back(FieldError::required(path.child("auditAnnotations"), kNeedsOne));
  }
  for (std::size_t i = 0; i < validations.size(); ++i) {
    check_validation(errors, validations[i], path.child("validations").index(i));
  }
  check_audit_annotations(errors, object, spec);
  return errors;
}

void check_mutation(FieldErrors& errors, const Json& mutation, const FieldPath& path) {
  check_supported(errors, mutation, "patchType", path, {"ApplyConfiguration", "JSONPatch"}, true);
  std::string type = string_or(mutation, "patchType");
  struct Sort {
    const char* type;
    const char* member;
  };
  static constexpr Sort kSorts[] = {{"ApplyConfiguration", "applyConfiguration"},
                                    {"JSONPatch", "jsonPatch"}};
  for (const Sort& sort : kSorts) {
    FieldPath at = path.child(sort.member);
    const Json* given = member(mutation, sort.member);
    if (type != sort.type) {
      if (given) {
        errors.push_back(FieldError::forbidden(
            at, std::string("must not be specified when patchType is ") + type));
      }
    } else if (!given) {
      errors.push_back(FieldError::required(
          at, std::string("must be specified when patchType is ") + sort.type));
    } else if (is_blank(string_or(*given, "expression"))) {
      errors.push_back(FieldError::required(at.child("expression"), "expression is not specified"));
    }
  }
}

FieldErrors validate_mutating(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_policy(errors, spec);
  const Json& mutations = items(spec, "mutations");
  if (mutations.empty()) {
    errors.push_back(
        FieldError::required(path.child("mutations"), "mutations must contain at least one item"));
  }
  for (std::size_t i = 0; i < mutations.size(); ++i) {
    check_mutation(errors, mutations[i], path.child("mutations").index(i));
  }
  check_supported(errors, spec, "reinvocationPolicy", path, {"IfNeeded", "Never"}, true);
  return errors;
}

void check_param_ref(FieldErrors& errors, const Json& spec) {
  const Json* reference = member(spec, "paramRef");
  if (!reference) return;
  FieldPath path = FieldPath("spec").child("paramRef");
  std::string name = string_or(*reference, "name");
  bool selects = has(*reference, "selector");
  if (!name.empty()) {
    add_invalid(errors, path.child("name"), name, check_path_segment_name(name));
    if (selects) {
      errors.push_back(
          FieldError::forbidden(path.child("name"), "name and selector are mutually exclusive"));
    }
  }
  if (selects && !name.empty()) {
    errors.push_back(
        FieldError::forbidden(path.child("selector"), "name and selector are mutually exclusive"));
  }
  if (name.empty() && !selects) {
    errors.push_back(FieldError::required(path, "one of name or selector must be specified"));
  }
  check_supported(errors, *reference, "parameterNotFoundAction", path, {"Allow", "Deny"}, true);
}

void check_binding(FieldErrors& errors, const Json& spec) {
  FieldPath path("spec");
  if (check_required(errors, spec, "policyName", path)) {
    check_name(errors, spec, "policyName", path, check_dns1123_subdomain);
  }
  check_param_ref(errors, spec);
  if (const Json* match = member(spec, "matchResources")) {
    check_match_resources(errors, *match, path.child("matchResources"));
  }
}

void check_actions(FieldErrors& errors, const Json& spec) {
  FieldPath path = FieldPath("spec").child("validationActions");
  std::vector<std::string> actions = strings(spec, "validationActions");
  static const std::vector<std::string> kActions = {"Audit", "Deny", "Warn"};
  UniqueNames seen;
  for (const std::string& action : actions) {
    if (std::find(kActions.begin(), kActions.end(), action) == kActions.end()) {
      errors.push_back(FieldError::not_supported(path, action, kActions));
    }
    seen.add(errors, action, path);
  }
  if (seen.contains("Deny") && seen.contains("Warn")) {
    errors.push_back(FieldError::invalid(
        path, items(spec, "validationActions"),
        "must not contain both Deny and Warn (repeating the same validation failure information "
        "in the API response and headers serves no purpose)"));
  }
  if (actions.empty()) {
    errors.push_back(FieldError::required(path, "at least one validation action is required"));
  }
}

std::string kind_cell(const Json& spec) {
  const Json* kind = member(spec, "paramKind");
  return kind ? string_or(*kind, "apiVersion") + "/" + string_or(*kind, "kind") : "<unset>";
}

std::string reference_cell(const Json& spec) {
  const Json* reference = member(spec, "paramRef");
  if (!reference) return "<unset>";
  std::string name = string_or(*reference, "name"), ns = string_or(*reference, "namespace");
  if (name.empty()) return format_label_selector(object_of(*reference, "selector"));
  return ns.empty() ? name : ns + "/" + name;
}

ResourceDef policy_row(std::string resource, std::string singular, const std::string& kind) {
  ResourceDef row = row_of("admissionregistration.k8s.io", "v1", std::move(resource),
                           std::move(singular), kind, "admissionregistration.v1." + kind);
  row.namespaced = false;
  row.categories = {"api-extensions"};
  row.allow_unconditional_update = false;
  row.has_generation = true;
  return row;
}

// `list`: what a policy consists of, `label` its column.
void print_policy(ResourceDef& row, const char* label, const char* list) {
  row.columns = columns(
      {column("Name", "Name of the policy"), column(label, "How many rules it has", "integer"),
       column("ParamKind", "The kind of its parameters"), column("Age", "Time since creation")});
  row.row = [list](const Json& object, const RowContext& context) {
    const Json& spec = object_of(object, "spec");
    return Json::array(
        {name_cell(object), items(spec, list).size(), kind_cell(spec), age_cell(object, context)});
  };
}

void print_binding(ResourceDef& row) {
  row.columns = columns({column("Name", "Name of the binding"),
                         column("PolicyName", "The policy that it puts to work"),
                         column("ParamRef", "Where its parameters come from"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    const Json& spec = object_of(object, "spec");
    return Json::array({name_cell(object), string_or(spec, "policyName"), reference_cell(spec),
                        age_cell(object, context)});
  };
}

void set_binding_defaults(Json& object) {
  default_match_resources(object_at(object, "spec"), "matchResources");
}

}  // namespace

ResourceDef validating_admission_policies() {
  ResourceDef row = policy_row("validatingadmissionpolicies", "validatingadmissionpolicy",
                               "ValidatingAdmissionPolicy");
  row.subresources = {own_subresource(row, "status")};
  row.set_defaults = set_policy_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate_validating;
  print_policy(row, "Validations", "validations");
  return row;
}

ResourceDef mutating_admission_policies() {
  ResourceDef row =
      policy_row("mutatingadmissionpolicies", "mutatingadmissionpolicy", "MutatingAdmissionPolicy");
  row.set_defaults = [](Json& object) {
    set_policy_defaults(object);
    default_text(object_at(object, "spec"), "reinvocationPolicy", "Never");
  };
  row.validate = validate_mutating;
  print_policy(row, "Mutations", "mutations");
  return row;
}

ResourceDef validating_admission_policy_bindings() {
  ResourceDef row =
      policy_row("validatingadmissionpolicybindings", "validatingadmissionpolicybinding",
                 "ValidatingAdmissionPolicyBinding");
  row.set_defaults = set_binding_defaults;
  row.validate = [](const Json& object) {
    FieldErrors errors;
    check_binding(errors, object_of(object, "spec"));
    check_actions(errors, object_of(object, "spec"));
    return errors;
  };
  print_binding(row);
  return row;
}

ResourceDef mutating_admission_policy_bindings() {
  ResourceDef row = policy_row("mutatingadmissionpolicybindings", "mutatingadmissionpolicybinding",
                               "MutatingAdmissionPolicyBinding");
  row.set_defaults = set_binding_defaults;
  row.validate = [](const Json& object) {
    FieldErrors errors;
    check_binding(errors, object_of(object, "spec"));
    return errors;
  };
  print_binding(row);
  return row;
}

}  // namespace moth::resources
