#pragma once
// What the kinds that make pods of a template share: validation of selector, template and status,
// warnings, columns. Pure functions.
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"
#include "api/machinery/selectors.h"
#include "api/resources/registry.h"

namespace moth::resources {

// How upstream names a kind in two of its texts.
struct WorkloadTexts {
  std::string_view selector;  // "empty selector is invalid for ..."
  std::string_view deadline;  // "activeDeadlineSeconds in ... is not Supported"
};

// spec.selector is given, holds and is not empty. The selector, nothing() when there is none; unset
// when it does not parse. `path` is that of the spec.
std::optional<LabelSelector> check_workload_selector(FieldErrors& errors, const Json& spec,
                                                     const FieldPath& path,
                                                     std::string_view empty_for,
                                                     std::string_view unparsable);
// The selector matches the labels of the template.
void check_selector_matches(FieldErrors& errors, const Json& pod_template,
                            const LabelSelector& selector, const FieldPath& path);
// The template restarts its containers always and has no deadline.
void check_template_runs_on(FieldErrors& errors, const Json& pod_template, const FieldPath& path,
                            std::string_view kind);
// All of it, in the order of Deployments.
void check_selector_and_template(FieldErrors& errors, const Json& spec, const FieldPath& path,
                                 const WorkloadTexts& texts);

// spec.selector did not change.
void check_selector_kept(FieldErrors& errors, const Json& object, const Json& old);

// Numbers of the status are not negative; those of `parts` are not above status.`whole`.
void check_status_counts(FieldErrors& errors, const Json& status,
                         std::initializer_list<std::string_view> counts);
void check_status_parts(FieldErrors& errors, const Json& status, std::string_view whole,
                        std::initializer_list<std::string_view> parts, std::string_view text);
void check_not_decremented(FieldErrors& errors, const Json& object, const Json& old,
                           std::string_view key);
// replicas and what is counted of them, as of ReplicaSets and ReplicationControllers.
FieldErrors validate_replica_status(const Json& object, const Json& old);

// The warnings of the pods of spec.template.
std::vector<std::string> template_warnings(const Json& object);

// Columns Containers, Images and, when asked for, Selector; all wide.
void add_template_columns(std::vector<Column>& columns, bool selector = true);
// Their cells. `selector` is the text of the last; absent: none.
void add_template_cells(Json& cells, const Json& pod_template,
                        const std::optional<std::string>& selector);

// Subresource scale by spec.replicas, status.replicas and spec.selector, and subresource status.
void set_scalable(ResourceDef& row);
// Columns, cells and selectable field of what has replicas, from spec and status.
void set_replica_printing(ResourceDef& row, std::string name_description);

}  // namespace moth::resources
