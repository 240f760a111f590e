#pragma once
// ReplicaSetView: what the ReplicaSet and Deployment controllers act upon but the template, which
// they take from the DOM. Built and kept by `object.view<ReplicaSetView>()` on the control thread;
// valid as long as its object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/resources/conditions.h"

namespace moth::resources {

class ReplicaSetView {
 public:
  explicit ReplicaSetView(const Object& object);

  const Meta& meta() const { return *meta_; }

  std::int32_t replicas = 1;
  LabelSelector selector = LabelSelector::nothing();
  std::chrono::seconds min_ready{0};

  struct Status {
    std::int64_t observed_generation = 0;
    std::int32_t replicas = 0, fully_labeled = 0, ready = 0, available = 0;
    std::optional<std::int32_t> terminating;
    std::vector<Condition> conditions;
  } status;

  // Annotations of the Deployment that owns it; 0 when absent.
  std::int64_t revision() const;          // deployment.kubernetes.io/revision
  std::int32_t desired_replicas() const;  // deployment.kubernetes.io/desired-replicas
  std::int32_t max_replicas() const;      // deployment.kubernetes.io/max-replicas
  // The label pod-template-hash, or "".
  const std::string& pod_template_hash() const;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
