#include <algorithm>
#include <map>
#include <vector>

#include "api/apply/shape.h"
#include "api/apply/typed.h"
#include "api/base/json.h"

namespace moth::apply {

using schema::Value;

Comparison::Comparison()
    : added(std::make_unique<Json>(Json::object())),
      modified(std::make_unique<Json>(Json::object())),
      removed(std::make_unique<Json>(Json::object())) {}
Comparison::~Comparison() = default;
Comparison::Comparison(Comparison&&) noexcept = default;
Comparison& Comparison::operator=(Comparison&&) noexcept = default;

bool Comparison::same() const {
  return added->empty() && modified->empty() && removed->empty();
}

Json Comparison::changed() const {
  Json all = *modified;
  unite(all, *added);
  return all;
}

namespace {

const Json kEmptyObject = Json::object();
const Json kEmptyArray = Json::array();

// Where the walk is; its elements become text only when something differs.
struct Place {
  const Place* parent = nullptr;
  std::string_view key;                  // of a field or a map's entry
  const std::string* element = nullptr;  // of a list item
};

std::string element_of(const Place& place) {
  return place.element ? *place.element : field_element(place.key);
}

// The node of `place`, made when it is missing. The root has none of its own.
Json& node_at(Json& set, const Place* place, bool& fresh) {
  if (!place->parent) {
    fresh = false;
    return set;
  }
  bool parent_fresh = false;
  Json& parent = node_at(set, place->parent, parent_fresh);
  std::string element = element_of(*place);
  if (auto found = parent.find(element); found != parent.end()) {
    fresh = false;
    return *found;
  }
  // A member that gets members of its own stays one.
  bool root = place->parent->parent == nullptr;
  if (!root && !parent_fresh && parent.empty()) parent["."] = Json::object();
  fresh = true;
  return *parent.emplace(std::move(element), Json::object()).first;
}

void insert(Json& set, const Place& place) {
  bool fresh = false;
  Json& node = node_at(set, &place, fresh);
  if (!fresh && !node.empty()) node["."] = Json::object();
}

bool never_owned(std::string_view key) {
  for (std::string_view name : {"name", "namespace", "uid", "creationTimestamp", "generation",
                                "resourceVersion", "selfLink", "clusterName", "managedFields"}) {
    if (key == name) return true;
  }
  return false;
}

bool is_empty(const Json* json) {
  return !json || json->empty();
}

class Walk {
 public:
  explicit Walk(Comparison& result) : result_(result) {}

  void root(Value value, const Json& before, const Json& after, const Json* without) {
    Place place;
    members(value, &before, &after, place, without);
  }

 private:
  struct Items {
    std::vector<const Json*> before, after;
  };

  void value(Value value, const Json* before, const Json* after, const Place& place,
             const Json* without) {
    // Null takes whatever form the other side has.
    bool no_before = !before || before->is_null(), no_after = !after || after->is_null();
    Shape was = no_before ? Shape::kLeaf : shape_of(value, *before);
    Shape is = no_after ? Shape::kLeaf : shape_of(value, *after);
    if (no_before && !no_after) was = is;
    if (no_after && !no_before) is = was;
    if (was != is) {
      children(value, was, before, nullptr, place, without);
      children(value, is, nullptr, after, place, without);
      return leaf(before, after, place);
    }
    if (is == Shape::kLeaf || (is_empty(before) && is_empty(after)))
      return leaf(before, after, place);
    if (!children(value, is, before, after, place, without)) return leaf(before, after, place);
    if (!before) insert(*result_.added, place);
    if (!after) insert(*result_.removed, place);
  }

  // False when the items cannot be told apart.
  bool children(Value value, Shape shape, const Json* before, const Json* after, const Place& place,
                const Json* without) {
    if (shape == Shape::kMap) members(value, before, after, place, without);
    return shape != Shape::kList || items(value, before, after, place);
  }

  void leaf(const Json* before, const Json* after, const Place& place) {
    if (!before) {
      insert(*result_.added, place);
    } else if (!after) {
      insert(*result_.removed, place);
    } else if (*before != *after) {
      insert(*result_.modified, place);
    }
  }

