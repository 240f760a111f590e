#include "api/resources/batch_v1/cron_schedule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <vector>

#include "api/machinery/time.h"

namespace moth::resources {
namespace {

constexpr std::array<std::string_view, 12> kMonthNames = {"jan", "feb", "mar", "apr", "may", "jun",
                                                          "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdayNames = {"sun", "mon", "tue", "wed",
                                                           "thu", "fri", "sat"};

struct Bounds {
  unsigned min, max;
  const std::string_view* names = nullptr;  // of the values from `min` on
  std::size_t name_count = 0;
};
constexpr Bounds kMinutes{0, 59}, kHours{0, 23}, kDays{1, 31};
constexpr Bounds kMonths{1, 12, kMonthNames.data(), kMonthNames.size()};
constexpr Bounds kWeekdays{0, 6, kWeekdayNames.data(), kWeekdayNames.size()};

Error bad(std::string text) {
  return Error::bad_request(std::move(text));
}

std::vector<std::string_view> split(std::string_view text, std::string_view separators) {
  std::vector<std::string_view> parts;
  for (;;) {
    auto end = text.find_first_of(separators);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out = split(text, " \t\n\v\f\r");
  std::erase_if(out, [](std::string_view word) { return word.empty(); });
  return out;
}

Result<unsigned> parse_number(std::string_view text) {
  int value = 0;
  std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return fail(bad(fmt::format(
        "failed to parse int from {}: strconv.Atoi: parsing \"{}\": {}", text, text,
        error == std::errc::result_out_of_range ? "value out of range" : "invalid syntax")));
  }
  if (value < 0) return fail(bad(fmt::format("negative number ({}) not allowed: {}", value, text)));
  return static_cast<unsigned>(value);
}

Result<unsigned> parse_value(std::string_view text, const Bounds& bounds) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (std::size_t i = 0; i < bounds.name_count; ++i) {
    if (lower == bounds.names[i]) return bounds.min + static_cast<unsigned>(i);
  }
  return parse_number(text);
}

struct Range {
  unsigned low = 0, high = 0, step = 1;
  bool any = false;
};

// `*`, `n`, `a-b`, each with an optional `/step`.
Result<Range> parse_range(std::string_view text, const Bounds& bounds) {
  Range range;
  auto parts = split(text, "/");
  auto ends = split(parts[0], "-");
  bool single = ends.size() == 1;
  if (ends[0] == "*" || ends[0] == "?") {
    range.low = bounds.min;
    range.high = bounds.max;
    range.any = true;
  } else {
    MOTH_ASSIGN(range.low, parse_value(ends[0], bounds));
    if (ends.size() > 2) return fail(bad(fmt::format("too many hyphens: {}", text)));
    range.high = range.low;
    if (ends.size() == 2) {
      MOTH_ASSIGN(range.high, parse_value(ends[1], bounds));
    }
  }
  if (parts.size() > 2) return fail(bad(fmt::format("too many slashes: {}", text)));
  if (parts.size() == 2) {
    MOTH_ASSIGN(range.step, parse_number(parts[1]));
    // "n/step" means from n on.
    if (single) range.high = bounds.max;
    if (range.step > 1) range.any = false;
  }
  if (range.low < bounds.min) {
    return fail(bad(fmt::format("beginning of range ({}) below minimum ({}): {}", range.low,
                                bounds.min, text)));
  }
  if (range.high > bounds.max) {
    return fail(
        bad(fmt::format("end of range ({}) above maximum ({}): {}", range.high, bounds.max, text)));
  }
  if (range.low > range.high) {
    return fail(bad(fmt::format("beginning of range ({}) beyond end of range ({}): {}", range.low,
                                range.high, text)));
  }
  if (range.step == 0) {
    return fail(bad(fmt::format("step of range should be a positive number: {}", text)));
  }
  return range;
}

struct Field {
  std::uint64_t bits = 0;
  bool any = false;
};

Result<Field> parse_field(std::string_view text, const Bounds& bounds) {
  Field field;
  for (std::string_view part : split(text, ",")) {
    if (part.empty()) continue;
    MOTH_ASSIGN(Range range, parse_range(part, bounds));
    for (unsigned value = range.low; value <= range.high; value += range.step) {
      field.bits |= std::uint64_t{1} << value;
    }
    field.any = field.any || range.any;
  }
  return field;
}

bool has_bit(std::uint64_t bits, unsigned value) {
  return (bits >> value & 1) != 0;
}

std::string_view expand(std::string_view descriptor) {
  if (descriptor == "@yearly" || descriptor == "@annually") return "0 0 1 1 *";
  if (descriptor == "@monthly") return "0 0 1 * *";
  if (descriptor == "@weekly") return "0 0 * * 0";
  if (descriptor == "@daily" || descriptor == "@midnight") return "0 0 * * *";
  if (descriptor == "@hourly") return "0 * * * *";
  return "";
}

WallTime start_of(const TimeZone& zone, int year, unsigned month, unsigned day) {
  CivilTime civil;
  civil.year = year;
  civil.month = month;
  civil.day = day;
  return zone.from_civil(civil);
}

WallTime next_month(const TimeZone& zone, const CivilTime& now) {
  bool last = now.month == kMonths.max;
  return start_of(zone, now.year + (last ? 1 : 0), last ? 1 : now.month + 1, 1);
}

WallTime next_day(const TimeZone& zone, const CivilTime& now) {
  std::chrono::sys_days day =
      std::chrono::sys_days(std::chrono::year(now.year) / std::chrono::month(now.month) /
                            std::chrono::day(now.day)) +
      std::chrono::days(1);
  std::chrono::year_month_day date(day);
  return start_of(zone, static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()));
}

}  // namespace

