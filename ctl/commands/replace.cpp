#include <fmt/format.h>

#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/raw_request.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

struct ReplaceJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  DryRun dry_run = DryRun::kNone;
  ResultPrinter printer;
  QueryList query;
};

// --force: the object goes and a new one comes. The options are delete's.
Outcome<Json> delete_and_create(ReplaceJob& job, const ObjectInfo& info, const Json& object) {
  const std::string& cascade = job.arguments.text("cascade");
  std::string policy = cascade == "orphan"       ? "Orphan"
                       : cascade == "foreground" ? "Foreground"
                                                 : "Background";
  Json options{{"propagationPolicy", policy}};
  std::int64_t grace = job.arguments.integer("grace-period");
  options["gracePeriodSeconds"] = grace < 0 ? 0 : grace;
  auto gone = job.api.remove(*info.resource, info.ns, info.name, options);
  if (!gone && !gone.error().is(Reason::kNotFound)) return gone;
  if (gone) {
    std::string where = info.ns.empty() ? "" : fmt::format(" from {} namespace", info.ns);
    job.context.print("{} \"{}\" deleted{}\n", info.resource->qualified_kind(), info.name, where);
  }
  auto timeout = job.arguments.duration("timeout");
  SteadyTime deadline = timeout.count() > 0 ? std::chrono::steady_clock::now() + timeout : kForever;
  MOTH_ASSIGN(StreamEnd end,
              job.api.follow_object(
                  *info.resource, info.ns, info.name,
                  [](const Json* left) -> Outcome<bool> { return !left; }, deadline));
  if (end == StreamEnd::kTimedOut)
    return refuse(fmt::format("timed out waiting for \"{}\" to be deleted", info.name));
  Json fresh = object;
  fresh["metadata"].erase("resourceVersion");
  return job.api.create(*info.resource, info.ns, fresh, job.query);
}

Outcome<> replace_one(ReplaceJob& job, const ObjectInfo& info) {
  Json object = info.object;
  if (live_annotation(object) || job.arguments.flag("save-config"))
    object = with_last_applied(std::move(object));
  if (job.dry_run == DryRun::kClient) {
    job.printer.print(object, "replaced");
    return {};
  }
  const std::string& subresource = job.arguments.text("subresource");
  auto replaced = job.arguments.flag("force") ? delete_and_create(job, info, object)
                                              : job.api.replace(*info.resource, info.ns, info.name,
                                                                object, job.query, subresource);
  if (!replaced) {
    Failure failure = replaced.error();
    if (failure.origin == Failure::Origin::kServer)
      failure.with_context(fmt::format("error when replacing \"{}\"", info.source));
    return fail(failure);
  }
  job.printer.print(*replaced, "replaced");
  return {};
}

Outcome<int> run_replace(Context& context, const Arguments& arguments) {
  if (arguments.given("raw")) return send_raw_file(context, arguments, "PUT");
  if (!arguments.flag("force")) {
    if (arguments.given("cascade")) return refuse("--cascade is only for --force");
    if (arguments.integer("grace-period") >= 0)
      return refuse("--grace-period must have --force specified");
    if (arguments.duration("timeout").count() != 0)
      return refuse("--timeout must have --force specified");
  }
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  if (dry_run == DryRun::kServer && arguments.flag("force"))
    return refuse("--dry-run can not be used when --force is set");
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(auto objects, written_objects(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  ReplaceJob job{context, arguments, *api, dry_run, std::move(printer), {}};
  if (dry_run == DryRun::kServer) job.query.emplace_back("dryRun", "All");
  job.query.emplace_back("fieldManager", manager_of(arguments, "kubectl-replace"));
  job.query.emplace_back("fieldValidation", field_validation(arguments));
  for (const ObjectInfo& info : objects) {
    auto replaced = replace_one(job, info);
    if (!replaced) MOTH_TRY(context.carry_on(replaced.error()));
  }
  return context.exit_code();
}

}  // namespace

Command replace_command() {
  return {
      .name = "replace",
      .group = "Change",
      .summary = "Replace a resource by file or stdin",
      .usage = "-f FILENAME",
      .examples = "moth replace -f web.yaml\nmoth replace --force -f web.yaml",
      .flags = join_flags(
          {print_flags(),
           filename_flags("Files with the objects."),
           {{"cascade", 0, FlagKind::kText, "background",
             "With --force: \"background\", \"foreground\" or \"orphan\".", "background"},
            dry_run_flag(),
            field_manager_flag(),
            {"force", 0, FlagKind::kBool, "", "Delete the object and create it again."},
            {"grace-period", 0, FlagKind::kInteger, "-1",
             "With --force: seconds for the object to end by itself."},
            {"raw", 0, FlagKind::kText, "", "Path to send the file to, as it is."},
            {"save-config", 0, FlagKind::kBool, "", "Keep the configuration for `apply`."},
            {"subresource", 0, FlagKind::kText, "", "Replace this subresource: status or scale."},
            {"timeout", 0, FlagKind::kDuration, "0", "With --force: how long to wait."},
            validate_flag(),
            {"wait", 0, FlagKind::kBool, "", "Taken for compatibility: --force always waits."}}}),
      .words = Words::kFiles,
      .run = run_replace};
}

}  // namespace moth::ctl
