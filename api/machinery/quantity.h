#pragma once
// Quantity: an exact amount of a resource (`250m`, `1Gi`, `1e3`). Value type, free of threads.
//
// Kept as a whole number of nano units in 128 bits, which holds everything that the text form can
// say: magnitudes are capped at 2^63-1 units and anything finer than a nano is rounded away from
// zero. Arithmetic saturates at +-2^125 nano units. The family (binary, decimal, exponent) of the
// text that was read is kept for printing.
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

class Quantity {
 public:
  enum class Format : std::uint8_t { kDecimalSI, kBinarySI, kDecimalExponent };
  __extension__ typedef __int128 Nanos;

  constexpr Quantity() = default;
  static Quantity from_value(std::int64_t value, Format format = Format::kDecimalSI);
  static Quantity from_milli(std::int64_t milli, Format format = Format::kDecimalSI);
  static Quantity from_nanos(Nanos nanos, Format format = Format::kDecimalSI);

  // BadRequest with upstream's text when `text` is no quantity.
  static Result<Quantity> parse(std::string_view text);
  // From a JSON string or number (`cpu: 2`, `cpu: 0.5`).
  static Result<Quantity> from_json(const Json& json);
  // Of something already validated: 0 when it does not parse.
  static Quantity parse_or_zero(std::string_view text);

  // Canonical: no fraction, largest suffix of the family with a whole mantissa. A binary quantity
  // below 1024 or with a fraction prints as decimal.
  std::string to_string() const;

  // Whole units, fractions rounded away from zero, saturated to 64 bits.
  std::int64_t value() const;
  // Thousandths, rounded away from zero, saturated to 64 bits.
  std::int64_t milli_value() const;
  double as_double() const;
  Nanos nanos() const { return nanos_; }
  Format format() const { return format_; }

  bool is_zero() const { return nanos_ == 0; }
  // -1, 0 or 1.
  int sign() const { return nanos_ < 0 ? -1 : nanos_ > 0 ? 1 : 0; }
  bool is_whole() const;

  // The sum keeps the left side's family unless the left side is zero.
  Quantity& operator+=(const Quantity& other);
  Quantity& operator-=(const Quantity& other);
  friend Quantity operator+(Quantity left, const Quantity& right) { return left += right; }
  friend Quantity operator-(Quantity left, const Quantity& right) { return left -= right; }
  Quantity operator-() const;

  // By amount; the family does not matter (1Ki == 1024).
  friend bool operator==(const Quantity& a, const Quantity& b) { return a.nanos_ == b.nanos_; }
  friend std::strong_ordering operator<=>(const Quantity& a, const Quantity& b) {
    return a.nanos_ < b.nanos_   ? std::strong_ordering::less
           : a.nanos_ > b.nanos_ ? std::strong_ordering::greater
                                 : std::strong_ordering::equal;
  }

 private:
  Nanos nanos_ = 0;
  Format format_ = Format::kDecimalSI;
};

}  // namespace moth
