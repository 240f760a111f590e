#include <fmt/format.h>

#include "ctl/commands/all.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

constexpr auto kRetryFor = std::chrono::minutes(5);

// Checks the preconditions against the scale as it is and writes the new one.
Outcome<Json> scale_if(Api& api, const ObjectInfo& info, const Arguments& arguments,
                       const QueryList& query) {
  MOTH_ASSIGN(Json scale, api.get(*info.resource, info.ns, info.name, "scale"));
  std::int64_t present = scale.contains("spec") ? int_or(scale["spec"], "replicas") : 0;
  std::int64_t expected = arguments.integer("current-replicas");
  if (expected >= 0 && present != expected)
    return refuse(fmt::format("Expected replicas to be {}, was {}", expected, present));
  std::string version = string_or(scale["metadata"], "resourceVersion");
  const std::string& wanted = arguments.text("resource-version");
  if (!wanted.empty() && version != wanted)
    return refuse(fmt::format("Expected resource version to be {}, was {}", wanted, version));
  scale["spec"]["replicas"] = arguments.integer("replicas");
  RestRequest request;
  request.method = "PUT";
  request.path = info.path("scale");
  request.query = query;
  request.content_type = "application/json";
  request.body = scale.dump();
  return api.json(std::move(request));
}

Outcome<Json> scale_one(Api& api, const ObjectInfo& info, const Arguments& arguments,
                        const QueryList& query) {
  bool conditional =
      arguments.integer("current-replicas") >= 0 || arguments.given("resource-version");
  auto until = std::chrono::steady_clock::now() + kRetryFor;
  for (;;) {
    auto scaled =
        conditional
            ? scale_if(api, info, arguments, query)
            : api.patch(*info.resource, info.ns, info.name, client::PatchType::kMerge,
                        {{"spec", {{"replicas", arguments.integer("replicas")}}}}, query, "scale");
    bool again = !scaled && scaled.error().is(Reason::kConflict) &&
                 !arguments.given("resource-version") && std::chrono::steady_clock::now() < until;
    if (!again) return scaled;
    api.sleep(std::chrono::seconds(1));
  }
}

Outcome<> wait_for_replicas(Api& api, const ObjectInfo& info, std::int64_t replicas,
                            SteadyTime deadline) {
  MOTH_ASSIGN(StreamEnd end, api.follow_object(
                                 *info.resource, info.ns, info.name,
                                 [&](const Json* object) -> Outcome<bool> {
                                   if (!object) return refuse("the object was deleted");
                                   const Json* status = find_member(*object, "status");
                                   return status && int_or(*status, "replicas") == replicas;
                                 },
                                 deadline));
  if (end == StreamEnd::kTimedOut) return refuse("timed out waiting for the condition");
  return {};
}

Outcome<int> run_scale(Context& context, const Arguments& arguments) {
  if (!arguments.given("replicas")) return refuse("required flag(s) \"replicas\" not set");
  if (arguments.integer("replicas") < 0)
    return refuse(
        "The --replicas=COUNT flag is required, and COUNT must be greater than or equal "
        "to 0");
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(auto objects,
              select_objects(context, select_options(arguments, arguments.words, true)));
  if (objects.empty() && context.exit_code() == 0) return refuse("no objects passed to scale");
  MOTH_ASSIGN(Api * api, context.api());
  QueryList query;
  if (dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  for (const ObjectInfo& info : objects) {
    if (dry_run != DryRun::kClient) {
      auto scaled = scale_one(*api, info, arguments, query);
      if (!scaled) {
        MOTH_TRY(context.carry_on(scaled.error()));
        continue;
      }
    }
    if (auto timeout = arguments.duration("timeout");
        timeout.count() > 0 && dry_run == DryRun::kNone) {
      auto reached = wait_for_replicas(*api, info, arguments.integer("replicas"),
                                       std::chrono::steady_clock::now() + timeout);
      if (!reached) {
        context.report(reached.error());
        continue;
      }
    }
    printer.print(info.object, "scaled");
  }
  return context.exit_code();
}

}  // namespace

Command scale_command() {
  return {.name = "scale",
          .group = "Change",
          .summary = "Set a new size for a deployment, replica set, or stateful set",
          .usage = "--replicas=COUNT (-f FILENAME | TYPE NAME)",
          .examples =
              "moth scale deploy web --replicas=3\n"
              "moth scale deploy/web --current-replicas=2 --replicas=3",
          .flags =
              join_flags({print_flags(),
                          filename_flags("Files that name the objects."),
                          selector_flags(),
                          {{"current-replicas", 0, FlagKind::kInteger, "-1",
                            "Only when this is the size now; -1: whatever it is."},
                           dry_run_flag(),
                           {"replicas", 0, FlagKind::kInteger, "-1", "The new number of replicas."},
                           {"resource-version", 0, FlagKind::kText, "",
                            "Only when the object still has this version."},
                           {"timeout", 0, FlagKind::kDuration, "0",
                            "How long to wait for the new size; zero: do not wait."}}}),
          .words = Words::kResourceNames,
          .run = run_scale};
}

}  // namespace moth::ctl
