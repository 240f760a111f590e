#include "api/machinery/jsonpath.h"

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/jsonpath_program.h"
#include "api/machinery/text.h"

namespace moth {

JsonPath::JsonPath(const JsonPath&) = default;
JsonPath& JsonPath::operator=(const JsonPath&) = default;
JsonPath::JsonPath(JsonPath&&) noexcept = default;
JsonPath& JsonPath::operator=(JsonPath&&) noexcept = default;
JsonPath::~JsonPath() = default;

Result<JsonPath> JsonPath::parse(std::string_view text) {
  auto program = std::make_shared<Program>();
  MOTH_ASSIGN(program->segments, jsonpath::parse_template(text));
  JsonPath path;
  path.program_ = std::move(program);
  return path;
}

Result<JsonPath> JsonPath::parse_relaxed(std::string_view text) {
  MOTH_ASSIGN(std::string expression, relaxed_jsonpath_expression(text));
  return parse(expression);
}

Result<std::string> JsonPath::render(const Json& data) const {
  jsonpath::Evaluator evaluator(allow_missing_keys_);
  MOTH_ASSIGN(auto results, evaluator.run(program_->segments, data));
  std::string out;
  for (const auto& values : results) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out += ' ';
      out += jsonpath_value_text(*values[i]);
    }
  }
  return out;
}

Result<std::vector<std::vector<Json>>> JsonPath::find(const Json& data) const {
  jsonpath::Evaluator evaluator(allow_missing_keys_);
  MOTH_ASSIGN(auto results, evaluator.run(program_->segments, data));
  std::vector<std::vector<Json>> out;
  for (const auto& values : results) {
    std::vector<Json>& copies = out.emplace_back();
    for (const Json* value : values) copies.push_back(*value);
  }
  return out;
}

Result<std::string> relaxed_jsonpath_expression(std::string_view text) {
  if (text.empty()) return std::string();
  std::string_view path = text;
  bool braced = path.starts_with('{') && path.ends_with('}') && path.size() > 1;
  if (braced) path = path.substr(1, path.size() - 2);
  if (path.starts_with('.')) path.remove_prefix(1);
  if (path.empty() || path.find_first_of("{}") != std::string_view::npos) {
    return fail(Error::bad_request(
        "unexpected path string, expected a 'name1.name2' or '.name1.name2' or '{name1.name2}' or "
        "'{.name1.name2}'"));
  }
  return "{." + std::string(path) + "}";
}

std::string jsonpath_value_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return go_format_double(value.get<double>());
  return dump_json(value);
}

}  // namespace moth
