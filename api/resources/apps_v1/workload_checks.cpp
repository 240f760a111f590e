#include "api/resources/apps_v1/workload_checks.h"

#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

bool selects_nothing_in_particular(const Json& selector) {
  return object_of(selector, "matchLabels").empty() && items(selector, "matchExpressions").empty();
}

void check_template(FieldErrors& errors, const Json& pod_template, const LabelSelector& selector,
                    const FieldPath& path) {
  const Json& labels = object_of(object_of(pod_template, "metadata"), "labels");
  if (!selector.matches_everything() && !selector.matches_json(labels)) {
    errors.push_back(FieldError::invalid(path.child("metadata", "labels"), labels,
                                         "`selector` does not match template `labels`"));
  }
  append(errors, validate_pod_template(pod_template, path));
  const Json& spec = object_of(pod_template, "spec");
  std::string restart = string_or(spec, "restartPolicy");
  if (restart != "Always") {
    errors.push_back(
        FieldError::not_supported(path.child("spec", "restartPolicy"), restart, {"Always"}));
  }
  if (has(spec, "activeDeadlineSeconds")) {
    errors.push_back(FieldError::forbidden(path.child("spec", "activeDeadlineSeconds"),
                                           "activeDeadlineSeconds in ReplicaSet is not Supported"));
  }
}

}  // namespace

void check_selector_and_template(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* given = member(spec, "selector");
  FieldPath at = path.child("selector");
  // Without a selector nothing matches, which the labels of the template then violate too.
  LabelSelector selector = LabelSelector::nothing();
  bool usable = true;
  if (!given) {
    errors.push_back(FieldError::required(at, ""));
  } else {
    append(errors, validate_label_selector(*given, at));
    if (selects_nothing_in_particular(*given)) {
      errors.push_back(FieldError::invalid(at, *given, "empty selector is invalid for deployment"));
    }
    auto parsed = LabelSelector::from_json(*given);
    if (parsed) {
      selector = *std::move(parsed);
    } else {
      usable = false;
      errors.push_back(FieldError::invalid(at, *given, "invalid label selector"));
    }
  }
  if (usable) {
    check_template(errors, object_of(spec, "template"), selector, path.child("template"));
  }
}

}  // namespace moth::resources
