#pragma once
// CronSchedule: when a CronJob is due. Five fields (minute, hour, day of month, month, day of week)
// with names, ranges, steps, lists and `?`, or @hourly, @daily, @midnight, @weekly, @monthly,
// @yearly, @annually, @every DURATION. Immutable value, free of threads.
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/machinery/time_zone.h"

namespace moth::resources {

class CronSchedule {
 public:
  // A leading `TZ=X ` or `CRON_TZ=X ` is skipped: validation refuses it. BadRequest with the text
  // of upstream's parser.
  static Result<CronSchedule> parse(std::string_view text);

  // The first time after `after` on the clocks of `zone`, whole minutes (seconds for @every);
  // nothing when there is none within five years (the 31st of February). Times that the clocks skip
  // are skipped; those that they show twice come twice.
  std::optional<WallTime> next(WallTime after, const TimeZone& zone) const;

 private:
  bool matches_day(const CivilTime& time) const;

  // A bit for each value that fits.
  std::uint64_t minutes_ = 0, hours_ = 0, days_ = 0, months_ = 0, weekdays_ = 0;
  // The field is `*`: then only the other of both decides about the day.
  bool any_day_ = false, any_weekday_ = false;
  std::chrono::seconds every_{0};  // @every; else 0
};

}  // namespace moth::resources
