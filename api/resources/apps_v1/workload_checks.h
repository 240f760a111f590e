#pragma once
// What the validation of workloads with a selector and a pod template shares. Internal to apps_v1.
#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// spec.selector and spec.template: the selector is given, not empty, and matches the template's
// labels; the template restarts its containers always. `path` is that of the spec.
void check_selector_and_template(FieldErrors& errors, const Json& spec, const FieldPath& path);

}  // namespace moth::resources
