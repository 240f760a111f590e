// Values against schemas, with the texts of kube-openapi's validation.
#include <fmt/format.h>
#include <re2/re2.h>

#include <cmath>
#include <set>

#include "api/base/json.h"
#include "api/machinery/text.h"
#include "api/resources/apiextensions_v1/schema.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxErrors = 100;

bool is_whole(const Json& value) {
  if (value.is_number_integer()) return true;
  return value.is_number_float() && std::floor(value.get<double>()) == value.get<double>();
}

std::string type_of(const Json& value) {
  if (value.is_object()) return "object";
  if (value.is_array()) return "array";
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "boolean";
  if (value.is_null()) return "null";
  return is_whole(value) ? "integer" : "number";
}

bool has_type(const Schema& schema, const Json& value) {
  if (schema.int_or_string) return value.is_string() || (value.is_number() && is_whole(value));
  if (schema.type.empty()) return true;
  if (schema.type == "number") return value.is_number();
  if (schema.type == "integer") return value.is_number() && is_whole(value);
  return type_of(value) == schema.type;
}

std::string number_text(double number) {
  return go_format_double(number);
}

std::size_t code_points(const std::string& text) {
  std::size_t count = 0;
  for (char c : text) count += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return count;
}

class Validator {
 public:
  FieldErrors errors;

  void check(const Schema& schema, const Json& value, const FieldPath& path, const Json* old) {
    if (errors.size() >= kMaxErrors) return;
    // What did not change was accepted before [validation ratcheting].
    if (old && *old == value) return;
    if (value.is_null() && schema.nullable) return;
    if (!has_type(schema, value)) {
      std::string wanted = schema.int_or_string ? "integer,string" : schema.type;
      std::string found = type_of(value);
      errors.push_back(FieldError::type_invalid(
          at(path), found,
          fmt::format("{} in body must be of type {}: \"{}\"", path.to_string(), wanted, found)));
      return;
    }
    combinations(schema, value, path, old);
    if (value.is_string()) text(schema, value, path);
    if (value.is_number()) number(schema, value, path);
    if (value.is_array()) array(schema, value, path, old);
    if (value.is_object()) object(schema, value, path, old);
    allowed(schema, value, path);
  }

 private:
  static FieldPath at(const FieldPath& path) { return path.empty() ? FieldPath("<nil>") : path; }

  void invalid(const FieldPath& path, const Json& value, const std::string& what) {
    errors.push_back(
        FieldError::invalid(at(path), value, fmt::format("{} in body {}", path.to_string(), what)));
  }

  void text(const Schema& schema, const Json& value, const FieldPath& path) {
    const auto& text = value.get_ref<const std::string&>();
    if (schema.max_length || schema.min_length) {
      auto length = static_cast<std::int64_t>(code_points(text));
      if (schema.max_length && length > *schema.max_length) {
        errors.push_back(
            FieldError::too_long(at(path), static_cast<std::size_t>(*schema.max_length)));
      }
      if (schema.min_length && length < *schema.min_length)
        invalid(path, value, fmt::format("should be at least {} chars long", *schema.min_length));
    }
    if (schema.pattern && !re2::RE2::PartialMatch(text, *schema.pattern))
      invalid(path, value, fmt::format("should match '{}'", schema.pattern_text));
    if (!schema.format.empty() && !matches_format(schema.format, text)) {
      errors.push_back(
          FieldError::type_invalid(at(path), value,
                                   fmt::format("{} in body must be of type {}: {}",
                                               path.to_string(), schema.format, go_quote(text))));
    }
  }

