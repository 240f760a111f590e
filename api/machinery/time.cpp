#include "api/machinery/time.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>
#include <limits>

#include "api/machinery/text.h"

namespace moth {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Reads from the front of a text; `ok` goes false at the first mismatch.
struct Reader {
  std::string_view rest;
  bool ok = true;

  bool take(char c) {
    if (rest.empty() || rest.front() != c) return false;
    rest.remove_prefix(1);
    return true;
  }
  void expect(char c) { ok = take(c) && ok; }
  int digits(std::size_t count) {
    int number = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest.empty() || !is_digit(rest.front())) {
        ok = false;
        return 0;
      }
      number = number * 10 + (rest.front() - '0');
      rest.remove_prefix(1);
    }
    return number;
  }
};

std::int64_t read_fraction(Reader& reader) {
  std::int64_t nanos = 0;
  int seen = 0;
  for (; !reader.rest.empty() && is_digit(reader.rest.front()); ++seen) {
    if (seen < 9) nanos = nanos * 10 + (reader.rest.front() - '0');
    reader.rest.remove_prefix(1);
  }
  if (seen == 0) reader.ok = false;
  for (; seen < 9; ++seen) nanos *= 10;
  return nanos;
}

seconds read_offset(Reader& reader) {
  if (reader.take('Z') || reader.take('z')) return seconds(0);
  bool negative = reader.take('-');
  if (!negative) reader.expect('+');
  int offset_hours = reader.digits(2);
  reader.expect(':');
  int offset_minutes = reader.digits(2);
  if (offset_hours > 23 || offset_minutes > 59) reader.ok = false;
  seconds offset = hours(offset_hours) + minutes(offset_minutes);
  return negative ? -offset : offset;
}

// Seconds outside what nanoseconds of 64 bits can say (1677 to 2262) become the nearest that they
// can.
WallTime to_wall(seconds since_epoch, std::int64_t nanos) {
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max() / 1'000'000'000 - 1;
  if (since_epoch.count() > kMax) return WallTime(seconds(kMax));
  // From the first whole day on: a time is broken into days when it is printed.
  constexpr std::int64_t kMin = -kMax / 86'400 * 86'400;
  if (since_epoch.count() < kMin) return WallTime(seconds(kMin));
  return WallTime(since_epoch) + Nanoseconds(nanos);
}

struct Civil {
  int year;
  unsigned month, day;
  int hour, minute, second;
  std::int64_t nanos;
};

Civil to_civil(WallTime time) {
  auto day = std::chrono::floor<days>(time);
  std::chrono::year_month_day date(day);
  std::int64_t rest = std::chrono::duration_cast<Nanoseconds>(time - day).count();
  std::int64_t in_day = rest / 1'000'000'000;
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          static_cast<int>(in_day / 3600),
          static_cast<int>(in_day / 60 % 60),
          static_cast<int>(in_day % 60),
          rest % 1'000'000'000};
}

std::string format_seconds(const Civil& civil) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", civil.year, civil.month, civil.day,
                     civil.hour, civil.minute, civil.second);
}

struct Unit {
  std::string_view text;
  std::int64_t nanos;
};

