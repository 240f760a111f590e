#include "api/resources/apiextensions_v1/definition_schema.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>
#include <functional>
#include <set>

#include "api/base/json.h"
#include "api/resources/apiextensions_v1/schema.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxErrors = 100;
constexpr std::array<const char*, 6> kTypes = {"array",  "boolean", "integer",
                                               "number", "object",  "string"};

// Where a part of the schema stands.
enum class Place { kRoot, kProperty, kItems, kAdditional };

const Json* array_at(const Json& schema, std::string_view key) {
  const Json* member = find_member(schema, key);
  return member && member->is_array() ? member : nullptr;
}
const Json* object_at(const Json& schema, std::string_view key) {
  const Json* member = find_member(schema, key);
  return member && member->is_object() ? member : nullptr;
}

class Checker {
 public:
  FieldErrors errors;

  void check(const Json& schema, const FieldPath& path, Place place, std::size_t depth) {
    if (!usable(schema, path, depth)) return;
    forbidden(schema, path);
    structural(schema, path, place);
    values(schema, path);
    lists(schema, path);
    children(schema, path, depth);
    combinations(schema, path, depth, schema);
  }

 private:
  bool usable(const Json& schema, const FieldPath& path, std::size_t depth) {
    if (errors.size() >= kMaxErrors) return false;
    if (!schema.is_object()) {
      invalid(path, schema, "must be a schema object");
      return false;
    }
    if (depth > kMaxSchemaDepth) {
      if (!too_deep_) {
        errors.push_back(FieldError::invalid(
            path, "", fmt::format("schemas must not be nested deeper than {}", kMaxSchemaDepth)));
      }
      too_deep_ = true;
      return false;
    }
    return true;
  }

  void invalid(const FieldPath& path, const Json& value, std::string what) {
    errors.push_back(FieldError::invalid(path, value, std::move(what)));
  }
  void required(const FieldPath& path, std::string what) {
    errors.push_back(FieldError::required(path, std::move(what)));
  }
  void forbid(const FieldPath& path, std::string what) {
    errors.push_back(FieldError::forbidden(path, std::move(what)));
  }

  // What OpenAPI has and Kubernetes has not.
  void forbidden(const Json& schema, const FieldPath& path) {
    for (const char* key : {"definitions", "dependencies", "patternProperties", "id", "$ref"}) {
      const Json* member = find_member(schema, key);
      bool empty = !member || ((member->is_object() || member->is_string()) && member->empty());
      if (!empty) forbid(path.child(key), fmt::format("{} is not supported", key));
    }
    if (bool_or(schema, "uniqueItems")) {
      forbid(path.child("uniqueItems"),
             "uniqueItems cannot be set to true since the runtime complexity becomes quadratic");
    }
    if (schema.contains("additionalItems"))
      forbid(path.child("additionalItems"), "additionalItems is not supported");
    const Json* more = find_member(schema, "additionalProperties");
    if (more && *more == false) {
      forbid(path.child("additionalProperties"), "additionalProperties cannot be set to false");
    } else if (more && object_at(schema, "properties") && !schema["properties"].empty()) {
      forbid(path.child("additionalProperties"),
             "additionalProperties and properties are mutual exclusive");
    }
    if (const Json* items = find_member(schema, "items"); items && items->is_array())
      forbid(path.child("items"), "items must be a schema object and not an array");
  }

