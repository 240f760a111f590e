#pragma once
// Conditions of a status (`[{type, status, reason, message, lastTransitionTime}]`): reading them,
// and writing them so that lastTransitionTime changes only with the status. Pure functions.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"

namespace moth::resources {

// One condition, decoded.
struct Condition {
  std::string type, status, reason, message;  // status: True, False or Unknown
  std::optional<WallTime> last_transition;
  std::optional<WallTime> last_update;     // Deployment: lastUpdateTime
  std::optional<WallTime> last_heartbeat;  // Node: lastHeartbeatTime
  std::int64_t observed_generation = 0;

  bool is_true() const { return status == "True"; }
};

// Of an array of conditions; elements of a wrong shape are skipped.
std::vector<Condition> parse_conditions(const Json& conditions);
const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type);

// The element of status.conditions of a whole object, or null.
const Json* find_condition(const Json& object, std::string_view type);
bool condition_is_true(const Json& object, std::string_view type);

struct ConditionUpdate {
  std::string type, status, reason, message;
  // Pods, and kinds with metav1.Condition. Not written when absent.
  std::optional<std::int64_t> observed_generation;
  // Which further times are kept: none, lastUpdateTime (deployments; now whenever anything
  // changes), lastHeartbeatTime (nodes; now at every call).
  enum class Times { kTransition, kDeployment, kNode } times = Times::kTransition;
};

// Sets one condition of `status.conditions`, which is created when missing. An existing one stays
// at its place and keeps lastTransitionTime when its status stays. True when anything but a
// heartbeat changed.
bool set_condition(Json& status, const ConditionUpdate& update, WallTime now);
// True when there was one.
bool remove_condition(Json& status, std::string_view type);

}  // namespace moth::resources
