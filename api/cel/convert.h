#pragma once
// Between text, numbers and CEL's values. Pure; any thread.
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "api/cel/value.h"

namespace moth::cel {

std::optional<Timestamp> parse_timestamp(std::string_view rfc3339);
std::string format_timestamp(const Timestamp& time);
std::optional<Duration> parse_cel_duration(std::string_view text);
// "90s", "1.5s": CEL's string(duration).
std::string format_cel_duration(const Duration& duration);
std::optional<std::string> decode_base64(std::string_view text);

// Empty unless both are numbers.
std::optional<std::partial_ordering> compare_numbers(const Value& a, const Value& b);
// Numbers, text, bytes, bools, times, durations, quantities; empty for what has no order.
std::optional<std::partial_ordering> compare(const Value& a, const Value& b);
// As string(1.5) prints it.
std::string format_double(double number);

// Code points of UTF-8 text; bytes that are none count as one each.
std::u32string decode_utf8(std::string_view text);
std::string encode_utf8(std::u32string_view text);

}  // namespace moth::cel
