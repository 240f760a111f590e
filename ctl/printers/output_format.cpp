#include "ctl/printers/output_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "api/base/json.h"
#include "api/machinery/yaml.h"
#include "ctl/printers/columns.h"
#include "ctl/printers/kyaml.h"

namespace moth::ctl {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Error::bad_request(fmt::format("error reading {}: no such file", path)));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<CustomColumn> make_column(std::string header, std::string_view path) {
  MOTH_ASSIGN(JsonPath parsed, JsonPath::parse_relaxed(path));
  parsed.allow_missing_keys(true);
  return CustomColumn{std::move(header), std::move(parsed)};
}

// HEADER:path,HEADER:path. Commas inside brackets or braces belong to the path.
Result<std::vector<CustomColumn>> parse_columns(std::string_view text) {
  std::vector<CustomColumn> columns;
  int depth = 0;
  std::size_t from = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && (text[i] == '[' || text[i] == '{' || text[i] == '(')) ++depth;
    if (i < text.size() && (text[i] == ']' || text[i] == '}' || text[i] == ')')) --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    std::string_view part = text.substr(from, i - from);
    from = i + 1;
    auto colon = part.find(':');
    if (colon == std::string_view::npos) {
      return fail(Error::bad_request(fmt::format(
          "unexpected custom-columns spec: {}, expected <header>:<json-path-expr>", part)));
    }
    MOTH_ASSIGN(CustomColumn column,
                make_column(std::string(part.substr(0, colon)), part.substr(colon + 1)));
    columns.push_back(std::move(column));
  }
  return columns;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

// Two lines: the headers, and a path under each.
Result<std::vector<CustomColumn>> parse_columns_file(const std::string& text) {
  std::istringstream in(text);
  std::string first, second;
  std::getline(in, first);
  std::getline(in, second);
  std::vector<std::string> headers = words_of(first), paths = words_of(second);
  if (headers.empty() || headers.size() != paths.size()) {
    return fail(Error::bad_request(
        fmt::format("number of headers ({}) and field specifications ({}) don't match",
                    headers.size(), paths.size())));
  }
  std::vector<CustomColumn> columns;
  for (std::size_t i = 0; i < headers.size(); ++i) {
    MOTH_ASSIGN(CustomColumn column, make_column(headers[i], paths[i]));
    columns.push_back(std::move(column));
  }
  return columns;
}

Result<JsonPath> template_path(std::string_view text, bool allow_missing_keys) {
  auto path = JsonPath::parse(text);
  if (!path) {
    return fail(Error::bad_request(
        fmt::format("error parsing jsonpath {}, {}", text, path.error().message)));
  }
  path->allow_missing_keys(allow_missing_keys);
  return path;
}

// Go's encoder escapes these so that JSON may stand in HTML; they only occur inside strings.
std::string escape_html(std::string text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        // U+2028 and U+2029.
        if (text.compare(i, 2, "\xe2\x80") == 0 && i + 2 < text.size() &&
            (text[i + 2] == '\xa8' || text[i + 2] == '\xa9')) {
          out += text[i + 2] == '\xa8' ? "\\u2028" : "\\u2029";
          i += 2;
        } else {
          out += text[i];
        }
    }
  }
  return out;
}

bool is_list(const Json& object) {
  const Json* items = find_member(object, "items");
  return items && items->is_array() && string_or(object, "kind").ends_with("List");
}

std::string column_cell(const CustomColumn& column, const Json& object) {
  auto found = column.path.find(object);
  std::string cell;
  if (found) {
    for (const auto& values : *found) {
      for (const Json& value : values) {
        if (value.is_null()) continue;
        cell += (cell.empty() ? "" : ",") + jsonpath_value_text(value);
      }
    }
  }
  return cell.empty() ? "<none>" : cell;
}

std::string render_columns(const OutputFormat& format, const Json& object, bool with_headers) {
  std::string text;
  if (with_headers) {
    for (std::size_t i = 0; i < format.columns.size(); ++i)
      text += (i ? "\t" : "") + format.columns[i].header;
    text += '\n';
  }
  auto add = [&](const Json& item) {
    for (std::size_t i = 0; i < format.columns.size(); ++i)
      text += (i ? "\t" : "") + column_cell(format.columns[i], item);
    text += '\n';
  };
  if (is_list(object)) {
    for (const Json& item : object["items"]) add(item);
  } else {
    add(object);
  }
  return align_columns(text, kTableRules);
}

Result<std::string> render_path_json(const JsonPath& path, const Json& object) {
  MOTH_ASSIGN(auto found, path.find(object));
  Json values = Json::array();
  for (const auto& list : found)
    for (const Json& value : list) values.push_back(value);
  return pretty_json(values);
}

}  // namespace

