#include <fmt/format.h>

#include "api/machinery/time.h"
#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/rollout_history.h"
#include "ctl/commands/rollout_status.h"
#include "ctl/describe/describe.h"
#include "ctl/objects/last_applied.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

constexpr const char* kRestartedAt = "kubectl.kubernetes.io/restartedAt";

Outcome<std::vector<ObjectInfo>> select_workloads(Context& context, const Arguments& arguments) {
  if (arguments.words.empty() && arguments.texts("filename").empty())
    return refuse("required resource not specified");
  SelectOptions options = select_options(arguments, arguments.words, false);
  options.label_selector = arguments.text("selector");
  return select_objects(context, options);
}

Outcome<> follow_status(Context& context, Api& api, const ObjectInfo& info,
                        const Arguments& arguments) {
  std::int64_t revision = arguments.integer("revision");
  bool watch = arguments.flag("watch");
  auto timeout = arguments.duration("timeout");
  SteadyTime deadline = timeout.count() > 0 ? std::chrono::steady_clock::now() + timeout : kForever;
  std::string last;
  MOTH_ASSIGN(StreamEnd end, api.follow_object(
                                 *info.resource, info.ns, info.name,
                                 [&](const Json* object) -> Outcome<bool> {
                                   if (!object) return refuse("object has been deleted");
                                   MOTH_ASSIGN(RolloutStatus status,
                                               rollout_status(*object, revision));
                                   if (status.message != last) context.write_out(status.message);
                                   context.flush();
                                   last = status.message;
                                   return status.done || !watch;
                                 },
                                 deadline));
  if (end == StreamEnd::kTimedOut) return refuse("timed out waiting for the condition");
  return {};
}

