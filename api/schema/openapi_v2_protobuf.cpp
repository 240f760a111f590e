// The JSON parts of an OpenAPI v2 document as messages of the package openapi.v2 (gnostic).
#include <cstdint>
#include <cstring>
#include <vector>

#include "api/base/json.h"
#include "api/schema/openapi_v2_parts.h"

namespace moth::schema {
namespace {

class Message {
 public:
  // Empty text is not written: it is what an absent field means.
  Message& text(unsigned number, std::string_view value) {
    return value.empty() ? *this : bytes(number, value);
  }
  Message& text(unsigned number, const Json& object, std::string_view key) {
    return text(number, string_or(object, key));
  }
  Message& texts(unsigned number, const Json& object, std::string_view key) {
    const Json* list = find_member(object, key);
    if (!list || !list->is_array()) return *this;
    for (const Json& one : *list) {
      if (one.is_string()) bytes(number, one.get_ref<const std::string&>());
    }
    return *this;
  }
  Message& flag(unsigned number, const Json& object, std::string_view key) {
    if (!bool_or(object, key)) return *this;
    varint(number << 3);
    varint(1);
    return *this;
  }
  Message& integer(unsigned number, const Json& object, std::string_view key) {
    const Json* value = find_member(object, key);
    if (!value || !value->is_number_integer()) return *this;
    varint(number << 3);
    varint(static_cast<std::uint64_t>(value->get<std::int64_t>()));
    return *this;
  }
  Message& number(unsigned field, const Json& object, std::string_view key) {
    const Json* value = find_member(object, key);
    if (!value || !value->is_number()) return *this;
    varint(field << 3 | 1);
    double given = value->get<double>();
    std::uint64_t bits;
    static_assert(sizeof bits == sizeof given);
    std::memcpy(&bits, &given, sizeof bits);
    for (int i = 0; i < 8; ++i) out_ += static_cast<char>(bits >> (8 * i) & 0xff);
    return *this;
  }
  Message& bytes(unsigned number, std::string_view value) {
    varint(number << 3 | 2);
    varint(value.size());
    out_ += value;
    return *this;
  }
  const std::string& str() const { return out_; }

 private:
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) out_ += static_cast<char>(value | 0x80);
    out_ += static_cast<char>(value);
  }
  std::string out_;
};

