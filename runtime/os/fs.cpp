#include "runtime/os/fs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <memory>

namespace moth::os {

namespace {

Error errno_error(std::string_view what, std::string_view path) {
  return Error::from_errno(errno, fmt::format("{} {}", what, path));
}

struct DirCloser {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using DirStream = std::unique_ptr<DIR, DirCloser>;

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string base_of(const std::string& path) {
  return path.substr(path.find_last_of('/') + 1);
}

}  // namespace

Result<std::string> read_fd(int fd, std::size_t max_bytes, std::string_view what) {
  std::string content;
  std::size_t used = 0;
  while (true) {
    if (used == content.size()) content.resize(std::max<std::size_t>(4096, content.size() * 2));
    const ssize_t n = ::read(fd, content.data() + used, content.size() - used);
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error("read", what));
    }
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
    if (used > max_bytes) {
      return fail(Error::of(Reason::kRequestEntityTooLarge,
                            fmt::format("{}: larger than {} bytes", what, max_bytes)));
    }
  }
  content.resize(used);
  return content;
}

Result<void> write_fd(int fd, std::string_view content, std::string_view what) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail(errno_error("write", what));
    }
    content.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno_error("open", path));
  return read_fd(fd.get(), max_bytes, path);
}

Result<std::string> read_file_tail(const std::string& path, std::size_t max_bytes) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return fail(errno_error("open", path));
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  if (size < 0) return fail(errno_error("seek", path));
  const off_t start = std::max<off_t>(0, size - static_cast<off_t>(max_bytes));
  std::string content(static_cast<std::size_t>(size - start), '\0');
  std::size_t used = 0;
  while (used < content.size()) {
    const ssize_t n = ::pread(fd.get(), content.data() + used, content.size() - used,
                              start + static_cast<off_t>(used));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(errno_error("read", path));
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
  }
  content.resize(used);
  return content;
}

Result<void> write_file(const std::string& path, std::string_view content, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  const bool created = static_cast<bool>(fd);
  if (!created) {
    if (errno != EEXIST) return fail(errno_error("create", path));
    fd.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd) return fail(errno_error("open", path));
  }
  if (created && ::fchmod(fd.get(), mode) != 0) return fail(errno_error("chmod", path));
  return write_fd(fd.get(), content, path);
}

Result<void> write_existing(const std::string& path, std::string_view content) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd) return fail(errno_error("open", path));
  ssize_t n;
  do {
    n = ::write(fd.get(), content.data(), content.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0) {
    return fail(Error::from_errno(errno, fmt::format("write \"{}\" to {}", content, path)));
  }
  return {};
}

Result<void> write_file_atomic(const std::string& path, std::string_view content, mode_t mode,
                               bool durable) {
  static std::atomic<unsigned> counter{0};
  const std::string folder = parent_of(path);
  const std::string temporary =
      fmt::format("{}/.{}.{}.{}.tmp", folder, base_of(path), ::getpid(), counter++);
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd) return fail(errno_error("create", temporary));
  auto give_up = [&](Error error) -> Result<void> {
    ::unlink(temporary.c_str());
    return fail(std::move(error));
  };
  if (::fchmod(fd.get(), mode) != 0) return give_up(errno_error("chmod", temporary));
  if (auto written = write_fd(fd.get(), content, temporary); !written) {
    return give_up(std::move(written).error());
  }
  if (durable && ::fsync(fd.get()) != 0) return give_up(errno_error("sync", temporary));
  if (::rename(temporary.c_str(), path.c_str()) != 0)
    return give_up(errno_error("rename to", path));
  if (durable) {
    UniqueFd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir || ::fsync(dir.get()) != 0) return fail(errno_error("sync", folder));
  }
  return {};
}

Result<void> make_dirs(const std::string& path, mode_t mode) {
  if (path.empty()) return fail(Error::bad_request("make_dirs: empty path"));
  std::size_t at = 0;
  while (at != std::string::npos) {
    at = path.find('/', at + 1);
    const std::string level = path.substr(0, at);
    if (level.empty() || level == "/") continue;
    if (::mkdir(level.c_str(), mode) == 0) {
      if (::chmod(level.c_str(), mode) != 0) return fail(errno_error("chmod", level));
    } else if (errno != EEXIST) {
      return fail(errno_error("mkdir", level));
    }
  }
  if (!is_directory(path)) return fail(Error::from_errno(ENOTDIR, fmt::format("mkdir {}", path)));
  return {};
}

Result<UniqueFd> lock_directory(const std::string& path) {
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail(errno_error("open", path));
  if (::flock(directory.get(), LOCK_EX | LOCK_NB) == 0) return directory;
  if (errno == EWOULDBLOCK) return UniqueFd();
  return fail(errno_error("lock", path));
}

