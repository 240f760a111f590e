#include "daemon/controllers/deployment/deployment_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <tuple>
#include <utility>

#include "api/machinery/hash.h"
#include "api/machinery/names.h"
#include "api/resources/edit.h"
#include "daemon/controllers/deployment/deployment_math.h"
#include "daemon/controllers/deployment/deployment_status.h"
#include "daemon/controllers/deployment/set_annotations.h"
#include "daemon/controllers/framework/ownership.h"

namespace moth::controllers {

using resources::DeploymentView;
using resources::object_of;
using resources::ReplicaSetView;

namespace {

constexpr const char* kHashLabel = "pod-template-hash";

void drop_nulls(Json& value) {
  if (value.is_object()) {
    for (auto it = value.begin(); it != value.end();) {
      if (it->is_null()) {
        it = value.erase(it);
      } else {
        drop_nulls(*it++);
      }
    }
  } else if (value.is_array()) {
    for (Json& item : value) drop_nulls(item);
  }
}

Json without_hash(Json pod_template) {
  drop_nulls(pod_template);
  auto metadata = pod_template.find("metadata");
  if (metadata == pod_template.end()) return pod_template;
  auto labels = metadata->find("labels");
  if (labels == metadata->end()) return pod_template;
  labels->erase(kHashLabel);
  if (labels->empty()) metadata->erase(labels);
  if (metadata->empty()) pod_template.erase(metadata);
  return pod_template;
}

const Json& template_of(const Json& object) {
  return object_of(object_of(object, "spec"), "template");
}

// A ReplicaSet and what the plan makes of it.
struct Set {
  ObjectPtr object;
  const ReplicaSetView* view = nullptr;
  std::int32_t replicas = 0;
  Labels annotations;
  bool changed = false;
  std::int64_t age_rank = 0;

  bool active() const { return replicas > 0; }
};

class Planner {
 public:
  explicit Planner(const DeploymentInputs& inputs)
      : in_(inputs),
        view_(inputs.deployment->view<DeploymentView>()),
        dom_(inputs.deployment->dom()),
        status_(view_.status),
        bounds_{view_.replicas, view_.max_surge_count(), view_.max_unavailable_count(),
                view_.recreate} {
    sort_sets();
  }

  DeploymentPlan run();

 private:
  void sort_sets();
  void note_pause();
  void sync_revision();
  bool is_scaling() const;
  void scale();
  void scale_set(Set& set, std::int32_t replicas);
  void roll();
  void recreate();
  bool old_pods_left() const;
  void plan_create();
  void clean_history();
  void finish(bool with_progress);
  std::vector<Set*> active_sets();
  std::int32_t total() const;
  SetSize size_of(const Set& set) const;
  std::vector<SetCounts> counts() const;