// Any JSON is YAML.
std::string any(const Json& value) {
  Message out;
  out.text(2, value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  return out.str();
}

std::string named(std::string_view name, std::string_view value) {
  Message out;
  out.text(1, name).bytes(2, value);
  return out.str();
}

void extensions(Message& out, unsigned number, const Json& object) {
  for (const auto& [key, value] : object.items()) {
    if (key.starts_with("x-")) out.bytes(number, named(key, any(value)));
  }
}

std::string schema(const Json& json) {
  Message out;
  out.text(1, json, "$ref").text(2, json, "format").text(3, json, "title");
  out.text(4, json, "description");
  if (const Json* given = find_member(json, "default")) out.bytes(5, any(*given));
  out.number(6, json, "multipleOf").number(7, json, "maximum");
  out.flag(8, json, "exclusiveMaximum").number(9, json, "minimum");
  out.flag(10, json, "exclusiveMinimum").integer(11, json, "maxLength");
  out.integer(12, json, "minLength").text(13, json, "pattern").integer(14, json, "maxItems");
  out.integer(15, json, "minItems").flag(16, json, "uniqueItems");
  out.integer(17, json, "maxProperties").integer(18, json, "minProperties");
  out.texts(19, json, "required");
  if (const Json* values = find_member(json, "enum"); values && values->is_array()) {
    for (const Json& value : *values) out.bytes(20, any(value));
  }
  if (const Json* more = find_member(json, "additionalProperties")) {
    Message item;
    if (more->is_object()) item.bytes(1, schema(*more));
    if (more->is_boolean()) item.flag(2, json, "additionalProperties");
    out.bytes(21, item.str());
  }
  if (std::string type = string_or(json, "type"); !type.empty()) {
    Message item;
    out.bytes(22, item.text(1, type).str());
  }
  if (const Json* items = find_member(json, "items"); items && items->is_object()) {
    Message item;
    out.bytes(23, item.bytes(1, schema(*items)).str());
  }
  if (const Json* properties = find_member(json, "properties");
      properties && properties->is_object()) {
    Message item;
    for (const auto& [name, value] : properties->items()) item.bytes(1, named(name, schema(value)));
    out.bytes(25, item.str());
  }
  extensions(out, 31, json);
  return out.str();
}

// A ParametersItem.
std::string parameter(const Json& json) {
  Message inner, outer, item;
  std::string in = string_or(json, "in");
  if (in == "body") {
    inner.text(1, json, "description").text(2, json, "name").text(3, in);
    inner.flag(4, json, "required").bytes(5, schema(json.at("schema")));
    outer.bytes(1, inner.str());
  } else {
    bool query = in == "query";
    inner.flag(1, json, "required").text(2, in).text(3, json, "description");
    inner.text(4, json, "name").text(query ? 6 : 5, json, "type");
    inner.flag(query ? 20 : 19, json, "uniqueItems");
    Message choice;
    choice.bytes(query ? 3 : 4, inner.str());
    outer.bytes(2, choice.str());
  }
  item.bytes(1, outer.str());
  return item.str();
}

void parameters(Message& out, unsigned number, const Json& object) {
  const Json* list = find_member(object, "parameters");
  if (!list) return;
  for (const Json& one : *list) out.bytes(number, parameter(one));
}

std::string responses(const Json& json) {
  Message out;
  for (const auto& [code, response] : json.items()) {
    Message inner, value;
    inner.text(1, response, "description");
    if (const Json* body = find_member(response, "schema")) {
      Message item;
      inner.bytes(2, item.bytes(1, schema(*body)).str());
    }
    out.bytes(1, named(code, value.bytes(1, inner.str()).str()));
  }
  return out.str();
}

std::string operation(const Json& json) {
  Message out;
  out.texts(1, json, "tags").text(3, json, "description").text(5, json, "operationId");
  out.texts(6, json, "produces").texts(7, json, "consumes");
  parameters(out, 8, json);
  out.bytes(9, responses(json.at("responses"))).texts(10, json, "schemes");
  extensions(out, 13, json);
  return out.str();
}

}  // namespace

std::string v2_protobuf_path(std::string_view path, const Json& json) {
  struct Method {
    const char* name;
    unsigned number;
  };
  static constexpr Method kMethods[] = {
      {"get", 2}, {"put", 3}, {"post", 4}, {"delete", 5}, {"patch", 8}};
  Message item;
  for (const Method& method : kMethods) {
    if (const Json* one = find_member(json, method.name))
      item.bytes(method.number, operation(*one));
  }
  parameters(item, 9, json);
  Message paths, document;
  paths.bytes(2, named(path, item.str()));
  return document.bytes(8, paths.str()).str();
}

std::string v2_protobuf_definition(std::string_view name, const Json& json) {
  Message definitions, document;
  definitions.bytes(1, named(name, schema(json)));
  return document.bytes(9, definitions.str()).str();
}

std::string v2_protobuf_head(const Json& head) {
  Message info, document;
  const Json& given = head.at("info");
  info.text(1, given, "title").text(2, given, "version");
  document.text(1, head, "swagger").bytes(2, info.str());
  for (const auto& [name, definition] : head.at("securityDefinitions").items()) {
    Message key, choice, definitions, requirement;
    key.text(1, definition, "type").text(2, definition, "name").text(3, definition, "in");
    key.text(4, definition, "description");
    definitions.bytes(1, named(name, choice.bytes(2, key.str()).str()));
    requirement.bytes(1, named(name, ""));
    document.bytes(12, requirement.str()).bytes(13, definitions.str());
  }
  return document.str();
}

}  // namespace moth::schema