Result<void> remove_file(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail(errno_error("unlink", path));
  return {};
}

bool exists(const std::string& path) {
  struct stat st;
  return ::lstat(path.c_str(), &st) == 0;
}

bool is_directory(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

Result<std::vector<DirEntry>> list_dir(const std::string& path, std::size_t max_entries) {
  DirStream dir(::opendir(path.c_str()));
  if (!dir) return fail(errno_error("open folder", path));
  std::vector<DirEntry> entries;
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (!entry) {
      if (errno != 0) return fail(errno_error("read folder", path));
      break;
    }
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (entries.size() == max_entries) {
      return fail(Error::of(Reason::kRequestEntityTooLarge,
                            fmt::format("{}: more than {} entries", path, max_entries)));
    }
    entries.push_back({std::string(name), entry->d_type});
  }
  std::sort(entries.begin(), entries.end(),
            [](const DirEntry& a, const DirEntry& b) { return a.name < b.name; });
  return entries;
}

Result<FsUsage> fs_usage(const std::string& path) {
  struct statvfs fs;
  if (::statvfs(path.c_str(), &fs) != 0) return fail(errno_error("statvfs", path));
  FsUsage usage;
  const auto block = static_cast<std::uint64_t>(fs.f_frsize);
  usage.capacity = fs.f_blocks * block;
  usage.available = fs.f_bavail * block;
  usage.used = (fs.f_blocks - fs.f_bfree) * block;
  usage.inodes = fs.f_files;
  usage.inodes_free = fs.f_ffree;
  usage.inodes_used = fs.f_files - fs.f_ffree;
  return usage;
}

namespace {

Result<UniqueFd> resolve_beneath(int dir, const std::string& path, int flags, mode_t mode,
                                 std::uint64_t resolve) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  // openat2 refuses a mode without O_CREAT.
  how.mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? mode : 0;
  how.resolve = resolve;
  // EAGAIN: a rename elsewhere raced with "..", the kernel asks to try again.
  for (int attempt = 0; attempt < 32; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how);
    if (fd >= 0) return UniqueFd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  return fail(errno_error("open", path));
}

}  // namespace

Result<DirFd> DirFd::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail(errno_error("open folder", path));
  return DirFd(std::move(fd));
}

Result<UniqueFd> DirFd::open_in_root(const std::string& path, int flags, mode_t mode) const {
  return resolve_beneath(fd_.get(), path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

Result<UniqueFd> DirFd::open_no_links(const std::string& path, int flags, mode_t mode) const {
  return resolve_beneath(fd_.get(), path, flags, mode, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
}

Result<std::string> DirFd::read_in_root(const std::string& path, std::size_t max_bytes) const {
  // O_NONBLOCK: a fifo put there must not hang the daemon.
  MOTH_ASSIGN(UniqueFd fd, open_in_root(path, O_RDONLY | O_NONBLOCK));
  struct stat st;
  if (::fstat(fd.get(), &st) != 0) return fail(errno_error("stat", path));
  if (!S_ISREG(st.st_mode)) {
    return fail(Error::bad_request(fmt::format("{}: not a regular file", path)));
  }
  return read_fd(fd.get(), max_bytes, path);
}

Result<DirFd> DirFd::make_dirs_in_root(const std::string& path, mode_t mode) const {
  std::string so_far;
  std::size_t at = 0;
  while (at < path.size()) {
    const std::size_t slash = std::min(path.find('/', at), path.size());
    const std::string name = path.substr(at, slash - at);
    at = slash + 1;
    if (name.empty()) continue;
    const std::string next = so_far + "/" + name;
    if (auto present = open_in_root(next, O_PATH | O_DIRECTORY); !present) {
      if (present.error().os_errno != ENOENT) return fail(std::move(present).error());
      MOTH_ASSIGN(UniqueFd parent,
                  open_in_root(so_far.empty() ? "/" : so_far, O_PATH | O_DIRECTORY));
      if (::mkdirat(parent.get(), name.c_str(), mode) != 0) {
        if (errno != EEXIST) return fail(errno_error("mkdir", next));
      } else if (::fchmodat(parent.get(), name.c_str(), mode, 0) != 0) {
        return fail(errno_error("chmod", next));
      }
    }
    so_far = next;
  }
  MOTH_ASSIGN(UniqueFd last, open_in_root(so_far.empty() ? "/" : so_far, O_RDONLY | O_DIRECTORY));
  return DirFd(std::move(last));
}

std::string DirFd::proc_path() const {
  return fmt::format("/proc/self/fd/{}", fd_.get());
}

}  // namespace moth::os
