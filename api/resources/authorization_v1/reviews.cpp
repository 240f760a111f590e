#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/authorization_v1/rows.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

bool takes_values(const std::string& op) {
  return op == "In" || op == "NotIn";
}

// One requirement of a field or label selector. Operators of newer clients are let through.
void check_requirement(FieldErrors& errors, const Json& requirement, const FieldPath& path) {
  std::string op = string_or(requirement, "operator");
  bool values = !items(requirement, "values").empty();
  if (takes_values(op) && !values) {
    errors.push_back(FieldError::required(path.child("values"),
                                          "must be specified when `operator` is 'In' or 'NotIn'"));
  }
  if ((op == "Exists" || op == "DoesNotExist") && values) {
    errors.push_back(FieldError::forbidden(
        path.child("values"),
        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  }
  check_required(errors, requirement, "key", path);
}

void check_selector(FieldErrors& errors, const Json& attributes, const char* key,
                    const FieldPath& parent) {
  const Json* selector = member(attributes, key);
  if (!selector) return;
  FieldPath path = parent.child(key);
  const Json& requirements = items(*selector, "requirements");
  std::string raw = string_or(*selector, "rawSelector");
  if (!raw.empty() && !requirements.empty()) {
    errors.push_back(FieldError::invalid(path.child("rawSelector"), raw,
                                         "may not specified at the same time as requirements"));
  }
  if (raw.empty() && requirements.empty()) {
    errors.push_back(FieldError::required(
        path.child("requirements"),
        fmt::format("when {} is specified, requirements or rawSelector is required",
                    path.to_string())));
  }
  for (std::size_t i = 0; i < requirements.size(); ++i) {
    check_requirement(errors, requirements[i], path.child("requirements").index(i));
  }
}

// What is asked about: a resource or a path, and just one of them.
void check_attributes(FieldErrors& errors, const Json& spec) {
  static const Json kNull;
  FieldPath path("spec");
  const Json* resource = member(spec, "resourceAttributes");
  const Json* other = member(spec, "nonResourceAttributes");
  if (resource && other) {
    errors.push_back(
        FieldError::invalid(path.child("nonResourceAttributes"), *other,
                            "cannot be specified in combination with resourceAttributes"));
  }
  if (!resource && !other) {
    errors.push_back(FieldError::invalid(
        path.child("resourceAttributes"), kNull,
        "exactly one of nonResourceAttributes or resourceAttributes must be specified"));
  }
}

void check_selectors(FieldErrors& errors, const Json& spec) {
  const Json* resource = member(spec, "resourceAttributes");
  if (!resource) return;
  check_selector(errors, *resource, "fieldSelector", FieldPath("spec.resourceAttributes"));
  check_selector(errors, *resource, "labelSelector", FieldPath("spec.resourceAttributes"));
}

void check_no_metadata(FieldErrors& errors, const Json& object, bool namespaced) {
  Json metadata = object_of(object, "metadata");
  metadata.erase("managedFields");
  if (namespaced) metadata.erase("namespace");
  if (metadata.empty()) return;
  errors.push_back(
      FieldError::invalid(FieldPath("metadata"), metadata,
                          namespaced ? "must be empty except for namespace" : "must be empty"));
}

void check_subject(FieldErrors& errors, const Json& spec) {
  if (!string_or(spec, "user").empty() || !items(spec, "groups").empty()) return;
  errors.push_back(FieldError::invalid(FieldPath("spec.user"), "",
                                       "at least one of user or group must be specified"));
}

FieldErrors validate_self(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  check_attributes(errors, spec);
  check_selectors(errors, spec);
  check_no_metadata(errors, object, false);
  return errors;
}

FieldErrors validate_of_subject(const Json& object, bool namespaced) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  check_attributes(errors, spec);
  check_subject(errors, spec);
  check_selectors(errors, spec);
  check_no_metadata(errors, object, namespaced);
  return errors;
}

FieldErrors validate_subject(const Json& object) {
  return validate_of_subject(object, false);
}

FieldErrors validate_local(const Json& object) {
  FieldErrors errors = validate_of_subject(object, true);
  const Json& spec = object_of(object, "spec");
  const Json* resource = member(spec, "resourceAttributes");
  if (resource &&
      string_or(*resource, "namespace") != string_or(object_of(object, "metadata"), "namespace")) {
    errors.push_back(FieldError::invalid(FieldPath("spec.resourceAttributes.namespace"),
                                         string_or(*resource, "namespace"),
                                         "must match metadata.namespace"));
  }
  if (const Json* other = member(spec, "nonResourceAttributes")) {
    errors.push_back(FieldError::invalid(FieldPath("spec.nonResourceAttributes"), *other,
                                         "disallowed on this kind of request"));
  }
  return errors;
}

ResourceDef review(std::string resource, std::string singular, const std::string& kind) {
  ResourceDef row = row_of("authorization.k8s.io", "v1", std::move(resource), std::move(singular),
                           kind, "authorization.v1." + kind);
  row.namespaced = false;
  row.verbs = kCreate;
  row.durability = Durability::kVirtual;
  return row;
}

}  // namespace

ResourceDef local_subject_access_reviews() {
  ResourceDef row =
      review("localsubjectaccessreviews", "localsubjectaccessreview", "LocalSubjectAccessReview");
  row.namespaced = true;
  row.validate = validate_local;
  return row;
}

ResourceDef self_subject_access_reviews() {
  ResourceDef row =
      review("selfsubjectaccessreviews", "selfsubjectaccessreview", "SelfSubjectAccessReview");
  row.validate = validate_self;
  return row;
}

ResourceDef self_subject_rules_reviews() {
  return review("selfsubjectrulesreviews", "selfsubjectrulesreview", "SelfSubjectRulesReview");
}

ResourceDef subject_access_reviews() {
  ResourceDef row = review("subjectaccessreviews", "subjectaccessreview", "SubjectAccessReview");
  row.validate = validate_subject;
  return row;
}

}  // namespace moth::resources
