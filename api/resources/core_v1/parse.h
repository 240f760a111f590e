#pragma once
// How views read members of an object: missing or wrong members give the fallback. Internal to
// api/resources.
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "api/base/json.h"
#include "api/machinery/int_or_string.h"
#include "api/machinery/labels.h"
#include "api/machinery/selectors.h"
#include "api/machinery/time.h"
#include "api/resources/edit.h"

namespace moth::resources {

inline std::optional<std::int64_t> optional_int(const Json& object, std::string_view key) {
  const Json* found = find_member(object, key);
  return found && found->is_number_integer() ? std::optional(found->get<std::int64_t>())
                                             : std::nullopt;
}

inline std::optional<bool> optional_bool(const Json& object, std::string_view key) {
  const Json* found = find_member(object, key);
  return found && found->is_boolean() ? std::optional(found->get<bool>()) : std::nullopt;
}

inline std::optional<std::chrono::seconds> optional_seconds(const Json& object,
                                                            std::string_view key) {
  auto value = optional_int(object, key);
  return value ? std::optional(std::chrono::seconds(*value)) : std::nullopt;
}

inline std::chrono::seconds seconds_or(const Json& object, std::string_view key,
                                       std::int64_t fallback) {
  return std::chrono::seconds(int_or(object, key, fallback));
}

inline std::int32_t int32_or(const Json& object, std::string_view key, std::int32_t fallback = 0) {
  return static_cast<std::int32_t>(int_or(object, key, fallback));
}

inline std::uint16_t port_or_zero(const Json& object, std::string_view key) {
  std::int64_t value = int_or(object, key);
  return value > 0 && value <= 65535 ? static_cast<std::uint16_t>(value) : std::uint16_t{0};
}

inline std::optional<WallTime> optional_time(const Json& object, std::string_view key) {
  const Json* found = find_member(object, key);
  if (!found || !found->is_string()) return std::nullopt;
  auto parsed = parse_rfc3339(found->get_ref<const std::string&>());
  return parsed ? std::optional(*parsed) : std::nullopt;
}

inline IntOrString int_or_string(const Json& object, std::string_view key, IntOrString fallback) {
  const Json* found = find_member(object, key);
  if (!found) return fallback;
  auto parsed = IntOrString::from_json(*found);
  return parsed ? *std::move(parsed) : std::move(fallback);
}

inline Labels string_map(const Json& object, std::string_view key) {
  Labels out;
  for (const auto& [name, value] : object_of(object, key).items()) {
    if (value.is_string()) out.emplace(name, value.get<std::string>());
  }
  return out;
}

// A LabelSelector member; absent or broken ones match nothing.
inline LabelSelector selector_at(const Json& object, std::string_view key) {
  const Json* found = find_member(object, key);
  if (!found || found->is_null()) return LabelSelector::nothing();
  auto parsed = LabelSelector::from_json(*found);
  return parsed ? *std::move(parsed) : LabelSelector::nothing();
}

}  // namespace moth::resources
