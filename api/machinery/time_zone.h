#pragma once
// TimeZone: the offsets of an IANA time zone, read from the machine's zoneinfo files (RFC 8536).
// Immutable value, free of threads; load() reads a file of a few kilobytes.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/base/clock.h"
#include "api/base/result.h"

namespace moth {

// A date and time of day as a clock on the wall shows it.
struct CivilTime {
  int year = 1970;
  unsigned month = 1, day = 1;  // from 1
  unsigned hour = 0, minute = 0, second = 0;
  unsigned weekday = 4;  // 0: Sunday
  bool operator==(const CivilTime&) const = default;
};

class TimeZone {
 public:
  // UTC.
  TimeZone();
  // NotFound with Go's text `unknown time zone X` when there is no such zone. "" and "UTC" need no
  // files.
  static Result<TimeZone> load(std::string_view name);
  // The machine's own (/etc/localtime), UTC when it has none.
  static TimeZone local();
  // The content of a zoneinfo file. BadRequest when it does not hold.
  static Result<TimeZone> parse(std::string_view file);

  // Seconds east of Greenwich.
  std::int64_t offset_at(WallTime time) const;
  CivilTime to_civil(WallTime time) const;
  // The first instant at which the clock shows `civil` (weekday is ignored). A time that is skipped
  // gives the instant of the change.
  WallTime from_civil(const CivilTime& civil) const;

 private:
  struct Data;
  std::shared_ptr<const Data> data_;  // null: UTC
};

}  // namespace moth
