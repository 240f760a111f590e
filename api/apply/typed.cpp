#include "api/apply/typed.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <set>
#include <utility>

#include "api/apply/shape.h"
#include "api/base/json.h"

namespace moth::apply {

using schema::Value;

namespace {

void put(Json& set, std::string element, Json node, bool member) {
  if (!member && node.empty()) return;
  if (member && !node.empty()) node["."] = Json::object();
  set[std::move(element)] = std::move(node);
}

// Fills the members below a place into `node`; true when the place itself is a leaf.
bool collect(Value value, const Json& json, Json& node);

void collect_items(Value list, const Json& json, Json& node) {
  std::set<std::string> seen, twice;
  std::vector<std::optional<std::string>> elements;
  for (const Json& item : json) {
    elements.push_back(item_element(list, item, nullptr));
    if (elements.back() && !seen.insert(*elements.back()).second) twice.insert(*elements.back());
  }
  for (std::size_t i = 0; i < json.size(); ++i) {
    if (!elements[i]) continue;
    Json below = Json::object();
    if (!twice.count(*elements[i])) collect(item_of(list), json[i], below);
    put(node, *std::move(elements[i]), std::move(below), true);
  }
}

bool collect(Value value, const Json& json, Json& node) {
  Shape shape = json.is_null() ? Shape::kLeaf : shape_of(value, json);
  if (shape == Shape::kLeaf) {
    bool listed = value && value.kind() == schema::Kind::kArray &&
                  value.list_type() != schema::ListType::kAtomic;
    // A null list of items owns nothing, but the field it stands in.
    return !(listed && json.is_null());
  }
  if (shape == Shape::kList) {
    collect_items(value, json, node);
    return false;
  }
  for (auto it = json.begin(); it != json.end(); ++it) {
    Member member = member_of(value, it.key());
    Json below = Json::object();
    bool leaf = collect(member.value, *it, below);
    bool bare = it->is_null() || (it->is_object() && it->empty());
    put(node, field_element(it.key()), std::move(below), leaf || bare || !member.declared);
  }
  return false;
}

}  // namespace

Json field_set(schema::Type type, const Json& object) {
  Json set = Json::object();
  collect(type.value(), object, set);
  return set;
}

namespace {

using Merged = std::optional<Json>;

Merged merge_value(Value value, const Json* live, const Json* config);

Merged merge_members(Value value, const Json& live, const Json& config) {
  Json out = live.is_object() ? live : Json::object();
  if (config.is_object()) {
    for (auto it = config.begin(); it != config.end(); ++it) {
      Merged merged =
          merge_value(member_of(value, it.key()).value, find_member(live, it.key()), &*it);
      if (merged) {
        out[it.key()] = *std::move(merged);
      } else {
        out.erase(it.key());
      }
    }
  }
  return out.empty() ? Merged() : Merged(std::move(out));
}

// Both orders woven into one: items of the configuration stand in its order, those that only the
// live list has stay behind the neighbour that they had.
class ListMerge {
 public:
  ListMerge(Value list, const Json& live, const Json& config) : list_(list) {
    static const Json kNone = Json::array();
    const Json& items = live.is_array() ? live : kNone;
    for (const Json& item : items) {
      auto element = item_element(list, item, nullptr);
      live_order_.push_back({element ? *std::move(element) : "", &item});
      auto [at, fresh] = in_live_.emplace(live_order_.back().first, &item);
      // Items that stand twice are not merged with, but replaced.
      if (!fresh) at->second = nullptr;
    }
    for (const Json& item : config.is_array() ? config : kNone) {
      auto element = item_element(list, item, nullptr);
      config_order_.push_back({element ? *std::move(element) : "", &item});
      in_config_.emplace(config_order_.back().first, &item);
    }
    for (const auto& [element, item] : config_order_) {
      if (in_live_.count(element)) shared_.push_back(element);
    }
  }

  Merged run() {
    std::size_t l = 0, c = 0;
    while (l < live_order_.size() || c < config_order_.size()) {
      bool both = l < live_order_.size() && c < config_order_.size();
      if (both && live_order_[l].first == config_order_[c].first) {
        take(config_order_[c].first);
        ++l, ++c, ++next_;
        continue;
      }
      if (l < live_order_.size()) {
        const std::string& element = live_order_[l].first;
        if (!in_config_.count(element)) {
          out_.push_back(*live_order_[l].second);
          ++l;
          continue;
        }
        // Another shared item has its turn before this one, or it has been taken already.
        bool waits = both && next_ < shared_.size() && shared_[next_] != element;
        if (waits || taken_.count(element)) {
          ++l;
          if (waits || c >= config_order_.size()) continue;
        }
      }
      if (c < config_order_.size()) {
        const std::string& element = config_order_[c].first;
        take(element);
        if (next_ < shared_.size() && shared_[next_] == element) ++next_;
        ++c;
      }
    }
    return out_.empty() ? Merged() : Merged(std::move(out_));
  }

