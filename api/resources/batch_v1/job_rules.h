#pragma once
// Validation of Jobs, which the job templates of CronJobs share. Internal to batch_v1, but for the
// index lists. Pure functions.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

inline constexpr const char* kControllerUidLabel = "batch.kubernetes.io/controller-uid";
inline constexpr const char* kJobNameLabel = "batch.kubernetes.io/job-name";

// A JobSpec without its selector.
void check_job_spec(FieldErrors& errors, const Json& spec, const FieldPath& path);

// job_policies.cpp
void check_pod_failure_policy(FieldErrors& errors, const Json& spec, const FieldPath& path);
void check_success_policy(FieldErrors& errors, const Json& spec, const FieldPath& path);

// job_status.cpp
FieldErrors validate_job_status(const Json& object, const Json& old);

// Indexes of an indexed Job as text, "0,2-4": intervals in rising order, all below `completions`.
// BadRequest with upstream's text.
using IndexIntervals = std::vector<std::pair<std::int64_t, std::int64_t>>;
Result<IndexIntervals> parse_job_indexes(std::string_view text, std::int64_t completions);
std::int64_t count_indexes(const IndexIntervals& intervals);

// `metadata.name: this is used in Pod names ...` when the name is no DNS label.
std::vector<std::string> pod_name_warnings(const Json& object);

}  // namespace moth::resources
