#pragma once
// kubectl's JSONPath templates: text with {expressions}: fields, [n], slices, unions, wildcards,
// recursive descent, filters, range/end, quoted text. Immutable after parse, any thread.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

class JsonPath {
 public:
  // BadRequest with upstream's text ("unclosed action", ...).
  static Result<JsonPath> parse(std::string_view text);
  // The relaxed form of custom-columns and `wait --for=jsonpath`: `.a.b`, `a.b`, `{.a}`, `{a}`.
  static Result<JsonPath> parse_relaxed(std::string_view text);
  JsonPath(const JsonPath&);
  JsonPath& operator=(const JsonPath&);
  JsonPath(JsonPath&&) noexcept;
  JsonPath& operator=(JsonPath&&) noexcept;
  ~JsonPath();

  // With it, a missing member is no result; without, an error ("x is not found").
  void allow_missing_keys(bool allow) { allow_missing_keys_ = allow; }

  // The template filled in; several results of one expression are joined by a space.
  Result<std::string> render(const Json& data) const;
  // One list of values per expression of the template, copies of what `data` holds (text nodes as
  // strings).
  Result<std::vector<std::vector<Json>>> find(const Json& data) const;

  struct Program;

 private:
  JsonPath() = default;
  std::shared_ptr<const Program> program_;
  bool allow_missing_keys_ = true;
};

// `.a.b` | `a.b` | `{.a.b}` | `{a.b}` -> `{.a.b}`.
Result<std::string> relaxed_jsonpath_expression(std::string_view text);
// How one value is printed: text bare, lists and maps as JSON, null as nothing said: `null`.
std::string jsonpath_value_text(const Json& value);

}  // namespace moth
