#pragma once
// What applying and making strategic patches have in common: directive names, the identity of list
// elements, their order. Internal to patch_strategic.cpp and patch_three_way.cpp. Pure functions.
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/patch_strategic.h"

namespace moth::strategic {

inline constexpr std::string_view kPatch = "$patch";
inline constexpr std::string_view kRetainKeys = "$retainKeys";
inline constexpr std::string_view kSetElementOrder = "$setElementOrder/";
inline constexpr std::string_view kDeleteFromPrimitiveList = "$deleteFromPrimitiveList/";

// A text that is equal for elements that are one and the same: of the merge key's value, or of the
// whole element when `merge_key` is empty. Nothing when the element lacks the key.
std::optional<std::string> identity(const Json& element, std::string_view merge_key);

// Where each identity stands first.
using Ranks = std::unordered_map<std::string, std::size_t>;
Ranks rank_elements(const Json& list, std::string_view merge_key);

// Sorts the elements known to `wanted` by it, leaves the others in the order of `server`, and
// weaves both so that elements known to both orders keep the server's where they can.
Json order_elements(Json merged, std::string_view merge_key, const Ranks& wanted,
                    const Ranks& server);

PatchField field_of(const PatchSchema* schema, std::string_view name);
bool is_deletion(const Json& element);

}  // namespace moth::strategic
