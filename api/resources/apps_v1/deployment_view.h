#pragma once
// DeploymentView: what the Deployment controller acts upon but the template, which it takes from
// the DOM. Built and kept by `object.view<DeploymentView>()` on the control thread; valid as long
// as its object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/machinery/int_or_string.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/resources/conditions.h"

namespace moth::resources {

class DeploymentView {
 public:
  explicit DeploymentView(const Object& object);

  const Meta& meta() const { return *meta_; }

  std::int32_t replicas = 1;
  LabelSelector selector = LabelSelector::nothing();
  bool recreate = false;  // strategy Recreate
  IntOrString max_surge = IntOrString::of("25%"), max_unavailable = IntOrString::of("25%");
  std::chrono::seconds min_ready{0};
  std::int32_t revision_history_limit = 10;
  // Absent: 2147483647, no deadline.
  std::optional<std::chrono::seconds> progress_deadline;
  bool paused = false;

  struct Status {
    std::int64_t observed_generation = 0;
    std::int32_t replicas = 0, updated = 0, ready = 0, available = 0, unavailable = 0;
    std::optional<std::int32_t> terminating, collision_count;
    std::vector<Condition> conditions;
  } status;

  const Condition* condition(std::string_view type) const;
  // The annotation deployment.kubernetes.io/revision, or 0.
  std::int64_t revision() const;
  // How many pods a rolling update may have above and below `replicas`: surge rounds up,
  // unavailable down; when both come to 0, one may be unavailable. Never more unavailable than
  // there are. Both are 0 for Recreate.
  std::int32_t max_surge_count() const;
  std::int32_t max_unavailable_count() const;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