  void structural(const Json& schema, const FieldPath& path, Place place) {
    std::string type = string_or(schema, "type");
    bool preserve = bool_or(schema, "x-kubernetes-preserve-unknown-fields");
    bool int_or_string = bool_or(schema, "x-kubernetes-int-or-string");
    bool embedded = bool_or(schema, "x-kubernetes-embedded-resource");
    if (int_or_string && !type.empty())
      invalid(path.child("type"), type, "must be empty if x-kubernetes-int-or-string is true");
    if (int_or_string && preserve) {
      invalid(path.child("x-kubernetes-preserve-unknown-fields"), true,
              "must be false if x-kubernetes-int-or-string is true");
    }
    if (type.empty() && !int_or_string && !preserve) missing_type(path, place);
    if (place == Place::kRoot && !type.empty() && type != "object")
      invalid(path.child("type"), type, "must be object at the root");
    if (place == Place::kRoot && type.empty() && preserve)
      required(path.child("type"), "must be object at the root");
    if (embedded) {
      if (type != "object") {
        type.empty() ? required(path.child("type"),
                                "must be object if x-kubernetes-embedded-resource is true")
                     : invalid(path.child("type"), type,
                               "must be object if x-kubernetes-embedded-resource is true");
      }
      const Json* properties = object_at(schema, "properties");
      if (!preserve && (!properties || properties->empty())) {
        required(path.child("properties"),
                 "must not be empty if x-kubernetes-embedded-resource is true without "
                 "x-kubernetes-preserve-unknown-fields");
      }
    }
    if (find_member(schema, "x-kubernetes-preserve-unknown-fields") && !preserve) {
      invalid(path.child("x-kubernetes-preserve-unknown-fields"), false,
              "must be true or undefined");
    }
    if (type == "array" && !find_member(schema, "items"))
      required(path.child("items"), "must be specified");
    if (place == Place::kRoot || embedded) metadata(schema, path);
  }

  void missing_type(const FieldPath& path, Place place) {
    switch (place) {
      case Place::kRoot:
        return required(path.child("type"), "must not be empty at the root");
      case Place::kProperty:
        return required(path.child("type"), "must not be empty for specified object fields");
      case Place::kItems:
        return required(path.child("type"), "must not be empty for specified array items");
      case Place::kAdditional:
        return required(path.child("type"), "must not be empty for specified object fields");
    }
  }

  // Of an object's metadata only the name may be constrained.
  void metadata(const Json& schema, const FieldPath& path) {
    const Json* properties = object_at(schema, "properties");
    const Json* given = properties ? object_at(*properties, "metadata") : nullptr;
    if (!given) return;
    FieldPath at = path.child("properties").key("metadata");
    if (string_or(*given, "type") != "object")
      invalid(at.child("type"), string_or(*given, "type"), "must be object");
    static const std::set<std::string> kAllowed = {"type", "description", "properties", "nullable",
                                                   "default"};
    const Json* inner = object_at(*given, "properties");
    bool others = false;
    if (inner) {
      for (const auto& [name, ignored] : inner->items())
        others = others || (name != "name" && name != "generateName");
    }
    for (const auto& [name, ignored] : given->items()) others = others || !kAllowed.contains(name);
    if (others) {
      forbid(at,
             "must not specify anything other than name and generateName, but metadata is "
             "implicitly specified");
    }
  }

  void values(const Json& schema, const FieldPath& path) {
    std::string type = string_or(schema, "type");
    if (type == "null") {
      forbid(path.child("type"), "type cannot be set to null, use nullable as an alternative");
    } else if (!type.empty() && std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
      errors.push_back(
          FieldError::not_supported(path.child("type"), type, {kTypes.begin(), kTypes.end()}));
    }
    if (std::string pattern = string_or(schema, "pattern");
        !pattern.empty() && !patterns_.contains(pattern)) {
      if (auto compiled = compile_pattern(pattern); !compiled->ok()) {
        invalid(
            path.child("pattern"), pattern,
            fmt::format("must be a valid regular expression, but isn't: {}", compiled->error()));
      } else {
        patterns_.insert(std::move(pattern));
      }
    }
    for (const char* key :
         {"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"}) {
      if (int_or(schema, key) < 0) invalid(path.child(key), schema[key], "must be non-negative");
    }
    if (const Json* step = find_member(schema, "multipleOf");
        step && step->is_number() && step->get<double>() <= 0)
      invalid(path.child("multipleOf"), *step, "must be greater than 0");
  }

