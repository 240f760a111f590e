#pragma once
// emptyDir: a folder that lives as long as its pod, or a tmpfs. Synchronous: blocking executor.
#include <cstdint>
#include <optional>
#include <string>

#include "api/base/result.h"

namespace moth::volumes {

struct EmptyDir {
  std::string medium;  // "", Memory, HugePages, HugePages-2Mi
  // Memory and huge pages: the size of the file system; 0: the kernel's default.
  std::uint64_t size_bytes = 0;
  std::optional<std::uint32_t> fs_group;
};

// Makes the folder (0777) and mounts what the medium asks for. What exists is kept with its
// content, so it may be called again at any time.
Result<> setup_empty_dir(const std::string& path, const EmptyDir& spec);

// A tmpfs for files that must not reach a disk (secrets). As above.
Result<> setup_memory_dir(const std::string& path);

// Unmounts everything at and below `path` and deletes it. A missing folder is no error.
Result<> remove_volume_dir(const std::string& path);

}  // namespace moth::volumes