constexpr std::array kUnits = {
    Unit{"ns", 1},
    Unit{"us", 1'000},
    Unit{"\u00B5s", 1'000},
    Unit{"\u03BCs", 1'000},
    Unit{"ms", 1'000'000},
    Unit{"s", 1'000'000'000},
    Unit{"m", 60'000'000'000},
    Unit{"h", 3'600'000'000'000},
};

tl::unexpected<Error> bad_duration(std::string_view text) {
  return fail(Error::bad_request(fmt::format("time: invalid duration {}", go_quote(text))));
}

// One `12.5h` from the front of `rest`, in nanoseconds; a null unit is reported by the caller.
struct Term {
  __extension__ typedef __int128 Wide;
  Wide nanos = 0;
  bool valid = false;
  std::string_view unit;
  bool known_unit = false;
};

Term read_term(std::string_view& rest) {
  Term term;
  Term::Wide whole = 0;
  Term::Wide fraction = 0;
  Term::Wide scale = 1;
  bool any = false;
  constexpr Term::Wide kTooBig = std::numeric_limits<std::int64_t>::max();
  for (; !rest.empty() && is_digit(rest.front()); rest.remove_prefix(1)) {
    any = true;
    whole = whole * 10 + (rest.front() - '0');
    if (whole > kTooBig) return term;
  }
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    for (; !rest.empty() && is_digit(rest.front()); rest.remove_prefix(1)) {
      any = true;
      if (scale >= 1'000'000'000'000'000'000) continue;
      fraction = fraction * 10 + (rest.front() - '0');
      scale *= 10;
    }
  }
  if (!any) return term;
  term.valid = true;
  std::size_t length = 0;
  while (length < rest.size() && rest[length] != '.' && !is_digit(rest[length])) ++length;
  term.unit = rest.substr(0, length);
  rest.remove_prefix(length);
  for (const Unit& unit : kUnits) {
    if (unit.text != term.unit) continue;
    term.known_unit = true;
    term.nanos = whole * unit.nanos + fraction * unit.nanos / scale;
  }
  return term;
}

// `12.5` for 12'500 with three digits of fraction.
std::string decimal(std::uint64_t value, int fraction_digits) {
  std::uint64_t scale = 1;
  for (int i = 0; i < fraction_digits; ++i) scale *= 10;
  std::string text = std::to_string(value / scale);
  if (std::uint64_t rest = value % scale; rest != 0) {
    std::string fraction = fmt::format("{:0{}}", rest, fraction_digits);
    fraction.erase(fraction.find_last_not_of('0') + 1);
    text += '.' + fraction;
  }
  return text;
}

std::string two_units(std::int64_t big, char big_unit, std::int64_t small, char small_unit) {
  return small == 0 ? fmt::format("{}{}", big, big_unit)
                    : fmt::format("{}{}{}{}", big, big_unit, small, small_unit);
}

}  // namespace

Result<WallTime> parse_rfc3339(std::string_view text) {
  Reader reader{text};
  int year = reader.digits(4);
  reader.expect('-');
  int month = reader.digits(2);
  reader.expect('-');
  int day = reader.digits(2);
  if (!reader.take('T')) reader.expect('t');
  int hour = reader.digits(2);
  reader.expect(':');
  int minute = reader.digits(2);
  reader.expect(':');
  int second = reader.digits(2);
  std::int64_t nanos = reader.take('.') ? read_fraction(reader) : 0;
  seconds offset = read_offset(reader);
  std::chrono::year_month_day date{std::chrono::year(year),
                                   std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!reader.ok || !reader.rest.empty() || !date.ok() || hour > 23 || minute > 59 || second > 59) {
    return fail(Error::bad_request(
        fmt::format("{} is no RFC 3339 time (as 2006-01-02T15:04:05Z)", go_quote(text))));
  }
  seconds since_epoch = std::chrono::sys_days(date).time_since_epoch() + hours(hour) +
                        minutes(minute) + seconds(second) - offset;
  return to_wall(since_epoch, nanos);
}

std::string format_rfc3339(WallTime time) {
  return format_seconds(to_civil(time)) + 'Z';
}

std::string format_rfc3339_micro(WallTime time) {
  Civil civil = to_civil(time);
  return fmt::format("{}.{:06}Z", format_seconds(civil), civil.nanos / 1000);
}

std::string format_rfc3339_nano(WallTime time) {
  Civil civil = to_civil(time);
  return fmt::format("{}.{:09}Z", format_seconds(civil), civil.nanos);
}

Result<Nanoseconds> parse_duration(std::string_view text) {
  std::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest.front() == '-' || rest.front() == '+')) {
    negative = rest.front() == '-';
    rest.remove_prefix(1);
  }
  if (rest == "0") return Nanoseconds(0);
  if (rest.empty()) return bad_duration(text);
  Term::Wide total = 0;
  while (!rest.empty()) {
    Term term = read_term(rest);
    if (!term.valid) return bad_duration(text);
    if (term.unit.empty()) {
      return fail(
          Error::bad_request(fmt::format("time: missing unit in duration {}", go_quote(text))));
    }
    if (!term.known_unit) {
      return fail(Error::bad_request(fmt::format("time: unknown unit {} in duration {}",
                                                 go_quote(term.unit), go_quote(text))));
    }
    total += term.nanos;
    if (total > std::numeric_limits<std::int64_t>::max()) return bad_duration(text);
  }
  auto nanos = static_cast<std::int64_t>(total);
  return Nanoseconds(negative ? -nanos : nanos);
}

std::string format_duration(Nanoseconds duration) {
  std::int64_t count = duration.count();
  if (count == 0) return "0s";
  std::uint64_t nanos =
      count < 0 ? 0 - static_cast<std::uint64_t>(count) : static_cast<std::uint64_t>(count);
  std::string sign = count < 0 ? "-" : "";
  if (nanos < 1'000) return sign + decimal(nanos, 0) + "ns";
  if (nanos < 1'000'000) return sign + decimal(nanos, 3) + "\u00B5s";
  if (nanos < 1'000'000'000) return sign + decimal(nanos, 6) + "ms";
  constexpr std::uint64_t kMinute = 60'000'000'000;
  std::string text = sign;
  if (nanos >= 60 * kMinute) text += std::to_string(nanos / (60 * kMinute)) + 'h';
  if (nanos >= kMinute) text += std::to_string(nanos / kMinute % 60) + 'm';
  return text + decimal(nanos % kMinute, 9) + 's';
}

std::string human_age(Nanoseconds age) {
  std::int64_t in_seconds = age.count() / 1'000'000'000;
  if (in_seconds < -1) return "<invalid>";
  if (in_seconds < 0) return "0s";
  if (in_seconds < 120) return fmt::format("{}s", in_seconds);
  std::int64_t in_minutes = in_seconds / 60;
  if (in_minutes < 10) return two_units(in_minutes, 'm', in_seconds % 60, 's');
  if (in_minutes < 180) return fmt::format("{}m", in_minutes);
  std::int64_t in_hours = in_minutes / 60;
  if (in_hours < 8) return two_units(in_hours, 'h', in_minutes % 60, 'm');
  if (in_hours < 48) return fmt::format("{}h", in_hours);
  std::int64_t in_days = in_hours / 24;
  if (in_hours < 24 * 8) return two_units(in_days, 'd', in_hours % 24, 'h');
  if (in_hours < 24 * 365 * 2) return fmt::format("{}d", in_days);
  if (in_hours < 24 * 365 * 8) return two_units(in_days / 365, 'y', in_days % 365, 'd');
  return fmt::format("{}y", in_days / 365);
}

std::string human_age_since(std::string_view rfc3339, WallTime now) {
  if (rfc3339.empty()) return "<unknown>";
  auto then = parse_rfc3339(rfc3339);
  if (!then) return "<unknown>";
  return human_age(std::chrono::duration_cast<Nanoseconds>(now - *then));
}

}  // namespace moth
