#pragma once
// One look of an autoscaler at its target: what to do and what to tell (k8s-behaviours 14). Pure
// functions on the control thread (they read typed views); History is the only state.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json.h"  // decisions hold statuses
#include "api/client/node_api.h"
#include "api/machinery/object.h"
#include "api/resources/conditions.h"
#include "daemon/controllers/horizontalpodautoscaler/hpa_algorithm.h"

namespace moth::controllers::hpa {

struct ScaleNow {
  std::int32_t spec_replicas = 0;
  std::string selector;  // text; empty: the scale has none
};

struct AutoscaleInputs {
  ObjectPtr autoscaler;
  ScaleNow scale;
  std::vector<ObjectPtr> pods;                  // those that the selector matches
  Result<std::vector<client::PodUsage>> usage;  // of the namespace
  // Autoscalers whose selectors match any of the pods, this one included: "{name ns}".
  std::vector<std::string> claimants;
  // Why the selector does not parse; empty: it does.
  std::string selector_error;
  WallTime now;
};

struct Warning {
  std::string reason, message;
};

struct Decision {
  std::int32_t current = 0, desired = 0;
  bool rescale = false;
  std::string reason;   // of the rescale
  bool failed = false;  // nothing could be computed; `error` says why
  std::string error;
  Json metrics = Json::array();  // status.currentMetrics
  std::vector<resources::ConditionUpdate> conditions;
  std::vector<Warning> warnings;
};

Decision decide(const AutoscaleInputs& inputs, History& history);

// The status after the decision was carried out; `write_error` is why the rescale failed, or empty.
Json status_after(const Object& autoscaler, const Decision& decision,
                  const std::string& write_error, WallTime now);
// The status when the scale of the target could not be read.
Json status_without_scale(const Object& autoscaler, const std::string& message, WallTime now);

}  // namespace moth::controllers::hpa
