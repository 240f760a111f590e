#include "api/machinery/yaml_scalar.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "api/base/json.h"

namespace moth {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& words) {
  for (std::string_view word : words) {
    if (word == text) return true;
  }
  return false;
}

constexpr std::array<std::string_view, 11> kTrue = {"y",    "Y",    "yes", "Yes", "YES", "true",
                                                    "True", "TRUE", "on",  "On",  "ON"};
constexpr std::array<std::string_view, 11> kFalse = {"n",     "N",     "no",  "No",  "NO", "false",
                                                     "False", "FALSE", "off", "Off", "OFF"};
constexpr std::array<std::string_view, 5> kNull = {"", "~", "null", "Null", "NULL"};
constexpr std::array<std::string_view, 12> kNotFinite = {".nan",  ".NaN",  ".NAN",  ".inf",
                                                         ".Inf",  ".INF",  "+.inf", "+.Inf",
                                                         "+.INF", "-.inf", "-.Inf", "-.INF"};

std::optional<std::uint64_t> digits(std::string_view text, int base) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<Json> integer(std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'o' || mark == 'b' ? 2 : 1);
  }
  auto number = digits(text, base);
  if (!number) return std::nullopt;
  constexpr auto kMax = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!negative && *number > kMax) return Json(*number);
  if (negative && *number > kMax + 1) return std::nullopt;
  return Json(static_cast<std::int64_t>(negative ? 0 - *number : *number));
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
bool looks_like_float(std::string_view text) {
  auto skip_digits = [&] {
    std::size_t count = 0;
    while (count < text.size() && is_digit(text[count])) ++count;
    text.remove_prefix(count);
    return count;
  };
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  std::size_t whole = skip_digits();
  std::size_t fraction = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = skip_digits();
  }
  if (whole == 0 && fraction == 0) return false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
    if (skip_digits() == 0) return false;
  }
  return text.empty();
}

std::optional<Json> floating(std::string_view text) {
  if (!looks_like_float(text)) return std::nullopt;
  if (text.starts_with('+')) text.remove_prefix(1);
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  // A whole number has no fraction in JSON either, and is read from there as an integer.
  if (number == std::trunc(number) && std::abs(number) < 9.2e18) {
    return Json(static_cast<std::int64_t>(number));
  }
  return Json(number);
}

std::optional<Json> number(std::string_view text) {
  if (text.empty()) return std::nullopt;
  char first = text.front();
  if (!is_digit(first) && first != '-' && first != '+' && first != '.') return std::nullopt;
  if (first == '.') return floating(text);
  std::string plain;
  for (char c : text) {
    if (c != '_') plain += c;
  }
  if (auto whole = integer(plain)) return whole;
  return floating(plain);
}

std::optional<std::string> decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  std::uint32_t bits = 0;
  int count = 0;
  for (char c : text) {
    if (c == '=' || c == '\n' || c == '\r' || c == ' ') continue;
    auto value = kAlphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6) | static_cast<std::uint32_t>(value);
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>((bits >> count) & 0xFF);
    }
  }
  return out;
}

Result<Json> resolve_plain(std::string_view text) {
  if (is_one_of(text, kNull)) return Json(nullptr);
  if (is_one_of(text, kTrue)) return Json(true);
  if (is_one_of(text, kFalse)) return Json(false);
  if (is_one_of(text, kNotFinite)) {
    return fail(Error::bad_request(fmt::format("the number {} cannot be written in JSON", text)));
  }
  if (auto value = number(text)) return std::move(*value);
  return Json(std::string(text));
}

}  // namespace

Result<Json> resolve_yaml_scalar(std::string_view tag, std::string_view text) {
  constexpr std::string_view kStandard = "tag:yaml.org,2002:";
  if (tag == "?" || tag.empty()) return resolve_plain(text);
  if (!tag.starts_with(kStandard)) return Json(std::string(text));
  tag.remove_prefix(kStandard.size());
  if (tag == "binary") {
    auto bytes = decode_base64(text);
    if (!bytes) return fail(Error::bad_request("!!binary value contains invalid base64 data"));
    return Json(std::move(*bytes));
  }
  bool typed = tag == "int" || tag == "float" || tag == "bool" || tag == "null";
  if (!typed) return Json(std::string(text));
  MOTH_ASSIGN(Json value, resolve_plain(text));
  bool fits = tag == "int"     ? value.is_number_integer()
              : tag == "float" ? value.is_number()
              : tag == "bool"  ? value.is_boolean()
                               : value.is_null();
  if (!fits) return fail(Error::bad_request(fmt::format("cannot decode '{}' as !!{}", text, tag)));
  return value;
}

bool yaml_plain_is_not_text(std::string_view text) {
  if (is_one_of(text, kNull) || is_one_of(text, kTrue) || is_one_of(text, kFalse) ||
      is_one_of(text, kNotFinite) || number(text)) {
    return true;
  }
  if (text.empty() || (!is_digit(text.front()) && text.front() != '-' && text.front() != '+')) {
    return false;
  }
  // Dates and base-60 numbers, which other readers would take for such.
  bool date = text.size() >= 8 && is_digit(text[0]) && is_digit(text[3]) && text[4] == '-' &&
              is_digit(text[5]) &&
              text.find_first_not_of("0123456789-+:.tTzZ ") == std::string_view::npos;
  bool base60 = text.find(':') != std::string_view::npos &&
                text.find_first_not_of("0123456789:._+-") == std::string_view::npos;
  return date || base60;
}

}  // namespace moth
