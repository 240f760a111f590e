#pragma once
// Where an object's canonical text says who manages its fields. That is half of a small object's
// text, and most readers have no use for it. Pure functions; any thread.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"

namespace moth {

// The member metadata.managedFields of an object's compact text.
struct ManagedText {
  std::size_t begin = 0, end = 0;  // of the member with one comma beside it; equal: there is none
  std::string_view value;          // the array
};
ManagedText find_managed_fields(std::string_view text);
// The members of a compact object or the items of a compact array, as they are written, at most
// `limit` of them; the key with its quotes, empty for an item. Nothing when the shape is another.
struct TextPart {
  std::string_view key, value;
};
std::vector<TextPart> parts_of(std::string_view text, std::size_t limit);
// The text without it; the same when it is not compact.
std::string without_managed_fields(std::string_view text);

// A value that is written as `text`, which is one JSON value in canonical form, without being
// parsed. Nothing but dump_json() knows such values: they live for the way of one write into the
// store.
Json raw_json(std::string_view text);
// The text of such a value; empty for others.
std::string_view raw_json_text(const Json& value);

}  // namespace moth
