#include "api/apply/shape.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/schema/go_shape.h"

namespace moth::apply {

using schema::Kind;
using schema::ListType;
using schema::MapType;
using schema::Value;

namespace {

// Free-form JSON: a named type (RawExtension) is one unit, other content is looked into.
bool is_free(Value value) {
  return !value ||
         ((value.kind() == Kind::kRawObject || value.kind() == Kind::kAny) && !value.type());
}

}  // namespace

Shape shape_of(Value value, const Json& json) {
  if (is_free(value)) return json.is_object() ? Shape::kMap : Shape::kLeaf;
  switch (value.kind()) {
    case Kind::kObject:
    case Kind::kMap:
      return json.is_object() && value.map_type() == MapType::kGranular ? Shape::kMap
                                                                        : Shape::kLeaf;
    case Kind::kArray:
      return json.is_array() && value.list_type() != ListType::kAtomic ? Shape::kList
                                                                       : Shape::kLeaf;
    default:
      return Shape::kLeaf;
  }
}

Member member_of(Value parent, std::string_view key) {
  if (is_free(parent)) return {};
  if (parent.kind() == Kind::kMap) return {parent.element(), false};
  if (parent.kind() != Kind::kObject) return {};
  schema::Field field = parent.type().field(key);
  return field ? Member{field.value(), true} : Member{};
}

Value item_of(Value list) {
  return !is_free(list) && list.kind() == Kind::kArray ? list.element() : Value();
}

Member behind(Value parent, std::string_view element) {
  if (element.starts_with("f:")) return member_of(parent, element.substr(2));
  return {item_of(parent), false};
}

std::string field_element(std::string_view key) {
  std::string element = "f:";
  element += key;
  return element;
}

namespace {

// The keys are written in the order of their names, as the JSON object that they stand for.
std::optional<std::string> keyed_element(Value list, const Json& item, std::string* why) {
  if (!item.is_object()) {
    if (why)
      *why = fmt::format("associative list with keys may not have {} element",
                         item.is_null() ? "a null" : "non-map");
    return std::nullopt;
  }
  Json keys = Json::object();
  for (std::string_view key : list.list_map_keys()) {
    if (const Json* value = find_member(item, key)) {
      keys.emplace(std::string(key), *value);
      continue;
    }
    schema::Type type =
        list.element().kind() == Kind::kObject ? list.element().type() : schema::Type();
    schema::Field field = type ? type.field(key) : schema::Field();
    if (!field || field.default_json().empty()) {
      if (why) {
        *why = fmt::format(
            "associative list with keys has an element that omits key field \"{}\" (and doesn't "
            "have default value)",
            key);
      }
      return std::nullopt;
    }
    keys.emplace(std::string(key), Json::parse(field.default_json(), nullptr, false));
  }
  std::string element = "k:";
  dump_json(keys, element);
  return element;
}

// The common case, one key with a text, without a DOM.
std::optional<std::string> single_key_element(Value list, const Json& item) {
  std::string_view key = list.list_map_keys()[0];
  const Json* value = find_member(item, key);
  if (!value || !value->is_string()) return std::nullopt;
  std::string element = "k:{";
  append_json_string(key, element);
  element += ':';
  append_json_string(value->get_ref<const std::string&>(), element);
  element += '}';
  return element;
}

}  // namespace

std::optional<std::string> item_element(Value list, const Json& item, std::string* why) {
  if (list.list_type() == ListType::kMap && !list.list_map_keys().empty()) {
    if (list.list_map_keys().size() == 1) {
      if (auto element = single_key_element(list, item)) return element;
    }
    return keyed_element(list, item, why);
  }
  if (item.is_null() || item.is_object()) {
    if (why) {
      *why = item.is_null() ? "associative list without keys has an element that's an explicit null"
                            : "associative list without keys has an element that's a map type";
    }
    return std::nullopt;
  }
  std::string element = "v:";
  dump_json(item, element);
  return element;
}

bool always_there(Value parent, std::string_view key) {
  return !is_free(parent) && parent.kind() == Kind::kObject &&
         schema::always_there(parent.type(), key);
}

}  // namespace moth::apply