  void members(Value parent, const Json* before, const Json* after, const Place& place,
               const Json* without) {
    const Json& a = before && before->is_object() ? *before : kEmptyObject;
    const Json& b = after && after->is_object() ? *after : kEmptyObject;
    auto x = a.begin();
    auto y = b.begin();
    while (x != a.end() || y != b.end()) {
      int order = x == a.end() ? 1 : y == b.end() ? -1 : x.key().compare(y.key());
      const std::string& key = order <= 0 ? x.key() : y.key();
      const Json* old_value = order <= 0 ? &*x : nullptr;
      const Json* new_value = order >= 0 ? &*y : nullptr;
      member(parent, before != nullptr, after != nullptr, key, old_value, new_value, place,
             without);
      if (order <= 0) ++x;
      if (order >= 0) ++y;
    }
  }

  void member(Value parent, bool had_parent, bool has_parent, const std::string& key,
              const Json* before, const Json* after, const Place& place, const Json* without) {
    bool at_root = !place.parent;
    if (at_root && (key == "apiVersion" || key == "kind")) return;
    bool in_meta = !at_root && !place.parent->parent && place.key == "metadata";
    if (in_meta && never_owned(key)) return;
    const Json* skipped = nullptr;
    if (without) {
      skipped = find_member(*without, field_element(key));
      if (skipped && is_member(*skipped)) return;
    }
    // Upstream compares Go values, in which some structures are never missing.
    if (!before && had_parent) before = stand_in(parent, key, after, at_root);
    if (!after && has_parent) after = stand_in(parent, key, before, at_root);
    Place below{&place, key, nullptr};
    value(member_of(parent, key).value, before, after, below, skipped);
  }

  static const Json* stand_in(Value parent, const std::string& key, const Json* other,
                              bool at_root) {
    if (is_empty(other) || (!other->is_object() && !other->is_array())) return nullptr;
    if (!(at_root && key == "metadata") && !always_there(parent, key)) return nullptr;
    return other->is_object() ? &kEmptyObject : &kEmptyArray;
  }

  static bool gather(Value list, const Json* items, std::map<std::string, Items>& all,
                     std::vector<const Json*> Items::*side) {
    if (!items || !items->is_array()) return true;
    for (const Json& item : *items) {
      auto element = item_element(list, item, nullptr);
      if (!element) return false;
      (all[*std::move(element)].*side).push_back(&item);
    }
    return true;
  }

  static bool equal(const std::vector<const Json*>& a, const std::vector<const Json*>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const Json* x, const Json* y) { return *x == *y; });
  }

  bool items(Value list, const Json* before, const Json* after, const Place& place) {
    if (before && after && *before == *after) return true;
    std::map<std::string, Items> all;
    if (!gather(list, before, all, &Items::before) || !gather(list, after, all, &Items::after))
      return false;
    for (const auto& [element, found] : all) {
      Place below{&place, {}, &element};
      item(list, found, below);
    }
    return true;
  }

  // Items that stand twice are one unit, as they cannot be told apart.
  void item(Value list, const Items& found, const Place& place) {
    const auto& [before, after] = found;
    Value type = item_of(list);
    if (before.size() <= 1 && after.size() <= 1) {
      value(type, before.empty() ? nullptr : before[0], after.empty() ? nullptr : after[0], place,
            nullptr);
    } else if (before.size() > 1 && after.size() > 1) {
      if (!equal(before, after)) insert(*result_.modified, place);
    } else if (before.size() > 1) {
      if (!after.empty()) value(type, nullptr, after[0], place, nullptr);
      insert(*result_.removed, place);
    } else {
      if (!before.empty()) value(type, before[0], nullptr, place, nullptr);
      insert(*result_.added, place);
    }
  }

  Comparison& result_;
};

}  // namespace

Comparison compare(schema::Type type, const Json& before, const Json& after, const Json* without) {
  Comparison result;
  Walk(result).root(type ? type.value() : Value(), before, after, without);
  return result;
}

}  // namespace moth::apply
