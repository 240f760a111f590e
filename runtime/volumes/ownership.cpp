#include "runtime/volumes/ownership.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "runtime/os/unique_fd.h"

namespace moth::volumes {

namespace {

// Beyond this a tree is refused: one descriptor is held for each level.
constexpr int kMaxDepth = 200;

struct Change {
  std::uint32_t group = 0;
  mode_t file_bits = 0660;
  mode_t folder_bits = 0;
  dev_t device = 0;
};

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

Error errno_error(std::string_view what, std::string_view path) {
  return Error::from_errno(errno, fmt::format("{} {}", what, path));
}

mode_t bits_for(const Change& change, const struct stat& st) {
  return S_ISDIR(st.st_mode) ? change.folder_bits : change.file_bits;
}

// `fd` is the object itself, opened with O_PATH: what a container puts at its name meanwhile does
// not matter.
Result<> change_one(const Change& change, int fd, const struct stat& st, const std::string& path) {
  if (st.st_gid != change.group &&
      ::fchownat(fd, "", static_cast<uid_t>(-1), change.group, AT_EMPTY_PATH) != 0) {
    return fail(errno_error("chown", path));
  }
  if (S_ISLNK(st.st_mode)) return {};
  // A change of the owner clears setuid and setgid, so the mode is set after it.
  const mode_t mode = (st.st_mode & 07777) | bits_for(change, st);
  const std::string self = fmt::format("/proc/self/fd/{}", fd);
  if (::chmod(self.c_str(), mode) != 0) return fail(errno_error("chmod", path));
  return {};
}

Result<> change_tree(const Change& change, int parent, const char* name, const std::string& path,
                     int depth) {
  os::UniqueFd fd(::openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT) return {};
    return fail(errno_error("open", path));
  }
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return fail(errno_error("stat", path));
  if (st.st_dev != change.device) return {};
  if (S_ISDIR(st.st_mode)) {
    if (depth >= kMaxDepth) {
      return fail(Error::bad_request(fmt::format("{}: more than {} levels deep", path, kMaxDepth)));
    }
    std::unique_ptr<DIR, DirCloser> dir(
        ::fdopendir(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    if (!dir) return fail(errno_error("open folder", path));
    while (const dirent* entry = ::readdir(dir.get())) {
      const std::string_view inner = entry->d_name;
      if (inner == "." || inner == "..") continue;
      MOTH_TRY(change_tree(change, fd.get(), entry->d_name, fmt::format("{}/{}", path, inner),
                           depth + 1));
    }
  }
  // The folder after its content: the root's group says that everything below is done.
  return change_one(change, fd.get(), st, path);
}

}  // namespace

Result<> apply_fs_group(const std::string& path, std::uint32_t group,
                        const FsGroupOptions& options) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0) return fail(errno_error("stat", path));
  Change change;
  change.group = group;
  change.file_bits = options.read_only ? 0440 : 0660;
  change.folder_bits = change.file_bits | 0110 | S_ISGID;
  change.device = st.st_dev;
  const mode_t wanted = bits_for(change, st);
  if (options.on_root_mismatch && st.st_gid == group && (st.st_mode & wanted) == wanted) return {};
  return change_tree(change, AT_FDCWD, path.c_str(), path, 0);
}

}  // namespace moth::volumes
