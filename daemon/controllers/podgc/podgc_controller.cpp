#include "daemon/controllers/podgc/podgc_controller.h"

#include <algorithm>
#include <map>

#include "api/base/json.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/node_view.h"
#include "api/resources/core_v1/pod_view.h"

namespace moth::controllers {
namespace {

using resources::PodView;

constexpr auto kRound = std::chrono::seconds(20);
// A node that is missing for so long does not come back.
constexpr auto kQuarantine = std::chrono::seconds(40);

// An agent names its version when it registers the node. A node that was made by hand has none, so
// nobody would ever confirm the end of its pods.
bool has_agent(const Object& node) {
  const Json whole = node.parse();
  const Json* version = find_path(whole, "status", "nodeInfo", "kubeletVersion");
  return version && version->is_string() && !version->get_ref<const std::string&>().empty();
}

bool out_of_service(const Object& node) {
  const auto& view = node.view<resources::NodeView>();
  return !view.is_ready() &&
         std::any_of(view.taints.begin(), view.taints.end(), [](const resources::Taint& taint) {
           return taint.key == "node.kubernetes.io/out-of-service";
         });
}

// One key stands for the whole round; a deletion is looked at when it happens.
class PodGcController final : public Controller {
 public:
  PodGcController(ControllerContext context, PodGcOptions options)
      : context_(context), options_(options) {}
  std::string_view name() const override { return "podgc"; }
  int workers() const override { return 1; }

  void subscribe(WorkQueue& queue) override {
    queue.add(kAll);
    context_.subscriptions.subscribe(client::gvr::kNodes,
                                     [&queue](const client::ObjectReader::Change& change) {
                                       if (!change.object) queue.add(kAll);
                                     });
    if (!options_.end_without_agent) return;
    for (const ObjectPtr& pod : context_.reader.list(client::gvr::kPods)) {
      if (pod->meta().deletion_time) queue.add({pod->ns(), pod->name()});
    }
    context_.subscriptions.subscribe(client::gvr::kPods,
                                     [&queue](const client::ObjectReader::Change& change) {
                                       if (change.object && change.object->meta().deletion_time)
                                         queue.add({change.object->ns(), change.object->name()});
                                     });
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    if (key == kAll) co_return co_await round();
    ObjectPtr pod = context_.reader.get(client::gvr::kPods, key.ns, key.name);
    if (!pod || !pod->meta().deletion_time) co_return Requeue{};
    co_return co_await end_without_agent(pod);
  }

 private:
  inline static const Key kAll{"", "all pods"};  // no pod has an empty namespace

  Task<Result<Requeue>> round() {
    std::vector<ObjectPtr> finished;
    bool waiting = false;
    for (const ObjectPtr& pod : context_.reader.list(client::gvr::kPods)) {
      const auto& view = pod->view<PodView>();
      if (view.is_finished() && !view.is_deleting()) finished.push_back(pod);
      if (view.node_name().empty()) continue;
      ObjectPtr node = context_.reader.get(client::gvr::kNodes, "", view.node_name());
      if (!node) {
        waiting = true;
        if (gone_long_enough(view.node_name())) MOTH_CO_TRY(co_await orphan(pod));
      } else if (view.is_deleting() && out_of_service(*node)) {
        MOTH_CO_TRY(co_await force(pod));
      }
    }
    forget_nodes_that_are_back();
    MOTH_CO_TRY(co_await trim(std::move(finished)));
    // Without anything to wait for, the next change starts the next round.
    bool busy =
        waiting || context_.reader.list(client::gvr::kPods).size() > options_.finished_threshold;
    co_return busy ? Requeue{kRound} : Requeue{};
  }

  // Oldest first, those that were evicted before all others.
  Task<Result<>> trim(std::vector<ObjectPtr> finished) {
    if (finished.size() <= options_.finished_threshold) co_return Result<>{};
    auto evicted = [](const ObjectPtr& pod) { return pod->view<PodView>().reason() == "Evicted"; };
    std::sort(finished.begin(), finished.end(), [&](const ObjectPtr& a, const ObjectPtr& b) {
      if (evicted(a) != evicted(b)) return evicted(a);
      return a->meta().created < b->meta().created;
    });
    finished.resize(finished.size() - options_.finished_threshold);
    for (const ObjectPtr& pod : finished) MOTH_CO_TRY(co_await force(pod));
    co_return Result<>{};
  }

  bool gone_long_enough(const std::string& node) {
    WallTime now = context_.clock.wall();
    return now - missing_.try_emplace(node, now).first->second >= kQuarantine;
  }

  void forget_nodes_that_are_back() {
    std::erase_if(missing_, [this](const auto& entry) {
      return context_.reader.get(client::gvr::kNodes, "", entry.first) != nullptr;
    });
  }

  // The pod's node is gone: it is told as failed before it goes, for those that wait for its end.
  Task<Result<>> orphan(ObjectPtr pod) {
    const auto& view = pod->view<PodView>();
    if (!view.is_finished()) {
      Json changed = pod->parse();
      changed["status"]["phase"] = "Failed";
      resources::set_condition(changed["status"],
                               {"DisruptionTarget", "True", "DeletionByPodGC",
                                "PodGC: node no longer exists", std::nullopt},
                               context_.clock.wall());
      changed["metadata"].erase("resourceVersion");
      client::WriteOptions options;
      options.subresource = "status";
      auto written = co_await context_.client.update(client::gvr::kPods, pod->ns(), pod->name(),
                                                     std::move(changed), options);
      if (!written && written.error().reason == Reason::kNotFound) co_return Result<>{};
      if (!written) co_return fail(written.error());
    }
    co_return co_await force(pod);
  }

  // A pod on a node without an agent: nobody stops it, so what never started goes at once and the
  // rest when its time is over. An agent's pods are the agent's.
  Task<Result<Requeue>> end_without_agent(ObjectPtr pod) {
    const auto& view = pod->view<PodView>();
    if (!view.node_name().empty()) {
      ObjectPtr node = context_.reader.get(client::gvr::kNodes, "", view.node_name());
      if (!node || has_agent(*node)) co_return Requeue{};
      bool started = !view.container_statuses().empty() || !view.init_statuses().empty();
      auto left = *pod->meta().deletion_time - context_.clock.wall();
      if (started && left > WallTime::duration::zero())
        co_return Requeue{std::chrono::duration_cast<Duration>(left)};
    }
    // Finalizers hold it further; only the grace period ends here.
    if (pod->meta().deletion_grace_seconds == 0) co_return Requeue{};
    MOTH_CO_TRY(co_await force(pod));
    co_return Requeue{};
  }

  Task<Result<>> force(ObjectPtr pod) {
    client::DeleteOptions how;
    how.grace_period_seconds = 0;
    how.precondition_uid = pod->uid();
    auto removed = co_await context_.client.remove(client::gvr::kPods, pod->ns(), pod->name(), how);
    if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    co_return Result<>{};
  }

  ControllerContext context_;
  PodGcOptions options_;
  std::map<std::string, WallTime> missing_;  // nodes that pods name, since when
};

}  // namespace

std::unique_ptr<Controller> make_podgc_controller(ControllerContext context, PodGcOptions options) {
  return std::make_unique<PodGcController>(context, options);
}

}  // namespace moth::controllers