  void lists(const Json& schema, const FieldPath& path) {
    std::string type = string_or(schema, "type");
    std::string list_type = string_or(schema, "x-kubernetes-list-type");
    std::string map_type = string_or(schema, "x-kubernetes-map-type");
    const Json* keys = array_at(schema, "x-kubernetes-list-map-keys");
    FieldPath list_path = path.child("x-kubernetes-list-type");
    if (!list_type.empty()) {
      if (type != "array") {
        type.empty()
            ? required(path.child("type"), "must be array if x-kubernetes-list-type is specified")
            : invalid(path.child("type"), type,
                      "must be array if x-kubernetes-list-type is specified");
      }
      if (list_type != "atomic" && list_type != "set" && list_type != "map")
        errors.push_back(FieldError::not_supported(list_path, list_type, {"atomic", "map", "set"}));
    }
    if (keys && !keys->empty() && list_type != "map") {
      list_type.empty()
          ? required(list_path, "must be map if x-kubernetes-list-map-keys is non-empty")
          : invalid(list_path, list_type, "must be map if x-kubernetes-list-map-keys is non-empty");
    }
    if (list_type == "map") map_list(schema, path, keys);
    if (list_type == "set") set_items(schema, path);
    if (!map_type.empty()) {
      if (type != "object") {
        type.empty()
            ? required(path.child("type"), "must be object if x-kubernetes-map-type is specified")
            : invalid(path.child("type"), type,
                      "must be object if x-kubernetes-map-type is specified");
      }
      if (map_type != "atomic" && map_type != "granular")
        errors.push_back(FieldError::not_supported(path.child("x-kubernetes-map-type"), map_type,
                                                   {"atomic", "granular"}));
    }
  }

  void set_items(const Json& schema, const FieldPath& path) {
    const Json* items = object_at(schema, "items");
    if (!items) return;
    std::string type = string_or(*items, "type");
    FieldPath at = path.child("items");
    if (bool_or(*items, "nullable"))
      forbid(at.child("nullable"), "cannot be nullable when x-kubernetes-list-type is set");
    if (type == "array" && string_or(*items, "x-kubernetes-list-type", "atomic") != "atomic") {
      errors.push_back(FieldError::not_supported(at.child("x-kubernetes-list-type"),
                                                 string_or(*items, "x-kubernetes-list-type"),
                                                 {"atomic"}));
    }
    if (type == "object" && string_or(*items, "x-kubernetes-map-type") != "atomic") {
      std::string map_type = string_or(*items, "x-kubernetes-map-type");
      map_type.empty()
          ? required(at.child("x-kubernetes-map-type"),
                     "must be atomic as item of a list with x-kubernetes-list-type=set")
          : invalid(at.child("x-kubernetes-map-type"), map_type,
                    "must be atomic as item of a list with x-kubernetes-list-type=set");
    }
  }

  void map_list(const Json& schema, const FieldPath& path, const Json* keys) {
    FieldPath keys_path = path.child("x-kubernetes-list-map-keys");
    if (!keys || keys->empty())
      required(keys_path, "must not be empty if x-kubernetes-list-type is map");
    const Json* items = object_at(schema, "items");
    if (!items) {
      return required(path.child("items"), "must have a schema if x-kubernetes-list-type is map");
    }
    FieldPath items_path = path.child("items");
    if (string_or(*items, "type") != "object")
      invalid(items_path.child("type"), string_or(*items, "type"),
              "must be object if parent array's x-kubernetes-list-type is map");
    const Json* properties = object_at(*items, "properties");
    if (!properties) {
      return required(items_path.child("properties"),
                      "must not be empty if parent array's x-kubernetes-list-type is map");
    }
    std::set<std::string> seen;
    for (std::size_t i = 0; keys && i < keys->size(); ++i) {
      std::string key = (*keys)[i].is_string() ? (*keys)[i].get<std::string>() : "";
      if (!seen.insert(key).second)
        errors.push_back(FieldError::duplicate(keys_path.index(i), key));
      const Json* property = object_at(*properties, key);
      if (!property) {
        invalid(keys_path.index(i), key, "entries must all be names of item properties");
        continue;
      }
      list_key(*items, *property, key, items_path);
    }
  }

