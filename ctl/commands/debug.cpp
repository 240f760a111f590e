#include <fmt/format.h>

#include <fstream>
#include <iterator>
#include <random>

#include "api/machinery/yaml.h"
#include "ctl/commands/all.h"
#include "ctl/commands/debug_pods.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/generators.h"
#include "ctl/commands/remote.h"
#include "ctl/objects/pods.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

std::string random_suffix() {
  constexpr std::string_view kLetters = "bcdfghjklmnpqrstvwxz2456789";
  std::random_device device;
  std::string text;
  for (int i = 0; i < 5; ++i) text += kLetters[device() % kLetters.size()];
  return text;
}

struct DebugJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  const ApiResource& pods;
  DebugWish wish;
  bool attach = false, quiet = false;
};

const Json* container_status(const Json& pod, const std::string& name) {
  for (const char* list :
       {"containerStatuses", "ephemeralContainerStatuses", "initContainerStatuses"}) {
    const Json* statuses = find_path(pod, "status", list);
    if (!statuses || !statuses->is_array()) continue;
    for (const Json& status : *statuses)
      if (string_or(status, "name") == name) return &status;
  }
  return nullptr;
}

// Waits until the container runs or has ended, and attaches or shows what it said.
Outcome<int> attach_when_started(DebugJob& job, const Json& pod, const std::string& container) {
  bool running = false;
  std::string waiting;
  MOTH_ASSIGN(
      StreamEnd end,
      job.api.follow_object(job.pods, pod_namespace(pod), pod_name(pod),
                            [&](const Json* object) -> Outcome<bool> {
                              if (!object) return refuse("pod was deleted while waiting");
                              const Json* status = container_status(*object, container);
                              const Json* state = status ? find_member(*status, "state") : nullptr;
                              if (!state) return false;
                              if (const Json* why = find_member(*state, "waiting")) {
                                std::string message = string_or(*why, "message");
                                if (!message.empty() && message != waiting)
                                  job.context.warn("Warning: container {}: {}", container, message);
                                waiting = message;
                              }
                              running = state->contains("running");
                              return running || state->contains("terminated");
                            }));
  (void)end;
  if (!running) {
    RestRequest request;
    request.path = job.pods.path(pod_namespace(pod), pod_name(pod), "log");
    request.query = {{"container", container}};
    request.accept = "application/json, */*";
    MOTH_ASSIGN(std::string text, job.api.text(std::move(request)));
    job.context.write_out(text);
    return 0;
  }
  bool tty = usable_tty(job.context, job.arguments);
  if (tty && !job.quiet) job.context.warn("If you don't see a command prompt, try pressing enter.");
  Session session{"attach", pod_namespace(pod), pod_name(pod), container, {}, job.wish.stdin_open,
                  tty};
  return attach_or_show_log(job.context, job.pods, session);
}

Outcome<int> debug_by_container(DebugJob& job, const Json& pod) {
  if (job.wish.image.empty())
    return refuse("you must specify --image, or --copy-to and --container to change a copy");
  std::string name = job.arguments.text("container");
  if (name.empty()) {
    name = "debugger-" + random_suffix();
    if (!job.quiet) job.context.warn("Defaulting debug container name to {}.", name);
  }
  if (!job.wish.target.empty() && !job.quiet) {
    job.context.print(
        "Targeting container \"{}\". If you don't see processes from this container it may be "
        "because the container runtime doesn't support this feature.\n",
        job.wish.target);
    job.context.flush();
  }
  // Behind those that are there: the patch says so.
  Json changed = pod;
  changed["spec"]["ephemeralContainers"].push_back(ephemeral_container(job.wish, name));
  Edit edit;
  edit.subresource = "ephemeralcontainers";
  ObjectInfo info{&job.pods, pod_namespace(pod), pod_name(pod), pod, ""};
  auto patched = send_changes(job.context, info, changed, edit);
  if (!patched) {
    if (patched.error().is(Reason::kNotFound))
      return refuse(
          fmt::format("ephemeral containers are disabled for this server (error from "
                      "server: {})",
                      patched.error().error.message));
    return fail(patched.error());
  }
  return job.attach ? attach_when_started(job, pod, name) : 0;
}

