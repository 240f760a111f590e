#pragma once
// Files: what the node needs of them. All synchronous (call on the blocking executor when the file
// may be large or on a slow disk) and free of threads. Errors carry errno and the path.
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"
#include "runtime/os/unique_fd.h"

namespace moth::os {

inline constexpr std::size_t kMaxFileBytes = 16 * 1024 * 1024;

// The whole file. Larger than `max_bytes`: RequestEntityTooLarge.
Result<std::string> read_file(const std::string& path, std::size_t max_bytes = kMaxFileBytes);
// The last `max_bytes` at most.
Result<std::string> read_file_tail(const std::string& path, std::size_t max_bytes);
// Creates or truncates; no sync. The mode is exact (umask does not matter) for a new file.
Result<void> write_file(const std::string& path, std::string_view content, mode_t mode = 0644);
// One write(2) to an existing file, e.g. of /proc, /sys or a cgroup.
Result<void> write_existing(const std::string& path, std::string_view content);
// Readers see the old or the new content, never a part: temporary beside it, fsync, rename, fsync
// of the folder. `durable` false leaves out the two fsyncs.
Result<void> write_file_atomic(const std::string& path, std::string_view content,
                               mode_t mode = 0644, bool durable = true);
// mkdir -p: every missing level gets `mode` exactly.
Result<void> make_dirs(const std::string& path, mode_t mode = 0755);
// Holds a directory for this process alone (flock) until the descriptor is closed. Empty when
// another process holds it.
Result<UniqueFd> lock_directory(const std::string& path);
// rm -r of `path` itself, never through a symbolic link, never into another file system or mount.
// A mount point inside is an error that names it. A missing path is no error.
Result<void> remove_tree(const std::string& path);
Result<void> remove_file(const std::string& path);  // missing is no error
bool exists(const std::string& path);               // lstat
bool is_directory(const std::string& path);         // stat

struct DirEntry {
  std::string name;
  unsigned char type = 0;  // DT_DIR, DT_REG, ... or DT_UNKNOWN
};
// Sorted by name, without "." and "..".
Result<std::vector<DirEntry>> list_dir(const std::string& path,
                                       std::size_t max_entries = 1'000'000);

struct FsUsage {
  std::uint64_t capacity = 0, available = 0, used = 0;  // bytes; available to non-root
  std::uint64_t inodes = 0, inodes_free = 0, inodes_used = 0;
};
Result<FsUsage> fs_usage(const std::string& path);
// Bytes and inodes that a tree occupies on its own device (hard links counted once), as du.
struct TreeUsage {
  std::uint64_t bytes = 0, inodes = 0;
};
Result<TreeUsage> tree_usage(const std::string& path);

// A directory held by descriptor, for work that must stay inside it whatever links a container or
// an image put there.
class DirFd {
 public:
  static Result<DirFd> open(const std::string& path);
  // Resolves `path` with this folder as root ("/etc/passwd", links and ".." never leave it).
  // Flags as for ::open; O_CLOEXEC is added.
  Result<UniqueFd> open_in_root(const std::string& path, int flags, mode_t mode = 0) const;
  // As above, refusing every symbolic link on the way.
  Result<UniqueFd> open_no_links(const std::string& path, int flags, mode_t mode = 0) const;
  Result<std::string> read_in_root(const std::string& path,
                                   std::size_t max_bytes = kMaxFileBytes) const;
  // mkdir -p inside the root, links resolved inside it; gives the last folder.
  Result<DirFd> make_dirs_in_root(const std::string& path, mode_t mode = 0755) const;
  // "/proc/self/fd/N": a path of this folder for calls that want one, valid while this lives.
  std::string proc_path() const;
  int get() const { return fd_.get(); }

 private:
  explicit DirFd(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// The content of an open file from its current position.
Result<std::string> read_fd(int fd, std::size_t max_bytes, std::string_view what);
// All of it, over partial writes.
Result<void> write_fd(int fd, std::string_view content, std::string_view what);

}  // namespace moth::os