  void list_key(const Json& items, const Json& property, const std::string& key,
                const FieldPath& items_path) {
    FieldPath at = items_path.child("properties").key(key);
    std::string type = string_or(property, "type");
    if (type == "array" || type == "object") {
      invalid(at.child("type"), type,
              "must be a scalar type if parent array's x-kubernetes-list-type is map");
    }
    if (bool_or(property, "nullable")) {
      forbid(at.child("nullable"),
             "this property is in x-kubernetes-list-map-keys, so it cannot be nullable");
    }
    const Json* needed = array_at(items, "required");
    bool is_required = needed && std::find(needed->begin(), needed->end(), key) != needed->end();
    if (!is_required && !property.contains("default")) {
      required(at.child("default"),
               "this property is in x-kubernetes-list-map-keys, so it must have a default or be "
               "a required property");
    }
  }

  void children(const Json& schema, const FieldPath& path, std::size_t depth) {
    if (const Json* properties = object_at(schema, "properties")) {
      for (const auto& [name, property] : properties->items())
        check(property, path.child("properties").key(name), Place::kProperty, depth + 1);
    }
    if (const Json* items = object_at(schema, "items"))
      check(*items, path.child("items"), Place::kItems, depth + 1);
    if (const Json* more = object_at(schema, "additionalProperties"))
      check(*more, path.child("additionalProperties"), Place::kAdditional, depth + 1);
  }

  // allOf and its like hold value validation only, of parts that the structure names.
  void combinations(const Json& schema, const FieldPath& path, std::size_t depth,
                    const Json& structure) {
    bool int_or_string = bool_or(schema, "x-kubernetes-int-or-string");
    for (const char* key : {"allOf", "anyOf", "oneOf"}) {
      const Json* parts = array_at(schema, key);
      if (!parts) continue;
      // anyOf: [{type: integer}, {type: string}] says what int-or-string means.
      if (int_or_string && is_int_or_string(key, *parts)) continue;
      for (std::size_t i = 0; i < parts->size(); ++i)
        nested((*parts)[i], path.child(key).index(i), depth + 1, &structure);
    }
    if (const Json* negated = object_at(schema, "not"))
      nested(*negated, path.child("not"), depth + 1, &structure);
  }

  static bool is_int_or_string(std::string_view key, const Json& parts) {
    static const Json kTwo = Json::parse(R"([{"type":"integer"},{"type":"string"}])");
    if (key == "anyOf") return parts == kTwo;
    return key == "allOf" && !parts.empty() && parts[0] == Json{{"anyOf", kTwo}};
  }

  void nested(const Json& schema, const FieldPath& path, std::size_t depth, const Json* structure) {
    if (!usable(schema, path, depth)) return;
    values(schema, path);
    static constexpr std::array<std::pair<const char*, const char*>, 4> kEmpty = {
        std::pair{"type", "must be empty to be structural"},
        std::pair{"title", "must be empty to be structural"},
        std::pair{"description", "must be empty to be structural"},
        std::pair{"default", "must be undefined to be structural"}};
    for (const auto& [key, what] : kEmpty) {
      const Json* member = find_member(schema, key);
      if (member && !(member->is_string() && member->empty())) forbid(path.child(key), what);
    }
    if (schema.contains("additionalProperties"))
      forbid(path.child("additionalProperties"), "must be undefined to be structural");
    if (bool_or(schema, "nullable"))
      forbid(path.child("nullable"), "must be false to be structural");
    for (const char* key : {"x-kubernetes-preserve-unknown-fields",
                            "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string"}) {
      if (bool_or(schema, key)) forbid(path.child(key), "must be false to be structural");
    }
    for (const char* key : {"x-kubernetes-list-type", "x-kubernetes-list-map-keys",
                            "x-kubernetes-map-type", "x-kubernetes-validations"}) {
      if (schema.contains(key)) forbid(path.child(key), "must be undefined to be structural");
    }
    if (const Json* properties = object_at(schema, "properties")) {
      const Json* known = structure ? object_at(*structure, "properties") : nullptr;
      for (const auto& [name, property] : properties->items()) {
        const Json* outside = known ? object_at(*known, name) : nullptr;
        const Json* more = structure ? object_at(*structure, "additionalProperties") : nullptr;
        FieldPath at = path.child("properties").key(name);
        if (structure && !outside && !more) {
          required(FieldPath(outside_path(path)).child("properties").key(name),
                   fmt::format("because it is defined in {}", at.to_string()));
        }
        nested(property, at, depth + 1, outside ? outside : more);
      }
    }
    if (const Json* items = object_at(schema, "items")) {
      nested(*items, path.child("items"), depth + 1,
             structure ? object_at(*structure, "items") : nullptr);
    }
    for (const char* key : {"allOf", "anyOf", "oneOf"}) {
      const Json* parts = array_at(schema, key);
      for (std::size_t i = 0; parts && i < parts->size(); ++i)
        nested((*parts)[i], path.child(key).index(i), depth + 1, structure);
    }
    if (const Json* negated = object_at(schema, "not"))
      nested(*negated, path.child("not"), depth + 1, structure);
  }

