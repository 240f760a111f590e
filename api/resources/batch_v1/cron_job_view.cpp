#include "api/resources/batch_v1/cron_job_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {

CronJobView::CronJobView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  schedule = string_or(spec, "schedule");
  if (has(spec, "timeZone")) time_zone = string_or(spec, "timeZone");
  starting_deadline = optional_seconds(spec, "startingDeadlineSeconds");
  std::string policy = string_or(spec, "concurrencyPolicy");
  if (policy == "Forbid") concurrency = Concurrency::kForbid;
  if (policy == "Replace") concurrency = Concurrency::kReplace;
  suspend = bool_or(spec, "suspend");
  successful_kept = int32_or(spec, "successfulJobsHistoryLimit", successful_kept);
  failed_kept = int32_or(spec, "failedJobsHistoryLimit", failed_kept);

  const Json& json = object_of(*dom, "status");
  for (const Json& job : items(json, "active")) {
    status.active.push_back({string_or(job, "name"), string_or(job, "uid")});
  }
  status.last_schedule = optional_time(json, "lastScheduleTime");
  status.last_successful = optional_time(json, "lastSuccessfulTime");
}

}  // namespace moth::resources
