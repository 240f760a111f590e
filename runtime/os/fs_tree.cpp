// Walking whole trees that somebody else (a container, an image) filled: removal and measuring.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <deque>
#include <memory>
#include <set>

#include "runtime/os/fs.h"

namespace moth::os {

namespace {

// One descriptor is held per level of the recursion. Deeper folders are moved to the top and dealt
// with from there, so that no depth exhausts descriptors or stack.
constexpr int kMaxDepth = 96;

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using DirStream = std::unique_ptr<DIR, DirCloser>;

struct Removal {
  int top = -1;
  dev_t device = 0;
  unsigned moved = 0;
  bool again = false;
};

Error errno_error(std::string_view what, const std::string& path) {
  return Error::from_errno(errno, fmt::format("{} {}", what, path));
}

// An open stream over its own descriptor, so that closedir() leaves `dir` open.
Result<DirStream> stream_of(int dir, const std::string& path) {
  const int own = ::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (own < 0) return fail(errno_error("open folder", path));
  DirStream stream(::fdopendir(own));
  if (!stream) {
    ::close(own);
    return fail(errno_error("open folder", path));
  }
  return stream;
}

Result<void> remove_contents(Removal& removal, int dir, const std::string& path, int depth);

Result<void> remove_folder(Removal& removal, int parent, const char* name, const std::string& path,
                           int depth) {
  if (::unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  if (errno != ENOTEMPTY && errno != EEXIST && errno != EBUSY) {
    return fail(errno_error("remove folder", path));
  }
  UniqueFd dir(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir) return fail(errno_error("open folder", path));
  struct statx facts;
  if (::statx(dir.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &facts) != 0) {
    return fail(errno_error("stat", path));
  }
  const bool mounted = (facts.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  if (mounted || makedev(facts.stx_dev_major, facts.stx_dev_minor) != removal.device) {
    return fail(Error::of(Reason::kConflict,
                          fmt::format("remove folder {}: something is mounted there", path)));
  }
  if (depth >= kMaxDepth) {
    const std::string shallow = fmt::format(".moth-removing-{}", removal.moved++);
    if (::renameat(parent, name, removal.top, shallow.c_str()) != 0) {
      return fail(errno_error("move", path));
    }
    removal.again = true;
    return {};
  }
  MOTH_TRY(remove_contents(removal, dir.get(), path, depth + 1));
  if (::unlinkat(parent, name, AT_REMOVEDIR) != 0 && errno != ENOENT) {
    return fail(errno_error("remove folder", path));
  }
  return {};
}

Result<void> remove_contents(Removal& removal, int dir, const std::string& path, int depth) {
  MOTH_ASSIGN(DirStream stream, stream_of(dir, path));
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (!entry) {
      if (errno != 0) return fail(errno_error("read folder", path));
      return {};
    }
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string inner = path + "/" + name;
    // A folder answers EISDIR (Linux); whatever else an entry is, unlink is right for it.
    if (entry->d_type != DT_DIR) {
      if (::unlinkat(dir, name.c_str(), 0) == 0 || errno == ENOENT) continue;
      if (errno != EISDIR) return fail(errno_error("unlink", inner));
    }
    MOTH_TRY(remove_folder(removal, dir, name.c_str(), inner, depth));
  }
}

}  // namespace

Result<void> remove_tree(const std::string& path) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return fail(errno_error("stat", path));
  }
  if (!S_ISDIR(st.st_mode)) return remove_file(path);
  UniqueFd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir) return fail(errno_error("open folder", path));
  struct statx facts;
  if (::statx(dir.get(), "", AT_EMPTY_PATH, STATX_BASIC_STATS, &facts) == 0 &&
      (facts.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) {
    return fail(Error::of(Reason::kConflict,
                          fmt::format("remove folder {}: something is mounted there", path)));
  }
  Removal removal;
  removal.top = dir.get();
  removal.device = st.st_dev;
  do {
    removal.again = false;
    MOTH_TRY(remove_contents(removal, dir.get(), path, 0));
  } while (removal.again);
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT)
    return fail(errno_error("remove folder", path));
  return {};
}

namespace {

struct Walk {
  int root = -1;
  dev_t device = 0;
  std::deque<std::string> folders;  // relative to the root
  std::set<std::pair<dev_t, ino_t>> linked;
  TreeUsage usage;
};

void count(Walk& walk, const struct stat& st) {
  if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 &&
      !walk.linked.insert({st.st_dev, st.st_ino}).second) {
    return;
  }
  walk.usage.bytes += static_cast<std::uint64_t>(st.st_blocks) * 512;
  ++walk.usage.inodes;
}

Result<void> measure_folder(Walk& walk, const std::string& relative) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  UniqueFd dir(
      static_cast<int>(::syscall(SYS_openat2, walk.root, relative.c_str(), &how, sizeof how)));
  if (!dir) {
    // The tree is in use: what vanished meanwhile does not count.
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) return {};
    return fail(errno_error("open folder", relative));
  }
  MOTH_ASSIGN(DirStream stream, stream_of(dir.get(), relative));
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    struct stat st;
    if (::fstatat(dir.get(), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    if (st.st_dev != walk.device) continue;
    count(walk, st);
    if (S_ISDIR(st.st_mode)) walk.folders.push_back(fmt::format("{}/{}", relative, name));
  }
  return {};
}

}  // namespace

Result<TreeUsage> tree_usage(const std::string& path) {
  UniqueFd root(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail(errno_error("open folder", path));
  struct stat st;
  if (::fstat(root.get(), &st) != 0) return fail(errno_error("stat", path));
  Walk walk;
  walk.root = root.get();
  walk.device = st.st_dev;
  count(walk, st);
  walk.folders.push_back(".");
  while (!walk.folders.empty()) {
    const std::string next = std::move(walk.folders.front());
    walk.folders.pop_front();
    MOTH_TRY(measure_folder(walk, next));
  }
  return walk.usage;
}

}  // namespace moth::os
