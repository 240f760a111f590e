#include "api/machinery/patch_strategic.h"

#include <fmt/format.h>

#include <unordered_set>

#include "api/base/json.h"
#include "api/machinery/json_text.h"
#include "api/machinery/patch_lists.h"
#include "api/machinery/text.h"

namespace moth {
namespace {

using strategic::identity;
using strategic::kDeleteFromPrimitiveList;
using strategic::kPatch;
using strategic::kRetainKeys;
using strategic::kSetElementOrder;
using strategic::rank_elements;
using strategic::Ranks;

tl::unexpected<Error> refuse(std::string why) {
  return fail(Error::bad_request(std::move(why)));
}

Result<Json> merge_map(Json document, const Json& patch, const PatchSchema* schema);

tl::unexpected<Error> no_merge_key(const Json& element, std::string_view merge_key) {
  return refuse(fmt::format("map: {} does not contain declared merge key: {}", dump_json(element),
                            merge_key));
}

// What the elements of a keyed patch list ask for.
struct KeyedPatch {
  std::vector<const Json*> changes;
  std::unordered_set<std::string> deleted;
  bool replace = false;
};

Result<KeyedPatch> read_keyed_patch(const Json& patch, std::string_view merge_key) {
  KeyedPatch read;
  for (const Json& element : patch) {
    if (!element.is_object()) {
      return refuse(
          fmt::format("a list merged by {} holds {}", go_quote(merge_key), dump_json(element)));
    }
    std::string directive = string_or(element, kPatch);
    if (directive == "replace") {
      // It marks the list and is no element itself.
      read.replace = true;
      continue;
    }
    if (directive == "merge") return refuse("merging lists cannot yet be specified in the patch");
    if (!directive.empty() && directive != "delete") {
      return refuse(fmt::format("unknown patch type {} found in a list", go_quote(directive)));
    }
    auto id = identity(element, merge_key);
    if (!id) return no_merge_key(element, merge_key);
    if (directive == "delete") {
      read.deleted.insert(std::move(*id));
    } else {
      read.changes.push_back(&element);
    }
  }
  return read;
}

Result<Json> merge_keyed_list(const Json& document, const Json& patch, const PatchField& field) {
  MOTH_ASSIGN(KeyedPatch keyed, read_keyed_patch(patch, field.merge_key));
  Json merged = Json::array();
  for (const Json& element : document) {
    auto id = identity(element, field.merge_key);
    if (!keyed.replace && !(id && keyed.deleted.contains(*id))) merged.push_back(element);
  }
  Ranks positions = rank_elements(merged, field.merge_key);
  Ranks wanted;
  for (const Json* change : keyed.changes) {
    auto id = identity(*change, field.merge_key);
    if (!id) return no_merge_key(*change, field.merge_key);
    wanted.emplace(*id, wanted.size());
    auto [position, added] = positions.emplace(*id, merged.size());
    if (added) merged.push_back(Json::object());
    Json& target = merged[position->second];
    MOTH_ASSIGN(target, merge_map(std::move(target), *change, field.child));
  }
  Ranks server = rank_elements(document, field.merge_key);
  return strategic::order_elements(std::move(merged), field.merge_key, wanted, server);
}

// Elements of one key stay apart here: port 53 of UDP and of TCP.
Result<Json> fresh_keyed_list(const Json& patch, const PatchField& field) {
  MOTH_ASSIGN(KeyedPatch keyed, read_keyed_patch(patch, field.merge_key));
  Json list = Json::array();
  for (const Json* change : keyed.changes) {
    MOTH_ASSIGN(Json element, merge_map(Json::object(), *change, field.child));
    list.push_back(std::move(element));
  }
  return list;
}

Result<Json> merge_value_list(const Json& document, const Json& patch) {
  Json merged = Json::array();
  std::unordered_set<std::string> seen;
  for (const Json* list : {&document, &patch}) {
    for (const Json& element : *list) {
      if (element.is_array()) return refuse("lists of lists are not supported");
      if (seen.insert(dump_json(element)).second) merged.push_back(element);
    }
  }
  return strategic::order_elements(std::move(merged), "", rank_elements(patch, ""),
                                   rank_elements(document, ""));
}

Result<Json> merge_list(const Json& document, const Json& patch, const PatchField& field) {
  bool by_key = !field.merge_key.empty();
  return by_key ? merge_keyed_list(document, patch, field) : merge_value_list(document, patch);
}

// The value of a patch where the document has none: its directives are done, nothing else changes.
Result<Json> fresh(const Json& value, const PatchField& field) {
  if (value.is_object()) return merge_map(Json::object(), value, field.child);
  bool merged = value.is_array() && field.list == PatchField::List::kMerge;
  if (!merged) return value;
  if (field.merge_key.empty()) return merge_value_list(Json::array(), value);
  return fresh_keyed_list(value, field);
}

Result<Json> merge_member(Json document, const Json& patch, const PatchField& field) {
  if (document.is_object() && patch.is_object() && !field.replace) {
    return merge_map(std::move(document), patch, field.child);
  }
  bool lists = document.is_array() && patch.is_array();
  if (lists && field.list == PatchField::List::kMerge) return merge_list(document, patch, field);
  return fresh(patch, field);
}

Result<void> retain_keys(Json& document, const Json& patch) {
  const Json* keys = find_member(patch, kRetainKeys);
  if (!keys) return {};
  if (!keys->is_array()) return refuse("$retainKeys must be a list");
  std::unordered_set<std::string> kept;
  for (const Json& key : *keys) {
    if (!key.is_string()) return refuse("$retainKeys must be a list of names");
    kept.insert(key.get<std::string>());
  }
  for (const auto& [name, value] : patch.get_ref<const Json::object_t&>()) {
    if (!value.is_null() && !name.starts_with('$') && !kept.contains(name)) {
      return refuse(
          fmt::format("the patch sets {}, which its $retainKeys does not name", go_quote(name)));
    }
  }
  std::erase_if(document.get_ref<Json::object_t&>(),
                [&](const auto& member) { return !kept.contains(member.first); });
  return {};
}

Result<void> delete_values(Json& document, const std::string& name, const Json& values) {
  if (!values.is_array()) return refuse("$deleteFromPrimitiveList must be a list");
  auto member = document.find(name);
  if (member == document.end() || !member->is_array()) return {};
  std::unordered_set<std::string> doomed;
  for (const Json& value : values) doomed.insert(dump_json(value));
  std::erase_if(member->get_ref<Json::array_t&>(),
                [&](const Json& element) { return doomed.contains(dump_json(element)); });
  return {};
}

// Every element that the patch sets must be in the order that it asks for, in that order.
Result<void> check_order(const std::string& name, const Json& patch, const Ranks& wanted,
                         std::string_view merge_key) {
  const Json* list = find_member(patch, name);
  if (!list || !list->is_array()) return {};
  std::size_t last = 0;
  for (const Json& element : *list) {
    if (element.is_object() && element.contains(kPatch)) continue;
    auto id = identity(element, merge_key);
    auto at = id ? wanted.find(*id) : wanted.end();
    if (at == wanted.end() || at->second < last) {
      return refuse(fmt::format("The order in patch list:\n{}\n doesn't match {}{} list:\n{}\n",
                                dump_json(*list), kSetElementOrder, name,
                                dump_json(patch.at(std::string(kSetElementOrder) + name))));
    }
    last = at->second;
  }
  return {};
}

Result<void> set_order(Json& document, const std::string& name, const Json& patch,
                       const Json& order, const Json& server_list, const PatchField& field) {
  if (!order.is_array()) return refuse("$setElementOrder must be a list");
  if (field.list != PatchField::List::kMerge) return {};
  Ranks wanted = rank_elements(order, field.merge_key);
  MOTH_TRY(check_order(name, patch, wanted, field.merge_key));
  auto member = document.find(name);
  if (member == document.end() || !member->is_array()) return {};
  *member = strategic::order_elements(std::move(*member), field.merge_key, wanted,
                                      rank_elements(server_list, field.merge_key));
  return {};
}

// The lists of the document that the patch wants in a certain order, as they were.
Json::object_t lists_to_order(const Json& document, const Json& patch) {
  Json::object_t lists;
  for (const auto& [name, value] : patch.get_ref<const Json::object_t&>()) {
    if (!name.starts_with(kSetElementOrder)) continue;
    std::string list = name.substr(kSetElementOrder.size());
    const Json* present = find_member(document, list);
    lists.emplace(list, present ? *present : Json::array());
  }
  return lists;
}

Result<Json> merge_members(Json document, const Json& patch, const PatchSchema* schema) {
  MOTH_TRY(retain_keys(document, patch));
  Json::object_t server_lists = lists_to_order(document, patch);
  for (const auto& [name, value] : patch.get_ref<const Json::object_t&>()) {
    if (name == kPatch || name == kRetainKeys || name.starts_with(kSetElementOrder)) continue;
    if (name.starts_with(kDeleteFromPrimitiveList)) {
      MOTH_TRY(delete_values(document, name.substr(kDeleteFromPrimitiveList.size()), value));
      continue;
    }
    if (value.is_null()) {
      document.erase(name);
      continue;
    }
    PatchField field = strategic::field_of(schema, name);
    auto member = document.find(name);
    if (member == document.end()) {
      MOTH_ASSIGN(document[name], fresh(value, field));
    } else {
      MOTH_ASSIGN(*member, merge_member(std::move(*member), value, field));
    }
  }
  for (const auto& [name, server_list] : server_lists) {
    const Json& order = patch.at(std::string(kSetElementOrder) + name);
    MOTH_TRY(
        set_order(document, name, patch, order, server_list, strategic::field_of(schema, name)));
  }
  return document;
}

Result<Json> merge_map(Json document, const Json& patch, const PatchSchema* schema) {
  const Json* directive = find_member(patch, kPatch);
  if (!directive) return merge_members(std::move(document), patch, schema);
  std::string text = directive->is_string() ? directive->get<std::string>() : dump_json(*directive);
  if (text == "delete") return Json::object();
  if (text != "replace" && text != "merge") {
    return refuse(fmt::format("unknown patch type {} found in map", go_quote(text)));
  }
  if (text == "replace") document = Json::object();
  return merge_members(std::move(document), patch, schema);
}

}  // namespace

Result<Json> apply_strategic_patch(Json document, const Json& patch, const PatchSchema& schema) {
  if (!patch.is_object()) return refuse("a strategic merge patch must be an object");
  if (!document.is_object()) document = Json::object();
  return merge_map(std::move(document), patch, &schema);
}

}  // namespace moth
