#pragma once
// Where an object's canonical text says who manages its fields. That is half of a small object's
// text, and most readers have no use for it. Pure functions; any thread.
#include <cstddef>
#include <string>
#include <string_view>

namespace moth {

// The member metadata.managedFields of an object's compact text.
struct ManagedText {
  std::size_t begin = 0, end = 0;  // of the member with one comma beside it; equal: there is none
  std::string_view value;          // the array
};
ManagedText find_managed_fields(std::string_view text);
// The text without it; the same when it is not compact.
std::string without_managed_fields(std::string_view text);

}  // namespace moth