Outcome<CopyWish> copy_wish(const Arguments& arguments) {
  CopyWish copy;
  copy.name = arguments.text("copy-to");
  copy.container = arguments.text("container");
  copy.same_node = arguments.flag("same-node");
  copy.share_processes = arguments.flag("share-processes");
  copy.keep_labels = arguments.flag("keep-labels");
  copy.keep_annotations = arguments.flag("keep-annotations");
  copy.keep_liveness = arguments.flag("keep-liveness");
  copy.keep_readiness = arguments.flag("keep-readiness");
  copy.keep_startup = arguments.flag("keep-startup");
  copy.keep_init = arguments.flag("keep-init-containers");
  for (const std::string& text : arguments.texts("set-image")) {
    auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(fmt::format("invalid --set-image \"{}\": CONTAINER=IMAGE is expected", text));
    copy.images.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return copy;
}

Outcome<int> debug_by_copy(DebugJob& job, const Json& pod) {
  MOTH_ASSIGN(CopyWish copy, copy_wish(job.arguments));
  if (copy.container.empty() && !job.wish.image.empty()) {
    copy.container = "debugger-" + random_suffix();
    if (!job.quiet) job.context.warn("Defaulting debug container name to {}.", copy.container);
  }
  MOTH_ASSIGN(Json made, debug_copy(pod, job.wish, copy));
  if (job.arguments.flag("replace")) {
    MOTH_ASSIGN(Json gone, job.api.remove(job.pods, pod_namespace(pod), pod_name(pod),
                                          {{"propagationPolicy", "Background"}}));
    (void)gone;
  }
  MOTH_ASSIGN(Json created, job.api.create(job.pods, pod_namespace(pod), made));
  std::string container =
      copy.container.empty() ? container_names(created, false).at(0) : copy.container;
  return job.attach ? attach_when_started(job, created, container) : 0;
}

Outcome<int> debug_node(DebugJob& job, const Json& node) {
  if (job.wish.image.empty()) return refuse("you must specify --image for a node");
  std::string name = string_or(node["metadata"], "name");
  Json pod = node_pod(job.wish, name, fmt::format("node-debugger-{}-{}", name, random_suffix()));
  MOTH_ASSIGN(std::string ns, job.context.ns());
  if (!job.quiet) {
    job.context.print("Creating debugging pod {} with container debugger on node {}.\n",
                      pod_name(pod), name);
    job.context.flush();
  }
  MOTH_ASSIGN(Json created, job.api.create(job.pods, ns, pod));
  return job.attach ? attach_when_started(job, created, "debugger") : 0;
}

Outcome<DebugWish> wish_of(const Arguments& arguments) {
  DebugWish wish;
  wish.image = arguments.text("image");
  wish.pull_policy = arguments.text("image-pull-policy");
  wish.target = arguments.text("target");
  wish.profile = arguments.text("profile");
  wish.arguments_only = arguments.flag("arguments-only");
  wish.stdin_open = arguments.flag("stdin");
  wish.tty = arguments.flag("tty");
  MOTH_TRY(check_profile(wish.profile));
  MOTH_ASSIGN(wish.env, parse_env(arguments.texts("env")));
  std::size_t before = arguments.words_before_dashes.value_or(arguments.words.size());
  wish.words.assign(arguments.words.begin() + static_cast<std::ptrdiff_t>(before),
                    arguments.words.end());
  if (arguments.given("custom")) {
    std::ifstream file(arguments.text("custom"));
    if (!file)
      return refuse(fmt::format("unable to read {}: no such file", arguments.text("custom")));
    MOTH_ASSIGN(wish.custom, parse_yaml(std::string(std::istreambuf_iterator<char>(file), {})));
  }
  return wish;
}

Outcome<int> run_debug(Context& context, const Arguments& arguments) {
  std::size_t before = arguments.words_before_dashes.value_or(arguments.words.size());
  std::vector<std::string> words(arguments.words.begin(),
                                 arguments.words.begin() + static_cast<std::ptrdiff_t>(before));
  if (words.empty() && arguments.texts("filename").empty())
    return refuse("you must specify --image when not using --copy-to.");
  if (arguments.flag("tty") && !arguments.flag("stdin"))
    return refuse("-i/--stdin is required for containers with -t/--tty=true");
  bool copies = arguments.given("copy-to");
  for (const char* flag : {"replace", "same-node", "set-image"})
    if (!copies && arguments.given(flag))
      return refuse(fmt::format("--{} may only be used with --copy-to.", flag));
  if (copies && arguments.given("target"))
    return refuse("--target is incompatible with --copy-to. Use --share-processes instead.");
  MOTH_ASSIGN(DebugWish wish, wish_of(arguments));
  if (!arguments.given("profile") && !arguments.flag("quiet")) {
    context.warn(
        "--profile=legacy is deprecated and will be removed in the future. It is recommended to "
        "explicitly specify a profile, for example \"--profile=general\".");
  }
  // A bare name is a pod's.
  if (words.size() == 1 && words[0].find('/') == std::string::npos) words[0] = "pods/" + words[0];
  SelectOptions options = select_options(arguments, words, false);
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* pods, api->resource("pods"));
  DebugJob job{context, arguments, *api, *pods, std::move(wish)};
  job.quiet = arguments.flag("quiet");
  job.attach = arguments.given("attach") ? arguments.flag("attach") : job.wish.stdin_open;
  int code = context.exit_code();
  for (const ObjectInfo& info : objects) {
    Outcome<int> done = refuse(fmt::format("\"{}\" not supported by debug", info.qualified()));
    if (info.resource->kind == "Node")
      done = debug_node(job, info.object);
    else if (info.resource->kind == "Pod")
      done = copies ? debug_by_copy(job, info.object) : debug_by_container(job, info.object);
    if (!done) return done;
    code = std::max(code, *done);
  }
  return code;
}

}  // namespace

