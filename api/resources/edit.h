#pragma once
// Small steps for defaulting and validating a JSON object in place. As in Go, a member that is
// missing, null, or the empty value of a plain type counts as not given. Never throw.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/json.h"

namespace moth::resources {

// A member to change, or null when `object` has none.
inline Json* member(Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}
inline const Json* member(const Json& object, std::string_view key) {
  const Json* found = find_member(object, key);
  return found && !found->is_null() ? found : nullptr;
}

inline bool has(const Json& object, std::string_view key) {
  return member(object, key) != nullptr;
}

// The member as an object, created when it is not given.
inline Json& object_at(Json& object, const std::string& key) {
  if (!object.is_object()) object = Json::object();
  Json& value = object[key];
  if (!value.is_object()) value = Json::object();
  return value;
}

// Elements of an array member; none when there is no array.
inline const Json& items(const Json& object, std::string_view key) {
  static const Json kNone = Json::array();
  const Json* found = find_member(object, key);
  return found && found->is_array() ? *found : kNone;
}

// A member that is an object; an empty one when it is not given.
inline const Json& object_of(const Json& object, std::string_view key) {
  static const Json kNone = Json::object();
  const Json* found = find_member(object, key);
  return found && found->is_object() ? *found : kNone;
}

template <class Edit>
void edit_items(Json& object, std::string_view key, Edit edit) {
  Json* list = member(object, key);
  if (!list || !list->is_array()) return;
  for (Json& item : *list) {
    if (item.is_object()) edit(item);
  }
}

// Sets what is not given. Nothing happens to what is no object.
inline void default_to(Json& object, const std::string& key, Json value) {
  if (object.is_object() && !has(object, key)) object[key] = std::move(value);
}
// The same where Go has a plain string or number, whose empty value is "not given".
inline void default_text(Json& object, const std::string& key, std::string_view value) {
  if (!object.is_object()) return;
  const Json* given = member(object, key);
  if (!given || (given->is_string() && given->get_ref<const std::string&>().empty())) {
    object[key] = value;
  }
}
inline void default_number(Json& object, const std::string& key, std::int64_t value) {
  if (!object.is_object()) return;
  const Json* given = member(object, key);
  if (!given || (given->is_number_integer() && *given == 0)) object[key] = value;
}

inline std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (&part != &parts.front()) out += separator;
    out += part;
  }
  return out;
}

// Strings of an array member.
inline std::vector<std::string> strings(const Json& object, std::string_view key) {
  std::vector<std::string> out;
  for (const Json& item : items(object, key)) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

}  // namespace moth::resources
