#include "api/apply/field_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/json_text.h"

namespace moth::apply {
namespace {

constexpr const char* kSelf = ".";

bool is_self(const std::string& key) {
  return key == kSelf;
}

// Brings the node back into canonical form after its members have changed.
void mark(Json& node, bool member) {
  if (member && !node.empty()) node[kSelf] = Json::object();
}

// False when nothing is left of the node.
bool subtract_node(Json& node, const Json& other) {
  bool member = is_member(node) && !is_member(other);
  node.erase(kSelf);
  subtract(node, other);
  if (node.empty()) return member;
  mark(node, member);
  return true;
}

std::size_t count_node(const Json& node) {
  return (is_member(node) ? 1 : 0) + count_members(node);
}

// Upstream's order of elements: fields, keys, values, indices.
int rank(const std::string& element) {
  switch (element[0]) {
    case 'f':
      return 0;
    case 'k':
      return 1;
    case 'v':
      return 2;
    default:
      return 3;
  }
}

void visit_paths(const Json& set, const std::string& prefix,
                 const std::function<void(const std::string&)>& visit) {
  std::vector<std::pair<const std::string*, const Json*>> nodes;
  for (auto it = set.begin(); it != set.end(); ++it) {
    if (!is_self(it.key())) nodes.emplace_back(&it.key(), &*it);
  }
  std::stable_sort(nodes.begin(), nodes.end(),
                   [](const auto& a, const auto& b) { return rank(*a.first) < rank(*b.first); });
  for (const auto& [key, node] : nodes) {
    if (is_member(*node)) visit(prefix + element_text(*key));
  }
  for (const auto& [key, node] : nodes) visit_paths(*node, prefix + element_text(*key), visit);
}

// The canonical text of an element; nothing when it is none.
std::optional<std::string> canonical_element(const std::string& element) {
  if (element.size() < 2 || element[1] != ':') return std::nullopt;
  std::string_view text = std::string_view(element).substr(2);
  switch (element[0]) {
    case 'f':
      return element;
    case 'i': {
      bool digits = !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
      return digits ? std::optional(element) : std::nullopt;
    }
    case 'k':
    case 'v': {
      auto value = parse_json(text);
      if (!value || (element[0] == 'k' && !value->is_object())) return std::nullopt;
      return element.substr(0, 2) + dump_json(*value);
    }
    default:
      return std::nullopt;
  }
}

bool canonical_into(const Json& from, Json& into) {
  if (!from.is_object()) return false;
  for (auto it = from.begin(); it != from.end(); ++it) {
    if (is_self(it.key())) continue;
    auto element = canonical_element(it.key());
    if (!element) return false;
    Json node = Json::object();
    if (!canonical_into(*it, node)) return false;
    mark(node, it->contains(kSelf));
    into[*std::move(element)] = std::move(node);
  }
  return true;
}

}  // namespace

bool is_member(const Json& node) {
  return node.empty() || node.contains(kSelf);
}

void unite(Json& into, const Json& other) {
  for (auto it = other.begin(); it != other.end(); ++it) {
    if (is_self(it.key())) continue;
    auto [place, fresh] = into.emplace(it.key(), *it);
    if (fresh) continue;
    bool member = is_member(*place) || is_member(*it);
    unite(*place, *it);
    mark(*place, member);
  }
}

void subtract(Json& from, const Json& other) {
  for (auto it = other.begin(); it != other.end(); ++it) {
    if (is_self(it.key())) continue;
    auto place = from.find(it.key());
    if (place != from.end() && !subtract_node(*place, *it)) from.erase(place);
  }
}

void subtract_trees(Json& from, const Json& other) {
  for (auto it = other.begin(); it != other.end(); ++it) {
    if (is_self(it.key())) continue;
    auto place = from.find(it.key());
    if (place == from.end()) continue;
    if (is_member(*it)) {
      from.erase(place);
      continue;
    }
    bool member = is_member(*place);
    place->erase(kSelf);
    subtract_trees(*place, *it);
    if (place->empty() && !member) {
      from.erase(place);
    } else {
      mark(*place, member);
    }
  }
}

Json intersect(const Json& a, const Json& b) {
  Json common = Json::object();
  for (auto it = a.begin(); it != a.end(); ++it) {
    if (is_self(it.key())) continue;
    auto other = b.find(it.key());
    if (other == b.end()) continue;
    Json node = intersect(*it, *other);
    bool member = is_member(*it) && is_member(*other);
    if (node.empty() && !member) continue;
    mark(node, member);
    common.emplace(it.key(), std::move(node));
  }
  return common;
}

bool is_subset(const Json& a, const Json& b) {
  for (auto it = a.begin(); it != a.end(); ++it) {
    if (is_self(it.key())) continue;
    auto other = b.find(it.key());
    if (other == b.end()) return false;
    if (is_member(*it) && !is_member(*other)) return false;
    if (!is_subset(*it, *other)) return false;
  }
  return true;
}

std::size_t count_members(const Json& set) {
  std::size_t members = 0;
  for (auto it = set.begin(); it != set.end(); ++it) {
    if (!is_self(it.key())) members += count_node(*it);
  }
  return members;
}

void add_path(Json& set, std::initializer_list<std::string_view> path) {
  Json node = Json::object();
  Json whole = Json::object();
  for (auto element = std::rbegin(path); element != std::rend(path); ++element) {
    whole = Json::object();
    whole.emplace(std::string(*element), std::move(node));
    node = whole;
  }
  unite(set, whole);
}

bool has_path(const Json& set, std::initializer_list<std::string_view> path) {
  const Json* node = &set;
  for (std::string_view element : path) {
    node = find_member(*node, element);
    if (!node) return false;
  }
  return is_member(*node);
}

std::string element_text(std::string_view element) {
  std::string_view text = element.substr(std::min<std::size_t>(2, element.size()));
  switch (element.empty() ? ' ' : element[0]) {
    case 'f':
      return "." + std::string(text);
    case 'v':
      return fmt::format("[={}]", text);
    case 'i':
      return fmt::format("[{}]", text);
    default:
      break;
  }
  Json keys = Json::parse(text, nullptr, false);
  if (!keys.is_object()) return fmt::format("[{}]", text);
  std::string all;
  for (const auto& [key, value] : keys.items()) {
    all += fmt::format("{}{}={}", all.empty() ? "" : ",", key, dump_json(value));
  }
  return fmt::format("[{}]", all);
}

void for_each_path(const Json& set, const std::function<void(const std::string& path)>& visit) {
  visit_paths(set, "", visit);
}

std::optional<Json> canonical_set(const Json& fields) {
  Json set = Json::object();
  if (!canonical_into(fields, set)) return std::nullopt;
  return set;
}

}  // namespace moth::apply
