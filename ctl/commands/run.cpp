#include <fmt/format.h>

#include "ctl/commands/all.h"
#include "ctl/commands/create_object.h"
#include "ctl/commands/generators.h"
#include "ctl/commands/overrides.h"
#include "ctl/commands/remote.h"
#include "ctl/objects/pods.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

std::string phase_of(const Json& pod) {
  const Json* status = find_member(pod, "status");
  return status ? string_or(*status, "phase") : "";
}

// Waits until the container has started or ended.
Outcome<Json> wait_until_started(Api& api, const ApiResource& pods, const Json& pod,
                                 std::chrono::milliseconds timeout) {
  Json seen;
  MOTH_ASSIGN(StreamEnd end, api.follow_object(
                                 pods, pod_namespace(pod), pod_name(pod),
                                 [&](const Json* object) -> Outcome<bool> {
                                   if (!object) return refuse("pod was deleted while waiting");
                                   seen = *object;
                                   std::string phase = phase_of(*object);
                                   return phase == "Running" || phase == "Succeeded" ||
                                          phase == "Failed";
                                 },
                                 std::chrono::steady_clock::now() + timeout));
  if (end == StreamEnd::kTimedOut)
    return refuse(
        fmt::format("timed out waiting for the condition on pods/{}: look at \"moth "
                    "describe pod {}\"",
                    pod_name(pod), pod_name(pod)));
  return seen;
}

Outcome<int> exit_code_of(Api& api, const ApiResource& pods, const Json& pod) {
  int code = 0;
  MOTH_ASSIGN(StreamEnd end,
              api.follow_object(
                  pods, pod_namespace(pod), pod_name(pod),
                  [&](const Json* object) -> Outcome<bool> {
                    if (!object) return true;
                    const Json* statuses = find_path(*object, "status", "containerStatuses");
                    for (const Json& status : statuses ? *statuses : Json::array()) {
                      if (const Json* ended = find_path(status, "state", "terminated")) {
                        code = static_cast<int>(int_or(*ended, "exitCode"));
                        return true;
                      }
                    }
                    std::string phase = phase_of(*object);
                    return phase == "Succeeded" || phase == "Failed";
                  },
                  std::chrono::steady_clock::now() + std::chrono::seconds(30)));
  (void)end;
  return code;
}

Outcome<int> attach_to(Context& context, Api& api, const ApiResource& pods, const Json& pod,
                       const Arguments& arguments) {
  MOTH_ASSIGN(Json started,
              wait_until_started(api, pods, pod, arguments.duration("pod-running-timeout")));
  std::string container = container_names(started, false).at(0);
  if (phase_of(started) != "Running") {
    // It was faster than we: its log says what it said.
    RestRequest request;
    request.path = pods.path(pod_namespace(pod), pod_name(pod), "log");
    request.query = {{"container", container}};
    request.accept = "application/json, */*";
    MOTH_ASSIGN(std::string text, api.text(std::move(request)));
    context.write_out(text);
    return exit_code_of(api, pods, pod);
  }
  bool tty = usable_tty(context, arguments);
  if (tty && !arguments.flag("quiet"))
    context.warn("If you don't see a command prompt, try pressing enter.");
  Session session{
      "attach", pod_namespace(pod), pod_name(pod), container, {}, arguments.flag("stdin"), tty};
  MOTH_ASSIGN(int code, attach_or_show_log(context, pods, session));
  if (code != 0 || arguments.text("restart") == "Always") return code;
  return exit_code_of(api, pods, pod);
}

Outcome<> check_flags(const Context& context, const Arguments& arguments) {
  const std::string& restart = arguments.text("restart");
  if (restart != "Always" && restart != "OnFailure" && restart != "Never")
    return refuse(fmt::format("invalid restart policy: {}", restart));
  if (arguments.flag("tty") && !arguments.flag("stdin"))
    return context.usage_error("-i/--stdin is required for containers with -t/--tty=true");
  if (arguments.flag("expose") && arguments.integer("port") <= 0)
    return refuse("--port must be set when exposing a service");
  bool attached = arguments.flag("attach") || arguments.flag("stdin");
  if (arguments.flag("rm") && !attached)
    return context.usage_error("--rm should only be used for attached containers");
  return {};
}

// --expose: a Service of the pod's name for its port.
Outcome<> expose_pod(Context& context, const Arguments& arguments) {
  if (!arguments.flag("expose")) return {};
  Json port{{"port", arguments.integer("port")},
            {"protocol", "TCP"},
            {"targetPort", arguments.integer("port")}};
  Json service{
      {"apiVersion", "v1"},
      {"kind", "Service"},
      {"metadata", {{"name", arguments.words[0]}}},
      {"spec",
       {{"ports", Json::array({std::move(port)})}, {"selector", {{"run", arguments.words[0]}}}}},
      {"status", {{"loadBalancer", Json::object()}}}};
  if (arguments.given("labels")) {
    MOTH_ASSIGN(service["spec"]["selector"], parse_label_list(arguments.text("labels")));
  }
  MOTH_ASSIGN(Json created,
              create_object(context, arguments, std::move(service), "kubectl-run", "created"));
  (void)created;
  return {};
}

