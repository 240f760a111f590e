#pragma once
// StatefulSetView: what its controller acts upon but the template and the claim templates, which it
// takes from the DOM. Built and kept by `object.view<StatefulSetView>()` on the control thread;
// valid as long as its object.
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

class StatefulSetView {
 public:
  explicit StatefulSetView(const Object& object);

  const Meta& meta() const { return *meta_; }

  std::int32_t replicas = 1;
  std::int32_t first_ordinal = 0;
  LabelSelector selector = LabelSelector::nothing();
  std::string service_name;
  bool parallel = false;   // podManagementPolicy Parallel; else OrderedReady
  bool on_delete = false;  // updateStrategy OnDelete; else RollingUpdate
  std::int32_t partition = 0;
  std::optional<IntOrString> max_unavailable;
  std::chrono::seconds min_ready{0};
  std::int32_t revision_history_limit = 10;
  // Claims go with the set, and with the pods that scaling down removes; else they stay.
  bool delete_claims_with_set = false, delete_claims_on_scale_down = false;

  struct Status {
    std::int64_t observed_generation = 0;
    std::int32_t replicas = 0, ready = 0, current = 0, updated = 0, available = 0;
    std::string current_revision, update_revision;
    std::optional<std::int32_t> collision_count;
    std::vector<Condition> conditions;
  } status;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
