#pragma once
// Extractor: writes the entries of one layer below a directory without ever leaving it. Blocking,
// one thread. Internal to runtime/images.
#include <sys/stat.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"
#include "runtime/os/fs.h"
#include "runtime/os/unique_fd.h"

namespace moth::images {

struct EntryMeta {
  std::uint32_t uid = 0, gid = 0;
  mode_t mode = 0;  // permission bits
  timespec mtime{};
  std::vector<std::pair<std::string, std::string>> xattrs;
};

class Extractor {
 public:
  explicit Extractor(os::DirFd root) : root_(std::move(root)) {}

  // Paths are relative, free of "", "." and ".." (see clean_path). "" is the root itself.
  Result<void> directory(const std::string& path, const EntryMeta& meta);
  // `fill` writes the content into the descriptor.
  Result<void> regular(const std::string& path, const EntryMeta& meta,
                       const std::function<Result<void>(int fd)>& fill);
  Result<void> symlink(const std::string& path, const std::string& target, const EntryMeta& meta);
  Result<void> hardlink(const std::string& path, const std::string& target);
  Result<void> node(const std::string& path, mode_t type, dev_t device, const EntryMeta& meta);
  // The lower layers' `path` is gone.
  Result<void> whiteout(const std::string& path);
  // Nothing of the lower layers' directory `path` shows.
  Result<void> opaque(const std::string& path);
  // Sets the directories' times, which later entries have changed.
  Result<void> finish();

 private:
  struct Place {
    int parent = -1;  // borrowed, until the next call
    std::string name;
  };
  Result<Place> place(const std::string& path);
  Result<int> open_parent(const std::string& parent);
  Result<void> clear(const Place& place);

  os::DirFd root_;
  std::string cached_path_;  // "/": nothing is cached
  os::UniqueFd cached_;
  std::vector<std::pair<std::string, timespec>> directory_times_;
};

// Strips leading "/" and "./" and single dots; refuses "..", NUL and names that are too long.
Result<std::string> clean_path(std::string_view path);

}  // namespace moth::images
