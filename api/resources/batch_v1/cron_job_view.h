#pragma once
// CronJobView: what its controller acts upon but the job template, which it takes from the DOM.
// Built and kept by `object.view<CronJobView>()` on the control thread; valid as long as its
// object.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/machinery/object.h"

namespace moth::resources {

struct ActiveJob {
  std::string name, uid;
};

class CronJobView {
 public:
  enum class Concurrency : std::uint8_t { kAllow, kForbid, kReplace };

  explicit CronJobView(const Object& object);

  const Meta& meta() const { return *meta_; }

  std::string schedule;                  // for CronSchedule::parse()
  std::optional<std::string> time_zone;  // for TimeZone::load(); absent: the machine's
  std::optional<std::chrono::seconds> starting_deadline;
  Concurrency concurrency = Concurrency::kAllow;
  bool suspend = false;
  std::int32_t successful_kept = 3, failed_kept = 1;

  struct Status {
    std::vector<ActiveJob> active;
    std::optional<WallTime> last_schedule, last_successful;
  } status;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