Outcome<int> run_status(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(auto objects, select_workloads(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  if (objects.empty() && context.exit_code() == 0) return refuse("no resources found");
  for (const ObjectInfo& info : objects) {
    auto followed = follow_status(context, *api, info, arguments);
    if (!followed) MOTH_TRY(context.carry_on(followed.error()));
  }
  return context.exit_code();
}

std::string history_text(const std::map<std::int64_t, Revision>& revisions) {
  std::string text = "REVISION\tCHANGE-CAUSE\n";
  for (const auto& [number, revision] : revisions)
    text += fmt::format("{}\t{}\n", number, revision.cause.empty() ? "<none>" : revision.cause);
  return align_columns(text, kHistoryRules);
}

Outcome<int> run_history(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(auto objects, select_workloads(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  std::int64_t wanted = arguments.integer("revision");
  for (const ObjectInfo& info : objects) {
    MOTH_ASSIGN(auto revisions, revisions_of(*api, info));
    std::string text;
    if (revisions.empty()) {
      text = "No rollout history found.";
    } else if (wanted > 0) {
      auto found = revisions.find(wanted);
      if (found == revisions.end()) {
        context.report(
            Failure(Error::bad_request(fmt::format("unable to find the specified revision"))));
        continue;
      }
      text = describe_pod_template(found->second.pod_template);
    } else {
      text = history_text(revisions);
    }
    context.print("{} {}\n{}\n", info.label(),
                  wanted > 0 ? fmt::format("with revision #{}", wanted) : "", text);
  }
  return context.exit_code();
}

bool same_template(Json a, Json b) {
  for (Json* one : {&a, &b}) {
    if (one->contains("metadata")) (*one)["metadata"].erase("creationTimestamp");
    if (one->contains("metadata") && (*one)["metadata"].empty()) one->erase("metadata");
  }
  return a == b;
}

Outcome<> undo(Context& context, Api& api, const ObjectInfo& info, const Arguments& arguments,
               ResultPrinter& printer, DryRun dry_run) {
  MOTH_ASSIGN(auto revisions, revisions_of(api, info));
  std::int64_t wanted = arguments.integer("to-revision");
  if (bool_or(info.object["spec"], "paused")) {
    return refuse(fmt::format(
        "you cannot rollback a paused deployment; resume it first with 'moth rollout resume {}' "
        "and try again",
        info.label()));
  }
  auto target = revisions.end();
  if (wanted > 0) {
    target = revisions.find(wanted);
    if (target == revisions.end())
      return refuse(fmt::format("unable to find specified revision {} in history", wanted));
  } else if (revisions.size() >= 2) {
    target = std::prev(revisions.end(), 2);
  } else {
    return refuse(
        fmt::format("no rollout history found for {} \"{}\"", info.resource->singular, info.name));
  }
  const Revision& revision = target->second;
  if (arguments.text("dry-run") == "client") {
    context.print("{} {}", info.label(), describe_pod_template(revision.pod_template));
    return {};
  }
  Json pod_template = without_template_hash(revision.pod_template);
  if (same_template(pod_template, info.object["spec"]["template"])) {
    printer.print(info.object, fmt::format("skipped rollback (current template already matches "
                                           "revision {})",
                                           target->first));
    return {};
  }
  QueryList query;
  if (dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  Json patch = revision.patch;
  auto type = client::PatchType::kStrategic;
  if (info.resource->kind == "Deployment") {
    type = client::PatchType::kJson;
    patch = Json::array(
        {Json{{"op", "replace"}, {"path", "/spec/template"}, {"value", pod_template}},
         Json{{"op", info.object["metadata"].contains("annotations") ? "replace" : "add"},
              {"path", "/metadata/annotations"},
              {"value", revision.annotations}}});
  }
  MOTH_ASSIGN(Json result, api.patch(*info.resource, info.ns, info.name, type, patch, query));
  printer.print(result, "rolled back");
  return {};
}

Outcome<int> run_undo(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(auto objects, select_workloads(context, arguments));
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(Api * api, context.api());
  for (const ObjectInfo& info : objects) {
    auto undone = undo(context, *api, info, arguments, printer, dry_run);
    if (!undone) MOTH_TRY(context.carry_on(undone.error()));
  }
  return context.exit_code();
}

Outcome<> restart(const ObjectInfo& info, Json& object) {
  Json* pods = pod_template_of(object);
  const std::string& kind = info.resource->kind;
  if (!pods || (kind != "Deployment" && kind != "DaemonSet" && kind != "StatefulSet"))
    return refuse(
        fmt::format("{} \"{}\" restarting is not supported", info.qualified(), info.name));
  if (bool_or(object["spec"], "paused")) {
    return refuse(
        fmt::format("{} \"{}\" can't restart paused deployment (run rollout resume first)",
                    info.qualified(), info.name));
  }
  (*pods)["metadata"]["annotations"][kRestartedAt] = format_rfc3339(RealClock().wall());
  return {};
}

Outcome<> pause(const ObjectInfo& info, Json& object) {
  if (info.resource->kind != "Deployment")
    return refuse(fmt::format("{} \"{}\" pausing is not supported", info.qualified(), info.name));
  if (bool_or(object["spec"], "paused"))
    return refuse(fmt::format("{} \"{}\" is already paused", info.qualified(), info.name));
  object["spec"]["paused"] = true;
  return {};
}

Outcome<> resume(const ObjectInfo& info, Json& object) {
  if (info.resource->kind != "Deployment")
    return refuse(fmt::format("{} \"{}\" resuming is not supported", info.qualified(), info.name));
  if (!bool_or(object["spec"], "paused"))
    return refuse(fmt::format("{} \"{}\" is not paused", info.qualified(), info.name));
  object["spec"].erase("paused");
  return {};
}

template <Outcome<> (*kChange)(const ObjectInfo&, Json&), const auto& kDone>
Outcome<int> run_change(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(auto objects, select_workloads(context, arguments));
  return change_objects(context, arguments, objects, {"kubectl-rollout"}, kDone, kChange);
}

constexpr char kRestarted[] = "restarted", kPaused[] = "paused", kResumed[] = "resumed";

std::vector<FlagSpec> rollout_flags() {
  return join_flags({print_flags(),
                     filename_flags("Files that name the objects."),
                     {{"field-manager", 0, FlagKind::kText, "", "Taken for compatibility."},
                      {"selector", 'l', FlagKind::kText, "", "Objects with these labels."}}});
}

Command make(std::string_view name, std::string_view summary, std::vector<FlagSpec> more,
             Outcome<int> (*run)(Context&, const Arguments&)) {
  return {.name = name,
          .summary = summary,
          .usage = "(TYPE NAME | TYPE/NAME)",
          .flags = join_flags({rollout_flags(), std::move(more)}),
          .words = Words::kResourceNames,
          .run = run};
}

}  // namespace

Command rollout_command() {
  return {.name = "rollout",
          .group = "Change",
          .summary = "Manage the rollout of a workload",
          .examples =
              "moth rollout status deploy/web\nmoth rollout undo deploy/web\n"
              "moth rollout restart deploy/web",
          .children = {
              make("history", "View rollout history",
                   {{"revision", 0, FlagKind::kInteger, "0", "Show this revision."}}, run_history),
              make("pause", "Mark the deployment as paused", {}, run_change<pause, kPaused>),
              make("restart", "Restart a workload", {}, run_change<restart, kRestarted>),
              make("resume", "Resume a paused deployment", {}, run_change<resume, kResumed>),
              make("status", "Show the status of the rollout",
                   {{"revision", 0, FlagKind::kInteger, "0", "Insist on this revision."},
                    {"timeout", 0, FlagKind::kDuration, "0",
                     "How long to wait; zero: as long as it takes."},
                    {"watch", 'w', FlagKind::kBool, "true", "Wait until the rollout is done."}},
                   run_status),
              make("undo", "Undo a previous rollout",
                   {dry_run_flag(),
                    {"to-revision", 0, FlagKind::kInteger, "0", "The revision; 0: the last one."}},
                   run_undo)}};
}

}  // namespace moth::ctl
