#pragma once
// write_atomically: replaces the content of a volume so that a reader sees all of the old files or
// all of the new ones. The layout is the kubelet's, which programs know and watch:
//
//   ROOT/..2025_01_02_15_04_05.123456789/   the files, with their sub-folders
//   ROOT/..data      -> ..2025_01_02_15_04_05.123456789
//   ROOT/NAME        -> ..data/NAME          one link for each first part of a path
//
// Synchronous: blocking executor. One writer per volume at a time; readers need nothing.
#include <cstdint>
#include <optional>
#include <string>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "runtime/volumes/payload.h"

namespace moth::volumes {

struct AtomicWriteOptions {
  // Given to everything below the root: group, and reading for the group.
  std::optional<std::uint32_t> fs_group;
  WallTime now{};  // names the data folder
};

// True when something was written; false when `root` (an existing folder) has this content already.
// A crash between the steps leaves the old or the new content, and a data folder that the next
// write deletes.
Result<bool> write_atomically(const std::string& root, const Payload& payload,
                              const AtomicWriteOptions& options);

}  // namespace moth::volumes
