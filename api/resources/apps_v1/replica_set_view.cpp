#include "api/resources/apps_v1/replica_set_view.h"

#include <cstdlib>

#include "api/resources/core_v1/parse.h"

namespace moth::resources {

ReplicaSetView::ReplicaSetView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  replicas = int32_or(spec, "replicas", 1);
  selector = selector_at(spec, "selector");
  min_ready = seconds_or(spec, "minReadySeconds", 0);
  const Json& json = object_of(*dom, "status");
  status.observed_generation = int_or(json, "observedGeneration");
  status.replicas = int32_or(json, "replicas");
  status.fully_labeled = int32_or(json, "fullyLabeledReplicas");
  status.ready = int32_or(json, "readyReplicas");
  status.available = int32_or(json, "availableReplicas");
  if (auto count = optional_int(json, "terminatingReplicas")) {
    status.terminating = static_cast<std::int32_t>(*count);
  }
  status.conditions = parse_conditions(items(json, "conditions"));
}

std::int64_t ReplicaSetView::revision() const {
  return std::strtoll(meta_->annotation("deployment.kubernetes.io/revision").c_str(), nullptr, 10);
}

std::int32_t ReplicaSetView::desired_replicas() const {
  return std::atoi(meta_->annotation("deployment.kubernetes.io/desired-replicas").c_str());
}

std::int32_t ReplicaSetView::max_replicas() const {
  return std::atoi(meta_->annotation("deployment.kubernetes.io/max-replicas").c_str());
}

const std::string& ReplicaSetView::pod_template_hash() const {
  static const std::string kNone;
  auto it = meta_->labels.find("pod-template-hash");
  return it == meta_->labels.end() ? kNone : it->second;
}

}  // namespace moth::resources
