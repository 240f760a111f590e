#pragma once
// DaemonSetView: what its controller acts upon but the template, which it takes from the DOM. Built
// and kept by `object.view<DaemonSetView>()` on the control thread; valid as long as its object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "api/machinery/int_or_string.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/resources/conditions.h"

namespace moth::resources {

class DaemonSetView {
 public:
  explicit DaemonSetView(const Object& object);

  const Meta& meta() const { return *meta_; }

  LabelSelector selector = LabelSelector::nothing();
  bool on_delete = false;  // updateStrategy OnDelete; else RollingUpdate
  IntOrString max_unavailable = IntOrString::of(1), max_surge = IntOrString::of(0);
  std::chrono::seconds min_ready{0};
  std::int32_t revision_history_limit = 10;

  struct Status {
    std::int64_t observed_generation = 0;
    std::int32_t desired = 0, current = 0, misscheduled = 0, ready = 0, updated = 0, available = 0,
                 unavailable = 0;
    std::optional<std::int32_t> collision_count;
    std::vector<Condition> conditions;
  } status;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
