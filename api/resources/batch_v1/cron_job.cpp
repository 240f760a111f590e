#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/selectors.h"
#include "api/machinery/time_zone.h"
#include "api/resources/batch_v1/cron_schedule.h"
#include "api/resources/batch_v1/job_rules.h"
#include "api/resources/batch_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

namespace moth::resources {
namespace {

constexpr int kSuccessfulKept = 3;
constexpr int kFailedKept = 1;

const Json& job_spec_of(const Json& object) {
  return object_of(object_of(object_of(object, "spec"), "jobTemplate"), "spec");
}

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_text(spec, "concurrencyPolicy", "Allow");
  default_to(spec, "suspend", false);
  default_to(spec, "successfulJobsHistoryLimit", kSuccessfulKept);
  default_to(spec, "failedJobsHistoryLimit", kFailedKept);
  Json& job_template = object_at(spec, "jobTemplate");
  object_at(job_template, "metadata");
  set_pod_template_defaults(object_at(object_at(job_template, "spec"), "template"));
}

// With `old`, a zone inside a schedule that was there before may stay.
void check_schedule(FieldErrors& errors, const Json& spec, const Json* old, const FieldPath& path) {
  if (!check_required(errors, spec, "schedule", path)) return;
  FieldPath at = path.child("schedule");
  std::string schedule = string_or(spec, "schedule");
  if (auto parsed = CronSchedule::parse(schedule); !parsed) {
    errors.push_back(FieldError::invalid(at, schedule, parsed.error().message));
  }
  auto names_zone = [](const std::string& text) { return text.find("TZ") != std::string::npos; };
  if (!names_zone(schedule)) return;
  if (!old || !names_zone(string_or(*old, "schedule"))) {
    errors.push_back(FieldError::invalid(
        at, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
  } else if (has(spec, "timeZone")) {
    errors.push_back(FieldError::invalid(
        at, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"));
  }
}

// One element of a zone's name, as IANA allows them.
bool is_zone_part(std::string_view part) {
  constexpr std::size_t kMax = 14;
  return !part.empty() && part.size() <= kMax && part != "." && part != ".." && part[0] != '-' &&
         std::all_of(part.begin(), part.end(), [](char c) {
           return std::isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_' ||
                  c == '+';
         });
}

bool is_zone_name(std::string_view name) {
  for (;;) {
    auto slash = name.find('/');
    if (!is_zone_part(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

void check_time_zone(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  if (!has(spec, "timeZone")) return;
  FieldPath at = path.child("timeZone");
  std::string zone = string_or(spec, "timeZone");
  if (zone.empty()) {
    errors.push_back(FieldError::invalid(at, zone, "timeZone must be nil or non-empty string"));
    return;
  }
  std::string lower = zone;
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (lower == "local") {
    errors.push_back(FieldError::invalid(at, zone,
                                         "timeZone must be an explicit time zone as defined in "
                                         "https://www.iana.org/time-zones"));
    if (zone == "Local") return;
  }
  if (!is_zone_name(zone) || !TimeZone::load(zone)) {
    errors.push_back(FieldError::invalid(at, zone, fmt::format("unknown time zone {}", zone)));
  }
}

FieldErrors validate_spec(const Json& object, const Json* old) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  check_schedule(errors, spec, old, path);
  check_non_negative(errors, spec, "startingDeadlineSeconds", path);
  if (!old || string_or(*old, "timeZone") != string_or(spec, "timeZone")) {
    check_time_zone(errors, spec, path);
  }
  check_supported(errors, spec, "concurrencyPolicy", path, {"Allow", "Forbid", "Replace"}, true);
  FieldPath job_path = path.child("jobTemplate", "spec");
  const Json& job = job_spec_of(object);
  check_job_spec(errors, job, job_path);
  if (const Json* selector = member(job, "selector")) {
    errors.push_back(FieldError::invalid(job_path.child("selector"), *selector,
                                         "`selector` will be auto-generated"));
  }
  if (bool_or(job, "manualSelector")) {
    errors.push_back(
        FieldError::not_supported(job_path.child("manualSelector"), true, {"nil", "false"}));
  }
  check_non_negative(errors, spec, "successfulJobsHistoryLimit", path);
  check_non_negative(errors, spec, "failedJobsHistoryLimit", path);
  return errors;
}

// The controller appends eleven characters for the name of a Job, which has room for 63.
FieldErrors validate(const Json& object) {
  constexpr std::size_t kMaxName = 52;
  FieldErrors errors = validate_spec(object, nullptr);
  std::string name = string_or(object_of(object, "metadata"), "name");
  if (name.size() > kMaxName) {
    errors.push_back(FieldError::invalid(FieldPath("metadata.name"), name,
                                         "must be no more than 52 characters"));
  }
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  return validate_spec(object, &object_of(old, "spec"));
}

std::vector<std::string> warnings(const Json& object) {
  std::vector<std::string> texts = pod_name_warnings(object);
  const Json& pod = object_of(object_of(job_spec_of(object), "template"), "spec");
  FieldPath path("spec.jobTemplate.spec.template.spec");
  for (std::string& text : pod_spec_warnings(pod, path)) texts.push_back(std::move(text));
  return texts;
}

std::string suspend_cell(const Json& spec) {
  if (!has(spec, "suspend")) return "<unset>";
  return bool_or(spec, "suspend") ? "True" : "False";
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  const Json& job = job_spec_of(object);
  std::string last = "<none>";
  if (has(status, "lastScheduleTime")) {
    last = since_cell(string_or(status, "lastScheduleTime"), context);
  }
  Json cells = Json::array({name_cell(object), string_or(spec, "schedule"),
                            or_none(string_or(spec, "timeZone")), suspend_cell(spec),
                            static_cast<std::int64_t>(items(status, "active").size()),
                            std::move(last), age_cell(object, context)});
  add_template_cells(cells, object_of(job, "template"),
                     format_label_selector(object_of(job, "selector")));
  return cells;
}

}  // namespace

ResourceDef cron_jobs() {
  ResourceDef row = row_of("batch", "v1", "cronjobs", "cronjob", "CronJob", "batch.v1.CronJob");
  row.short_names = {"cj"};
  row.categories = {"all"};
  row.subresources = {own_subresource(row, "status")};
  // A run whose time were forgotten would be started again.
  row.status_durability = Durability::kDurable;
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) { object["status"] = Json::object(); };
  row.validate = validate;
  row.validate_update = validate_update;
  row.warnings = warnings;
  row.columns =
      columns({column("Name", "Name of the cron job, unique in its namespace"),
               column("Schedule", "When it runs"), column("Timezone", "Time zone of the schedule"),
               column("Suspend", "Whether no new runs start", "boolean"),
               column("Active", "Jobs that run now", "integer"),
               column("Last Schedule", "Time since the last run was started"),
               column("Age", "Time since creation")});
  add_template_columns(row.columns);
  row.row = cells;
  return row;
}

}  // namespace moth::resources