Result<OutputFormat> parse_output_format(std::string_view text, std::string_view template_text,
                                         bool allow_missing_keys) {
  auto equals = text.find('=');
  std::string_view name = text.substr(0, equals);
  std::string value(equals == std::string_view::npos ? template_text : text.substr(equals + 1));
  OutputFormat format;
  auto need_value = [&]() -> Result<> {
    if (!value.empty()) return {};
    return fail(Error::bad_request(fmt::format("template format specified but no template given")));
  };
  format.allow_missing_keys = allow_missing_keys;
  // --template alone is a Go template.
  if (text.empty() && template_text.empty()) return format;
  if (text.empty()) name = "go-template";
  if (name == "wide") {
    format.kind = OutputKind::kWide;
  } else if (name == "json") {
    format.kind = OutputKind::kJson;
  } else if (name == "yaml") {
    format.kind = OutputKind::kYaml;
  } else if (name == "name") {
    format.kind = OutputKind::kName;
  } else if (name == "jsonpath" || name == "jsonpath-file" || name == "jsonpath-as-json") {
    MOTH_TRY(need_value());
    if (name == "jsonpath-file") {
      MOTH_ASSIGN(value, read_file(value));
    }
    format.kind = name == "jsonpath-as-json" ? OutputKind::kJsonPathAsJson : OutputKind::kJsonPath;
    MOTH_ASSIGN(format.path, template_path(value, allow_missing_keys));
  } else if (name == "kyaml") {
    format.kind = OutputKind::kKyaml;
  } else if (name == "go-template" || name == "template" || name == "go-template-file" ||
             name == "templatefile") {
    MOTH_TRY(need_value());
    if (name.ends_with("file")) {
      MOTH_ASSIGN(value, read_file(value));
    }
    format.kind = OutputKind::kGoTemplate;
    auto parsed = GoTemplate::parse(value);
    if (!parsed) {
      return fail(Error::bad_request(
          fmt::format("error parsing template {}, {}", value, parsed.error().message)));
    }
    format.go_template = *std::move(parsed);
  } else if (name == "custom-columns" || name == "custom-columns-file") {
    MOTH_TRY(need_value());
    format.kind = OutputKind::kCustomColumns;
    if (name == "custom-columns") {
      MOTH_ASSIGN(format.columns, parse_columns(value));
    } else {
      MOTH_ASSIGN(std::string content, read_file(value));
      MOTH_ASSIGN(format.columns, parse_columns_file(content));
    }
  } else {
    return fail(Error::bad_request(fmt::format(
        "unable to match a printer suitable for the output format \"{}\", allowed formats are: "
        "custom-columns,custom-columns-file,go-template,go-template-file,json,jsonpath,"
        "jsonpath-as-json,jsonpath-file,kyaml,name,template,templatefile,wide,yaml",
        text)));
  }
  return format;
}

std::string pretty_json(const Json& value, int indent) {
  return escape_html(value.dump(indent, ' ', false, Json::error_handler_t::replace)) + "\n";
}

std::string compact_json(const Json& value) {
  return escape_html(value.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::string object_name(const Json& object) {
  std::string kind = string_or(object, "kind");
  std::transform(kind.begin(), kind.end(), kind.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  std::string api_version = string_or(object, "apiVersion");
  if (auto slash = api_version.find('/'); slash != std::string::npos)
    kind += "." + api_version.substr(0, slash);
  const Json* metadata = find_member(object, "metadata");
  return kind + "/" + (metadata ? string_or(*metadata, "name") : "");
}

void drop_managed_fields(Json& object) {
  if (is_list(object)) {
    for (Json& item : object["items"]) drop_managed_fields(item);
    return;
  }
  if (object.is_object() && object.contains("metadata") && object["metadata"].is_object())
    object["metadata"].erase("managedFields");
}

Result<std::string> render(const OutputFormat& format, const Json& object, bool with_headers) {
  switch (format.kind) {
    case OutputKind::kJson:
      return pretty_json(object);
    case OutputKind::kYaml:
      return to_yaml(object);
    case OutputKind::kJsonPath: {
      auto text = format.path->render(object);
      if (!text) {
        return fail(
            Error::bad_request(fmt::format("error executing jsonpath: {}", text.error().message)));
      }
      return text;
    }
    case OutputKind::kKyaml:
      return to_kyaml(object);
    case OutputKind::kGoTemplate: {
      auto filled = format.go_template->render(object, format.allow_missing_keys);
      if (!filled)
        return fail(Error::bad_request("error executing template: " + filled.error().message));
      return filled;
    }
    case OutputKind::kJsonPathAsJson:
      return render_path_json(*format.path, object);
    case OutputKind::kCustomColumns:
      return render_columns(format, object, with_headers);
    case OutputKind::kName:
    case OutputKind::kTable:
    case OutputKind::kWide:
      break;
  }
  if (!is_list(object)) return object_name(object) + "\n";
  std::string text;
  for (const Json& item : object["items"]) text += object_name(item) + "\n";
  return text;
}

}  // namespace moth::ctl