  // The path of the structure that a combination stands in: without `anyOf[0]` and its like.
  static std::string outside_path(const FieldPath& path) {
    static const re2::RE2 kCombination(R"(\.(?:(?:allOf|anyOf|oneOf)\[\d+\]|not\b))");
    std::string text = path.to_string();
    re2::RE2::GlobalReplace(&text, kCombination, "");
    return text;
  }

  bool too_deep_ = false;
  std::set<std::string> patterns_;  // good ones
};

// --- what needs the parsed schema: defaults and rules -------------------------------------------

class DefaultsAndRules {
 public:
  FieldErrors errors;

  // `correlated`: whether an old value can be found for this place.
  void walk(const Schema& schema, const Json& json, const FieldPath& path, bool correlated,
            const std::string& break_at) {
    if (errors.size() >= kMaxErrors) return;
    fallback(schema, path);
    if (const Json* rules = array_at(json, "x-kubernetes-validations")) {
      for (std::size_t i = 0; i < rules->size(); ++i) {
        rule(schema, (*rules)[i], path.child("x-kubernetes-validations").index(i), correlated,
             break_at);
      }
    }
    if (const Json* properties = object_at(json, "properties")) {
      for (const auto& [name, property] : properties->items()) {
        auto below = schema.properties.find(name);
        if (below == schema.properties.end()) continue;
        walk(*below->second, property, path.child("properties").key(name), correlated, break_at);
      }
    }
    if (schema.items) {
      bool keyed = schema.list_type == "map";
      walk(*schema.items, json["items"], path.child("items"), correlated && keyed,
           correlated && !keyed ? path.to_string() : break_at);
    }
    if (schema.additional) {
      walk(*schema.additional, json["additionalProperties"], path.child("additionalProperties"),
           correlated, break_at);
    }
  }

 private:
  void fallback(const Schema& schema, const FieldPath& path) {
    if (!schema.fallback) return;
    FieldPath at = path.child("default");
    Json value = *schema.fallback;
    prune(schema, value);
    if (value != *schema.fallback)
      errors.push_back(FieldError::invalid(at, *schema.fallback, "must not have unknown fields"));
    apply_defaults(schema, value);
    append(errors, validate_value(schema, value, {at, nullptr}));
    append(errors, validate_rules(schema, value, {at, nullptr}));
  }

