#pragma once
// Schema: the OpenAPI v3 schema of one version of a custom resource, made ready for use: patterns
// and rules compiled, members by name. Also what prunes, fills in defaults and validates by it.
// Immutable; any thread.
//
// Bounded: depth, number of parts and size of patterns when it is parsed; the work of rules when
// they run (cel::Budget). Patterns run in linear time.
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/cel/cel.h"
#include "api/machinery/field_error.h"

namespace re2 {
class RE2;
}

namespace moth::resources {

// One entry of x-kubernetes-validations.
struct SchemaRule {
  std::string rule, message, reason, field_path;
  bool optional_old_self = false;
  bool transition = false;  // uses oldSelf
  std::optional<cel::Program> program, message_program;
};

struct Schema;
using SchemaPtr = std::unique_ptr<const Schema>;

struct Schema {
  Schema();
  ~Schema();

  std::string type, format;
  bool nullable = false;
  bool preserve_unknown = false;
  bool embedded = false;
  bool int_or_string = false;
  std::string list_type, map_type;
  std::vector<std::string> list_map_keys;
  std::unique_ptr<const Json> fallback;  // `default`; null: none

  std::map<std::string, SchemaPtr, std::less<>> properties;
  SchemaPtr items, additional;
  bool any_additional = false;  // additionalProperties: true

  std::vector<std::string> required;
  std::string pattern_text;
  std::shared_ptr<const re2::RE2> pattern;  // one for all parts that have the same
  std::optional<double> minimum, maximum, multiple_of;
  bool exclusive_minimum = false, exclusive_maximum = false;
  std::optional<std::int64_t> min_length, max_length, min_items, max_items, min_properties,
      max_properties;
  std::vector<Json> allowed;  // enum
  std::vector<SchemaPtr> all_of, any_of, one_of;
  SchemaPtr negated;

  cel::TypePtr cel_type;  // of self; only where this part or one around it has rules
  std::vector<SchemaRule> rules;

  // An object with apiVersion, kind and metadata: the root or an embedded resource.
  bool is_resource = false;
};

inline constexpr std::size_t kMaxSchemaDepth = 64;
inline constexpr std::size_t kMaxSchemaParts = 20000;

// `json`: openAPIV3Schema. Invalid (422), at `path`, for patterns that are none and what is out of
// bounds; rules that do not compile are left out (check_rules() tells of them).
Result<SchemaPtr> parse_schema(const Json& json, const FieldPath& path);

// Check ok() of the result. With more memory for the few patterns that need it.
std::shared_ptr<const re2::RE2> compile_pattern(const std::string& pattern);

// Removes the fields that the schema does not name; their paths, as spec.list[0].foo, go to
// `unknown` (at most `max_reported`).
void prune(const Schema& schema, Json& value, std::vector<std::string>* unknown = nullptr,
           std::size_t max_reported = 100);
// Fills in defaults of absent fields, everywhere. Null where the schema has a default and does not
// allow null counts as absent.
void apply_defaults(const Schema& schema, Json& value);

struct ValidationScope {
  FieldPath path;             // of `value`
  const Json* old = nullptr;  // what it was before, for transition rules; parts that did not change
                              // are not judged again
};
// Everything but rules: types, bounds, formats, patterns, combinations, uniqueness in lists.
FieldErrors validate_value(const Schema& schema, const Json& value, const ValidationScope& scope);
// x-kubernetes-validations, everywhere.
FieldErrors validate_rules(const Schema& schema, const Json& value, const ValidationScope& scope);

// Upstream's formats of text: what is not known is not checked.
bool matches_format(std::string_view format, std::string_view text);
bool is_known_format(std::string_view format);

// The CEL type of `schema`; root and embedded resources have apiVersion, kind and metadata.
cel::TypePtr cel_type_of(const Schema& schema);
// Compiles one rule of `type`; the error names the member of the rule at `path`.
Result<SchemaRule> compile_rule(const Json& rule, const cel::TypePtr& type);

}  // namespace moth::resources
