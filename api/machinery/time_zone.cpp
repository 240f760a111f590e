#include "api/machinery/time_zone.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <fstream>
#include <iterator>
#include <optional>
#include <vector>

namespace moth {
namespace {

using std::chrono::days;
using std::chrono::seconds;
using std::chrono::sys_days;
using std::chrono::sys_seconds;

constexpr std::size_t kMaxFile = 1u << 20;
constexpr std::int64_t kHour = 3600;
constexpr std::int64_t kDay = 86'400;
constexpr const char* kZoneinfo = "/usr/share/zoneinfo/";

std::int64_t unix_seconds(WallTime time) {
  return std::chrono::floor<seconds>(time).time_since_epoch().count();
}

// A rule of a POSIX TZ text: when in a year the clocks change.
struct ChangeRule {
  enum class Kind : std::uint8_t { kMonthWeek, kJulian, kDayOfYear } kind = Kind::kMonthWeek;
  int month = 0, week = 0, day = 0;
  std::int64_t time = 2 * kHour;  // of day, in the time that ends

  // Seconds since 1970 as if the clock that ends were UTC.
  std::int64_t in_year(int year) const;
};

std::int64_t ChangeRule::in_year(int year) const {
  std::chrono::year y(year);
  sys_days date;
  if (kind == Kind::kMonthWeek) {
    std::chrono::month m(static_cast<unsigned>(month));
    std::chrono::weekday wanted(static_cast<unsigned>(day));
    constexpr int kLastWeek = 5;
    date =
        week == kLastWeek
            ? sys_days(y / m / std::chrono::weekday_last(wanted))
            : sys_days(y / m / std::chrono::weekday_indexed(wanted, static_cast<unsigned>(week)));
  } else {
    // Jn leaves the 29th of February out of the count.
    bool later = kind == Kind::kJulian && y.is_leap() && day >= 60;
    int index = kind == Kind::kJulian ? day - 1 + (later ? 1 : 0) : day;
    date = sys_days(y / std::chrono::January / 1) + days(index);
  }
  return date.time_since_epoch().count() * kDay + time;
}

// What holds after the last transition of the file.
struct PosixRule {
  std::int64_t standard = 0, daylight = 0;
  std::optional<std::pair<ChangeRule, ChangeRule>> changes;  // to daylight, to standard

  std::int64_t offset_at(std::int64_t at) const;
};

std::int64_t PosixRule::offset_at(std::int64_t at) const {
  if (!changes) return standard;
  auto day = std::chrono::floor<days>(sys_seconds(seconds(at + standard)));
  int year = static_cast<int>(std::chrono::year_month_day(day).year());
  std::int64_t begin = changes->first.in_year(year) - standard;
  std::int64_t end = changes->second.in_year(year) - daylight;
  bool is_daylight = begin < end ? at >= begin && at < end : at >= begin || at < end;
  return is_daylight ? daylight : standard;
}

// Reads a POSIX TZ text such as `CET-1CEST,M3.5.0,M10.5.0/3`.
class PosixReader {
 public:
  explicit PosixReader(std::string_view text) : text_(text) {}

  std::optional<PosixRule> read() {
    PosixRule rule;
    std::int64_t offset = 0;
    if (!name() || !time(offset)) return std::nullopt;
    rule.standard = -offset;
    rule.daylight = rule.standard + kHour;
    if (text_.empty()) return rule;
    if (!name()) return std::nullopt;
    if (!text_.empty() && text_[0] != ',') {
      if (!time(offset)) return std::nullopt;
      rule.daylight = -offset;
    }
    ChangeRule to_daylight, to_standard;
    if (!change(to_daylight) || !change(to_standard) || !text_.empty()) return std::nullopt;
    rule.changes = std::pair(to_daylight, to_standard);
    return rule;
  }