  void number(const Schema& schema, const Json& value, const FieldPath& path) {
    double number = value.get<double>();
    if (schema.maximum) {
      bool over = schema.exclusive_maximum ? number >= *schema.maximum : number > *schema.maximum;
      const char* words = schema.exclusive_maximum ? "should be less than {}"
                                                   : "should be less than or equal to {}";
      if (over)
        invalid(path, value, fmt::format(fmt::runtime(words), number_text(*schema.maximum)));
    }
    if (schema.minimum) {
      bool under = schema.exclusive_minimum ? number <= *schema.minimum : number < *schema.minimum;
      const char* words = schema.exclusive_minimum ? "should be greater than {}"
                                                   : "should be greater than or equal to {}";
      if (under)
        invalid(path, value, fmt::format(fmt::runtime(words), number_text(*schema.minimum)));
    }
    if (schema.multiple_of && *schema.multiple_of != 0) {
      double times = number / *schema.multiple_of;
      if (std::abs(times - std::round(times)) > 1e-9)
        invalid(path, value,
                fmt::format("should be a multiple of {}", number_text(*schema.multiple_of)));
    }
    bool out_of_int32 =
        schema.format == "int32" && (number < -2147483648.0 || number > 2147483647.0);
    if (out_of_int32) {
      errors.push_back(FieldError::type_invalid(
          at(path), value,
          fmt::format("{} in body must be of type int32: \"{}\"", path.to_string(), value.dump())));
    }
  }

  void array(const Schema& schema, const Json& value, const FieldPath& path, const Json* old) {
    auto size = static_cast<std::int64_t>(value.size());
    if (schema.max_items && size > *schema.max_items) {
      errors.push_back(FieldError::too_many(at(path), value.size(),
                                            static_cast<std::size_t>(*schema.max_items)));
    }
    if (schema.min_items && size < *schema.min_items)
      invalid(path, value, fmt::format("should have at least {} items", *schema.min_items));
    if (schema.items) {
      for (std::size_t i = 0; i < value.size(); ++i)
        check(*schema.items, value[i], path.index(i), old_item(schema, value[i], old));
    }
    unique(schema, value, path);
  }

 public:
  // The item of the old list that has the same keys; null where lists are not maps.
  static const Json* old_item(const Schema& schema, const Json& item, const Json* old) {
    if (!old || !old->is_array() || schema.list_type != "map" || !item.is_object()) return nullptr;
    for (const Json& candidate : *old) {
      bool same = candidate.is_object();
      for (const std::string& key : schema.list_map_keys) {
        const Json* a = find_member(item, key);
        const Json* b = find_member(candidate, key);
        same = same && a && b && *a == *b;
      }
      if (same) return &candidate;
    }
    return nullptr;
  }

  static const Json* old_member(const Json* old, const std::string& key) {
    return old ? find_member(*old, key) : nullptr;
  }

 private:
  void unique(const Schema& schema, const Json& value, const FieldPath& path) {
    if (schema.list_type != "set" && schema.list_type != "map") return;
    std::set<std::string> seen;
    for (std::size_t i = 0; i < value.size(); ++i) {
      Json key = value[i];
      if (schema.list_type == "map") {
        key = Json::object();
        for (const std::string& name : schema.list_map_keys) {
          if (const Json* member = find_member(value[i], name)) key[name] = *member;
        }
      }
      if (!seen.insert(key.dump()).second)
        errors.push_back(FieldError::duplicate(path.index(i), key));
    }
  }

  void object(const Schema& schema, const Json& value, const FieldPath& path, const Json* old) {
    auto size = static_cast<std::int64_t>(value.size());
    if (schema.max_properties && size > *schema.max_properties) {
      errors.push_back(FieldError::too_many(at(path), value.size(),
                                            static_cast<std::size_t>(*schema.max_properties)));
    }
    if (schema.min_properties && size < *schema.min_properties) {
      invalid(path, value,
              fmt::format("should have at least {} properties", *schema.min_properties));
    }
    for (const std::string& name : schema.required) {
      if (!value.contains(name)) errors.push_back(FieldError::required(path.child(name), ""));
    }
    if (schema.embedded) embedded(value, path);
    for (const auto& [name, member] : value.items()) {
      auto property = schema.properties.find(name);
      if (property != schema.properties.end()) {
        check(*property->second, member, path.child(name), old_member(old, name));
      } else if (schema.additional) {
        check(*schema.additional, member, path.child(name), old_member(old, name));
      }
    }
  }

