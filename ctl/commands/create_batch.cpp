// create job and cronjob.
#include "ctl/commands/generator_command.h"
#include "ctl/commands/generators.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Json pod_template_of_flags(const Arguments& arguments, const std::string& name,
                           const std::string& restart) {
  Json container{{"image", arguments.text("image")}, {"name", name}, {"resources", Json::object()}};
  if (auto command = after_name(arguments); !command.empty()) container["command"] = command;
  return {
      {"metadata", Json::object()},
      {"spec", {{"containers", Json::array({std::move(container)})}, {"restartPolicy", restart}}}};
}

Outcome<Json> job_from(Context& context, const std::string& from, const std::string& name) {
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(WantedList wanted, parse_wanted(*api, {from}));
  if (wanted.items.size() != 1 || wanted.items[0].name.empty())
    return refuse("from must be an existing cronjob: --from=cronjob/NAME");
  const ApiResource& resource = *wanted.items[0].resource;
  MOTH_ASSIGN(Json source, api->get(resource, ns, wanted.items[0].name));
  if (resource.kind != "CronJob")
    return refuse(fmt::format("from must be an existing cronjob: {} is a {}", from, resource.kind));
  const Json* job = find_path(source, "spec", "jobTemplate");
  if (!job) return refuse(fmt::format("{} has no job template", from));
  Json metadata{{"name", name}};
  metadata["annotations"] = Json{{"cronjob.kubernetes.io/instantiate", "manual"}};
  if (const Json* kept = find_path(*job, "metadata", "annotations"))
    metadata["annotations"].update(*kept);
  if (const Json* labels = find_path(*job, "metadata", "labels")) metadata["labels"] = *labels;
  metadata["ownerReferences"] = Json::array({{{"apiVersion", resource.api_version()},
                                              {"controller", true},
                                              {"kind", resource.kind},
                                              {"name", string_or(source["metadata"], "name")},
                                              {"uid", string_or(source["metadata"], "uid")}}});
  return Json{{"apiVersion", "batch/v1"},
              {"kind", "Job"},
              {"metadata", std::move(metadata)},
              {"spec", job->value("spec", Json::object())},
              {"status", Json::object()}};
}

Outcome<Json> make_a_job(Context& context, const Arguments& arguments, const std::string& name) {
  bool from = arguments.given("from"), image = arguments.given("image");
  if (from == image) return refuse("either --image or --from must be specified");
  if (from && arguments.words.size() > 1) return refuse("cannot specify --from and command");
  if (from) return job_from(context, arguments.text("from"), name);
  return Json{{"apiVersion", "batch/v1"},
              {"kind", "Job"},
              {"metadata", {{"name", name}}},
              {"spec", {{"template", pod_template_of_flags(arguments, name, "Never")}}},
              {"status", Json::object()}};
}

Outcome<Json> make_cronjob(const Arguments& arguments, const std::string& name) {
  std::string missing;
  for (const char* flag : {"image", "schedule"})
    if (arguments.text(flag).empty())
      missing += fmt::format("{}\"{}\"", missing.empty() ? "" : ", ", flag);
  if (!missing.empty()) return refuse(fmt::format("required flag(s) {} not set", missing));
  std::string restart = arguments.text("restart");
  if (restart.empty()) restart = "OnFailure";
  return Json{{"apiVersion", "batch/v1"},
              {"kind", "CronJob"},
              {"metadata", {{"name", name}}},
              {"spec",
               {{"jobTemplate",
                 {{"metadata", {{"name", name}}},
                  {"spec", {{"template", pod_template_of_flags(arguments, name, restart)}}}}},
                {"schedule", arguments.text("schedule")}}},
              {"status", Json::object()}};
}

constexpr char kJob[] = "job", kCronJob[] = "cronjob";

}  // namespace

Command create_job_command() {
  return {.name = "job",
          .summary = "Create a job with the specified name",
          .usage = "NAME --image=image [--from=cronjob/name] -- [COMMAND] [args...]",
          .examples =
              "moth create job hello --image=busybox -- date\n"
              "moth create job now --from=cronjob/backup",
          .flags = join_flags({create_flags(),
                               {{"from", 0, FlagKind::kText, "",
                                 "Take the template of this cron job: cronjob/NAME."},
                                {"image", 0, FlagKind::kText, "", "Image to run."}}}),
          .run = run_generator<make_a_job, kJob, true>};
}

Command create_cronjob_command() {
  return {.name = "cronjob",
          .aliases = {"cj"},
          .summary = "Create a cron job with the specified name",
          .usage = "NAME --image=image --schedule='0/5 * * * ?' -- [COMMAND] [args...]",
          .examples = "moth create cronjob hello --image=busybox --schedule='*/5 * * * *' -- date",
          .flags = join_flags(
              {create_flags(),
               {{"image", 0, FlagKind::kText, "", "Image to run."},
                {"restart", 0, FlagKind::kText, "", "OnFailure or Never."},
                {"schedule", 0, FlagKind::kText, "", "When to run: a line as in a crontab."}}}),
          .run = run_generator<make_cronjob, kCronJob, true>};
}

}  // namespace moth::ctl
