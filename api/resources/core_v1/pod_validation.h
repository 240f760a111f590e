#pragma once
// Validation of pods and of pod templates. Messages, field paths and their order are upstream's.
// Takes what the schema has decoded and the defaults have filled. Pure functions.
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

struct PodValidation {
  bool is_pod = true;  // else a template: no host ports were defaulted
};

// `path` is that of the spec.
FieldErrors validate_pod_spec(const Json& spec, const FieldPath& path,
                              const PodValidation& options);
// A PodTemplateSpec. Workloads check its labels against their selector themselves.
FieldErrors validate_pod_template(const Json& pod_template, const FieldPath& path);

// Hooks of the pods row.
FieldErrors validate_pod(const Json& pod);
FieldErrors validate_pod_update(const Json& pod, const Json& old);
std::vector<std::string> pod_warnings(const Json& pod);
// The warnings of a template, with paths below `path`.
std::vector<std::string> pod_spec_warnings(const Json& spec, const FieldPath& path);

// A ResourceRequirements.
FieldErrors validate_resources(const Json& resources, const FieldPath& path);
// The taints of a node; `path` is that of the list.
FieldErrors validate_taints(const Json& taints, const FieldPath& path);

}  // namespace moth::resources