  void embedded(const Json& value, const FieldPath& path) {
    for (const char* name : {"apiVersion", "kind"}) {
      if (string_or(value, name).empty())
        errors.push_back(FieldError::required(path.child(name), "must not be empty"));
    }
  }

  void allowed(const Schema& schema, const Json& value, const FieldPath& path) {
    if (schema.allowed.empty()) return;
    std::vector<std::string> words;
    for (const Json& candidate : schema.allowed) {
      if (candidate == value) return;
      words.push_back(candidate.is_string() ? candidate.get<std::string>() : candidate.dump());
    }
    errors.push_back(FieldError::not_supported(at(path), value, std::move(words)));
  }

  // Errors of combinations stand at no field, as upstream has it.
  void composite(const FieldPath& path, const std::string& what) {
    errors.push_back(
        FieldError::invalid(FieldPath("<nil>"), "", go_quote(path.to_string()) + " " + what));
  }

  FieldErrors try_schema(const Schema& schema, const Json& value, const FieldPath& path) const {
    Validator part;
    part.depth_ = depth_ + 1;
    part.check(schema, value, path, nullptr);
    return std::move(part.errors);
  }

  void combinations(const Schema& schema, const Json& value, const FieldPath& path, const Json*) {
    // Combinations inside of combinations multiply; structural schemas are never so deep.
    if (depth_ > 16) return;
    if (!schema.all_of.empty()) {
      std::size_t good = 0;
      for (const SchemaPtr& part : schema.all_of) {
        FieldErrors wrong = try_schema(*part, value, path);
        good += wrong.empty();
        append(errors, std::move(wrong));
      }
      if (good == 0) {
        composite(path, "must validate all the schemas (allOf). None validated");
      } else if (good < schema.all_of.size()) {
        composite(path, "must validate all the schemas (allOf)");
      }
    }
    some_of(schema.any_of, value, path, false);
    some_of(schema.one_of, value, path, true);
    if (schema.negated && try_schema(*schema.negated, value, path).empty())
      composite(path, "must not validate the schema (not)");
  }

  void some_of(const std::vector<SchemaPtr>& parts, const Json& value, const FieldPath& path,
               bool one) {
    if (parts.empty()) return;
    std::size_t good = 0;
    std::optional<FieldErrors> best;
    for (const SchemaPtr& part : parts) {
      FieldErrors wrong = try_schema(*part, value, path);
      if (wrong.empty()) {
        ++good;
        if (!one) return;
      } else if (!best || wrong.size() < best->size()) {
        best = std::move(wrong);
      }
    }
    if (one && good == 1) return;
    if (good > 1) {
      composite(path, fmt::format("must validate one and only one schema (oneOf). Found {} valid "
                                  "alternatives",
                                  good));
      return;
    }
    composite(path, one ? "must validate one and only one schema (oneOf). Found none valid"
                        : "must validate at least one schema (anyOf)");
    if (best) append(errors, *std::move(best));
  }

  int depth_ = 0;
};

FieldErrorType type_of_reason(const std::string& reason) {
  if (reason == "FieldValueForbidden") return FieldErrorType::kForbidden;
  if (reason == "FieldValueRequired") return FieldErrorType::kRequired;
  if (reason == "FieldValueDuplicate") return FieldErrorType::kDuplicate;
  return FieldErrorType::kInvalid;
}

class RuleRunner {
 public:
  FieldErrors errors;

  // `correlated`: there may be an old value; an absent one then means that this one is new.
  void walk(const Schema& schema, const Json& value, const FieldPath& path, const Json* old,
            std::size_t depth) {
    if (budget_.exhausted || depth > kMaxSchemaDepth + 2) return;
    if (value.is_null()) return;
    bool unchanged = old && *old == value;
    for (const SchemaRule& rule : schema.rules) {
      if (budget_.exhausted) return;
      if (unchanged && !rule.transition) continue;
      if (rule.transition && !old && !rule.optional_old_self) continue;
      run(schema, rule, value, path, old);
    }
    if (value.is_array() && schema.items) {
      for (std::size_t i = 0; i < value.size(); ++i)
        walk(*schema.items, value[i], path.index(i), Validator::old_item(schema, value[i], old),
             depth + 1);
    }
    if (!value.is_object()) return;
    for (const auto& [name, member] : value.items()) {
      auto property = schema.properties.find(name);
      const Schema* below =
          property != schema.properties.end() ? property->second.get() : schema.additional.get();
      if (below)
        walk(*below, member,
             property != schema.properties.end() ? path.child(name) : path.key(name),
             Validator::old_member(old, name), depth + 1);
    }
  }

