#pragma once
// What a Deployment needs next (k8s-behaviours 13.3): one step of a rollout. Pure functions on the
// control thread (they read typed views); no two of a plan's writes depend on each other's outcome.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json.h"  // plans hold what is to be written
#include "api/machinery/object.h"

namespace moth::controllers {

inline constexpr const char* kRevisionAnnotation = "deployment.kubernetes.io/revision";

struct DeploymentInputs {
  ObjectPtr deployment;
  std::vector<ObjectPtr> sets;  // the ReplicaSets it owns
  // The pods of its ReplicaSets, finished ones excepted. Only looked at for Recreate.
  std::vector<ObjectPtr> live_pods;
  WallTime now;
};

struct SetChange {
  ObjectPtr set;
  std::int32_t replicas = 0;  // its new spec.replicas
  Json object;                // the whole ReplicaSet to write
};

struct DeploymentPlan {
  // A ReplicaSet to create. The rest of the plan but status and revision is empty then: plan again
  // afterwards.
  std::optional<Json> create;
  std::vector<SetChange> changes;
  std::vector<ObjectPtr> remove;  // old ReplicaSets beyond the history limit
  // To be written behind everything else when they differ from what is stored.
  Json status;
  std::string revision;
  std::optional<Duration> requeue;
};

DeploymentPlan plan_deployment(const DeploymentInputs& inputs);

// The status when the planned ReplicaSet could not be created.
Json status_of_failed_create(const DeploymentInputs& inputs, const std::string& message);
// The status when another object has the name of the planned ReplicaSet: the next plan uses
// another hash.
Json status_of_collision(const Object& deployment);

// Whether two pod templates are the same but for the label pod-template-hash.
bool same_template(const Json& a, const Json& b);

}  // namespace moth::controllers
