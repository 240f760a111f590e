#include "api/resources/apiextensions_v1/schema.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include "api/base/json.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxPattern = 16 * 1024;

std::vector<std::string> texts(const Json& json, std::string_view key) {
  std::vector<std::string> list;
  const Json* member = find_member(json, key);
  if (!member || !member->is_array()) return list;
  for (const Json& item : *member) {
    if (item.is_string()) list.push_back(item.get<std::string>());
  }
  return list;
}

std::optional<double> number(const Json& json, std::string_view key) {
  const Json* member = find_member(json, key);
  if (!member || !member->is_number()) return std::nullopt;
  return member->get<double>();
}

std::optional<std::int64_t> whole(const Json& json, std::string_view key) {
  const Json* member = find_member(json, key);
  if (!member || !member->is_number_integer()) return std::nullopt;
  return member->get<std::int64_t>();
}

class Parser {
 public:
  // `typed`: a part around this one has rules, which see the types of all below them.
  Result<SchemaPtr> parse(const Json& json, const FieldPath& path, std::size_t depth, bool typed,
                          bool root = false) {
    if (depth > kMaxSchemaDepth) {
      return wrong(path, fmt::format("schemas must not be nested deeper than {}", kMaxSchemaDepth));
    }
    if (++parts_ > kMaxSchemaParts) {
      return wrong(path, fmt::format("a schema must not have more than {} parts", kMaxSchemaParts));
    }
    auto schema = std::make_unique<Schema>();
    read_shape(*schema, json);
    schema->is_resource = root || schema->embedded;
    MOTH_TRY(read_checks(*schema, json, path));
    const Json* rules = find_member(json, "x-kubernetes-validations");
    bool has_rules = rules && rules->is_array();
    typed = typed || has_rules;
    MOTH_TRY(read_children(*schema, json, path, depth, typed));
    MOTH_TRY(read_combinations(*schema, json, path, depth));
    if (typed) schema->cel_type = cel_type_of(*schema);
    if (has_rules) {
      for (const Json& rule : *rules) {
        if (auto compiled = compile_rule(rule, schema->cel_type))
          schema->rules.push_back(*std::move(compiled));
      }
    }
    return SchemaPtr(std::move(schema));
  }

 private:
  static tl::unexpected<Error> wrong(const FieldPath& path, const std::string& what) {
    return fail(Error{
        Reason::kInvalid, what, "", "", "", "", {{"FieldValueInvalid", what, path.to_string()}}});
  }

  static void read_shape(Schema& schema, const Json& json) {
    schema.type = string_or(json, "type");
    schema.format = string_or(json, "format");
    schema.nullable = bool_or(json, "nullable");
    schema.preserve_unknown = bool_or(json, "x-kubernetes-preserve-unknown-fields");
    schema.embedded = bool_or(json, "x-kubernetes-embedded-resource");
    schema.int_or_string = bool_or(json, "x-kubernetes-int-or-string");
    schema.list_type = string_or(json, "x-kubernetes-list-type");
    schema.map_type = string_or(json, "x-kubernetes-map-type");
    schema.list_map_keys = texts(json, "x-kubernetes-list-map-keys");
    if (const Json* fallback = find_member(json, "default"))
      schema.fallback = std::make_unique<const Json>(*fallback);
  }

  Result<> read_checks(Schema& schema, const Json& json, const FieldPath& path) {
    schema.required = texts(json, "required");
    schema.minimum = number(json, "minimum");
    schema.maximum = number(json, "maximum");
    schema.multiple_of = number(json, "multipleOf");
    schema.exclusive_minimum = bool_or(json, "exclusiveMinimum");
    schema.exclusive_maximum = bool_or(json, "exclusiveMaximum");
    schema.min_length = whole(json, "minLength");
    schema.max_length = whole(json, "maxLength");
    schema.min_items = whole(json, "minItems");
    schema.max_items = whole(json, "maxItems");
    schema.min_properties = whole(json, "minProperties");
    schema.max_properties = whole(json, "maxProperties");
    if (const Json* allowed = find_member(json, "enum"); allowed && allowed->is_array())
      schema.allowed.assign(allowed->begin(), allowed->end());
    schema.pattern_text = string_or(json, "pattern");
    if (schema.pattern_text.empty()) return {};
    if (schema.pattern_text.size() > kMaxPattern) {
      return wrong(path.child("pattern"),
                   fmt::format("must not be longer than {} bytes", kMaxPattern));
    }
    // Hundreds of parts of one definition have the pattern of a quantity.
    auto& pattern = patterns_[schema.pattern_text];
    if (!pattern) pattern = compile_pattern(schema.pattern_text);
    schema.pattern = pattern;
    if (schema.pattern->ok()) return {};
    return wrong(
        path.child("pattern"),
        fmt::format("must be a valid regular expression, but isn't: {}", schema.pattern->error()));
  }