Command debug_command() {
  FlagSpec stdin_flag{"stdin", 'i', FlagKind::kBool, "", "Keep the container's stdin open."};
  return {
      .name = "debug",
      .group = "Look",
      .summary = "Create debugging sessions for troubleshooting workloads and nodes",
      .usage = "(POD | TYPE/NAME) [ -- COMMAND [args...] ]",
      .examples =
          "moth debug -it web-0 --image=busybox --target=web\n"
          "moth debug web-0 -it --copy-to=web-debug --container=web -- sh\n"
          "moth debug node/box -it --image=busybox",
      .flags = {{"arguments-only", 0, FlagKind::kBool, "",
                 "Words behind -- are arguments, no command."},
                {"attach", 0, FlagKind::kBool, "", "Attach to the container; so does --stdin."},
                {"container", 'c', FlagKind::kText, "", "Name of the debugging container."},
                {"copy-to", 0, FlagKind::kText, "", "Work on a copy of the pod with this name."},
                {"custom", 0, FlagKind::kText, "", "File with a partial container to add."},
                {"env", 0, FlagKind::kTexts, "", "Environment: KEY=VALUE."},
                {"filename", 'f', FlagKind::kList, "", "Files that name what to debug."},
                {"image", 0, FlagKind::kText, "", "Image of the debugging container."},
                {"image-pull-policy", 0, FlagKind::kText, "", "Always, IfNotPresent or Never."},
                {"keep-annotations", 0, FlagKind::kBool, "", "The copy keeps the annotations."},
                {"keep-init-containers", 0, FlagKind::kBool, "true",
                 "The copy runs init containers."},
                {"keep-labels", 0, FlagKind::kBool, "", "The copy keeps the labels."},
                {"keep-liveness", 0, FlagKind::kBool, "", "The copy keeps liveness probes."},
                {"keep-readiness", 0, FlagKind::kBool, "", "The copy keeps readiness probes."},
                {"keep-startup", 0, FlagKind::kBool, "", "The copy keeps startup probes."},
                {"kustomize", 0, FlagKind::kText, "", "", "", true},
                {"profile", 0, FlagKind::kText, "legacy",
                 "legacy, general, baseline, netadmin, restricted or sysadmin."},
                {"quiet", 'q', FlagKind::kBool, "", "Only print what the container prints."},
                {"recursive", 0, FlagKind::kBool, "", "", "", true},
                {"replace", 0, FlagKind::kBool, "", "With --copy-to: delete the original pod."},
                {"same-node", 0, FlagKind::kBool, "", "With --copy-to: on the same node."},
                {"set-image", 0, FlagKind::kList, "", "With --copy-to: CONTAINER=IMAGE."},
                {"share-processes", 0, FlagKind::kBool, "true",
                 "With --copy-to: containers see one another's processes."},
                stdin_flag,
                {"target", 0, FlagKind::kText, "", "Look at the processes of this container."},
                {"tty", 't', FlagKind::kBool, "", "Give the container a terminal."}},
      .words = Words::kPods,
      .run = run_debug};
}

}  // namespace moth::ctl
