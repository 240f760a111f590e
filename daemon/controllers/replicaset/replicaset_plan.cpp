#include "daemon/controllers/replicaset/replicaset_plan.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/apps_v1/replica_set_view.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/edit.h"
#include "daemon/controllers/framework/ownership.h"

namespace moth::controllers {

using resources::PodPhase;
using resources::PodView;
using resources::ReplicaSetView;

namespace {

constexpr std::string_view kDeletionCost = "controller.kubernetes.io/pod-deletion-cost";

int phase_rank(PodPhase phase) {
  return phase == PodPhase::kPending ? 0 : phase == PodPhase::kUnknown ? 1 : 2;
}

// An annotation that is no 32-bit number counts as 0, as upstream.
std::int32_t deletion_cost(const Meta& meta) {
  const std::string& text = meta.annotation(kDeletionCost);
  if (text.empty()) return 0;
  char* end = nullptr;
  long long value = std::strtoll(text.c_str(), &end, 10);
  bool valid = *end == '\0' && value >= INT32_MIN && value <= INT32_MAX;
  return valid ? static_cast<std::int32_t>(value) : 0;
}

struct Restarts {
  std::int32_t app = 0, sidecar = 0;
};

Restarts max_restarts(const PodView& pod) {
  Restarts out;
  for (const auto& status : pod.container_statuses()) {
    out.app = std::max(out.app, status.restart_count);
  }
  for (const auto& status : pod.init_statuses()) {
    const resources::Container* container = pod.spec().find_container(status.name);
    if (container && container->is_sidecar())
      out.sidecar = std::max(out.sidecar, status.restart_count);
  }
  return out;
}

struct Ranked {
  ObjectPtr object;
  const PodView* pod;
  int colocated = 0;
  std::int32_t cost = 0;
  Restarts restarts;
  std::optional<WallTime> ready_since;
};

// Ages of one power of two are alike, so that which of them goes first is random by uid and not the
// newest alone.
int magnitude(WallTime since, WallTime now) {
  auto age = std::chrono::duration_cast<std::chrono::nanoseconds>(now - since).count();
  return age <= 0 ? -1 : static_cast<int>(std::log2(static_cast<double>(age)));
}

// Less than 0: the pod of `a` goes first. The younger one does.
int compare_age(const Ranked& a, std::optional<WallTime> since_a, const Ranked& b,
                std::optional<WallTime> since_b, WallTime now) {
  if (since_a == since_b) return 0;
  if (!since_a) return -1;
  if (!since_b) return 1;
  int difference = magnitude(*since_a, now) - magnitude(*since_b, now);
  if (difference != 0) return difference;
  return a.object->uid() < b.object->uid() ? -1 : 1;
}

bool goes_before(const Ranked& a, const Ranked& b, WallTime now) {
  bool assigned_a = a.pod->is_scheduled(), assigned_b = b.pod->is_scheduled();
  if (assigned_a != assigned_b) return !assigned_a;
  int phase_a = phase_rank(a.pod->phase()), phase_b = phase_rank(b.pod->phase());
  if (phase_a != phase_b) return phase_a < phase_b;
  bool ready_a = a.pod->is_ready(), ready_b = b.pod->is_ready();
  if (ready_a != ready_b) return !ready_a;
  if (a.cost != b.cost) return a.cost < b.cost;
  if (a.colocated != b.colocated) return a.colocated > b.colocated;
  if (ready_a) {
    if (int order = compare_age(a, a.ready_since, b, b.ready_since, now)) return order < 0;
  }
  if (a.restarts.app != b.restarts.app) return a.restarts.app > b.restarts.app;
  if (a.restarts.sidecar != b.restarts.sidecar) return a.restarts.sidecar > b.restarts.sidecar;
  return compare_age(a, a.object->meta().created, b, b.object->meta().created, now) < 0;
}

bool has_labels(const Labels& labels, const Json& wanted) {
  for (const auto& [key, value] : wanted.items()) {
    auto it = labels.find(key);
    if (it == labels.end() || !value.is_string() ||
        it->second != value.get_ref<const std::string&>())
      return false;
  }
  return true;
}

void put_count(Json& status, const char* key, std::int32_t count) {
  if (count != 0) {
    status[key] = count;
  } else {
    status.erase(key);
  }
}

void put_failure(Json& status, const std::optional<ReplicaFailure>& failure, WallTime now) {
  if (!failure) {
    resources::remove_condition(status, "ReplicaFailure");
    if (const Json* left = find_member(status, "conditions"); left && left->empty())
      status.erase("conditions");
    return;
  }
  // The first failure is kept while it lasts: repeats differ by the random names in their texts.
  if (resources::find_condition(Json{{"status", status}}, "ReplicaFailure")) return;
  resources::set_condition(
      status,
      {"ReplicaFailure", "True", failure->creating ? "FailedCreate" : "FailedDelete",
       failure->message, std::nullopt},
      now);
}

}  // namespace

std::vector<ObjectPtr> rank_for_deletion(std::vector<ObjectPtr> pods,
                                         const std::vector<ObjectPtr>& related, WallTime now) {
  std::map<std::string, int, std::less<>> on_node;
  for (const ObjectPtr& object : related) {
    const auto& pod = object->view<PodView>();
    if (pod.is_active()) ++on_node[pod.node_name()];
  }
  std::vector<Ranked> ranked;
  ranked.reserve(pods.size());
  for (ObjectPtr& object : pods) {
    const auto& pod = object->view<PodView>();
    auto count = on_node.find(pod.node_name());
    Ranked entry{object,
                 &pod,
                 count == on_node.end() ? 0 : count->second,
                 deletion_cost(object->meta()),
                 max_restarts(pod),
                 pod.ready_since()};
    ranked.push_back(std::move(entry));
  }
  std::stable_sort(ranked.begin(), ranked.end(),
                   [now](const Ranked& a, const Ranked& b) { return goes_before(a, b, now); });
  for (std::size_t i = 0; i < ranked.size(); ++i) pods[i] = ranked[i].object;
  return pods;
}

ReplicaSetPlan plan_replicas(const Object& replica_set, const std::vector<ObjectPtr>& owned,
                             const std::function<std::vector<ObjectPtr>()>& related, WallTime now) {
  ReplicaSetPlan plan;
  if (replica_set.meta().deletion_time) return plan;
  std::vector<ObjectPtr> active;
  for (const ObjectPtr& pod : owned) {
    if (pod->view<PodView>().is_active()) active.push_back(pod);
  }
  int surplus = static_cast<int>(active.size()) - replica_set.view<ReplicaSetView>().replicas;
  if (surplus < 0) {
    plan.create = std::min(-surplus, kReplicaBurst);
  } else if (surplus > 0) {
    std::size_t count = static_cast<std::size_t>(std::min(surplus, kReplicaBurst));
    if (count < active.size()) active = rank_for_deletion(std::move(active), related(), now);
    active.resize(count);
    plan.remove = std::move(active);
  }
  return plan;
}

Json pod_from_template(const Object& replica_set) {
  auto dom = replica_set.dom();
  const Json& pod_template = resources::object_of(resources::object_of(*dom, "spec"), "template");
  const Json& from = resources::object_of(pod_template, "metadata");
  Json metadata = {{"generateName", replica_set.name() + "-"},
                   {"ownerReferences", Json::array({controller_reference(replica_set)})}};
  for (const char* field : {"labels", "annotations", "finalizers"}) {
    if (const Json* value = resources::member(from, field)) metadata[field] = *value;
  }
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", std::move(metadata)},
          {"spec", resources::object_of(pod_template, "spec")}};
}