  Result<> read_children(Schema& schema, const Json& json, const FieldPath& path, std::size_t depth,
                         bool typed) {
    if (const Json* properties = find_member(json, "properties");
        properties && properties->is_object()) {
      for (const auto& [name, property] : properties->items()) {
        MOTH_ASSIGN(schema.properties[name],
                    parse(property, path.child("properties").key(name), depth + 1, typed));
      }
    }
    if (const Json* items = find_member(json, "items"); items && items->is_object()) {
      MOTH_ASSIGN(schema.items, parse(*items, path.child("items"), depth + 1, typed));
    }
    const Json* more = find_member(json, "additionalProperties");
    if (more && more->is_object()) {
      MOTH_ASSIGN(schema.additional,
                  parse(*more, path.child("additionalProperties"), depth + 1, typed));
    } else if (more && more->is_boolean()) {
      schema.any_additional = more->get<bool>();
    }
    return {};
  }

  Result<> read_combinations(Schema& schema, const Json& json, const FieldPath& path,
                             std::size_t depth) {
    auto list = [&](const char* key, std::vector<SchemaPtr>& out) -> Result<> {
      const Json* member = find_member(json, key);
      if (!member || !member->is_array()) return {};
      for (std::size_t i = 0; i < member->size(); ++i) {
        MOTH_ASSIGN(SchemaPtr part,
                    parse((*member)[i], path.child(key).index(i), depth + 1, false));
        out.push_back(std::move(part));
      }
      return {};
    };
    MOTH_TRY(list("allOf", schema.all_of));
    MOTH_TRY(list("anyOf", schema.any_of));
    MOTH_TRY(list("oneOf", schema.one_of));
    if (const Json* negated = find_member(json, "not"); negated && negated->is_object()) {
      MOTH_ASSIGN(schema.negated, parse(*negated, path.child("not"), depth + 1, false));
    }
    return {};
  }

  std::size_t parts_ = 0;
  std::map<std::string, std::shared_ptr<const re2::RE2>> patterns_;
};

// Where the walk of a prune is.
struct Place {
  const Place* parent = nullptr;
  std::string_view key;
  std::size_t index = 0;
  bool item = false;

  std::string text() const {
    std::string before = parent ? parent->text() : "";
    if (item) return before + "[" + std::to_string(index) + "]";
    return before.empty() ? std::string(key) : before + "." + std::string(key);
  }
};

struct Pruner {
  std::vector<std::string>* unknown;
  std::size_t max_reported;

  static bool is_resource_member(std::string_view key) {
    return key == "apiVersion" || key == "kind" || key == "metadata";
  }

  void walk(const Schema& schema, Json& value, const Place* place) {
    if (value.is_array() && schema.items) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        Place below{place, {}, i, true};
        walk(*schema.items, value[i], &below);
      }
    } else if (value.is_object()) {
      walk_object(schema, value, place);
    }
  }

  void walk_object(const Schema& schema, Json& value, const Place* place) {
    for (auto it = value.begin(); it != value.end();) {
      Place below{place, it.key(), 0, false};
      auto property = schema.properties.find(it.key());
      bool own = schema.is_resource && is_resource_member(it.key());
      if (own) {
        ++it;  // metadata is pruned by its own type
      } else if (property != schema.properties.end()) {
        walk(*property->second, it.value(), &below);
        ++it;
      } else if (schema.additional) {
        walk(*schema.additional, it.value(), &below);
        ++it;
      } else if (schema.preserve_unknown || schema.any_additional) {
        ++it;
      } else {
        if (unknown && unknown->size() < max_reported) unknown->push_back(below.text());
        it = value.erase(it);
      }
    }
  }
};

}  // namespace

std::shared_ptr<const re2::RE2> compile_pattern(const std::string& pattern) {
  re2::RE2::Options options;
  options.set_log_errors(false);
  auto compiled = std::make_shared<const re2::RE2>(pattern, options);
  if (compiled->error_code() != re2::RE2::ErrorPatternTooLarge) return compiled;
  // Long repetitions of large classes, which Go has no bound for.
  options.set_max_mem(64 << 20);
  return std::make_shared<const re2::RE2>(pattern, options);
}

Schema::Schema() = default;
Schema::~Schema() = default;

Result<SchemaPtr> parse_schema(const Json& json, const FieldPath& path) {
  return Parser().parse(json, path, 0, false, true);
}

void prune(const Schema& schema, Json& value, std::vector<std::string>* unknown,
           std::size_t max_reported) {
  Pruner{unknown, max_reported}.walk(schema, value, nullptr);
}

void apply_defaults(const Schema& schema, Json& value) {
  if (value.is_array()) {
    if (!schema.items) return;
    for (Json& item : value) apply_defaults(*schema.items, item);
    return;
  }
  if (!value.is_object()) return;
  for (const auto& [name, property] : schema.properties) {
    auto member = value.find(name);
    bool absent = member == value.end() || (member->is_null() && !property->nullable);
    if (absent && property->fallback) value[name] = *property->fallback;
    member = value.find(name);
    if (member != value.end()) apply_defaults(*property, *member);
  }
  if (!schema.additional) return;
  for (auto& [name, member] : value.items()) {
    bool empty = member.is_null() && !schema.additional->nullable && schema.additional->fallback;
    if (empty) member = *schema.additional->fallback;
    apply_defaults(*schema.additional, member);
  }
}

}  // namespace moth::resources
