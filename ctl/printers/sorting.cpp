#include "ctl/printers/sorting.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/jsonpath.h"
#include "api/machinery/quantity.h"

namespace moth::ctl {
namespace {

// Natural order: runs of digits compare as numbers.
bool natural_less(std::string_view a, std::string_view b) {
  std::size_t i = 0, j = 0;
  auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      std::size_t from_a = i, from_b = j;
      while (i < a.size() && is_digit(a[i])) ++i;
      while (j < b.size() && is_digit(b[j])) ++j;
      std::string_view left = a.substr(from_a, i - from_a), right = b.substr(from_b, j - from_b);
      while (left.size() > 1 && left[0] == '0') left.remove_prefix(1);
      while (right.size() > 1 && right[0] == '0') right.remove_prefix(1);
      if (left.size() != right.size()) return left.size() < right.size();
      if (left != right) return left < right;
      continue;
    }
    if (a[i] != b[j]) return a[i] < b[j];
    ++i;
    ++j;
  }
  return a.size() - i < b.size() - j;
}

bool value_less(const Json& a, const Json& b) {
  if (a.is_null() || b.is_null()) return a.is_null() && !b.is_null();
  if (a.is_number() && b.is_number()) return a.get<double>() < b.get<double>();
  if (a.is_string() && b.is_string()) {
    auto left = Quantity::parse(a.get<std::string>()),
         right = Quantity::parse(b.get<std::string>());
    if (left && right) return *left < *right;
    return natural_less(a.get<std::string>(), b.get<std::string>());
  }
  return a.dump() < b.dump();
}

}  // namespace

Result<void> sort_items(Json& items, std::string_view expression) {
  MOTH_ASSIGN(JsonPath path, JsonPath::parse_relaxed(expression));
  path.allow_missing_keys(true);
  auto key = [&](const Json& item) {
    auto found =
        path.find(item.contains("cells") && item.contains("object") ? item["object"] : item);
    if (!found || found->empty() || found->front().empty()) return Json();
    return found->front().front();
  };
  std::vector<std::pair<Json, Json>> keyed;
  for (Json& item : items) {
    Json value = key(item);
    keyed.emplace_back(std::move(value), std::move(item));
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return value_less(a.first, b.first); });
  items = Json::array();
  for (auto& [value, item] : keyed) items.push_back(std::move(item));
  return {};
}

}  // namespace moth::ctl
