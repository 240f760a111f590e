// What may change in a pod's spec after it was created.
#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"
#include "api/resources/json_diff.h"

namespace moth::resources {
namespace {

constexpr std::string_view kAllowed =
    "pod updates may not change fields other than "
    "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,"
    "`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

// Images that were emptied or padded; false when containers came or went.
bool check_container_lists(FieldErrors& errors, const Json& spec, const Json& old,
                           const FieldPath& path) {
  for (std::string_view key : {"containers", "initContainers"}) {
    if (items(spec, key).size() != items(old, key).size()) {
      errors.push_back(
          FieldError::forbidden(path.child(key), "pod updates may not add or remove containers"));
      return false;
    }
  }
  return true;
}

// False when nothing further is worth saying.
bool check_deadline(FieldErrors& errors, const Json& spec, const Json& old, const FieldPath& path) {
  const Json* now = member(spec, "activeDeadlineSeconds");
  const Json* before = member(old, "activeDeadlineSeconds");
  FieldPath at = path.child("activeDeadlineSeconds");
  if (!now) {
    if (before) {
      errors.push_back(
          FieldError::invalid(at, nullptr, "must not update from a positive integer to nil value"));
    }
    return true;
  }
  if (*now < 0 || *now > kInt32Max) {
    errors.push_back(FieldError::invalid(
        at, *now, fmt::format("must be between 0 and {}, inclusive", kInt32Max)));
    return false;
  }
  if (before && *before < *now) {
    errors.push_back(FieldError::invalid(at, *now, "must be less than or equal to previous value"));
    return false;
  }
  return true;
}

Json without_seconds(Json toleration) {
  toleration.erase("tolerationSeconds");
  return toleration;
}

void check_tolerations_kept(FieldErrors& errors, const Json& spec, const Json& old,
                            const FieldPath& path) {
  const Json& now = items(spec, "tolerations");
  for (const Json& before : items(old, "tolerations")) {
    bool kept = std::any_of(now.begin(), now.end(), [&](const Json& one) {
      return without_seconds(one) == without_seconds(before);
    });
    if (kept) continue;
    errors.push_back(FieldError::forbidden(
        path.child("tolerations"),
        "existing toleration can not be modified except its tolerationSeconds"));
    return;
  }
}

void check_gates_removed(FieldErrors& errors, const Json& spec, const Json& old,
                         const FieldPath& path) {
  const Json& before = items(old, "schedulingGates");
  std::size_t i = 0;
  for (const Json& gate : items(spec, "schedulingGates")) {
    FieldPath at = path.child("schedulingGates").index(i++).child("name");
    if (std::find(before.begin(), before.end(), gate) != before.end()) continue;
    errors.push_back(FieldError::forbidden(
        at, fmt::format("only deletion is allowed, but found new scheduling gate '{}'",
                        string_or(gate, "name"))));
  }
}

void copy_images(Json& to, const Json& from, std::string_view key) {
  Json* list = member(to, key);
  const Json& source = items(from, key);
  if (!list || !list->is_array()) return;
  for (std::size_t i = 0; i < list->size() && i < source.size(); ++i) {
    if (const Json* image = member(source[i], "image")) (*list)[i]["image"] = *image;
  }
}

void copy_member(Json& to, const Json& from, const std::string& key) {
  if (const Json* value = member(from, key)) {
    to[key] = *value;
  } else {
    to.erase(key);
  }
}

// While gated a pod is not scheduled yet, and its node selector may be narrowed.
bool narrows_node_selector(const Json& spec, const Json& old) {
  const Json& now = object_of(spec, "nodeSelector");
  for (const auto& [key, value] : object_of(old, "nodeSelector").items()) {
    const Json* kept = find_member(now, key);
    if (!kept || *kept != value) return false;
  }
  return true;
}

// Terms may get more requirements, none may go.
bool narrows_term(const Json& now, const Json& old, std::string_view key) {
  const Json& list = items(now, key);
  for (const Json& requirement : items(old, key)) {
    if (std::find(list.begin(), list.end(), requirement) == list.end()) return false;
  }
  return true;
}

bool narrows_node_affinity(const Json& spec, const Json& old) {
  constexpr std::string_view kRequired = "requiredDuringSchedulingIgnoredDuringExecution";
  const Json* before = find_path(old, "affinity", "nodeAffinity", kRequired);
  if (!before) return true;
  const Json* now = find_path(spec, "affinity", "nodeAffinity", kRequired);
  if (!now) return false;
  const Json& old_terms = items(*before, "nodeSelectorTerms");
  const Json& terms = items(*now, "nodeSelectorTerms");
  if (terms.size() != old_terms.size()) return false;
  for (std::size_t i = 0; i < terms.size(); ++i) {
    if (!narrows_term(terms[i], old_terms[i], "matchExpressions") ||
        !narrows_term(terms[i], old_terms[i], "matchFields")) {
      return false;
    }
  }
  return true;
}

// The new spec with everything that may change set back.
Json with_allowed_undone(Json spec, const Json& old, FieldErrors& errors, const FieldPath& path) {
  const Json now = spec;
  copy_images(spec, old, "containers");
  copy_images(spec, old, "initContainers");
  copy_member(spec, old, "activeDeadlineSeconds");
  copy_member(spec, old, "tolerations");
  copy_member(spec, old, "schedulingGates");
  copy_member(spec, old, "ephemeralContainers");
  if (int_or(old, "terminationGracePeriodSeconds") < 0 &&
      int_or(now, "terminationGracePeriodSeconds") == 1) {
    copy_member(spec, old, "terminationGracePeriodSeconds");
  }
  if (items(old, "schedulingGates").empty()) return spec;
  if (narrows_node_selector(now, old)) {
    copy_member(spec, old, "nodeSelector");
  } else {
    errors.push_back(FieldError::invalid(
        path.child("nodeSelector"), object_of(now, "nodeSelector"),
        "only additions to spec.nodeSelector are allowed (no mutations or deletions)"));
  }
  if (narrows_node_affinity(now, old)) copy_member(spec, old, "affinity");
  return spec;
}

}  // namespace

FieldErrors validate_pod_update(const Json& pod, const Json& old_pod) {
  FieldPath path("spec");
  const Json& spec = object_of(pod, "spec");
  const Json& old = object_of(old_pod, "spec");
  FieldErrors errors = validate_pod_spec(spec, path, {});
  if (!check_container_lists(errors, spec, old, path)) return errors;
  if (!check_deadline(errors, spec, old, path)) return errors;
  check_tolerations_kept(errors, spec, old, path);
  check_gates_removed(errors, spec, old, path);
  if (spec == old) return errors;
  if (items(spec, "ephemeralContainers") != items(old, "ephemeralContainers")) {
    errors.push_back(FieldError::forbidden(
        path,
        "ephemeral containers can only be changed through the ephemeralcontainers "
        "subresource"));
  }
  Json munged = with_allowed_undone(spec, old, errors, path);
  if (munged == old) return errors;
  errors.push_back(
      FieldError::forbidden(path, fmt::format("{}\n{}", kAllowed, json_diff(old, munged, path))));
  return errors;
}

}  // namespace moth::resources