 private:
  void run(const Schema& schema, const SchemaRule& rule, const Json& value, const FieldPath& path,
           const Json* old) {
    cel::Bindings bindings = {{"self", cel::Value::of(value, schema.cel_type)}};
    if (rule.optional_old_self) {
      bindings.emplace_back("oldSelf", old ? cel::Value::some(cel::Value::of(*old, schema.cel_type))
                                           : cel::Value::none());
    } else if (old) {
      bindings.emplace_back("oldSelf", cel::Value::of(*old, schema.cel_type));
    }
    auto verdict = rule.program->evaluate_bool(bindings, budget_);
    if (verdict && *verdict) return;
    FieldPath where = rule.field_path.empty() ? path : below(path, rule.field_path);
    if (!verdict) {
      errors.push_back(
          FieldError::invalid(path_or_nil(path), schema.type, trouble(rule, verdict.error())));
      return;
    }
    std::string message = rule.message.empty() ? "failed rule: " + rule.rule : rule.message;
    if (rule.message_program) {
      auto made = rule.message_program->evaluate_string(bindings, budget_);
      // What is no single line of text is no message; the fixed one remains.
      bool usable = made && !made->empty() && made->find('\n') == std::string::npos &&
                    made->size() <= 5 * 1024;
      if (usable) message = *made;
    }
    FieldError error = FieldError::invalid(path_or_nil(where), schema.type, std::move(message));
    error.type = type_of_reason(rule.reason);
    if (error.type == FieldErrorType::kRequired || error.type == FieldErrorType::kForbidden)
      error.bad_value.clear();
    errors.push_back(std::move(error));
  }

  static FieldPath path_or_nil(const FieldPath& path) {
    return path.empty() ? FieldPath("<nil>") : path;
  }

  // `.spec.name` or `['a.b']` behind `path`.
  static FieldPath below(const FieldPath& path, const std::string& relative) {
    FieldPath result = path;
    for (std::size_t at = 0; at < relative.size();) {
      if (relative[at] == '.') {
        std::size_t end = relative.find_first_of(".[", at + 1);
        end = std::min(end, relative.size());
        result = result.child(relative.substr(at + 1, end - at - 1));
        at = end;
      } else if (relative.compare(at, 2, "['") == 0) {
        std::size_t end = relative.find("']", at);
        if (end == std::string::npos) return result;
        result = result.child(relative.substr(at + 2, end - at - 2));
        at = end + 2;
      } else {
        return result;
      }
    }
    return result;
  }

  std::string trouble(const SchemaRule& rule, const Error& error) const {
    std::string what = rule.message.empty() ? rule.rule : rule.message;
    if (budget_.exhausted) {
      return "validation failed due to running out of cost budget, no further validation rules "
             "will be run";
    }
    if (error.message.starts_with("no such overload")) {
      return fmt::format(
          "'{}': call arguments did not match a supported operator, function or macro signature "
          "for rule: {}",
          error.message, what);
    }
    return fmt::format("{} evaluating rule: {}", error.message, what);
  }

  cel::Budget budget_;
};

}  // namespace

FieldErrors validate_value(const Schema& schema, const Json& value, const ValidationScope& scope) {
  Validator validator;
  validator.check(schema, value, scope.path, scope.old);
  return std::move(validator.errors);
}

FieldErrors validate_rules(const Schema& schema, const Json& value, const ValidationScope& scope) {
  RuleRunner runner;
  runner.walk(schema, value, scope.path, scope.old, 0);
  return std::move(runner.errors);
}

}  // namespace moth::resources