  const DeploymentInputs& in_;
  const DeploymentView& view_;
  std::shared_ptr<const Json> dom_;
  DeploymentStatus status_;  // conditions change on the way, counts are those of the last reconcile
  RolloutBounds bounds_;
  std::vector<Set> sets_;  // oldest first
  Set* new_ = nullptr;
  std::vector<Set*> old_;  // oldest first
  DeploymentPlan plan_;
};

void Planner::sort_sets() {
  for (const ObjectPtr& object : in_.sets) {
    const auto& view = object->view<ReplicaSetView>();
    sets_.push_back({object, &view, view.replicas, object->meta().annotations});
  }
  std::sort(sets_.begin(), sets_.end(), [](const Set& a, const Set& b) {
    const Meta &left = a.object->meta(), &right = b.object->meta();
    return std::tie(left.created, left.name) < std::tie(right.created, right.name);
  });
  const Json wanted = without_hash(template_of(*dom_));
  for (std::size_t i = 0; i < sets_.size(); ++i) {
    Set& set = sets_[i];
    set.age_rank = static_cast<std::int64_t>(i);
    if (!new_ && without_hash(template_of(*set.object->dom())) == wanted) {
      new_ = &set;
    } else {
      old_.push_back(&set);
    }
  }
}

DeploymentPlan Planner::run() {
  plan_.revision = in_.deployment->meta().annotation(kRevisionAnnotation);
  if (in_.deployment->meta().deletion_time) {
    finish(false);
    return std::move(plan_);
  }
  note_pause();
  sync_revision();
  if (view_.paused || is_scaling()) {
    scale();
    if (view_.paused) clean_history();
    finish(false);
  } else if (view_.recreate) {
    recreate();
  } else {
    roll();
  }
  return std::move(plan_);
}

// A pause stops the clock of the progress deadline, going on starts it anew. A rollout that has
// failed already stays failed.
void Planner::note_pause() {
  if (!view_.progress_deadline) return;
  const resources::Condition* progress =
      resources::find_condition(status_.conditions, "Progressing");
  if (progress && progress->reason == "ProgressDeadlineExceeded") return;
  bool noted = progress && progress->reason == "DeploymentPaused";
  if (view_.paused && !noted) {
    put_condition(status_, {"Progressing", "Unknown", "DeploymentPaused", "Deployment is paused"},
                  in_.now);
  } else if (!view_.paused && noted) {
    put_condition(status_, {"Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed"},
                  in_.now);
  }
}

// The new set carries the Deployment's annotations and the highest revision.
void Planner::sync_revision() {
  if (!new_) return;
  std::int64_t highest = 0;
  for (const Set* set : old_) highest = std::max(highest, revision_of(set->annotations));
  new_->changed |= copy_annotations(in_.deployment->meta().annotations, new_->annotations);
  new_->changed |= raise_revision(new_->annotations, highest + 1);
  new_->changed |= new_->view->min_ready != view_.min_ready;
  if (auto it = new_->annotations.find(kRevisionAnnotation); it != new_->annotations.end()) {
    plan_.revision = it->second;
  }
  if (view_.progress_deadline && !resources::find_condition(status_.conditions, "Progressing")) {
    put_condition(status_,
                  {"Progressing", "True", "FoundNewReplicaSet",
                   fmt::format("Found new replica set \"{}\"", new_->object->name())},
                  in_.now);
  }
}

std::vector<Set*> Planner::active_sets() {
  std::vector<Set*> active;
  for (Set& set : sets_) {
    if (set.active()) active.push_back(&set);
  }
  return active;
}

std::int32_t Planner::total() const {
  std::int32_t sum = 0;
  for (const Set& set : sets_) sum += set.replicas;
  return sum;
}

SetSize Planner::size_of(const Set& set) const {
  return {set.replicas, set.view->status.available, set.view->max_replicas(), set.age_rank};
}

std::vector<SetCounts> Planner::counts() const {
  std::vector<SetCounts> out;
  for (const Set& set : sets_) out.push_back({set.view, set.replicas});
  return out;
}

bool Planner::is_scaling() const {
  return std::any_of(sets_.begin(), sets_.end(), [this](const Set& set) {
    auto desired = desired_replicas_of(set.annotations);
    return set.active() && desired && *desired != view_.replicas;
  });
}

void Planner::scale_set(Set& set, std::int32_t replicas) {
  set.changed |= set.replicas != replicas;
  set.replicas = replicas;
  set.changed |= put_replicas(set.annotations, view_.replicas, view_.replicas + bounds_.surge);
}

void Planner::scale() {
  if (sets_.empty()) return;
  std::vector<Set*> active = active_sets();
  if (active.size() < 2) {
    Set* only = !active.empty() ? active.front() : new_ ? new_ : old_.back();
    scale_set(*only, view_.replicas);
    return;
  }
  bool saturated = new_ && new_->replicas == view_.replicas &&
                   desired_replicas_of(new_->annotations) == view_.replicas &&
                   new_->view->status.available == view_.replicas;
  if (saturated) {
    for (Set* set : old_) {
      if (set->active()) scale_set(*set, 0);
    }
    return;
  }
  if (view_.recreate) return;
  std::vector<SetSize> sizes;
  for (const Set* set : active) sizes.push_back(size_of(*set));
  std::vector<std::int32_t> wanted = scale_proportionally(bounds_, sizes, status_.replicas);
  for (std::size_t i = 0; i < active.size(); ++i) scale_set(*active[i], wanted[i]);
}

void Planner::roll() {
  if (!new_) return plan_create();
  if (std::int32_t size = new_set_size(bounds_, new_->replicas, total()); size != new_->replicas) {
    scale_set(*new_, size);
    return finish(true);
  }
  std::vector<SetSize> sizes;
  for (const Set* set : old_) sizes.push_back(size_of(*set));
  std::vector<std::int32_t> wanted = shrink_old_sets(bounds_, sizes, size_of(*new_));
  bool shrunk = false;
  for (std::size_t i = 0; i < old_.size(); ++i) {
    if (wanted[i] == old_[i]->replicas) continue;
    scale_set(*old_[i], wanted[i]);
    shrunk = true;
  }
  if (!shrunk && is_complete(view_, status_)) clean_history();
  finish(true);
}

void Planner::recreate() {
  bool scaled_down = false;
  for (Set* set : old_) {
    if (!set->active()) continue;
    scale_set(*set, 0);
    scaled_down = true;
  }
  if (scaled_down || old_pods_left()) return finish(true);
  if (!new_) return plan_create();
  if (new_->replicas != view_.replicas) scale_set(*new_, view_.replicas);
  if (is_complete(view_, status_)) clean_history();
  finish(true);
}

bool Planner::old_pods_left() const {
  for (const Set* set : old_) {
    if (set->view->status.replicas > 0) return true;
  }
  return std::any_of(in_.live_pods.begin(), in_.live_pods.end(), [this](const ObjectPtr& pod) {
    const OwnerReference* owner = pod->meta().controller();
    return !new_ || !owner || owner->uid != new_->object->uid();
  });
}

std::string set_name(const std::string& deployment, const std::string& hash) {
  std::size_t room = kDns1123SubdomainMax - 1 - hash.size();
  return deployment.substr(0, room) + "-" + hash;
}

void Planner::plan_create() {
  const Json& spec = object_of(*dom_, "spec");
  Json pod_template = object_of(spec, "template");
  std::string hash = template_hash(pod_template, status_.collision_count.value_or(-1));
  pod_template["metadata"]["labels"][kHashLabel] = hash;
  Json selector = object_of(spec, "selector");
  selector["matchLabels"][kHashLabel] = hash;

  std::int64_t highest = 0;
  for (const Set* set : old_) highest = std::max(highest, revision_of(set->annotations));
  Labels annotations;
  copy_annotations(in_.deployment->meta().annotations, annotations);
  raise_revision(annotations, highest + 1);
  put_replicas(annotations, view_.replicas, view_.replicas + bounds_.surge);
  plan_.revision = annotations[kRevisionAnnotation];

  Json set_spec = {{"replicas", new_set_size(bounds_, 0, total())},
                   {"selector", std::move(selector)},
                   {"template", pod_template}};
  if (view_.min_ready.count() > 0) set_spec["minReadySeconds"] = view_.min_ready.count();
  std::string name = set_name(in_.deployment->name(), hash);
  plan_.create = Json{{"apiVersion", "apps/v1"},
                      {"kind", "ReplicaSet"},
                      {"metadata",
                       {{"name", name},
                        {"namespace", in_.deployment->ns()},
                        {"labels", pod_template["metadata"]["labels"]},
                        {"annotations", annotations},
                        {"ownerReferences", Json::array({controller_reference(*in_.deployment)})}}},
                      {"spec", std::move(set_spec)}};
  // The status once it is there.
  if (view_.progress_deadline) {
    put_condition(status_,
                  {"Progressing", "True", "NewReplicaSetCreated",
                   fmt::format("Created new replica set \"{}\"", name)},
                  in_.now);
  }
  plan_.status = status_json(status_);
}

void Planner::clean_history() {
  std::vector<Set*> kept;
  for (Set* set : old_) {
    if (!set->object->meta().deletion_time) kept.push_back(set);
  }
  auto surplus = static_cast<std::int64_t>(kept.size()) - view_.revision_history_limit;
  if (surplus <= 0) return;
  std::stable_sort(kept.begin(), kept.end(), [](const Set* a, const Set* b) {
    return revision_of(a->annotations) < revision_of(b->annotations);
  });
  for (std::int64_t i = 0; i < surplus; ++i) {
    const Set& set = *kept[static_cast<std::size_t>(i)];
    bool idle = set.replicas == 0 && set.view->status.replicas == 0 &&
                set.object->meta().generation <= set.view->status.observed_generation;
    if (idle && !set.changed) plan_.remove.push_back(set.object);
  }
}

void Planner::finish(bool with_progress) {
  for (Set& set : sets_) {
    if (!set.changed) continue;
    Json object = set.object->parse();
    object["metadata"]["annotations"] = set.annotations;
    object["spec"]["replicas"] = set.replicas;
    if (&set == new_ && set.view->min_ready != view_.min_ready) {
      object["spec"]["minReadySeconds"] = view_.min_ready.count();
    }
    plan_.changes.push_back({set.object, set.replicas, std::move(object)});
  }
  const ReplicaSetView* newest = new_ ? new_->view : nullptr;
  DeploymentStatus next = count_replicas(view_, status_, counts(), newest, in_.now);
  if (with_progress) {
    judge_progress(view_, status_, counts(), newest, next, in_.now);
    plan_.requeue = until_deadline(view_, next, in_.now);
  }
  plan_.status = status_json(next);
}

}  // namespace

bool same_template(const Json& a, const Json& b) {
  return without_hash(a) == without_hash(b);
}

DeploymentPlan plan_deployment(const DeploymentInputs& inputs) {
  return Planner(inputs).run();
}

Json status_of_failed_create(const DeploymentInputs& inputs, const std::string& message) {
  const auto& view = inputs.deployment->view<DeploymentView>();
  DeploymentStatus status = view.status;
  if (view.progress_deadline) {
    put_condition(status, {"Progressing", "False", "ReplicaSetCreateError", message}, inputs.now);
  }
  return status_json(status);
}

Json status_of_collision(const Object& deployment) {
  DeploymentStatus status = deployment.view<DeploymentView>().status;
  status.collision_count = status.collision_count.value_or(0) + 1;
  return status_json(status);
}

}  // namespace moth::controllers
