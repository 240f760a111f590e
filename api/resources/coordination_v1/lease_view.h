#pragma once
// LeaseView: who holds a lease and until when. Built and kept by `object.view<LeaseView>()` on the
// control thread; valid as long as its object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "api/machinery/object.h"

namespace moth::resources {

class LeaseView {
 public:
  explicit LeaseView(const Object& object);

  std::string holder;
  std::optional<std::chrono::seconds> duration;
  std::optional<WallTime> acquired, renewed;
  std::int32_t transitions = 0;
};

}  // namespace moth::resources
