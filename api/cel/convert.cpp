#include "api/cel/convert.h"

#include <fmt/format.h>

#include <cmath>

#include "api/cel/opaque.h"
#include "api/machinery/text.h"
#include "api/machinery/time.h"
#include "api/schema/base64.h"

namespace moth::cel {
namespace {

template <class A, class B>
std::partial_ordering order(A a, B b) {
  return a < b    ? std::partial_ordering::less
         : a > b  ? std::partial_ordering::greater
         : a == b ? std::partial_ordering::equivalent
                  : std::partial_ordering::unordered;
}

std::partial_ordering signs(std::int64_t a, std::uint64_t b) {
  return a < 0 ? std::partial_ordering::less : order(static_cast<std::uint64_t>(a), b);
}

std::partial_ordering reversed(std::partial_ordering order) {
  if (order == std::partial_ordering::less) return std::partial_ordering::greater;
  if (order == std::partial_ordering::greater) return std::partial_ordering::less;
  return order;
}

}  // namespace

std::optional<Timestamp> parse_timestamp(std::string_view text) {
  auto time = parse_rfc3339(text);
  if (!time) return std::nullopt;
  auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(time->time_since_epoch());
  auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return Timestamp{seconds.count(), static_cast<std::int32_t>((since - seconds).count())};
}

std::string format_timestamp(const Timestamp& time) {
  auto since = std::chrono::seconds(time.seconds) + std::chrono::nanoseconds(time.nanos);
  std::string text =
      format_rfc3339_nano(WallTime(std::chrono::duration_cast<WallTime::duration>(since)));
  // Go leaves the zeros of a fraction out.
  if (std::size_t dot = text.find('.'); dot != std::string::npos) {
    std::size_t last = text.find_last_not_of("0Z");
    text.erase(last == dot ? dot : last + 1);
    text += 'Z';
  }
  return text;
}

std::optional<Duration> parse_cel_duration(std::string_view text) {
  auto duration = parse_duration(text);
  if (!duration) return std::nullopt;
  return Duration{duration->count()};
}

std::string format_cel_duration(const Duration& duration) {
  double seconds = static_cast<double>(duration.nanos) / 1e9;
  if (duration.nanos % 1'000'000'000 == 0)
    return std::to_string(duration.nanos / 1'000'000'000) + "s";
  return go_format_double(seconds) + "s";
}

std::optional<std::string> decode_base64(std::string_view text) {
  return schema::decode_base64(text);
}

std::optional<std::partial_ordering> compare_numbers(const Value& a, const Value& b) {
  const auto *int_a = a.as<std::int64_t>(), *int_b = b.as<std::int64_t>();
  const auto *uint_a = a.as<std::uint64_t>(), *uint_b = b.as<std::uint64_t>();
  const auto *real_a = a.as<double>(), *real_b = b.as<double>();
  if (int_a && int_b) return order(*int_a, *int_b);
  if (uint_a && uint_b) return order(*uint_a, *uint_b);
  if (int_a && uint_b) return signs(*int_a, *uint_b);
  if (uint_a && int_b) return reversed(signs(*int_b, *uint_a));
  if ((!int_a && !uint_a && !real_a) || (!int_b && !uint_b && !real_b)) return std::nullopt;
  auto real = [](const auto* whole, const auto* natural, const double* number) {
    return number ? *number : whole ? static_cast<double>(*whole) : static_cast<double>(*natural);
  };
  return order(real(int_a, uint_a, real_a), real(int_b, uint_b, real_b));
}

std::optional<std::partial_ordering> compare(const Value& a, const Value& b) {
  if (auto numbers = compare_numbers(a, b)) return numbers;
  if (a.data().index() != b.data().index()) return std::nullopt;
  if (a.string()) return order(*a.string(), *b.string());
  if (const auto* left = a.as<bool>()) return order(*left, *b.as<bool>());
  if (const auto* left = a.as<Bytes>()) return order(*left->data, *b.as<Bytes>()->data);
  if (const auto* left = a.as<Timestamp>()) return order(*left, *b.as<Timestamp>());
  if (const auto* left = a.as<Duration>()) return order(*left, *b.as<Duration>());
  const auto* left = as_quantity(a);
  const auto* right = as_quantity(b);
  if (left && right) return order(*left, *right);
  return std::nullopt;
}

std::string format_double(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "+Inf" : "-Inf";
  return go_format_double(number);
}

std::u32string decode_utf8(std::string_view text) {
  std::u32string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = utf8_length(text, i);
    out += length ? utf8_decode(text, i, length) : U'\uFFFD';
    i += length ? length : 1;
  }
  return out;
}

std::string encode_utf8(std::u32string_view text) {
  std::string out;
  for (char32_t code : text) utf8_append(code, out);
  return out;
}

}  // namespace moth::cel