 private:
  void take(const std::string& element) {
    taken_.insert(element);
    auto live = in_live_.find(element);
    Merged merged = merge_value(item_of(list_), live == in_live_.end() ? nullptr : live->second,
                                in_config_.at(element));
    if (merged) out_.push_back(*std::move(merged));
  }

  Value list_;
  std::vector<std::pair<std::string, const Json*>> live_order_, config_order_;
  std::map<std::string, const Json*> in_live_, in_config_;
  std::vector<std::string> shared_;
  std::size_t next_ = 0;  // of shared_
  std::set<std::string> taken_;
  Json out_ = Json::array();
};

Merged merge_value(Value value, const Json* live, const Json* config) {
  if (!config) return live ? Merged(*live) : Merged();
  if (!live) return *config;
  Shape was = shape_of(value, *live), is = shape_of(value, *config);
  if (live->is_null()) was = is;
  if (config->is_null()) is = was;
  if (was != is || is == Shape::kLeaf || (live->empty() && config->empty())) return *config;
  if (is == Shape::kMap) return merge_members(value, *live, *config);
  return ListMerge(value, *live, *config).run();
}

Merged remove_value(Value value, const Json& json, const Json& set) {
  if (json.empty()) return json;
  Shape shape = shape_of(value, json);
  if (shape == Shape::kLeaf) return json;
  Json out = shape == Shape::kMap ? Json::object() : Json::array();
  auto keep = [&](Value below, const std::string& element, const Json& part) -> Merged {
    const Json* node = find_member(set, element);
    if (!node) return part;
    if (is_member(*node)) return std::nullopt;
    return remove_value(below, part, *node);
  };
  if (shape == Shape::kMap) {
    for (auto it = json.begin(); it != json.end(); ++it) {
      Merged kept = keep(member_of(value, it.key()).value, field_element(it.key()), *it);
      if (kept) out[it.key()] = *std::move(kept);
    }
  } else {
    for (const Json& item : json) {
      auto element = item_element(value, item, nullptr);
      Merged kept = element ? keep(item_of(value), *element, item) : Merged(item);
      if (kept) out.push_back(*std::move(kept));
    }
  }
  return out.empty() ? Merged() : Merged(std::move(out));
}

void name_fields(Value value, Json& set) {
  for (auto it = set.begin(); it != set.end(); ++it) {
    if (it.key() == ".") continue;
    Member member = behind(value, it.key());
    bool is = is_member(*it) || member.declared;
    name_fields(member.value, *it);
    if (is && !it->empty()) (*it)["."] = Json::object();
  }
}

// Where a fault is, and what is wrong.
using Faults = std::vector<std::string>;

void find(Value value, const Json& json, const std::string& path, Faults& faults);

void report(Faults& faults, const std::string& path, const std::string& what) {
  constexpr std::size_t kMaxFaults = 100;
  if (faults.size() < kMaxFaults)
    faults.push_back(path.empty() ? what : fmt::format("{}: {}", path, what));
}

void find_in_list(Value value, const Json& json, const std::string& path, Faults& faults) {
  std::set<std::string> seen;
  bool keyed = value.list_type() != schema::ListType::kAtomic;
  for (std::size_t i = 0; i < json.size(); ++i) {
    std::string below = fmt::format("[{}]", i);
    if (keyed) {
      std::string why;
      auto element = item_element(value, json[i], &why);
      if (!element) return report(faults, path, fmt::format("element {}: {}", i, why));
      below = element_text(*element);
      if (!seen.insert(*std::move(element)).second)
        report(faults, path, fmt::format("duplicate entries for key {}", below));
    }
    find(value.element(), json[i], path + below, faults);
  }
}

void find(Value value, const Json& json, const std::string& path, Faults& faults) {
  using schema::Kind;
  if (!value) return;
  if (value.kind() == Kind::kArray && json.is_array())
    return find_in_list(value, json, path, faults);
  bool has_members = value.kind() == Kind::kObject || value.kind() == Kind::kMap;
  if (!has_members || !json.is_object()) return;
  for (auto it = json.begin(); it != json.end(); ++it) {
    Member member = member_of(value, it.key());
    std::string below = path + "." + it.key();
    if (value.kind() == Kind::kObject && !member.declared && !value.preserve_unknown_fields()) {
      report(faults, below, "field not declared in schema");
      continue;
    }
    find(member.value, *it, below, faults);
  }
}

}  // namespace

Json merge(schema::Type type, const Json& live, const Json& config) {
  Merged merged = merge_value(type.value(), &live, &config);
  return merged ? *std::move(merged) : Json::object();
}

Json remove_items(schema::Type type, const Json& object, const Json& set) {
  Merged kept = remove_value(type.value(), object, set);
  return kept ? *std::move(kept) : Json::object();
}

Json with_named_fields(schema::Type type, const Json& set) {
  Json all = set;
  name_fields(type.value(), all);
  return all;
}

std::vector<std::string> find_faults(schema::Type type, const Json& config) {
  Faults faults;
  find(type.value(), config, "", faults);
  return faults;
}

}  // namespace moth::apply
