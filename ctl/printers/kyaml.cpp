#include "ctl/printers/kyaml.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"

namespace moth::ctl {
namespace {

bool plain_key(const std::string& key) {
  if (key.empty()) return false;
  auto letter = [](unsigned char c) { return std::isalpha(c) || c == '_'; };
  if (!letter(static_cast<unsigned char>(key[0]))) return false;
  bool safe = std::all_of(key.begin(), key.end(), [&](unsigned char c) {
    return letter(c) || std::isdigit(c) || c == '.' || c == '/' || c == '-';
  });
  if (!safe) return false;
  std::string lower = key;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (std::string_view word : {"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
    if (lower == word) return false;
  return true;
}

void escape_into(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      break;
  }
  bool control = static_cast<unsigned char>(c) < 0x20 && c != '\t';
  out += control || c == 0x7f ? fmt::format("\\x{:02x}", static_cast<unsigned char>(c))
                              : std::string(1, c);
}

// Several lines are folded: each ends in an escaped newline.
std::string string_text(const std::string& text, std::size_t indent) {
  std::string out = "\"";
  if (text.find('\n') == std::string::npos) {
    for (char c : text) escape_into(out, c);
    return out + "\"";
  }
  std::string margin(indent + 2, ' ');
  out += "\\\n";
  for (std::size_t from = 0; from < text.size();) {
    auto newline = text.find('\n', from);
    std::string line = text.substr(from, newline == std::string::npos ? newline : newline - from);
    bool starts_blank = !line.empty() && (line[0] == ' ' || line[0] == '\t');
    // A leading blank would be folded away.
    out += margin + (starts_blank ? "\\" : " ");
    for (char c : line) escape_into(out, c);
    out += newline == std::string::npos ? "\\\n" : "\\n\\\n";
    from = newline == std::string::npos ? text.size() : newline + 1;
  }
  return out + margin + "\"";
}

std::string value_text(const Json& value, std::size_t indent);

std::string map_text(const Json& map, std::size_t indent) {
  if (map.empty()) return "{}";
  std::string out = "{\n", margin(indent + 2, ' ');
  for (const auto& [key, value] : map.items()) {
    std::string name = plain_key(key) ? key : string_text(key, indent);
    out += margin + name + ": " + value_text(value, indent + 2) + ",\n";
  }
  return out + std::string(indent, ' ') + "}";
}

std::string list_text(const Json& list, std::size_t indent) {
  if (list.empty()) return "[]";
  bool cuddled = list[0].is_structured();
  std::string out = "[";
  if (cuddled) {
    for (std::size_t i = 0; i < list.size(); ++i)
      out += (i ? ", " : "") + value_text(list[i], indent);
    return out + "]";
  }
  for (const Json& element : list)
    out += "\n" + std::string(indent + 2, ' ') + value_text(element, indent + 2) + ",";
  return out + "\n" + std::string(indent, ' ') + "]";
}

std::string value_text(const Json& value, std::size_t indent) {
  if (value.is_object()) return map_text(value, indent);
  if (value.is_array()) return list_text(value, indent);
  if (value.is_string()) return string_text(value.get<std::string>(), indent);
  return value.dump();
}

}  // namespace

std::string to_kyaml(const Json& value) {
  return "---\n" + value_text(value, 0) + "\n";
}

}  // namespace moth::ctl
