#pragma once
// fsGroup: gives a volume to a group. Synchronous, over the whole tree: blocking executor.
#include <cstdint>
#include <string>

#include "api/base/result.h"

namespace moth::volumes {

struct FsGroupOptions {
  bool read_only = false;  // the group may read only (0440 instead of 0660)
  // Do nothing when the root already has the group and the modes (fsGroupChangePolicy
  // OnRootMismatch).
  bool on_root_mismatch = false;
};

// Every file and folder at and below `path` gets the group and the modes that let it in; folders
// also the setgid bit, so that new files inherit the group. Links are changed, never followed;
// other file systems below are left alone.
Result<> apply_fs_group(const std::string& path, std::uint32_t group,
                        const FsGroupOptions& options = {});

}  // namespace moth::volumes
