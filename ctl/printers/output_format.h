#pragma once
// -o: which form objects are printed in, and the printing. Pure.
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/jsonpath.h"
#include "ctl/printers/go_template.h"

namespace moth::ctl {

enum class OutputKind {
  kTable,
  kWide,
  kJson,
  kYaml,
  kName,
  kJsonPath,
  kJsonPathAsJson,
  kCustomColumns,
  kGoTemplate,
  kKyaml,
};

struct CustomColumn {
  std::string header;
  JsonPath path;
};

struct OutputFormat {
  OutputKind kind = OutputKind::kTable;
  std::optional<JsonPath> path;
  std::vector<CustomColumn> columns;
  std::optional<GoTemplate> go_template;
  bool allow_missing_keys = true;

  bool human() const { return kind == OutputKind::kTable || kind == OutputKind::kWide; }
};

// The value of -o: "", wide, json, yaml, name, jsonpath=..., jsonpath-file=...,
// jsonpath-as-json=..., custom-columns=..., custom-columns-file=..., go-template=...,
// go-template-file=..., kyaml; with `template_text` for --template. Reads a file for the -file
// forms.
Result<OutputFormat> parse_output_format(std::string_view text, std::string_view template_text = "",
                                         bool allow_missing_keys = true);

// JSON as kubectl indents it: four spaces, sorted keys, <, > and & escaped.
std::string pretty_json(const Json& value, int indent = 4);
// As Go encodes JSON on one line, with the same escapes.
std::string compact_json(const Json& value);

// "deployment.apps/web" of an object.
std::string object_name(const Json& object);

// One document in a form that is no table; YAML documents after the first are separated by the
// caller. For name and custom columns a list is taken apart.
Result<std::string> render(const OutputFormat& format, const Json& object,
                           bool with_headers = true);

// Drops metadata.managedFields of an object, or of each item of a list.
void drop_managed_fields(Json& object);

}  // namespace moth::ctl
