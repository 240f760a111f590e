#include <fmt/format.h>

#include <algorithm>

#include "api/machinery/selectors.h"

namespace moth {
namespace {

// The text's parts between commas that no backslash escapes.
std::vector<std::string_view> split_terms(std::string_view text) {
  std::vector<std::string_view> terms;
  std::size_t start = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '\\') {
      ++i;
      if (i < text.size()) continue;
    }
    if (i >= text.size() || text[i] == ',') {
      terms.push_back(text.substr(start, std::min(i, text.size()) - start));
      start = i + 1;
    }
  }
  return terms;
}

Result<std::string> unescape(std::string_view value) {
  std::string out;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (value[i] == ',' || value[i] == '=') {
      return fail(Error::bad_request(
          fmt::format("invalid field selector: unescaped character in value: {}", value[i])));
    }
    if (value[i] != '\\') {
      out += value[i];
      continue;
    }
    bool known = i + 1 < value.size() &&
                 std::string_view("\\,=").find(value[i + 1]) != std::string_view::npos;
    if (!known) {
      return fail(Error::bad_request(
          fmt::format("invalid field selector: invalid escape sequence: {}", value.substr(i, 2))));
    }
    out += value[++i];
  }
  return out;
}

std::string escape(std::string_view value) {
  std::string out;
  for (char c : value) {
    if (c == '\\' || c == ',' || c == '=') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string FieldRequirement::to_string() const {
  return field + (negated ? "!=" : "=") + escape(value);
}

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector selector;
  for (std::string_view term : split_terms(text)) {
    if (term.empty()) continue;
    std::size_t at = term.find('=');
    if (at == std::string_view::npos) {
      return fail(Error::bad_request(
          fmt::format("invalid selector: '{}'; can't understand '{}'", text, term)));
    }
    FieldRequirement requirement;
    std::string_view value = term.substr(at + 1);
    requirement.negated = at > 0 && term[at - 1] == '!';
    if (!requirement.negated && value.starts_with('=')) value.remove_prefix(1);
    requirement.field = term.substr(0, requirement.negated ? at - 1 : at);
    MOTH_ASSIGN(requirement.value, unescape(value));
    selector.requirements_.push_back(std::move(requirement));
  }
  return selector;
}

FieldSelector FieldSelector::from_requirements(std::vector<FieldRequirement> requirements) {
  FieldSelector selector;
  selector.requirements_ = std::move(requirements);
  return selector;
}

bool FieldSelector::matches(const Lookup& lookup) const {
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const auto& each) {
    return (lookup(each.field) == each.value) != each.negated;
  });
}

std::optional<std::string> FieldSelector::required_value(std::string_view field) const {
  for (const FieldRequirement& each : requirements_) {
    if (!each.negated && each.field == field) return each.value;
  }
  return std::nullopt;
}

std::string FieldSelector::to_string() const {
  std::string text;
  for (const FieldRequirement& each : requirements_) {
    if (!text.empty()) text += ',';
    text += each.to_string();
  }
  return text;
}

}  // namespace moth
