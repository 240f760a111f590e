#pragma once
// Strategic merge patch: a merge patch that merges lists by key, with the directives $patch,
// $retainKeys, $setElementOrder/<list> and $deleteFromPrimitiveList/<list>. Pure functions.
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

class PatchSchema;

// How one member of an object is patched.
struct PatchField {
  enum class List {
    kReplace,  // the list is replaced as a whole
    kMerge,    // merged: by `merge_key` for objects, as a set of values when it is empty
  };
  List list = List::kReplace;
  std::string_view merge_key;
  // The member's map, or each element of its list, drops what $retainKeys does not name.
  bool retain_keys = false;
  // A map that is replaced as a whole instead of being merged.
  bool replace = false;
  // Of the map, or of the list's elements; null: no more is known and lists are replaced.
  const PatchSchema* child = nullptr;
};

// What patching needs to know of a type. Made by who knows the types (api/schema); whatever it
// hands out must live as long as the root does. Thread-safe.
class PatchSchema {
 public:
  virtual ~PatchSchema() = default;
  // Of the member `name`; a default PatchField when it is unknown.
  virtual PatchField field(std::string_view name) const = 0;
};

// Invalid or BadRequest when the patch's directives are malformed or an element lacks its merge
// key. Preconditions such as metadata.resourceVersion are the caller's.
Result<Json> apply_strategic_patch(Json document, const Json& patch, const PatchSchema& schema);

}  // namespace moth
