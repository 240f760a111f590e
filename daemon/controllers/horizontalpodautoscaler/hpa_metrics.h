#pragma once
// Evaluates one metric of an autoscaler. Pure functions on the control thread.
#include <string>

#include "api/base/json.h"  // a reading holds its status
#include "api/base/result.h"
#include "daemon/controllers/horizontalpodautoscaler/hpa_plan.h"

namespace moth::controllers::hpa {

struct Reading {
  std::int32_t replicas = 0;
  std::string name;  // "cpu resource utilization (percentage of request)"
  Json status;       // its entry of status.currentMetrics
};

struct MetricFailure {
  std::string reason;   // FailedGetResourceMetric ...
  std::string message;  // of event and condition
  std::string error;    // with what was tried, for the summary
};

tl::expected<Reading, MetricFailure> evaluate(const resources::HpaMetric& metric,
                                              const AutoscaleInputs& inputs);

}  // namespace moth::controllers::hpa
