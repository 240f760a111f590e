#include "api/machinery/patch_three_way.h"

#include <algorithm>
#include <unordered_map>

#include "api/base/json.h"
#include "api/machinery/patch_lists.h"
#include "api/machinery/patch_merge.h"

namespace moth {
namespace {

using strategic::field_of;
using strategic::identity;
using strategic::kDeleteFromPrimitiveList;
using strategic::kPatch;
using strategic::kRetainKeys;
using strategic::kSetElementOrder;

// Which of the differences a patch is to hold.
struct DiffOptions {
  bool deletions = true;
  bool changes = true;  // and additions
};

Result<Json> diff_maps(const Json& original, const Json& modified, const PatchSchema* schema,
                       const DiffOptions& options, bool retain_keys);

struct ListDiff {
  Json patch = Json::array();
  Json deleted_values = Json::array();
  Json order;  // null: not needed
};

bool same_order(const Json& a, const Json& b, std::string_view merge_key) {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [&](const Json& x, const Json& y) {
           return identity(x, merge_key) == identity(y, merge_key);
         });
}

ListDiff diff_value_lists(const Json& original, const Json& modified, const DiffOptions& options) {
  ListDiff diff;
  auto before = strategic::rank_elements(original, "");
  auto after = strategic::rank_elements(modified, "");
  for (const Json& value : modified) {
    if (options.changes && !before.contains(*identity(value, ""))) diff.patch.push_back(value);
  }
  for (const Json& value : original) {
    if (options.deletions && !after.contains(*identity(value, "")))
      diff.deleted_values.push_back(value);
  }
  if (!diff.patch.empty() || !diff.deleted_values.empty() || original != modified)
    diff.order = modified;
  return diff;
}

tl::unexpected<Error> no_merge_key(std::string_view merge_key) {
  return fail(Error::bad_request("an element of a list does not contain declared merge key: " +
                                 std::string(merge_key)));
}

Result<ListDiff> diff_keyed_lists(const Json& original, const Json& modified,
                                  const PatchField& field, const DiffOptions& options) {
  ListDiff diff;
  auto before = strategic::rank_elements(original, field.merge_key);
  auto after = strategic::rank_elements(modified, field.merge_key);
  std::string key(field.merge_key);
  Json order = Json::array();
  for (const Json& element : modified) {
    auto id = identity(element, key);
    if (!id) return no_merge_key(key);
    order.push_back(Json{{key, element.at(key)}});
    auto at = before.find(*id);
    if (at == before.end()) {
      if (options.changes) diff.patch.push_back(element);
      continue;
    }
    MOTH_ASSIGN(Json change,
                diff_maps(original[at->second], element, field.child, options, field.retain_keys));
    if (change.empty()) continue;
    change[key] = element.at(key);
    diff.patch.push_back(std::move(change));
  }
  for (const Json& element : original) {
    auto id = identity(element, key);
    if (!id) return no_merge_key(key);
    if (!options.deletions || after.contains(*id)) continue;
    diff.patch.push_back(Json{{std::string(kPatch), "delete"}, {key, element.at(key)}});
  }
  if (!diff.patch.empty() || !same_order(original, modified, key)) diff.order = std::move(order);
  return diff;
}

Result<void> diff_lists(const std::string& name, const Json& original, const Json& modified,
                        const PatchField& field, const DiffOptions& options, Json& patch) {
  if (field.list == PatchField::List::kReplace) {
    if (options.changes && original != modified) patch[name] = modified;
    return {};
  }
  if (original.empty()) {
    if (options.changes && !modified.empty()) patch[name] = modified;
    return {};
  }
  ListDiff diff;
  if (field.merge_key.empty()) {
    diff = diff_value_lists(original, modified, options);
  } else {
    MOTH_ASSIGN(diff, diff_keyed_lists(original, modified, field, options));
  }
  if (!diff.patch.empty()) patch[name] = std::move(diff.patch);
  if (!diff.deleted_values.empty()) {
    patch[std::string(kDeleteFromPrimitiveList) + name] = std::move(diff.deleted_values);
  }
  if (!diff.order.is_null()) patch[std::string(kSetElementOrder) + name] = std::move(diff.order);
  return {};
}

Result<void> diff_member(const std::string& name, const Json& original, const Json& modified,
                         const PatchSchema* schema, const DiffOptions& options, Json& patch) {
  PatchField field = field_of(schema, name);
  if (original.is_object() && modified.is_object() && !field.replace) {
    MOTH_ASSIGN(Json change,
                diff_maps(original, modified, field.child, options, field.retain_keys));
    if (!change.empty()) patch[name] = std::move(change);
    return {};
  }
  if (original.is_array() && modified.is_array()) {
    return diff_lists(name, original, modified, field, options, patch);
  }
  if (options.changes && original != modified) patch[name] = modified;
  return {};
}

Result<Json> diff_maps(const Json& original, const Json& modified, const PatchSchema* schema,
                       const DiffOptions& options, bool retain_keys) {
  Json patch = Json::object();
  for (const auto& [name, value] : original.get_ref<const Json::object_t&>()) {
    const Json* wanted = find_member(modified, name);
    if (wanted) {
      MOTH_TRY(diff_member(name, value, *wanted, schema, options, patch));
    } else if (options.deletions) {
      patch[name] = nullptr;
    }
  }
  Json kept = Json::array();
  for (const auto& [name, wanted] : modified.get_ref<const Json::object_t&>()) {
    if (!wanted.is_null()) kept.push_back(name);
    if (options.changes && !original.contains(name)) patch[name] = wanted;
  }
  if (retain_keys && !patch.empty()) patch[std::string(kRetainKeys)] = std::move(kept);
  return patch;
}

// Puts `more` over `patch`, both patches: nulls and directives stay.
Json merge_patches(Json patch, const Json& more, const PatchSchema* schema);

Json merge_patch_lists(const Json& list, const Json& more, const PatchField& field) {
  Json merged = more;
  auto known = strategic::rank_elements(more, field.merge_key);
  for (const Json& element : list) {
    auto id = identity(element, field.merge_key);
    auto at = id ? known.find(*id) : known.end();
    if (at == known.end()) {
      merged.push_back(element);
    } else if (element.is_object()) {
      merged[at->second] = merge_patches(element, more[at->second], field.child);
    }
  }
  return merged;
}

Json merge_patches(Json patch, const Json& more, const PatchSchema* schema) {
  for (const auto& [name, value] : more.get_ref<const Json::object_t&>()) {
    auto member = patch.find(name);
    if (member == patch.end()) {
      patch[name] = value;
      continue;
    }
    bool directive = name.starts_with('$');
    PatchField field = directive ? PatchField{} : field_of(schema, name);
    bool lists = member->is_array() && value.is_array() && field.list == PatchField::List::kMerge;
    if (member->is_object() && value.is_object() && !field.replace) {
      *member = merge_patches(std::move(*member), value, field.child);
    } else if (lists) {
      *member = merge_patch_lists(*member, value, field);
    } else {
      *member = value;
    }
  }
  return patch;
}

// Whether two patches want different values for a field.
bool conflict(const Json& a, const Json& b, const PatchSchema* schema);

bool lists_conflict(const Json& a, const Json& b, const PatchField& field) {
  if (field.list == PatchField::List::kReplace) return a != b;
  if (field.merge_key.empty()) return false;
  auto known = strategic::rank_elements(b, field.merge_key);
  for (const Json& element : a) {
    auto id = identity(element, field.merge_key);
    auto at = id ? known.find(*id) : known.end();
    if (at == known.end()) continue;
    const Json& other = b[at->second];
    if (strategic::is_deletion(element) != strategic::is_deletion(other)) return true;
    if (conflict(element, other, field.child)) return true;
  }
  return false;
}

bool conflict(const Json& a, const Json& b, const PatchSchema* schema) {
  for (const auto& [name, value] : a.get_ref<const Json::object_t&>()) {
    const Json* other = find_member(b, name);
    if (!other || name.starts_with('$')) continue;
    PatchField field = field_of(schema, name);
    if (value.is_object() && other->is_object()) {
      if (field.replace ? value != *other : conflict(value, *other, field.child)) return true;
    } else if (value.is_array() && other->is_array()) {
      if (lists_conflict(value, *other, field)) return true;
    } else if (value != *other) {
      return true;
    }
  }
  return false;
}

Result<void> check_identity_kept(const Json& patch) {
  bool changed = patch.contains("apiVersion") || patch.contains("kind") ||
                 find_path(patch, "metadata", "name") != nullptr;
  if (!changed) return {};
  return fail(Error::bad_request("At least one of apiVersion, kind and name was changed"));
}

tl::unexpected<Error> conflict_error() {
  return fail(Error::of(Reason::kConflict,
                        "the patch changes fields that were changed since they were last applied"));
}

const Json& object_or_empty(const Json& value) {
  static const Json kEmpty = Json::object();
  return value.is_object() ? value : kEmpty;
}

// The part of a merge patch that deletes.
Json only_nulls(const Json& patch) {
  Json kept = Json::object();
  for (const auto& [name, value] : patch.get_ref<const Json::object_t&>()) {
    if (value.is_null()) kept[name] = nullptr;
    if (!value.is_object()) continue;
    Json inner = only_nulls(value);
    if (!inner.empty()) kept[name] = std::move(inner);
  }
  return kept;
}

// The part of a merge patch that sets.
Json without_nulls(const Json& patch) {
  Json kept = Json::object();
  for (const auto& [name, value] : patch.get_ref<const Json::object_t&>()) {
    if (value.is_null()) continue;
    if (!value.is_object()) {
      kept[name] = value;
      continue;
    }
    Json inner = without_nulls(value);
    // What was all deletions is no addition, but an empty object may be wanted as such.
    if (!inner.empty() || value.empty()) kept[name] = std::move(inner);
  }
  return kept;
}

}  // namespace

