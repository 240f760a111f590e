// int(), uint(), double(), string(), bytes(), bool(), dyn(), type(), timestamp(), duration().
#include <charconv>
#include <cmath>

#include "api/cel/convert.h"
#include "api/cel/functions.h"
#include "api/cel/opaque.h"
#include "api/machinery/text.h"

namespace moth::cel {
namespace {

using Args = std::span<const Value>;

template <class T>
Outcome parse_number(const std::string& text, const char* what) {
  T number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty())
    return failure("type conversion error from 'string' to '" + std::string(what) + "'");
  return Value::Variant(number);
}

Outcome to_int(Args args, Meter&) {
  const Value& value = args[0];
  if (value.as<std::int64_t>()) return value;
  if (const auto* number = value.as<std::uint64_t>()) {
    if (*number > INT64_MAX) return failure("integer overflow");
    return Value::Variant(static_cast<std::int64_t>(*number));
  }
  if (const auto* number = value.as<double>()) {
    if (!(*number > -9.3e18 && *number < 9.2e18)) return failure("integer overflow");
    return Value::Variant(static_cast<std::int64_t>(*number));
  }
  if (value.string()) return parse_number<std::int64_t>(*value.string(), "int");
  if (const auto* time = value.as<Timestamp>()) return Value::Variant(time->seconds);
  if (const auto* duration = value.as<Duration>()) return Value::Variant(duration->nanos);
  return no_such_overload();
}

Outcome to_uint(Args args, Meter&) {
  const Value& value = args[0];
  if (value.as<std::uint64_t>()) return value;
  if (const auto* number = value.as<std::int64_t>()) {
    if (*number < 0) return failure("unsigned integer overflow");
    return Value::Variant(static_cast<std::uint64_t>(*number));
  }
  if (const auto* number = value.as<double>()) {
    if (!(*number >= 0 && *number < 1.8e19)) return failure("unsigned integer overflow");
    return Value::Variant(static_cast<std::uint64_t>(*number));
  }
  if (value.string()) return parse_number<std::uint64_t>(*value.string(), "uint");
  return no_such_overload();
}

Outcome to_double(Args args, Meter&) {
  const Value& value = args[0];
  if (value.as<double>()) return value;
  if (const auto* number = value.as<std::int64_t>())
    return Value::Variant(static_cast<double>(*number));
  if (const auto* number = value.as<std::uint64_t>())
    return Value::Variant(static_cast<double>(*number));
  if (value.string()) return parse_number<double>(*value.string(), "double");
  return no_such_overload();
}

Outcome to_text(Args args, Meter& meter) {
  const Value& value = args[0];
  if (value.string()) return value;
  if (const auto* truth = value.as<bool>()) return Value::text(*truth ? "true" : "false");
  if (const auto* number = value.as<std::int64_t>()) return Value::text(std::to_string(*number));
  if (const auto* number = value.as<std::uint64_t>()) return Value::text(std::to_string(*number));
  if (const auto* number = value.as<double>()) return Value::text(format_double(*number));
  if (const auto* time = value.as<Timestamp>()) return Value::text(format_timestamp(*time));
  if (const auto* duration = value.as<Duration>())
    return Value::text(format_cel_duration(*duration));
  if (const auto* bytes = value.as<Bytes>()) {
    if (!meter.spend(bytes->data->size() / 10 + 1)) return Meter::spent();
    if (!is_valid_utf8(*bytes->data))
      return failure("invalid UTF-8 in bytes, cannot convert to string");
    return Value::text(*bytes->data);
  }
  if (const auto* ip = as_opaque<IpValue>(value, Kind::kIp)) return Value::text(format_ip(*ip));
  if (const auto* net = as_opaque<IpValue>(value, Kind::kCidr)) return Value::text(format_ip(*net));
  return no_such_overload();
}

Outcome to_bytes(Args args, Meter& meter) {
  const Value& value = args[0];
  if (value.as<Bytes>()) return value;
  if (!value.string()) return no_such_overload();
  if (!meter.spend(value.string()->size() / 10 + 1)) return Meter::spent();
  return Value::Variant(Bytes{*value.as<String>()});
}

Outcome to_bool(Args args, Meter&) {
  const Value& value = args[0];
  if (value.as<bool>()) return value;
  const std::string* text = value.string();
  if (!text) return no_such_overload();
  for (const char* yes : {"1", "t", "T", "TRUE", "true", "True"}) {
    if (*text == yes) return Value::Variant(true);
  }
  for (const char* no : {"0", "f", "F", "FALSE", "false", "False"}) {
    if (*text == no) return Value::Variant(false);
  }
  return failure("type conversion error from 'string' to 'bool'");
}

Outcome to_timestamp(Args args, Meter&) {
  const Value& value = args[0];
  if (value.as<Timestamp>()) return value;
  if (const auto* seconds = value.as<std::int64_t>()) return Value::Variant(Timestamp{*seconds, 0});
  const std::string* text = value.string();
  if (!text) return no_such_overload();
  auto time = parse_timestamp(*text);
  if (!time) return failure("type conversion error from 'string' to 'google.protobuf.Timestamp'");
  return Value::Variant(*time);
}

Outcome to_duration(Args args, Meter&) {
  const Value& value = args[0];
  if (value.as<Duration>()) return value;
  const std::string* text = value.string();
  if (!text) return no_such_overload();
  auto duration = parse_cel_duration(*text);
  if (!duration)
    return failure("type conversion error from 'string' to 'google.protobuf.Duration'");
  return Value::Variant(*duration);
}

Outcome to_dyn(Args args, Meter&) {
  return args[0];
}
Outcome type_of(Args args, Meter&) {
  return Value::Variant(TypeValue{args[0].type_name()});
}

}  // namespace

std::span<const FunctionRow> conversion_rows() {
  static constexpr FunctionRow kRows[] = {
      {"int", "(int) int; (uint) int; (double) int; (string) int; (time) int; (duration) int",
       to_int},
      {"uint", "(uint) uint; (int) uint; (double) uint; (string) uint", to_uint},
      {"double", "(double) double; (int) double; (uint) double; (string) double", to_double},
      {"string",
       "(string) string; (bool) string; (int) string; (uint) string; (double) string;"
       "(bytes) string; (time) string; (duration) string; (ip) string; (cidr) string",
       to_text},
      {"bytes", "(bytes) bytes; (string) bytes", to_bytes},
      {"bool", "(bool) bool; (string) bool", to_bool},
      {"timestamp", "(time) time; (string) time; (int) time", to_timestamp},
      {"duration", "(duration) duration; (string) duration", to_duration},
      {"dyn", "(A) dyn", to_dyn},
      {"type", "(A) type", type_of},
  };
  return kRows;
}

}  // namespace moth::cel
