#include "daemon/controllers/tainteviction/tainteviction_controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "api/base/json.h"
#include "api/client/event_recorder.h"
#include "api/machinery/time.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/node_view.h"
#include "api/resources/core_v1/pod_view.h"

namespace moth::controllers {
namespace {

using resources::NodeView;
using resources::PodView;

std::vector<AddedTaint> no_execute_taints(const Object& node) {
  std::vector<AddedTaint> found;
  const Json whole = node.parse();
  const Json* taints = find_path(whole, "spec", "taints");
  if (!taints || !taints->is_array()) return found;
  for (const Json& taint : *taints) {
    if (string_or(taint, "effect") != "NoExecute") continue;
    resources::Taint parsed;
    parsed.key = string_or(taint, "key");
    parsed.value = string_or(taint, "value");
    parsed.effect = "NoExecute";
    AddedTaint one{parsed, std::nullopt};
    if (auto added = parse_rfc3339(string_or(taint, "timeAdded"))) one.added = *added;
    found.push_back(std::move(one));
  }
  return found;
}

bool has_no_execute(const Object& node) {
  const auto& taints = node.view<NodeView>().taints;
  return std::any_of(taints.begin(), taints.end(),
                     [](const resources::Taint& taint) { return taint.effect == "NoExecute"; });
}

// Keys are pods.
class TaintEvictionController final : public Controller {
 public:
  explicit TaintEvictionController(ControllerContext context) : context_(context) {}
  std::string_view name() const override { return "tainteviction"; }

  void subscribe(WorkQueue& queue) override {
    context_.subscriptions.subscribe(
        client::gvr::kPods, [this, &queue](const client::ObjectReader::Change& change) {
          if (!change.object) {
            first_seen_.erase(change.any().uid());
            return;
          }
          const std::string& node = change.object->view<PodView>().node_name();
          if (!node.empty() && tainted(node))
            queue.add({change.object->ns(), change.object->name()});
        });
    context_.subscriptions.subscribe(
        client::gvr::kNodes, [this, &queue](const client::ObjectReader::Change& change) {
          bool now = change.object && has_no_execute(*change.object);
          bool before = change.previous && has_no_execute(*change.previous);
          if (now || before) add_pods_of(change.any().name(), queue);
        });
    for (const ObjectPtr& node : context_.reader.list(client::gvr::kNodes)) {
      if (has_no_execute(*node)) add_pods_of(node->name(), queue);
    }
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr pod = context_.reader.get(client::gvr::kPods, key.ns, key.name);
    if (!pod) co_return Requeue{};
    const auto& view = pod->view<PodView>();
    if (view.node_name().empty() || view.is_deleting()) co_return Requeue{};
    ObjectPtr node = context_.reader.get(client::gvr::kNodes, "", view.node_name());
    auto taints = node ? no_execute_taints(*node) : std::vector<AddedTaint>();
    if (taints.empty()) {
      if (first_seen_.erase(pod->uid()) > 0) tell_cancelled(*pod);
      co_return Requeue{};
    }
    WallTime now = context_.clock.wall();
    // A taint without a time counts from when this was first seen for the pod.
    WallTime& seen = first_seen_.try_emplace(pod->uid(), now).first->second;
    for (AddedTaint& taint : taints) {
      if (!taint.added) taint.added = seen;
    }
    Stay stay = stay_of(taints, view.spec().tolerations, now);
    if (stay.for_ever) {
      if (waiting_.erase(pod->uid()) > 0) tell_cancelled(*pod);
      co_return Requeue{};
    }
    if (stay.until > now) {
      waiting_.insert(pod->uid());
      co_return Requeue{std::chrono::duration_cast<Duration>(stay.until - now)};
    }
    waiting_.erase(pod->uid());
    co_return co_await evict(pod);
  }

 private:
  bool tainted(const std::string& name) const {
    ObjectPtr node = context_.reader.get(client::gvr::kNodes, "", name);
    return node && has_no_execute(*node);
  }

  void add_pods_of(const std::string& node, WorkQueue& queue) const {
    for (const ObjectPtr& pod : context_.reader.list(client::gvr::kPods)) {
      if (pod->view<PodView>().node_name() == node) queue.add({pod->ns(), pod->name()});
    }
  }

  void tell_cancelled(const Object& pod) {
    context_.events.record(pod, client::EventType::kNormal, "TaintManagerEviction",
                           fmt::format("Cancelling deletion of Pod {}/{}", pod.ns(), pod.name()));
  }

  Task<Result<Requeue>> evict(ObjectPtr pod) {
    context_.events.record(*pod, client::EventType::kNormal, "TaintManagerEviction",
                           fmt::format("Marking for deletion Pod {}/{}", pod->ns(), pod->name()));
    Json changed = pod->parse();
    resources::set_condition(changed["status"],
                             {"DisruptionTarget", "True", "DeletionByTaintManager",
                              "Taint manager: deleting due to NoExecute taint", std::nullopt},
                             context_.clock.wall());
    client::WriteOptions options;
    options.subresource = "status";
    auto marked = co_await context_.client.update(client::gvr::kPods, pod->ns(), pod->name(),
                                                  std::move(changed), options);
    if (!marked && marked.error().reason == Reason::kNotFound) co_return Requeue{};
    if (!marked) co_return fail(marked.error());
    client::DeleteOptions how;
    how.precondition_uid = pod->uid();
    auto removed = co_await context_.client.remove(client::gvr::kPods, pod->ns(), pod->name(), how);
    if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    co_return Requeue{};
  }

  ControllerContext context_;
  std::map<std::string, WallTime> first_seen_;  // by uid, pods on tainted nodes
  std::set<std::string> waiting_;               // pods with a time that runs
};

}  // namespace

Stay stay_of(const std::vector<AddedTaint>& taints,
             const std::vector<resources::Toleration>& tolerations, WallTime now) {
  Stay stay{true, WallTime::max()};
  WallTime start = WallTime::min();
  std::optional<std::int64_t> shortest;
  for (const AddedTaint& one : taints) {
    bool tolerated = false;
    for (const resources::Toleration& toleration : tolerations) {
      if (!resources::tolerates(toleration, one.taint)) continue;
      tolerated = true;
      if (!toleration.seconds) continue;
      std::int64_t seconds = std::max<std::int64_t>(0, *toleration.seconds);
      shortest = shortest ? std::min(*shortest, seconds) : seconds;
      start = std::max(start, one.added.value_or(now));
    }
    if (!tolerated) return {false, now};
  }
  if (!shortest) return stay;
  return {false, start + std::chrono::seconds(*shortest)};
}

std::unique_ptr<Controller> make_tainteviction_controller(ControllerContext context) {
  return std::make_unique<TaintEvictionController>(context);
}

}  // namespace moth::controllers