Result<Json> two_way_strategic_patch(const Json& original, const Json& modified,
                                     const PatchSchema& schema) {
  return diff_maps(object_or_empty(original), object_or_empty(modified), &schema, {}, false);
}

Result<Json> three_way_strategic_patch(const Json& original, const Json& modified,
                                       const Json& current, const PatchSchema& schema,
                                       bool overwrite) {
  const Json& before = object_or_empty(original);
  const Json& wanted = object_or_empty(modified);
  const Json& live = object_or_empty(current);
  DiffOptions only_changes{.deletions = false, .changes = true};
  DiffOptions only_deletions{.deletions = true, .changes = false};
  MOTH_ASSIGN(Json delta, diff_maps(live, wanted, &schema, only_changes, false));
  MOTH_ASSIGN(Json deletions, diff_maps(before, wanted, &schema, only_deletions, false));
  Json patch = merge_patches(std::move(deletions), delta, &schema);
  MOTH_TRY(check_identity_kept(patch));
  if (overwrite) return patch;
  MOTH_ASSIGN(Json changed, diff_maps(before, live, &schema, {}, false));
  if (conflict(patch, changed, &schema)) return conflict_error();
  return patch;
}

Result<Json> three_way_merge_patch(const Json& original, const Json& modified,
                                   const Json& current) {
  const Json& before = object_or_empty(original);
  const Json& wanted = object_or_empty(modified);
  Json delta = without_nulls(create_merge_patch(object_or_empty(current), wanted));
  Json deletions = only_nulls(create_merge_patch(before, wanted));
  Json patch = merge_patches(std::move(deletions), delta, nullptr);
  MOTH_TRY(check_identity_kept(patch));
  return patch;
}

}  // namespace moth
