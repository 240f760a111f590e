#pragma once
// The full definition of Json, with the common template instantiated once (json.cpp), since each
// instantiation costs seconds of compile time.
#include <nlohmann/json.hpp>

#include "api/base/json_fwd.h"

extern template class nlohmann::basic_json<>;

namespace moth {

// Member `key` of an object, null when `object` is no object or has no such member. Never throws.
inline const Json* find_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(key);
  return it == object.end() ? nullptr : &*it;
}

// Walks members by name; null when any step is missing. Never throws.
template <class... Keys>
const Json* find_path(const Json& object, std::string_view first, Keys... rest) {
  const Json* member = find_member(object, first);
  if constexpr (sizeof...(rest) == 0) {
    return member;
  } else {
    return member ? find_path(*member, rest...) : nullptr;
  }
}

// The text of a string member, or `fallback` when it is missing or of another type.
inline std::string string_or(const Json& object, std::string_view key, std::string fallback = "") {
  const Json* member = find_member(object, key);
  return member && member->is_string() ? member->get<std::string>() : std::move(fallback);
}

// The value of an integer member, or `fallback` when it is missing or of another type.
inline std::int64_t int_or(const Json& object, std::string_view key, std::int64_t fallback = 0) {
  const Json* member = find_member(object, key);
  return member && member->is_number_integer() ? member->get<std::int64_t>() : fallback;
}

// The value of a boolean member, or `fallback` when it is missing or of another type.
inline bool bool_or(const Json& object, std::string_view key, bool fallback = false) {
  const Json* member = find_member(object, key);
  return member && member->is_boolean() ? member->get<bool>() : fallback;
}

}  // namespace moth
