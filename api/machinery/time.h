#pragma once
// Times and durations as text. Pure functions; UTC only on output.
#include <chrono>
#include <string>
#include <string_view>

#include "api/base/clock.h"
#include "api/base/result.h"

namespace moth {

using Nanoseconds = std::chrono::nanoseconds;

// RFC 3339 with any fraction and any offset, e.g. 2025-01-02T03:04:05.678+02:00.
Result<WallTime> parse_rfc3339(std::string_view text);
// 2025-01-02T03:04:05Z: metadata times.
std::string format_rfc3339(WallTime time);
// 2025-01-02T03:04:05.000000Z: Lease times and eventTime.
std::string format_rfc3339_micro(WallTime time);
// 2025-01-02T03:04:05.000000000Z: log lines, of one width so that they sort as text.
std::string format_rfc3339_nano(WallTime time);

// "1h15m30.5s", "-1.5h", "300ms", "0". Units ns us µs ms s m h.
Result<Nanoseconds> parse_duration(std::string_view text);
// "1m20s", "1h0m0s", "1.5s", "100ms", "0s".
std::string format_duration(Nanoseconds duration);

// What kubectl prints as AGE: "5s", "3m12s", "47h", "2y30d"; "<invalid>" below -1 s.
std::string human_age(Nanoseconds age);
// The age at `now` of a creationTimestamp; "<unknown>" when it is empty or no time.
std::string human_age_since(std::string_view rfc3339, WallTime now);

}  // namespace moth
