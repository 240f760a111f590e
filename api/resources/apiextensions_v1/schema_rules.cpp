// Schemas as CEL sees them.
#include <fmt/format.h>

#include "api/base/json.h"
#include "api/resources/apiextensions_v1/schema.h"

namespace moth::resources {
namespace {

using cel::Kind;

cel::TypePtr text_type(const std::string& format) {
  if (format == "byte") return cel::simple(Kind::kBytes);
  if (format == "date" || format == "date-time" || format == "datetime")
    return cel::simple(Kind::kTimestamp);
  if (format == "duration") return cel::simple(Kind::kDuration);
  return cel::simple(Kind::kString);
}

cel::TypePtr object_type(const Schema& schema) {
  if (schema.additional)
    return cel::map_of(cel::simple(Kind::kString), schema.additional->cel_type);
  if (schema.any_additional) return cel::map_of(cel::simple(Kind::kString), cel::dyn());
  std::vector<std::pair<std::string, cel::TypePtr>> fields;
  cel::TypePtr text = cel::simple(Kind::kString);
  if (schema.is_resource) {
    fields.emplace_back("apiVersion", text);
    fields.emplace_back("kind", text);
    fields.emplace_back("metadata",
                        cel::object_of("object", {{"name", text}, {"generateName", text}}));
  }
  for (const auto& [name, property] : schema.properties) {
    bool own = schema.is_resource && (name == "apiVersion" || name == "kind" || name == "metadata");
    if (!own) fields.emplace_back(name, property->cel_type);
  }
  return cel::object_of("object", fields);
}

}  // namespace

cel::TypePtr cel_type_of(const Schema& schema) {
  if (schema.int_or_string) return cel::dyn();
  if (schema.type == "object") return object_type(schema);
  if (schema.type == "array")
    return cel::list_of(schema.items ? schema.items->cel_type : cel::dyn());
  if (schema.type == "string") return text_type(schema.format);
  if (schema.type == "boolean") return cel::simple(Kind::kBool);
  if (schema.type == "integer") return cel::simple(Kind::kInt);
  if (schema.type == "number") return cel::simple(Kind::kDouble);
  return cel::dyn();
}

Result<SchemaRule> compile_rule(const Json& json, const cel::TypePtr& type) {
  SchemaRule rule;
  rule.rule = string_or(json, "rule");
  rule.message = string_or(json, "message");
  rule.reason = string_or(json, "reason");
  rule.field_path = string_or(json, "fieldPath");
  rule.optional_old_self = bool_or(json, "optionalOldSelf");
  cel::Environment environment;
  environment.variables = {{"self", type},
                           {"oldSelf", rule.optional_old_self ? cel::optional_of(type) : type}};
  auto program = cel::Program::compile(rule.rule, environment, cel::simple(Kind::kBool));
  if (!program) return fail(program.error().with_context("rule"));
  rule.transition = program->uses("oldSelf");
  rule.program = *std::move(program);
  if (std::string text = string_or(json, "messageExpression"); !text.empty()) {
    auto message = cel::Program::compile(text, environment, cel::simple(Kind::kString));
    if (!message) return fail(message.error().with_context("messageExpression"));
    rule.message_program = *std::move(message);
  }
  return rule;
}

}  // namespace moth::resources
