#include "api/machinery/patch_lists.h"

#include <algorithm>

#include "api/machinery/json_text.h"

namespace moth::strategic {
namespace {

struct Placed {
  Json element;
  std::size_t rank;  // in the order that decides for its group
  std::optional<std::size_t> server_rank;
};

void sort_by_rank(std::vector<Placed>& group) {
  std::stable_sort(group.begin(), group.end(),
                   [](const Placed& a, const Placed& b) { return a.rank < b.rank; });
}

}  // namespace

std::optional<std::string> identity(const Json& element, std::string_view merge_key) {
  if (merge_key.empty()) return dump_json(element);
  const Json* key = find_member(element, merge_key);
  if (!key) return std::nullopt;
  return dump_json(*key);
}

Ranks rank_elements(const Json& list, std::string_view merge_key) {
  Ranks ranks;
  if (!list.is_array()) return ranks;
  for (std::size_t i = 0; i < list.size(); ++i) {
    if (auto id = identity(list[i], merge_key)) ranks.emplace(std::move(*id), i);
  }
  return ranks;
}

Json order_elements(Json merged, std::string_view merge_key, const Ranks& wanted,
                    const Ranks& server) {
  std::vector<Placed> chosen;
  std::vector<Placed> others;
  for (Json& element : merged.get_ref<Json::array_t&>()) {
    auto id = identity(element, merge_key);
    std::optional<std::size_t> server_rank;
    if (id) {
      if (auto at = server.find(*id); at != server.end()) server_rank = at->second;
    }
    auto at = id ? wanted.find(*id) : wanted.end();
    if (at != wanted.end()) {
      chosen.push_back({std::move(element), at->second, server_rank});
    } else {
      others.push_back({std::move(element), server_rank.value_or(server.size()), server_rank});
    }
  }
  sort_by_rank(chosen);
  sort_by_rank(others);
  Json ordered = Json::array();
  std::size_t c = 0;
  std::size_t o = 0;
  while (c < chosen.size() || o < others.size()) {
    bool other_first = c == chosen.size();
    if (!other_first && o < others.size()) {
      other_first = chosen[c].server_rank && others[o].server_rank &&
                    *others[o].server_rank < *chosen[c].server_rank;
    }
    ordered.push_back(std::move(other_first ? others[o++].element : chosen[c++].element));
  }
  return ordered;
}

PatchField field_of(const PatchSchema* schema, std::string_view name) {
  return schema ? schema->field(name) : PatchField{};
}

bool is_deletion(const Json& element) {
  return string_or(element, kPatch) == "delete";
}

}  // namespace moth::strategic
