// cordon, uncordon, drain; also as `moth node ...`, where the name may be left out when there is
// only one node. `moth node backup` copies what the node's daemon stores.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "api/base/clock.h"
#include "api/machinery/time.h"
#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/image_job.h"
#include "ctl/objects/pods.h"

namespace moth::ctl {
namespace {

constexpr auto kEvictionRetry = std::chrono::seconds(5);

Outcome<std::vector<ObjectInfo>> select_nodes(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* nodes, api->resource("nodes"));
  std::vector<ObjectInfo> found;
  std::vector<std::string> words = arguments.words;
  if (words.empty()) {
    QueryList query;
    if (!arguments.text("selector").empty())
      query.emplace_back("labelSelector", arguments.text("selector"));
    MOTH_ASSIGN(Json list, api->list(*nodes, "", query));
    if (query.empty() && list["items"].size() != 1) {
      return refuse(fmt::format("there are {} nodes: name one, or select some with -l",
                                list["items"].size()));
    }
    for (const Json& item : list["items"]) words.push_back(string_or(item["metadata"], "name"));
  }
  for (std::string name : words) {
    if (name.starts_with("node/")) name.erase(0, 5);
    auto node = api->get(*nodes, "", name);
    if (!node) {
      if (node.error().origin != Failure::Origin::kServer) return fail(node.error());
      context.report(node.error());
      continue;
    }
    found.push_back({nodes, "", name, *std::move(node), ""});
  }
  return found;
}

const char* suffix_of(DryRun dry_run) {
  return dry_run == DryRun::kClient   ? " (dry run)"
         : dry_run == DryRun::kServer ? " (server dry run)"
                                      : "";
}

Outcome<> set_schedulable(Context& context, const ObjectInfo& node, bool schedulable,
                          DryRun dry_run) {
  const char* done = schedulable ? "uncordoned" : "cordoned";
  const char* suffix = suffix_of(dry_run);
  Json changed = node.object;
  if (bool_or(changed["spec"], "unschedulable") == !schedulable) {
    context.print("node/{} already {}{}\n", node.name, done, suffix);
    return {};
  }
  if (schedulable)
    changed["spec"].erase("unschedulable");
  else
    changed["spec"]["unschedulable"] = true;
  MOTH_ASSIGN(auto result, send_changes(context, node, changed, {"", dry_run}));
  (void)result;
  context.print("node/{} {}{}\n", node.name, done, suffix);
  return {};
}

template <bool kSchedulable>
Outcome<int> run_cordon(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(auto nodes, select_nodes(context, arguments));
  for (const ObjectInfo& node : nodes) {
    auto set = set_schedulable(context, node, kSchedulable, dry_run);
    if (!set) context.report(set.error());
  }
  return context.exit_code();
}

struct DrainPlan {
  std::vector<Json> evict;
  std::map<std::string, std::string> refusals;  // why: pods
  std::string skipped;                          // pods of DaemonSets
};

bool has_local_storage(const Json& pod) {
  const Json* volumes = find_path(pod, "spec", "volumes");
  for (const Json& volume : volumes ? *volumes : Json::array())
    if (volume.contains("emptyDir")) return true;
  return false;
}

std::string controller_kind(const Json& pod) {
  const Json* owners = find_path(pod, "metadata", "ownerReferences");
  for (const Json& owner : owners ? *owners : Json::array())
    if (bool_or(owner, "controller")) return string_or(owner, "kind");
  return "";
}

DrainPlan plan_drain(const Json& pods, const Arguments& arguments) {
  DrainPlan plan;
  auto refuse_pod = [&](const std::string& why, const std::string& pod) {
    std::string& list = plan.refusals[why];
    list += (list.empty() ? "" : ", ") + pod;
  };
  for (const Json& pod : pods) {
    std::string name = pod_namespace(pod) + "/" + pod_name(pod);
    const Json* status = find_member(pod, "status");
    std::string phase = status ? string_or(*status, "phase") : "";
    const Json* annotations = find_path(pod, "metadata", "annotations");
    if (annotations && annotations->contains("kubernetes.io/config.mirror")) continue;
    std::string owner = controller_kind(pod);
    bool finished = phase == "Succeeded" || phase == "Failed";
    if (owner == "DaemonSet" && !finished) {
      if (arguments.flag("ignore-daemonsets"))
        plan.skipped += (plan.skipped.empty() ? "" : ", ") + name;
      else
        refuse_pod("cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore)",
                   name);
      continue;
    }
    if (!finished && has_local_storage(pod) && !arguments.flag("delete-emptydir-data")) {
      refuse_pod("cannot delete Pods with local storage (use --delete-emptydir-data to override)",
                 name);
      continue;
    }
    if (!finished && owner.empty() && !arguments.flag("force")) {
      refuse_pod("cannot delete Pods that declare no controller (use --force to override)", name);
      continue;
    }
    plan.evict.push_back(pod);
  }
  return plan;
}

// Asks until the disruption budget allows it.
Outcome<> evict(Context& context, Api& api, const ApiResource& pods, const Json& pod,
                const Arguments& arguments, SteadyTime deadline) {
  Json options = Json::object();
  if (std::int64_t grace = arguments.integer("grace-period"); grace >= 0)
    options["gracePeriodSeconds"] = grace;
  Json body{{"kind", "Eviction"},
            {"apiVersion", "policy/v1"},
            {"metadata", {{"name", pod_name(pod)}, {"namespace", pod_namespace(pod)}}},
            {"deleteOptions", std::move(options)}};
  for (;;) {
    context.print("evicting pod {}/{}\n", pod_namespace(pod), pod_name(pod));
    context.flush();
    RestRequest request;
    request.method = "POST";
    request.path = pods.path(pod_namespace(pod), pod_name(pod), "eviction");
    request.content_type = "application/json";
    request.body = body.dump();
    auto answer = api.json(std::move(request));
    if (answer || answer.error().is(Reason::kNotFound)) return {};
    if (!answer.error().is(Reason::kTooManyRequests)) return fail(answer.error());
    if (std::chrono::steady_clock::now() + kEvictionRetry > deadline)
      return refuse("drain did not complete within the timeout");
    context.warn("error when evicting pods/\"{}\" -n \"{}\" (will retry after 5s): {}",
                 pod_name(pod), pod_namespace(pod), answer.error().error.message);
    api.sleep(kEvictionRetry);
  }
}

std::chrono::seconds deleted_for(const Json& pod) {
  auto since = parse_rfc3339(string_or(pod["metadata"], "deletionTimestamp"));
  if (!since) return std::chrono::seconds(0);
  return std::chrono::duration_cast<std::chrono::seconds>(RealClock().wall() - *since);
}

Outcome<> remove_pods(Context& context, Api& api, const std::vector<Json>& pods,
                      const Arguments& arguments) {
  MOTH_ASSIGN(const ApiResource* resource, api.resource("pods"));
  auto timeout = arguments.duration("timeout");
  SteadyTime deadline = timeout.count() > 0 ? std::chrono::steady_clock::now() + timeout : kForever;
  for (const Json& pod : pods) {
    if (arguments.flag("disable-eviction")) {
      Json options{{"propagationPolicy", "Background"}};
      if (std::int64_t grace = arguments.integer("grace-period"); grace >= 0)
        options["gracePeriodSeconds"] = grace;
      MOTH_ASSIGN(Json gone, api.remove(*resource, pod_namespace(pod), pod_name(pod), options));
      (void)gone;
    } else {
      MOTH_TRY(evict(context, api, *resource, pod, arguments, deadline));
    }
  }
  std::int64_t patience = arguments.integer("skip-wait-for-delete-timeout");
  for (const Json& pod : pods) {
    std::string uid = string_or(pod["metadata"], "uid");
    if (patience > 0 && deleted_for(pod) > std::chrono::seconds(patience)) continue;
    MOTH_ASSIGN(StreamEnd end, api.follow_object(
                                   *resource, pod_namespace(pod), pod_name(pod),
                                   [&](const Json* object) -> Outcome<bool> {
                                     return !object ||
                                            string_or((*object)["metadata"], "uid") != uid;
                                   },
                                   deadline));
    if (end == StreamEnd::kTimedOut) return refuse("drain did not complete within the timeout");
    context.print("pod/{} {}\n", pod_name(pod),
                  arguments.flag("disable-eviction") ? "deleted" : "evicted");
    context.flush();
  }
  return {};
}

Outcome<> drain_node(Context& context, Api& api, const ObjectInfo& node, const Arguments& arguments,
                     DryRun dry_run) {
  MOTH_TRY(set_schedulable(context, node, false, dry_run));
  MOTH_ASSIGN(const ApiResource* resource, api.resource("pods"));
  QueryList query{{"fieldSelector", "spec.nodeName=" + node.name}};
  if (!arguments.text("pod-selector").empty())
    query.emplace_back("labelSelector", arguments.text("pod-selector"));
  MOTH_ASSIGN(Json list, api.list(*resource, "", query));
  DrainPlan plan = plan_drain(list["items"], arguments);
  if (!plan.refusals.empty()) {
    std::string text;
    for (const auto& [why, pods] : plan.refusals)
      text += (text.empty() ? "" : ", ") + why + ": " + pods;
    if (plan.refusals.size() > 1) text = "[" + text + "]";
    return refuse(
        fmt::format("unable to drain node \"{}\" due to error: {}, continuing command...\n"
                    "There are pending nodes to be drained:\n {}\n{}",
                    node.name, text, node.name, text));
  }
  if (!plan.skipped.empty())
    context.warn("Warning: ignoring DaemonSet-managed Pods: {}", plan.skipped);
  if (dry_run != DryRun::kNone) {
    for (const Json& pod : plan.evict)
      context.print("evicting pod {}/{}{}\n", pod_namespace(pod), pod_name(pod),
                    suffix_of(dry_run));
    context.print("node/{} drained{}\n", node.name, suffix_of(dry_run));
    return {};
  }
  MOTH_TRY(remove_pods(context, api, plan.evict, arguments));
  context.print("node/{} drained\n", node.name);
  return {};
}

Outcome<int> run_drain(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(auto nodes, select_nodes(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  for (const ObjectInfo& node : nodes) {
    auto drained = drain_node(context, *api, node, arguments, dry_run);
    if (!drained) MOTH_TRY(context.carry_on(drained.error()));
  }
  return context.exit_code();
}

// The whole of a piece, over partial writes.
bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    ssize_t count = ::write(file, text.data(), text.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

Outcome<int> run_backup(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 1) return refuse("name the file to write: moth node backup FILE");
  const std::string& path = arguments.words[0];
  MOTH_ASSIGN(Api * api, context.api());
  // The copy holds Secrets. Nothing is overwritten: it might be the only good one.
  int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return fail(Failure(Error::from_errno(errno, "create " + path)));
  RestRequest request;
  request.path = "/moth/v1/backup";
  std::uint64_t bytes = 0;
  int problem = 0;
  auto end = api->pieces(std::move(request), [&](std::string_view piece) {
    bytes += piece.size();
    if (!write_all(file, piece)) problem = errno;
    return problem == 0;
  });
  if (end && problem == 0 && ::fsync(file) != 0) problem = errno;
  ::close(file);
  if (end && problem == 0) {
    context.print("{} written ({})\n", path, size_text(static_cast<double>(bytes)));
    return 0;
  }
  ::unlink(path.c_str());
  if (!end) return fail(end.error());
  return fail(Failure(Error::from_errno(problem, "write " + path)));
}

std::vector<FlagSpec> node_flags() {
  return {dry_run_flag(), {"selector", 'l', FlagKind::kText, "", "Nodes with these labels."}};
}

}  // namespace

Command cordon_command() {
  return {.name = "cordon",
          .group = "Node",
          .summary = "Mark node as unschedulable",
          .usage = "[NODE]",
          .flags = node_flags(),
          .words = Words::kNodes,
          .run = run_cordon<false>};
}

Command uncordon_command() {
  return {.name = "uncordon",
          .group = "Node",
          .summary = "Mark node as schedulable",
          .usage = "[NODE]",
          .flags = node_flags(),
          .words = Words::kNodes,
          .run = run_cordon<true>};
}

Command drain_command() {
  return {.name = "drain",
          .group = "Node",
          .summary = "Cordon a node and evict its pods, before maintenance",
          .usage = "[NODE]",
          .examples = "moth drain --ignore-daemonsets --delete-emptydir-data",
          .flags = join_flags(
              {node_flags(),
               {{"chunk-size", 0, FlagKind::kInteger, "500", "Taken for compatibility."},
                {"delete-emptydir-data", 0, FlagKind::kBool, "", "Also pods that use emptyDir."},
                {"disable-eviction", 0, FlagKind::kBool, "",
                 "Delete pods, whatever their budgets say."},
                {"force", 0, FlagKind::kBool, "", "Also pods that no controller would make again."},
                {"grace-period", 0, FlagKind::kInteger, "-1",
                 "Seconds for each pod; negative: its own."},
                {"ignore-daemonsets", 0, FlagKind::kBool, "", "Leave pods of DaemonSets alone."},
                {"pod-selector", 0, FlagKind::kText, "", "Only pods with these labels."},
                {"skip-wait-for-delete-timeout", 0, FlagKind::kInteger, "0",
                 "Do not wait for pods whose deletion began more seconds ago; 0: wait for all."},
                {"timeout", 0, FlagKind::kDuration, "0",
                 "How long to try; zero: as long as it takes."}}}),
          .words = Words::kNodes,
          .run = run_drain};
}

Command node_command() {
  Command command{
      .name = "node",
      .group = "Node",
      .summary = "Take this machine's node out of use and back, save what it stores",
      .children = {{.name = "backup",
                    .summary = "Write a copy of everything that mothd stores to a file",
                    .usage = "FILE",
                    .examples = "moth node backup moth.db\n"
                                "# to go back: stop mothd, remove DATA_DIR/state.db*, put the "
                                "copy there as state.db",
                    .words = Words::kFiles,
                    .run = run_backup},
                   cordon_command(),
                   drain_command(),
                   uncordon_command()}};
  return command;
}

}  // namespace moth::ctl
