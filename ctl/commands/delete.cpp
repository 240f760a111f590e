#include <fmt/format.h>

#include <iostream>

#include "ctl/commands/all.h"
#include "ctl/commands/raw_request.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

struct DeleteJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  DryRun dry_run = DryRun::kNone;
  std::int64_t grace_period = -1;
  Json options;
};

struct Deleted {
  const ObjectInfo* info;
  std::string uid;
};

Outcome<Json> delete_options(const Arguments& arguments, DryRun dry_run,
                             std::int64_t grace_period) {
  Json options = Json::object();
  const std::string& cascade = arguments.text("cascade");
  if (cascade == "background" || cascade == "true") {
    options["propagationPolicy"] = "Background";
  } else if (cascade == "foreground") {
    options["propagationPolicy"] = "Foreground";
  } else if (cascade == "orphan" || cascade == "false") {
    options["propagationPolicy"] = "Orphan";
  } else {
    return refuse(
        fmt::format("invalid cascade value ({}). Must be \"background\", \"foreground\", "
                    "or \"orphan\"",
                    cascade));
  }
  if (grace_period >= 0) options["gracePeriodSeconds"] = grace_period;
  if (dry_run == DryRun::kServer) options["dryRun"] = {"All"};
  return options;
}

Outcome<std::int64_t> grace_period_of(const Arguments& arguments) {
  std::int64_t grace = arguments.integer("grace-period");
  if (arguments.flag("now")) {
    if (arguments.given("grace-period"))
      return refuse("--now and --grace-period cannot be specified together");
    return 1;
  }
  // Zero means "at once, without asking"; that is only done when --force says so as well.
  if (grace == 0 && !arguments.flag("force")) return 1;
  if (arguments.flag("force")) {
    if (grace > 0)
      return refuse("--force and --grace-period greater than 0 cannot be specified together");
    return 0;
  }
  return grace;
}

void print_deleted(const DeleteJob& job, const ObjectInfo& info) {
  if (job.arguments.text("output") == "name") {
    job.context.print("{}\n", info.label());
    return;
  }
  std::string done = job.grace_period == 0 ? "force deleted" : "deleted";
  std::string_view suffix = job.dry_run == DryRun::kClient   ? " (dry run)"
                            : job.dry_run == DryRun::kServer ? " (server dry run)"
                                                             : "";
  std::string where = info.ns.empty() ? "" : fmt::format(" from {} namespace", info.ns);
  job.context.print("{} \"{}\" {}{}{}\n", info.resource->qualified_kind(), info.name, done, where,
                    suffix);
}

std::string uid_of(const Json& answer) {
  const Json* place = string_or(answer, "kind") == "Status" ? find_member(answer, "details")
                                                            : find_member(answer, "metadata");
  return place ? string_or(*place, "uid") : "";
}

Outcome<> wait_until_gone(DeleteJob& job, const Deleted& deleted, SteadyTime deadline) {
  const ObjectInfo& info = *deleted.info;
  MOTH_ASSIGN(StreamEnd end, job.api.follow_object(
                                 *info.resource, info.ns, info.name,
                                 [&](const Json* object) -> Outcome<bool> {
                                   return !object ||
                                          (!deleted.uid.empty() && uid_of(*object) != deleted.uid);
                                 },
                                 deadline));
  if (end != StreamEnd::kTimedOut) return {};
  return refuse(fmt::format("timed out waiting for the condition on {}/{}", info.resource->plural,
                            info.name));
}

Outcome<bool> delete_one(DeleteJob& job, const ObjectInfo& info, std::vector<Deleted>& deleted) {
  if (job.dry_run == DryRun::kClient) {
    print_deleted(job, info);
    return true;
  }
  auto answer = job.api.remove(*info.resource, info.ns, info.name, job.options);
  if (!answer) {
    Failure failure = answer.error();
    if (failure.is(Reason::kNotFound) && job.arguments.flag("ignore-not-found")) return false;
    if (failure.origin == Failure::Origin::kNetwork) return fail(failure);
    if (!info.source.empty())
      failure.with_context(fmt::format("error when deleting \"{}\"", info.source));
    job.context.report(failure);
    return true;
  }
  print_deleted(job, info);
  deleted.push_back({&info, uid_of(*answer)});
  return true;
}