Result<CronSchedule> CronSchedule::parse(std::string_view text) {
  if (text.empty()) return fail(bad("empty spec string"));
  if (text.starts_with("TZ=") || text.starts_with("CRON_TZ=")) {
    auto space = text.find(' ');
    text = space == std::string_view::npos ? "" : text.substr(space + 1);
  }
  CronSchedule schedule;
  constexpr std::string_view kEvery = "@every ";
  if (text.starts_with(kEvery)) {
    auto duration = parse_duration(text.substr(kEvery.size()));
    if (!duration) {
      return fail(
          bad(fmt::format("failed to parse duration {}: {}", text, duration.error().message)));
    }
    schedule.every_ = std::max(std::chrono::duration_cast<std::chrono::seconds>(*duration),
                               std::chrono::seconds(1));
    return schedule;
  }
  if (text.starts_with('@')) {
    std::string_view expanded = expand(text);
    if (expanded.empty()) return fail(bad(fmt::format("unrecognized descriptor: {}", text)));
    text = expanded;
  }
  constexpr std::size_t kFields = 5;
  auto fields = words(text);
  if (fields.size() != kFields) {
    return fail(bad(fmt::format("expected exactly {} fields, found {}: [{}]", kFields,
                                fields.size(), fmt::join(fields, " "))));
  }
  MOTH_ASSIGN(Field minutes, parse_field(fields[0], kMinutes));
  MOTH_ASSIGN(Field hours, parse_field(fields[1], kHours));
  MOTH_ASSIGN(Field days, parse_field(fields[2], kDays));
  MOTH_ASSIGN(Field months, parse_field(fields[3], kMonths));
  MOTH_ASSIGN(Field weekdays, parse_field(fields[4], kWeekdays));
  schedule.minutes_ = minutes.bits;
  schedule.hours_ = hours.bits;
  schedule.days_ = days.bits;
  schedule.months_ = months.bits;
  schedule.weekdays_ = weekdays.bits;
  schedule.any_day_ = days.any;
  schedule.any_weekday_ = weekdays.any;
  return schedule;
}

bool CronSchedule::matches_day(const CivilTime& time) const {
  bool day = has_bit(days_, time.day), weekday = has_bit(weekdays_, time.weekday);
  // When both are restricted, either of them is enough.
  return any_day_ || any_weekday_ ? day && weekday : day || weekday;
}

std::optional<WallTime> CronSchedule::next(WallTime after, const TimeZone& zone) const {
  using std::chrono::minutes;
  if (every_.count() > 0) return std::chrono::floor<std::chrono::seconds>(after) + every_;
  constexpr int kYears = 5;
  WallTime time = std::chrono::floor<minutes>(after) + minutes(1);
  const int last_year = zone.to_civil(time).year + kYears;
  for (;;) {
    CivilTime now = zone.to_civil(time);
    if (now.year > last_year) return std::nullopt;
    WallTime later = time;
    if (!has_bit(months_, now.month)) {
      later = next_month(zone, now);
    } else if (!matches_day(now)) {
      later = next_day(zone, now);
    } else if (!has_bit(hours_, now.hour)) {
      later = time + minutes(60 - now.minute);
    } else if (!has_bit(minutes_, now.minute)) {
      later = time + minutes(1);
    } else {
      return time;
    }
    // Never back, whatever the clocks do at midnight.
    time = std::max(later, time + minutes(1));
  }
}

}  // namespace moth::resources