 private:
  bool take(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool name() {
    if (take('<')) {
      auto end = text_.find('>');
      if (end == std::string_view::npos) return false;
      text_.remove_prefix(end + 1);
      return true;
    }
    std::size_t size = 0;
    while (size < text_.size() && std::isalpha(static_cast<unsigned char>(text_[size]))) ++size;
    text_.remove_prefix(size);
    return size >= 3;
  }
  bool number(std::int64_t& out) {
    constexpr std::size_t kMaxDigits = 4;
    std::size_t size = 0;
    out = 0;
    while (size < text_.size() && std::isdigit(static_cast<unsigned char>(text_[size]))) {
      out = out * 10 + (text_[size++] - '0');
      if (size > kMaxDigits) return false;
    }
    text_.remove_prefix(size);
    return size > 0;
  }
  // [+-]hh[:mm[:ss]]
  bool time(std::int64_t& out) {
    bool negative = take('-');
    if (!negative) take('+');
    std::int64_t part = 0;
    if (!number(part)) return false;
    out = part * kHour;
    for (std::int64_t unit : {std::int64_t{60}, std::int64_t{1}}) {
      if (!take(':')) break;
      if (!number(part)) return false;
      out += part * unit;
    }
    if (negative) out = -out;
    return true;
  }
  bool change(ChangeRule& out) {
    if (!take(',')) return false;
    std::int64_t a = 0, b = 0, c = 0;
    if (take('M')) {
      if (!number(a) || !take('.') || !number(b) || !take('.') || !number(c)) return false;
      if (a < 1 || a > 12 || b < 1 || b > 5 || c > 6) return false;
      out.month = static_cast<int>(a);
      out.week = static_cast<int>(b);
      out.day = static_cast<int>(c);
    } else {
      out.kind = take('J') ? ChangeRule::Kind::kJulian : ChangeRule::Kind::kDayOfYear;
      if (!number(a) || a > 365) return false;
      out.day = static_cast<int>(a);
    }
    return !take('/') || time(out.time);
  }

  std::string_view text_;
};

// Big-endian numbers out of a file; reading beyond its end marks it broken.
class Bytes {
 public:
  explicit Bytes(std::string_view data) : data_(data) {}

  bool ok() const { return ok_; }
  std::int64_t number(std::size_t size) {
    std::string_view part = take(size);
    std::uint64_t value = !part.empty() && (part[0] & 0x80) ? ~std::uint64_t{0} : 0;
    for (char c : part) value = value << 8 | static_cast<unsigned char>(c);
    return static_cast<std::int64_t>(value);
  }
  std::string_view take(std::size_t size) {
    if (!ok_ || size > data_.size()) {
      ok_ = false;
      return {};
    }
    std::string_view part = data_.substr(0, size);
    data_.remove_prefix(size);
    return part;
  }
  std::string_view rest() const { return data_; }

 private:
  std::string_view data_;
  bool ok_ = true;
};

struct Header {
  std::size_t version = 0, utc = 0, standard = 0, leaps = 0, times = 0, types = 0, chars = 0;
  std::size_t body(std::size_t width) const {
    return times * (width + 1) + types * 6 + chars + leaps * (width + 4) + standard + utc;
  }
};

bool read_header(Bytes& bytes, Header& out) {
  if (bytes.take(4) != "TZif") return false;
  out.version = static_cast<std::size_t>(bytes.number(1));
  bytes.take(15);
  for (std::size_t* count :
       {&out.utc, &out.standard, &out.leaps, &out.times, &out.types, &out.chars}) {
    std::int64_t value = bytes.number(4);
    if (value < 0 || value > static_cast<std::int64_t>(kMaxFile)) return false;
    *count = static_cast<std::size_t>(value);
  }
  return bytes.ok();
}

std::optional<std::string> read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  std::string text(kMaxFile, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

Error broken() {
  return Error::bad_request("the zoneinfo file does not hold");
}

}  // namespace

struct TimeZone::Data {
  struct Transition {
    std::int64_t at = 0, offset = 0;
  };
  std::int64_t first_offset = 0;
  std::vector<Transition> transitions;  // rising
  std::optional<PosixRule> after;

