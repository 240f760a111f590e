#include "api/resources/cells.h"

#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/edit.h"

namespace moth::resources {

Column column(std::string name, std::string description, std::string type, int priority) {
  return {std::move(name), std::move(type), "", std::move(description), priority};
}

std::vector<Column> columns(std::initializer_list<Column> list) {
  std::vector<Column> out = list;
  for (Column& one : out) {
    if (one.name == "Name") one.format = "name";
  }
  return out;
}

std::string name_cell(const Json& object) {
  return string_or(object_of(object, "metadata"), "name");
}

std::string age_cell(const Json& object, const RowContext& context) {
  return since_cell(string_or(object_of(object, "metadata"), "creationTimestamp"), context);
}

std::string since_cell(std::string_view rfc3339, const RowContext& context) {
  return human_age_since(rfc3339, context.now);
}

std::string or_none(std::string text) {
  return text.empty() ? "<none>" : std::move(text);
}

std::string container_cell(const Json& pod_template, std::string_view key) {
  std::vector<std::string> parts;
  for (const Json& container : items(object_of(pod_template, "spec"), "containers")) {
    parts.push_back(string_or(container, key));
  }
  return join(parts, ",");
}

std::string labels_cell(const Json& labels) {
  std::vector<std::string> parts;
  if (labels.is_object()) {
    for (const auto& [key, value] : labels.items()) {
      parts.push_back(key + "=" + (value.is_string() ? value.get<std::string>() : ""));
    }
  }
  return or_none(join(parts, ","));
}

std::string limited_list(const std::vector<std::string>& parts, std::size_t max,
                         std::string_view separator, std::string_view none) {
  if (parts.empty()) return std::string(none);
  if (parts.size() <= max) return join(parts, separator);
  std::vector<std::string> shown(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(max));
  return fmt::format("{} + {} more...", join(shown, separator), parts.size() - max);
}

}  // namespace moth::resources
