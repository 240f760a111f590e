// Jobs and cron jobs.
#include "api/machinery/selectors.h"
#include "api/machinery/time.h"
#include "ctl/describe/kinds.h"

namespace moth::ctl {
namespace {

// "TITLE:\tVALUE" when the member is there, else with `none` unless that is empty.
void write_member(DescribeWriter& out, const Json& spec, const char* key, std::string_view title,
                  std::string_view none = "", std::string_view unit = "") {
  if (spec.contains(key))
    out.write(0, "{}:\t{}{}\n", title, scalar_text(spec[key]), unit);
  else if (!none.empty())
    out.write(0, "{}:\t{}\n", title, none);
}

}  // namespace

void describe_job(DescribeWriter& out, Api&, const Json& job) {
  const Json spec = job.value("spec", Json::object()), status = job.value("status", Json::object());
  write_name(out, job);
  const Json* selector = find_member(spec, "selector");
  out.write(0, "Selector:\t{}\n", selector ? format_label_selector(*selector) : "<none>");
  write_labels(out, "Labels", metadata_member(job, "labels"));
  write_annotations(out, "Annotations", metadata_member(job, "annotations"));
  if (std::string owner = controller_text(job); !owner.empty())
    out.write(0, "Controlled By:\t{}\n", owner);
  write_member(out, spec, "parallelism", "Parallelism");
  write_member(out, spec, "completions", "Completions", "<unset>");
  write_member(out, spec, "completionMode", "Completion Mode");
  write_member(out, spec, "suspend", "Suspend");
  write_member(out, spec, "backoffLimit", "Backoff Limit");
  write_member(out, spec, "ttlSecondsAfterFinished", "TTL Seconds After Finished");
  std::string start = string_or(status, "startTime"), end = string_or(status, "completionTime");
  write_time(out, "Start Time", start);
  write_time(out, "Completed At", end);
  if (auto ended = parse_rfc3339(end); ended && !start.empty())
    out.write(0, "Duration:\t{}\n", human_age_since(start, *ended));
  write_member(out, spec, "activeDeadlineSeconds", "Active Deadline Seconds", "", "s");
  std::string ready =
      status.contains("ready") ? fmt::format(" ({} Ready)", int_or(status, "ready")) : "";
  out.write(0, "Pods Statuses:\t{} Active{} / {} Succeeded / {} Failed\n", int_or(status, "active"),
            ready, int_or(status, "succeeded"), int_or(status, "failed"));
  if (string_or(spec, "completionMode") == "Indexed")
    out.write(0, "Completed Indexes:\t{}\n", string_or(status, "completedIndexes", "<none>"));
  if (const Json* pods = find_member(spec, "template")) write_pod_template(out, *pods);
}

void describe_cron_job(DescribeWriter& out, Api&, const Json& cron_job) {
  const Json spec = cron_job.value("spec", Json::object());
  const Json status = cron_job.value("status", Json::object());
  write_head(out, cron_job);
  out.write(0, "Schedule:\t{}\n", string_or(spec, "schedule"));
  if (std::string zone = string_or(spec, "timeZone"); !zone.empty())
    out.write(0, "Time Zone:\t{}\n", zone);
  out.write(0, "Concurrency Policy:\t{}\n", string_or(spec, "concurrencyPolicy"));
  out.write(0, "Suspend:\t{}\n",
            spec.contains("suspend") ? (bool_or(spec, "suspend") ? "True" : "False") : "<unset>");
  write_member(out, spec, "successfulJobsHistoryLimit", "Successful Job History Limit", "<unset>");
  write_member(out, spec, "failedJobsHistoryLimit", "Failed Job History Limit", "<unset>");
  write_member(out, spec, "startingDeadlineSeconds", "Starting Deadline Seconds", "<unset>", "s");
  const Json* found = find_path(spec, "jobTemplate", "spec");
  const Json& job = object_or_empty(found);
  const Json* selector = find_member(job, "selector");
  out.write(0, "Selector:\t{}\n", selector ? format_label_selector(*selector) : "<unset>");
  write_member(out, job, "parallelism", "Parallelism", "<unset>");
  write_member(out, job, "completions", "Completions", "<unset>");
  write_member(out, job, "activeDeadlineSeconds", "Active Deadline Seconds", "", "s");
  if (const Json* pods = find_member(job, "template")) write_pod_template(out, *pods);
  std::string last = string_or(status, "lastScheduleTime");
  out.write(0, "Last Schedule Time:\t{}\n", last.empty() ? "<unset>" : long_time(last));
  std::string active;
  const Json jobs = status.value("active", Json::array());
  for (const Json& one : jobs) active += (active.empty() ? "" : ", ") + string_or(one, "name");
  out.write(0, "Active Jobs:\t{}\n", active.empty() ? "<none>" : active);
}

}  // namespace moth::ctl
