#pragma once
// HpaView: a HorizontalPodAutoscaler in its stored version (autoscaling/v2), with defaults
// resolved. Built and kept by `object.view<HpaView>()` on the control thread; valid as long as its
// object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/object.h"
#include "api/machinery/quantity.h"
#include "api/machinery/selectors.h"
#include "api/resources/conditions.h"

namespace moth::resources {

struct CrossVersionReference {
  std::string api_version, kind, name;
};

struct HpaMetric {
  enum class Source : std::uint8_t { kResource, kContainerResource, kPods, kObject, kExternal };
  enum class Target : std::uint8_t { kUtilization, kAverageValue, kValue };
  Source source = Source::kResource;
  std::string name;                        // the resource, or the metric's name
  std::string container;                   // kContainerResource
  std::optional<LabelSelector> selector;   // kPods, kObject, kExternal
  CrossVersionReference described_object;  // kObject
  Target target = Target::kUtilization;
  std::int32_t average_utilization = 0;  // percent of the request
  Quantity value;                        // kAverageValue, kValue
};

struct HpaPolicy {
  bool percent = false;  // else Pods
  std::int32_t value = 0;
  std::chrono::seconds period{0};
};

struct HpaRules {
  enum class Select : std::uint8_t { kMax, kMin, kDisabled };
  std::vector<HpaPolicy> policies;
  Select select = Select::kMax;
  // Absent for scaleDown: the controller's own (300 s).
  std::optional<std::chrono::seconds> window;
  std::optional<double> tolerance;  // absent: the controller's own (0.1)
};

class HpaView {
 public:
  explicit HpaView(const Object& object);

  const Meta& meta() const { return *meta_; }

  CrossVersionReference target;
  std::int32_t min_replicas = 1, max_replicas = 0;
  std::vector<HpaMetric> metrics;
  // Whether spec.behavior is given: without it, scaling up is bounded by max(2 x current, 4).
  bool has_behavior = false;
  HpaRules scale_up, scale_down;

  struct Status {
    std::int64_t observed_generation = 0;
    std::int32_t current_replicas = 0, desired_replicas = 0;
    std::optional<WallTime> last_scale_time;
    std::vector<Condition> conditions;
  } status;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