Outcome<int> run_run(Context& context, const Arguments& arguments) {
  if (arguments.text("image").empty()) return refuse("required flag(s) \"image\" not set");
  if (arguments.words.empty()) return context.usage_error("NAME is required for run");
  MOTH_TRY(check_flags(context, arguments));
  MOTH_ASSIGN(Json pod, make_pod(arguments, arguments.words[0]));
  MOTH_ASSIGN(pod, overridden(arguments, std::move(pod)));
  bool attached = arguments.given("attach") ? arguments.flag("attach") : arguments.flag("stdin");
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  if (!attached || dry_run != DryRun::kNone) {
    MOTH_ASSIGN(Json created,
                create_object(context, arguments, std::move(pod), "kubectl-run", "created"));
    (void)created;
    MOTH_TRY(expose_pod(context, arguments));
    return 0;
  }
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* pods, api->resource("pods"));
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(Json created, api->create(*pods, ns, pod, {{"fieldManager", "kubectl-run"}}));
  MOTH_TRY(expose_pod(context, arguments));
  auto code = attach_to(context, *api, *pods, created, arguments);
  if (arguments.flag("rm")) {
    Json options{{"propagationPolicy", "Background"}};
    std::int64_t grace = arguments.integer("grace-period");
    if (arguments.flag("force")) grace = 0;
    if (grace >= 0) options["gracePeriodSeconds"] = grace;
    auto removed = api->remove(*pods, ns, pod_name(created), options);
    if (!removed)
      context.report(removed.error());
    else if (!arguments.flag("quiet"))
      context.print("pod \"{}\" deleted from {} namespace\n", pod_name(created), ns);
  }
  return code;
}

}  // namespace

Command run_command() {
  return {
      .name = "run",
      .group = "Change",
      .summary = "Run a particular image in a pod",
      .usage = "NAME --image=image [--env=\"key=value\"] [--port=port] [-- COMMAND [args...]]",
      .examples =
          "moth run web --image=nginx --port=80\n"
          "moth run -it --rm shell --image=busybox --restart=Never -- sh",
      .flags = join_flags(
          {create_flags(),
           override_flags(),
           {{"cascade", 0, FlagKind::kText, "background", "Taken for compatibility.", "background"},
            {"expose", 0, FlagKind::kBool, "", "Also make a service for --port."},
            {"filename", 'f', FlagKind::kList, "", "", "", true},
            {"force", 0, FlagKind::kBool, "", "With --rm: take the pod out at once."},
            {"grace-period", 0, FlagKind::kInteger, "-1", "With --rm: seconds for the pod to end."},
            {"kustomize", 'k', FlagKind::kText, "", "", "", true},
            {"leave-stdin-open", 0, FlagKind::kBool, "", "Stdin stays open for further sessions."},
            {"privileged", 0, FlagKind::kBool, "", "Run the container privileged."},
            {"recursive", 'R', FlagKind::kBool, "", "", "", true},
            {"timeout", 0, FlagKind::kDuration, "0", "Taken for compatibility."},
            {"wait", 0, FlagKind::kBool, "", "Taken for compatibility."},
            {"annotations", 0, FlagKind::kTexts, "", "Annotations: KEY=VALUE."},
            {"attach", 0, FlagKind::kBool, "", "Wait for the pod and attach to it."},
            {"command", 0, FlagKind::kBool, "", "The words behind -- replace the entry point."},
            {"env", 0, FlagKind::kTexts, "", "Environment: KEY=VALUE."},
            {"image", 0, FlagKind::kText, "", "Image to run."},
            {"image-pull-policy", 0, FlagKind::kText, "", "Always, IfNotPresent or Never."},
            {"labels", 'l', FlagKind::kText, "", "Labels, joined by commas; run=NAME."},
            {"pod-running-timeout", 0, FlagKind::kDuration, "1m0s",
             "How long to wait for the pod."},
            {"port", 0, FlagKind::kInteger, "0", "Port that the container listens on."},
            {"quiet", 'q', FlagKind::kBool, "", "Print only what the pod prints."},
            {"restart", 0, FlagKind::kText, "Always", "Always, OnFailure or Never."},
            {"rm", 0, FlagKind::kBool, "", "Delete the pod after the session."},
            {"stdin", 'i', FlagKind::kBool, "", "Keep the container's stdin open."},
            {"tty", 't', FlagKind::kBool, "", "Give the container a terminal."}}}),
      .run = run_run};
}

}  // namespace moth::ctl