ReplicaSetStatusPlan plan_replicaset_status(const Object& replica_set,
                                            const std::vector<ObjectPtr>& owned,
                                            const std::optional<ReplicaFailure>& failure,
                                            WallTime now) {
  const auto& view = replica_set.view<ReplicaSetView>();
  auto dom = replica_set.dom();
  const Json& spec = resources::object_of(*dom, "spec");
  const Json& labels = resources::object_of(
      resources::object_of(resources::object_of(spec, "template"), "metadata"), "labels");
  std::int32_t replicas = 0, labeled = 0, ready = 0, available = 0, terminating = 0;
  std::optional<Duration> next;
  for (const ObjectPtr& object : owned) {
    const auto& pod = object->view<PodView>();
    if (!pod.is_active()) {
      if (!pod.is_finished()) ++terminating;
      continue;
    }
    ++replicas;
    if (has_labels(object->meta().labels, labels)) ++labeled;
    if (!pod.is_ready()) continue;
    ++ready;
    if (pod.is_available(view.min_ready, now)) {
      ++available;
    } else if (auto since = pod.ready_since()) {
      Duration wait = *since + view.min_ready - now;
      next = next ? std::min(*next, wait) : wait;
    }
  }
  Json status = resources::object_of(*dom, "status");
  status["replicas"] = replicas;
  put_count(status, "fullyLabeledReplicas", labeled);
  put_count(status, "readyReplicas", ready);
  put_count(status, "availableReplicas", available);
  status["terminatingReplicas"] = terminating;
  status["observedGeneration"] = replica_set.meta().generation;
  put_failure(status, failure, now);
  return {std::move(status), next};
}

}  // namespace moth::controllers