  std::int64_t offset_at(std::int64_t at) const {
    if (transitions.empty()) return after ? after->offset_at(at) : first_offset;
    if (after && at >= transitions.back().at) return after->offset_at(at);
    auto next = std::upper_bound(
        transitions.begin(), transitions.end(), at,
        [](std::int64_t wanted, const Transition& transition) { return wanted < transition.at; });
    return next == transitions.begin() ? first_offset : std::prev(next)->offset;
  }
};

TimeZone::TimeZone() = default;

Result<TimeZone> TimeZone::parse(std::string_view file) {
  Bytes bytes(file);
  Header header;
  if (!read_header(bytes, header)) return fail(broken());
  std::size_t width = 4;
  if (header.version >= '2') {
    bytes.take(header.body(width));
    if (!read_header(bytes, header)) return fail(broken());
    width = 8;
  }
  if (header.types == 0) return fail(broken());
  std::vector<std::int64_t> times(header.times);
  for (std::int64_t& time : times) time = bytes.number(width);
  std::string_view indexes = bytes.take(header.times);
  std::vector<std::int64_t> offsets(header.types);
  for (std::int64_t& offset : offsets) {
    offset = bytes.number(4);
    bytes.take(2);  // whether it is daylight saving time, and its name
  }
  bytes.take(header.chars + header.leaps * (width + 4) + header.standard + header.utc);
  if (!bytes.ok() || !std::is_sorted(times.begin(), times.end())) return fail(broken());

  auto data = std::make_shared<Data>();
  data->first_offset = offsets[0];
  for (std::size_t i = 0; i < times.size(); ++i) {
    auto type = static_cast<unsigned char>(indexes[i]);
    if (type >= offsets.size()) return fail(broken());
    data->transitions.push_back({times[i], offsets[type]});
  }
  std::string_view footer = bytes.rest();
  if (footer.starts_with('\n')) {
    footer.remove_prefix(1);
    footer = footer.substr(0, footer.find('\n'));
    if (!footer.empty()) data->after = PosixReader(footer).read();
  }
  TimeZone zone;
  zone.data_ = std::move(data);
  return zone;
}

Result<TimeZone> TimeZone::load(std::string_view name) {
  if (name.empty() || name == "UTC") return TimeZone();
  Error unknown = Error::of(Reason::kNotFound, fmt::format("unknown time zone {}", name));
  bool leaves = name.starts_with('/') || name.find("..") != std::string_view::npos ||
                name.find('\\') != std::string_view::npos ||
                name.find('\0') != std::string_view::npos;
  if (leaves) return fail(std::move(unknown));
  auto file = read_file(kZoneinfo + std::string(name));
  if (!file) return fail(std::move(unknown));
  auto zone = parse(*file);
  if (!zone) return fail(std::move(unknown));
  return zone;
}

TimeZone TimeZone::local() {
  auto file = read_file("/etc/localtime");
  if (!file) return TimeZone();
  return parse(*file).value_or(TimeZone());
}

std::int64_t TimeZone::offset_at(WallTime time) const {
  return data_ ? data_->offset_at(unix_seconds(time)) : 0;
}

CivilTime TimeZone::to_civil(WallTime time) const {
  sys_seconds local{seconds(unix_seconds(time) + offset_at(time))};
  auto day = std::chrono::floor<days>(local);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(local - day);
  return {static_cast<int>(date.year()),
          static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day()),
          static_cast<unsigned>(clock.hours().count()),
          static_cast<unsigned>(clock.minutes().count()),
          static_cast<unsigned>(clock.seconds().count()),
          std::chrono::weekday(day).c_encoding()};
}

WallTime TimeZone::from_civil(const CivilTime& civil) const {
  sys_days day(std::chrono::year(civil.year) / std::chrono::month(civil.month) /
               std::chrono::day(civil.day));
  std::int64_t local =
      day.time_since_epoch().count() * kDay + civil.hour * kHour + civil.minute * 60 + civil.second;
  auto at = [](std::int64_t value) { return WallTime(seconds(value)); };
  // The offsets of the day before and after are the only two that can hold.
  std::int64_t before = offset_at(at(local - kDay)), after = offset_at(at(local + kDay));
  std::int64_t first = std::min(local - before, local - after);
  std::int64_t last = std::max(local - before, local - after);
  if (offset_at(at(first)) == local - first) return at(first);
  if (offset_at(at(last)) == local - last) return at(last);
  // Skipped: the change lies between both.
  std::int64_t low = first, high = last;
  std::int64_t old_offset = offset_at(at(low - 1));
  while (low < high) {
    std::int64_t middle = low + (high - low) / 2;
    if (offset_at(at(middle)) == old_offset) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return at(low);
}

}  // namespace moth