  void rule(const Schema& schema, const Json& json, const FieldPath& path, bool correlated,
            const std::string& break_at) {
    std::string text = string_or(json, "rule"), message = string_or(json, "message");
    std::string expression = string_or(json, "messageExpression");
    auto blank = [](const std::string& value) {
      return value.find_first_not_of(" \t\n") == std::string::npos;
    };
    if (blank(text)) {
      errors.push_back(FieldError::required(path.child("rule"), "rule is not specified"));
      return;
    }
    if (json.contains("message") && blank(message)) {
      errors.push_back(FieldError::invalid(path.child("message"), message,
                                           "message must be non-empty if specified"));
    } else if (message.find('\n') != std::string::npos) {
      errors.push_back(FieldError::invalid(path.child("message"), message,
                                           "message must not contain line breaks"));
    } else if (text.find('\n') != std::string::npos && message.empty()) {
      errors.push_back(FieldError::required(
          path.child("message"), "message must be specified if rule contains line breaks"));
    }
    std::string reason = string_or(json, "reason");
    static const std::vector<std::string> kReasons = {"FieldValueDuplicate", "FieldValueForbidden",
                                                      "FieldValueInvalid", "FieldValueRequired"};
    if (!reason.empty() && std::find(kReasons.begin(), kReasons.end(), reason) == kReasons.end())
      errors.push_back(FieldError::not_supported(path.child("reason"), reason, kReasons));
    field_path(schema, string_or(json, "fieldPath"), path);
    auto compiled = compile_rule(json, schema.cel_type);
    if (!compiled) {
      bool in_message = compiled.error().message.starts_with("messageExpression: ");
      std::string what = compiled.error().message;
      what.erase(0, what.find(": ") + 2);
      // Syntax and types are "compilation failed"; the type of the whole is a fault of its own.
      if (what.starts_with("ERROR")) what = "compilation failed: " + what;
      errors.push_back(FieldError::invalid(path.child(in_message ? "messageExpression" : "rule"),
                                           in_message ? Json(expression) : json, std::move(what)));
      return;
    }
    if (compiled->transition && !correlated) {
      errors.push_back(FieldError::invalid(
          path.child("rule"), text,
          fmt::format(
              "oldSelf cannot be used on the uncorrelatable portion of the schema within {}",
              break_at)));
    }
    if (json.contains("optionalOldSelf") && !compiled->transition) {
      errors.push_back(FieldError::invalid(path.child("optionalOldSelf"), json["optionalOldSelf"],
                                           "may not be set if oldSelf is not used in rule"));
    }
  }

  void field_path(const Schema& schema, const std::string& text, const FieldPath& path) {
    if (text.empty()) return;
    const Schema* at = &schema;
    for (std::size_t i = 0; i < text.size();) {
      std::string name;
      if (text[i] == '.') {
        std::size_t end = std::min(text.find_first_of(".[", i + 1), text.size());
        name = text.substr(i + 1, end - i - 1);
        i = end;
      } else if (text.compare(i, 2, "['") == 0 && text.find("']", i) != std::string::npos) {
        std::size_t end = text.find("']", i);
        name = text.substr(i + 2, end - i - 2);
        i = end + 2;
      } else {
        at = nullptr;
        break;
      }
      auto property = at->properties.find(name);
      bool own = at->is_resource && name == "metadata";
      if (property != at->properties.end()) {
        at = property->second.get();
      } else if (at->additional) {
        at = at->additional.get();
      } else if (!own) {
        at = nullptr;
        break;
      }
    }
    if (!at)
      errors.push_back(
          FieldError::invalid(path.child("fieldPath"), text, "fieldPath must be a valid path"));
  }
};

}  // namespace

JudgedSchema check_definition_schema(const Json& schema, const FieldPath& path) {
  Checker checker;
  checker.check(schema, path, Place::kRoot, 0);
  if (!checker.errors.empty()) return {std::move(checker.errors), nullptr};
  auto parsed = parse_schema(schema, path);
  if (!parsed) {
    const auto& causes = parsed.error().causes;
    FieldPath at = causes.empty() ? path : FieldPath(causes.front().field);
    return {{FieldError::invalid(at, "", parsed.error().message)}, nullptr};
  }
  DefaultsAndRules more;
  more.walk(**parsed, schema, path, true, "");
  if (!more.errors.empty()) return {std::move(more.errors), nullptr};
  return {{}, *std::move(parsed)};
}

}  // namespace moth::resources
