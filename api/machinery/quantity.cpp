#include "api/machinery/quantity.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "api/base/json.h"
#include "api/machinery/json_text.h"

namespace moth {
namespace {

using Nanos = Quantity::Nanos;

constexpr Nanos kNanosPerUnit = 1'000'000'000;
constexpr Nanos kMaxParsed =
    static_cast<Nanos>(std::numeric_limits<std::int64_t>::max()) * kNanosPerUnit;
constexpr Nanos kLimit = static_cast<Nanos>(1) << 125;

constexpr std::string_view kErrFormat =
    "quantities must match the regular expression "
    "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr std::string_view kErrNumeric = "unable to parse numeric part of quantity";
constexpr std::string_view kErrSuffix = "unable to parse quantity's suffix";

struct Suffix {
  std::string_view text;
  int exponent;  // of 10, or of 2 for binary ones
  bool binary;
};

constexpr std::array kSuffixes = {
    Suffix{"n", -9, false}, Suffix{"u", -6, false}, Suffix{"m", -3, false}, Suffix{"", 0, false},
    Suffix{"k", 3, false},  Suffix{"M", 6, false},  Suffix{"G", 9, false},  Suffix{"T", 12, false},
    Suffix{"P", 15, false}, Suffix{"E", 18, false}, Suffix{"Ki", 10, true}, Suffix{"Mi", 20, true},
    Suffix{"Gi", 30, true}, Suffix{"Ti", 40, true}, Suffix{"Pi", 50, true}, Suffix{"Ei", 60, true},
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

Nanos clamp(Nanos value) {
  return std::clamp(value, -kLimit, kLimit);
}

Nanos power_of_ten(std::int64_t exponent) {
  Nanos power = 1;
  for (std::int64_t i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// The parts of a quantity's text: sign, the digits around the point, the suffix.
struct Parts {
  bool negative = false;
  std::string digits;  // without leading zeros, at least one was there
  std::int64_t fraction_size = 0;
  std::string_view suffix;
};

Result<Parts> split(std::string_view text) {
  Parts parts;
  std::size_t at = 0;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) parts.negative = text[at++] == '-';
  std::size_t seen = 0;
  bool point = false;
  for (; at < text.size(); ++at) {
    if (text[at] == '.' && !point) {
      point = true;
    } else if (is_digit(text[at])) {
      ++seen;
      if (point) ++parts.fraction_size;
      if (text[at] != '0' || !parts.digits.empty()) parts.digits += text[at];
    } else {
      break;
    }
  }
  parts.suffix = text.substr(at);
  std::size_t letters =
      std::min(parts.suffix.find_first_not_of("eEinumkKMGTP"), parts.suffix.size());
  std::size_t end = letters;
  if (end < parts.suffix.size() && (parts.suffix[end] == '+' || parts.suffix[end] == '-')) ++end;
  while (end < parts.suffix.size() && is_digit(parts.suffix[end])) ++end;
  if (end != parts.suffix.size()) return fail(Error::bad_request(std::string(kErrFormat)));
  if (seen == 0) return fail(Error::bad_request(std::string(kErrNumeric)));
  return parts;
}

struct Scale {
  std::int64_t exponent = 0;
  bool binary = false;
  Quantity::Format format = Quantity::Format::kDecimalSI;
};

Result<Scale> read_suffix(std::string_view suffix) {
  for (const Suffix& known : kSuffixes) {
    if (known.text == suffix) {
      return Scale{known.exponent, known.binary,
                   known.binary ? Quantity::Format::kBinarySI : Quantity::Format::kDecimalSI};
    }
  }
  if (suffix.size() > 1 && (suffix[0] == 'e' || suffix[0] == 'E')) {
    std::string_view number = suffix.substr(suffix[1] == '+' ? 2 : 1);
    std::int32_t exponent = 0;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), exponent);
    if (error == std::errc() && end == number.data() + number.size() && !number.empty()) {
      return Scale{exponent, false, Quantity::Format::kDecimalExponent};
    }
  }
  return fail(Error::bad_request(std::string(kErrSuffix)));
}

Nanos to_number(std::string_view digits) {
  Nanos number = 0;
  for (char c : digits) number = number * 10 + (c - '0');
  return number;
}

// digits * 10^exponent * 2^shift in nano units, rounded up, at most kMaxParsed. `digits` has
// neither leading nor trailing zeros and is not empty.
Nanos scale_up(std::string_view digits, std::int64_t exponent, int shift) {
  auto size = static_cast<std::int64_t>(digits.size());
  if (size + exponent > 19) return kMaxParsed;
  std::int64_t at_nano = exponent + 9;
  if (at_nano >= 0) {
    Nanos whole = to_number(digits) * power_of_ten(at_nano);
    return whole > (kMaxParsed >> shift) ? kMaxParsed : whole << shift;
  }
  std::int64_t dropped = std::min(-at_nano, size);
  Nanos whole = to_number(digits.substr(0, static_cast<std::size_t>(size - dropped)));
  if (whole > (kMaxParsed >> shift)) return kMaxParsed;
  if (shift == 0) return whole + 1;
  // The part below one nano, as a fraction of 19 digits (rounded up), still counts after the shift.
  constexpr std::int64_t kFractionDigits = 19;
  std::string fraction(static_cast<std::size_t>(std::min(-at_nano - dropped, kFractionDigits)),
                       '0');
  fraction += digits.substr(static_cast<std::size_t>(size - dropped));
  bool cut = fraction.size() > kFractionDigits;
  fraction.resize(kFractionDigits, '0');
  Nanos numerator = (to_number(fraction) + (cut ? 1 : 0)) << shift;
  Nanos denominator = power_of_ten(kFractionDigits);
  return std::min(kMaxParsed, (whole << shift) + (numerator + denominator - 1) / denominator);
}

std::int64_t divide_away(Nanos nanos, Nanos unit) {
  Nanos quotient = nanos / unit;
  if (nanos % unit != 0) quotient += nanos > 0 ? 1 : -1;
  if (quotient > std::numeric_limits<std::int64_t>::max())
    return std::numeric_limits<std::int64_t>::max();
  if (quotient < std::numeric_limits<std::int64_t>::min())
    return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(quotient);
}

std::string print(Nanos value) {
  if (value == 0) return "0";
  std::string reversed;
  bool negative = value < 0;
  for (Nanos rest = negative ? -value : value; rest != 0; rest /= 10) {
    reversed += static_cast<char>('0' + static_cast<int>(rest % 10));
  }
  if (negative) reversed += '-';
  return {reversed.rbegin(), reversed.rend()};
}

std::string print_suffixed(Nanos mantissa, int exponent, bool binary) {
  for (const Suffix& suffix : kSuffixes) {
    if (suffix.exponent == exponent && (suffix.binary == binary || exponent == 0)) {
      return print(mantissa) + std::string(suffix.text);
    }
  }
  return print(mantissa);
}

}  // namespace

Quantity Quantity::from_value(std::int64_t value, Format format) {
  return from_nanos(static_cast<Nanos>(value) * kNanosPerUnit, format);
}

Quantity Quantity::from_milli(std::int64_t milli, Format format) {
  return from_nanos(static_cast<Nanos>(milli) * (kNanosPerUnit / 1000), format);
}

Quantity Quantity::from_nanos(Nanos nanos, Format format) {
  Quantity quantity;
  quantity.nanos_ = clamp(nanos);
  quantity.format_ = format;
  return quantity;
}

Result<Quantity> Quantity::parse(std::string_view text) {
  if (text.empty()) return fail(Error::bad_request(std::string(kErrFormat)));
  MOTH_ASSIGN(Parts parts, split(text));
  MOTH_ASSIGN(Scale scale, read_suffix(parts.suffix));
  std::int64_t exponent = -parts.fraction_size;
  while (!parts.digits.empty() && parts.digits.back() == '0') {
    parts.digits.pop_back();
    ++exponent;
  }
  if (parts.digits.empty()) return from_nanos(0, scale.format);
  if (!scale.binary) exponent += scale.exponent;
  Nanos nanos =
      scale_up(parts.digits, exponent, scale.binary ? static_cast<int>(scale.exponent) : 0);
  if (scale.format == Format::kBinarySI && nanos < kNanosPerUnit) scale.format = Format::kDecimalSI;
  return from_nanos(parts.negative ? -nanos : nanos, scale.format);
}

Result<Quantity> Quantity::from_json(const Json& json) {
  if (json.is_string()) return parse(json.get_ref<const std::string&>());
  if (json.is_number()) return parse(dump_json(json));
  if (json.is_null()) return Quantity();
  return fail(Error::bad_request(std::string(kErrFormat)));
}

Quantity Quantity::parse_or_zero(std::string_view text) {
  auto parsed = parse(text);
  return parsed ? *parsed : Quantity();
}

std::string Quantity::to_string() const {
  if (nanos_ == 0) return "0";
  Nanos kilobyte = 1024 * kNanosPerUnit;
  bool binary =
      format_ == Format::kBinarySI && is_whole() && (nanos_ <= -kilobyte || nanos_ >= kilobyte);
  if (binary) {
    Nanos mantissa = nanos_ / kNanosPerUnit;
    int exponent = 0;
    while (mantissa % 1024 == 0 && exponent < 60) {
      mantissa /= 1024;
      exponent += 10;
    }
    return print_suffixed(mantissa, exponent, true);
  }
  Nanos mantissa = nanos_;
  int exponent = -9;
  while (mantissa % 1000 == 0 && exponent < 18) {
    mantissa /= 1000;
    exponent += 3;
  }
  if (format_ != Format::kDecimalExponent) return print_suffixed(mantissa, exponent, false);
  return exponent == 0 ? print(mantissa) : print(mantissa) + "e" + std::to_string(exponent);
}

std::int64_t Quantity::value() const {
  return divide_away(nanos_, kNanosPerUnit);
}

std::int64_t Quantity::milli_value() const {
  return divide_away(nanos_, kNanosPerUnit / 1000);
}

double Quantity::as_double() const {
  return static_cast<double>(nanos_) / static_cast<double>(kNanosPerUnit);
}

bool Quantity::is_whole() const {
  return nanos_ % kNanosPerUnit == 0;
}

Quantity& Quantity::operator+=(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = clamp(nanos_ + other.nanos_);
  return *this;
}

Quantity& Quantity::operator-=(const Quantity& other) {
  if (nanos_ == 0) format_ = other.format_;
  nanos_ = clamp(nanos_ - other.nanos_);
  return *this;
}

Quantity Quantity::operator-() const {
  return from_nanos(-nanos_, format_);
}

}  // namespace moth