bool confirmed(Context& context, const std::vector<ObjectInfo>& objects) {
  context.print("You are about to delete the following {} resource(s):\n", objects.size());
  for (const ObjectInfo& info : objects) context.print("{}\n", info.label());
  context.print("Do you want to continue? (y/N): ");
  context.flush();
  std::string answer;
  std::getline(context.in(), answer);
  return answer == "y" || answer == "Y";
}

Outcome<int> run_delete(Context& context, const Arguments& arguments) {
  if (arguments.given("raw")) return send_raw_file(context, arguments, "DELETE");
  SelectOptions options = select_options(arguments, arguments.words, true);
  // Deleting needs no look at the object first, but a type without a name is spelled out.
  options.fetch = false;
  options.nothing_given =
      "You must provide one or more resources by argument or filename.\n"
      "Example resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n"
      "   '<resource> <name>'\n   '<resource>'";
  if (arguments.flag("all") && !options.label_selector.empty())
    return refuse("cannot set --all and --selector at the same time");
  if (!arguments.flag("all") && options.label_selector.empty() && options.field_selector.empty())
    options.all = false;
  if (const std::string& form = arguments.text("output"); !form.empty() && form != "name")
    return refuse("only -o name is supported here");
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(std::int64_t grace_period, grace_period_of(arguments));
  MOTH_ASSIGN(Json body, delete_options(arguments, dry_run, grace_period));
  MOTH_ASSIGN(Api * api, context.api());
  DeleteJob job{context, arguments, *api, dry_run, grace_period, std::move(body)};
  if (grace_period == 0) {
    context.warn(
        "Warning: Immediate deletion does not wait for confirmation that the running resource has "
        "been terminated. The resource may continue to run on the cluster indefinitely.");
  }
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  if (arguments.flag("interactive") && dry_run == DryRun::kNone && !objects.empty() &&
      !confirmed(context, objects)) {
    context.print("deletion is cancelled\n");
    return context.exit_code();
  }
  std::vector<Deleted> deleted;
  bool any = false;
  for (const ObjectInfo& info : objects) {
    MOTH_ASSIGN(bool found, delete_one(job, info, deleted));
    any = any || found;
  }
  if (!any && context.exit_code() == 0 && !arguments.flag("ignore-not-found"))
    context.print("No resources found\n");
  context.flush();
  if (!arguments.flag("wait") || dry_run != DryRun::kNone) return context.exit_code();
  auto timeout = arguments.duration("timeout");
  SteadyTime deadline = timeout.count() > 0 ? std::chrono::steady_clock::now() + timeout : kForever;
  for (const Deleted& one : deleted) {
    if (auto gone = wait_until_gone(job, one, deadline); !gone) context.report(gone.error());
  }
  return context.exit_code();
}

}  // namespace

Command delete_command() {
  return {.name = "delete",
          .group = "Change",
          .summary = "Delete resources by file, by name or by selector",
          .usage = "([-f FILENAME] | TYPE [(NAME | -l label | --all)])",
          .examples =
              "moth delete -f web.yaml\nmoth delete pod web-0 web-1\n"
              "moth delete pods,services -l app=web\nmoth delete pod web-0 --now",
          .flags = join_flags(
              {filename_flags("Files or directories that name what to delete."),
               selector_flags(),
               {{"cascade", 0, FlagKind::kText, "background",
                 "What happens to dependents: \"background\", \"foreground\" or \"orphan\".",
                 "background"},
                dry_run_flag(),
                {"force", 0, FlagKind::kBool, "",
                 "Take the object out at once, without waiting for its end."},
                {"grace-period", 0, FlagKind::kInteger, "-1",
                 "Seconds for the object to end by itself; negative: its own."},
                {"ignore-not-found", 0, FlagKind::kBool, "",
                 "Succeed when there is nothing to delete."},
                {"interactive", 'i', FlagKind::kBool, "", "Ask before deleting."},
                {"now", 0, FlagKind::kBool, "", "The same as --grace-period=1."},
                {"output", 'o', FlagKind::kText, "", "\"name\" prints TYPE/NAME."},
                {"raw", 0, FlagKind::kText, "", "Path to send the request to, as it is."},
                {"timeout", 0, FlagKind::kDuration, "0",
                 "How long to wait; zero: as long as it takes."},
                {"wait", 0, FlagKind::kBool, "true", "Wait until the objects are gone."}}}),
          .words = Words::kResourceNames,
          .run = run_delete};
}

}  // namespace moth::ctl
