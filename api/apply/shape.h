#pragma once
// How places of an object behave in server-side apply. Internal to api/apply. Pure; any thread.
#include <optional>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/schema/types.h"

namespace moth::apply {

// kLeaf: owned as a whole (scalars, atomic lists and maps). kMap: fields or keys by name. kList:
// items by key or value.
enum class Shape { kLeaf, kMap, kList };

// An empty value stands for what no type describes.
Shape shape_of(schema::Value value, const Json& json);

struct Member {
  schema::Value value;    // empty: not described
  bool declared = false;  // a field of a structure, not a map's key
};
Member member_of(schema::Value parent, std::string_view key);
// The value behind an element of a field set.
Member behind(schema::Value parent, std::string_view element);
schema::Value item_of(schema::Value list);

// "f:name"
std::string field_element(std::string_view key);
// The element of a list item; nothing, and why, when it lacks a key or is none.
std::optional<std::string> item_element(schema::Value list, const Json& item, std::string* why);

// Whether the field is a structure that its Go type always has (no pointer), or a list that it
// always writes, so that upstream finds it in every object, if only empty.
bool always_there(schema::Value parent, std::string_view key);

}  // namespace moth::apply
