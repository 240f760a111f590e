#include "ctl/commands/schema_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <sstream>

namespace moth::ctl {
namespace {

constexpr std::size_t kWidth = 76;

class Explainer {
 public:
  Explainer(const Json& document, bool recursive) : document_(document), recursive_(recursive) {}

  const Json* find_kind(const Gvk& gvk) const {
    const Json* schemas = find_path(document_, "components", "schemas");
    if (!schemas) return nullptr;
    for (const auto& [name, schema] : schemas->items()) {
      const Json* kinds = find_member(schema, "x-kubernetes-group-version-kind");
      if (!kinds || !kinds->is_array()) continue;
      for (const Json& kind : *kinds) {
        if (string_or(kind, "group") == gvk.group && string_or(kind, "version") == gvk.version &&
            string_or(kind, "kind") == gvk.kind)
          return &schema;
      }
    }
    return nullptr;
  }

  // The schema behind references, lists and maps: where the fields are.
  const Json* inner(const Json* schema) const {
    for (int step = 0; schema && step < 16; ++step) {
      if (schema->contains("properties")) return schema;
      if (const Json* next = referred(*schema)) {
        schema = next;
      } else if (const Json* items = find_member(*schema, "items")) {
        schema = items;
      } else if (const Json* values = find_member(*schema, "additionalProperties");
                 values && values->is_object()) {
        schema = values;
      } else {
        return schema;
      }
    }
    return schema;
  }

  const Json* field(const Json* schema, const std::string& name) const {
    schema = inner(schema);
    const Json* properties = schema ? find_member(*schema, "properties") : nullptr;
    return properties ? find_member(*properties, name) : nullptr;
  }

  std::string type_name(const Json& schema) const {
    if (const Json* items = find_member(schema, "items")) return "[]" + type_name(*items);
    if (const Json* values = find_member(schema, "additionalProperties");
        values && values->is_object())
      return "map[string]" + type_name(*values);
    if (const Json* next = referred(schema)) {
      std::string type = string_or(*next, "type");
      if (!type.empty() && type != "object") return type;
      std::string reference = reference_of(schema);
      return reference.substr(reference.rfind('.') + 1);
    }
    std::string type = string_or(schema, "type");
    return type.empty() || type == "object" ? "Object" : type;
  }

  // Descriptions from the field itself inwards.
  std::string descriptions(const Json* schema) const {
    std::string text;
    for (int step = 0; schema && step < 16; ++step) {
      if (std::string own = string_or(*schema, "description"); !own.empty())
        text += wrapped(own, 4);
      if (const Json* next = referred(*schema))
        schema = next;
      else if (const Json* items = find_member(*schema, "items"))
        schema = items;
      else if (const Json* values = find_member(*schema, "additionalProperties");
               values && values->is_object())
        schema = values;
      else
        break;
    }
    return text.empty() ? "    <empty>\n" : text;
  }

  std::string fields(const Json& schema, std::size_t indent) {
    const Json* properties = find_member(schema, "properties");
    if (!properties) return "";
    std::set<std::string> required;
    for (const Json& name : schema.value("required", Json::array()))
      required.insert(name.get<std::string>());
    std::string text, margin(indent, ' ');
    for (const auto& [name, property] : properties->items()) {
      text += fmt::format("{}{}\t<{}>{}\n", margin, name, type_name(property),
                          required.contains(name) ? " -required-" : "");
      text += enum_line(property, indent + 2);
      if (!recursive_) {
        std::string description = string_or(property, "description");
        if (description.empty() && referred(property))
          description = string_or(*referred(property), "description");
        text += (description.empty() ? std::string(indent + 2, ' ') + "<no description>\n"
                                     : wrapped(description, indent + 2)) +
                "\n";
        continue;
      }
      const Json* below = inner(&property);
      if (below && below->contains("properties") && open_.insert(below).second) {
        text += fields(*below, indent + 2);
        open_.erase(below);
      }
    }
    return text;
  }

 private:
  static std::string reference_of(const Json& schema) {
    if (std::string direct = string_or(schema, "$ref"); !direct.empty()) return direct;
    const Json* all = find_member(schema, "allOf");
    return all && all->is_array() && all->size() == 1 ? string_or(all->front(), "$ref") : "";
  }

  const Json* referred(const Json& schema) const {
    std::string reference = reference_of(schema);
    if (reference.empty()) return nullptr;
    const Json* schemas = find_path(document_, "components", "schemas");
    return schemas ? find_member(*schemas, reference.substr(reference.rfind('/') + 1)) : nullptr;
  }

  static std::string enum_line(const Json& schema, std::size_t indent) {
    const Json* values = find_member(schema, "enum");
    if (!values || !values->is_array() || values->empty()) return "";
    std::string text;
    for (const Json& value : *values)
      text += (text.empty() ? "" : ", ") +
              (value.is_string() ? value.get<std::string>() : value.dump());
    return fmt::format("{}enum: {}\n", std::string(indent, ' '), text);
  }

  static std::string wrapped(const std::string& text, std::size_t indent) {
    std::string out, margin(indent, ' ');
    std::istringstream paragraphs(text);
    for (std::string paragraph; std::getline(paragraphs, paragraph);) {
      std::istringstream words(paragraph);
      std::string line;
      for (std::string word; words >> word;) {
        if (!line.empty() && line.size() + 1 + word.size() > kWidth) {
          out += margin + line + "\n";
          line.clear();
        }
        line += (line.empty() ? "" : " ") + word;
      }
      out += margin + line + "\n";
    }
    return out;
  }

  const Json& document_;
  bool recursive_;
  std::set<const Json*> open_;  // being printed: types may contain themselves
};

}  // namespace

ExplainText explain_text(const Json& document, const Gvk& gvk, const std::vector<std::string>& path,
                         bool recursive) {
  Explainer explainer(document, recursive);
  ExplainText text;
  const Json* schema = explainer.find_kind(gvk);
  if (!schema) {
    text.problem =
        fmt::format("couldn't find resource for \"{}, Kind={}\"", gvk.api_version(), gvk.kind);
    return text;
  }
  if (!gvk.group.empty()) text.head += "GROUP:      " + gvk.group + "\n";
  text.head += fmt::format("KIND:       {}\nVERSION:    {}\n\n", gvk.kind, gvk.version);
  const Json* place = schema;
  for (const std::string& name : path) {
    place = explainer.field(place, name);
    if (!place) {
      text.problem = fmt::format("field \"{}\" does not exist", name);
      return text;
    }
  }
  if (!path.empty())
    text.body += fmt::format("FIELD: {} <{}>\n\n\n", path.back(), explainer.type_name(*place));
  std::string words = explainer.descriptions(place);
  text.body += "DESCRIPTION:\n" + words + (words == "    <empty>\n" ? "" : "    \n");
  const Json* inner = explainer.inner(place);
  if (inner && inner->contains("properties"))
    text.body += "FIELDS:\n" + explainer.fields(*inner, 2);
  text.body += "\n";
  return text;
}

}  // namespace moth::ctl
