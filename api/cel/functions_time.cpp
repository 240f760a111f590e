// Parts of times and durations.
#include <chrono>
#include <optional>

#include "api/cel/functions.h"
#include "api/machinery/time_zone.h"

namespace moth::cel {
namespace {

using Args = std::span<const Value>;

// Seconds east of UTC of "+02:00" or of "Europe/Berlin" at that time; empty for what is no zone.
std::optional<std::int64_t> offset_of(std::string_view zone, std::int64_t time) {
  if (zone.empty() || zone == "UTC" || zone == "Z") return 0;
  if (zone.find(':') == std::string_view::npos) {
    auto named = TimeZone::load(zone);
    if (!named) return std::nullopt;
    return named->offset_at(WallTime(std::chrono::seconds(time)));
  }
  int sign = 1;
  if (zone[0] == '+' || zone[0] == '-') {
    sign = zone[0] == '-' ? -1 : 1;
    zone.remove_prefix(1);
  }
  if (zone.size() != 5 || zone[2] != ':') return std::nullopt;
  auto digit = [&](std::size_t i) {
    return zone[i] >= '0' && zone[i] <= '9' ? zone[i] - '0' : -99;
  };
  int hours = digit(0) * 10 + digit(1), minutes = digit(3) * 10 + digit(4);
  if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59) return std::nullopt;
  return sign * (hours * 60 + minutes) * 60;
}

struct Parts {
  std::chrono::year_month_day date{};
  std::chrono::hh_mm_ss<std::chrono::seconds> time{};
  std::int64_t weekday = 0, day_of_year = 0, millis = 0;
};

tl::expected<Parts, Failure> parts_of(Args args) {
  const auto* time = args[0].as<Timestamp>();
  if (!time) return no_such_overload();
  std::int64_t east = 0;
  if (args.size() > 1) {
    if (!args[1].string()) return no_such_overload();
    auto offset = offset_of(*args[1].string(), time->seconds);
    if (!offset) return failure("unknown time zone " + *args[1].string());
    east = *offset;
  }
  std::chrono::sys_seconds at{std::chrono::seconds(time->seconds + east)};
  auto day = std::chrono::floor<std::chrono::days>(at);
  Parts parts;
  parts.date = std::chrono::year_month_day(day);
  parts.time = std::chrono::hh_mm_ss<std::chrono::seconds>(at - day);
  parts.weekday = std::chrono::weekday(day).c_encoding();
  std::chrono::sys_days new_year = parts.date.year() / std::chrono::January / 1;
  parts.day_of_year = (day - new_year).count();
  parts.millis = time->nanos / 1'000'000;
  return parts;
}

template <class Pick>
Outcome part(Args args, Pick pick) {
  auto parts = parts_of(args);
  if (!parts) return tl::unexpected<Failure>(parts.error());
  return Value::Variant(static_cast<std::int64_t>(pick(*parts)));
}

Outcome full_year(Args args, Meter&) {
  return part(args, [](const Parts& p) { return static_cast<int>(p.date.year()); });
}
Outcome month(Args args, Meter&) {
  return part(args, [](const Parts& p) { return static_cast<unsigned>(p.date.month()) - 1; });
}
Outcome date(Args args, Meter&) {
  return part(args, [](const Parts& p) { return static_cast<unsigned>(p.date.day()); });
}
Outcome day_of_month(Args args, Meter&) {
  return part(args, [](const Parts& p) { return static_cast<unsigned>(p.date.day()) - 1; });
}
Outcome day_of_week(Args args, Meter&) {
  return part(args, [](const Parts& p) { return p.weekday; });
}
Outcome day_of_year(Args args, Meter&) {
  return part(args, [](const Parts& p) { return p.day_of_year; });
}

// Of a duration: all of it in that unit.
template <class Pick>
Outcome clock_part(Args args, std::int64_t nanos_each, Pick pick) {
  if (const auto* duration = args[0].as<Duration>())
    return Value::Variant(duration->nanos / nanos_each);
  return part(args, pick);
}
Outcome hours(Args args, Meter&) {
  return clock_part(args, 3'600'000'000'000, [](const Parts& p) { return p.time.hours().count(); });
}
Outcome minutes(Args args, Meter&) {
  return clock_part(args, 60'000'000'000, [](const Parts& p) { return p.time.minutes().count(); });
}
Outcome seconds(Args args, Meter&) {
  return clock_part(args, 1'000'000'000, [](const Parts& p) { return p.time.seconds().count(); });
}
Outcome milliseconds(Args args, Meter&) {
  if (const auto* duration = args[0].as<Duration>())
    return Value::Variant(duration->nanos / 1'000'000 % 1000);
  return part(args, [](const Parts& p) { return p.millis; });
}

constexpr const char* kOfTime = "time.() int; time.(string) int";
constexpr const char* kOfBoth = "time.() int; time.(string) int; duration.() int";

}  // namespace

std::span<const FunctionRow> time_rows() {
  static constexpr FunctionRow kRows[] = {
      {"getFullYear", kOfTime, full_year},
      {"getMonth", kOfTime, month},
      {"getDate", kOfTime, date},
      {"getDayOfMonth", kOfTime, day_of_month},
      {"getDayOfWeek", kOfTime, day_of_week},
      {"getDayOfYear", kOfTime, day_of_year},
      {"getHours", kOfBoth, hours},
      {"getMinutes", kOfBoth, minutes},
      {"getSeconds", kOfBoth, seconds},
      {"getMilliseconds", kOfBoth, milliseconds},
  };
  return kRows;
}

}  // namespace moth::cel
