#include "api/resources/json_diff.h"

#include <fmt/format.h>

#include <vector>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxLines = 50;

void collect(const Json& old, const Json& now, const FieldPath& path,
             std::vector<std::string>& lines) {
  if (old == now || lines.size() >= kMaxLines) return;
  if (old.is_object() && now.is_object()) {
    for (const auto& [key, value] : old.items()) {
      const Json* other = find_member(now, key);
      if (other) {
        collect(value, *other, path.child(key), lines);
      } else {
        lines.push_back(fmt::format("-  {}: {}", path.child(key).to_string(), dump_json(value)));
      }
    }
    for (const auto& [key, value] : now.items()) {
      if (old.contains(key)) continue;
      lines.push_back(fmt::format("+  {}: {}", path.child(key).to_string(), dump_json(value)));
    }
  } else if (old.is_array() && now.is_array() && old.size() == now.size()) {
    for (std::size_t i = 0; i < old.size(); ++i) collect(old[i], now[i], path.index(i), lines);
  } else {
    lines.push_back(fmt::format("-  {}: {}", path.to_string(), dump_json(old)));
    lines.push_back(fmt::format("+  {}: {}", path.to_string(), dump_json(now)));
  }
}

}  // namespace

std::string json_diff(const Json& old, const Json& now, const FieldPath& path) {
  std::vector<std::string> lines;
  collect(old, now, path, lines);
  return join(lines, "\n");
}

}  // namespace moth::resources
