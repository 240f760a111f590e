#include "runtime/images/extractor.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

namespace moth::images {
namespace {

tl::unexpected<Error> sys_error(std::string_view what, std::string_view path) {
  int code = errno;
  return fail(Error::from_errno(code, fmt::format("{} \"{}\"", what, path)));
}

bool is_whiteout(const struct stat& info) {
  return S_ISCHR(info.st_mode) && info.st_rdev == 0;
}

Result<void> set_xattrs(int fd, const EntryMeta& meta, std::string_view path) {
  for (const auto& [name, value] : meta.xattrs) {
    // File systems without user.* attributes lose them, as with every other runtime.
    if (::fsetxattr(fd, name.c_str(), value.data(), value.size(), 0) != 0 && errno != ENOTSUP) {
      return sys_error(fmt::format("cannot set the attribute {} of", name), path);
    }
  }
  return {};
}

// Ownership first: chown clears set-id bits and capabilities.
Result<void> apply_meta(int fd, const EntryMeta& meta, std::string_view path) {
  if (::fchown(fd, meta.uid, meta.gid) != 0) return sys_error("chown", path);
  if (::fchmod(fd, meta.mode) != 0) return sys_error("chmod", path);
  return set_xattrs(fd, meta, path);
}

}  // namespace

Result<std::string> clean_path(std::string_view path) {
  if (path.size() >= PATH_MAX) return fail(Error::bad_request("layer: a path is too long"));
  if (path.find('\0') != std::string_view::npos) {
    return fail(Error::bad_request("layer: a path contains a NUL byte"));
  }
  std::string clean;
  std::string_view rest = path;
  while (!rest.empty()) {
    auto slash = rest.find('/');
    std::string_view part = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      return fail(Error::bad_request(
          fmt::format("layer: the path \"{}\" leads out of the image: refused", path)));
    }
    if (part.size() > NAME_MAX) return fail(Error::bad_request("layer: a file name is too long"));
    if (!clean.empty()) clean += '/';
    clean += part;
  }
  return clean;
}

Result<int> Extractor::open_parent(const std::string& parent) {
  if (cached_ && cached_path_ == parent) return cached_.get();
  auto found = root_.open_in_root(parent.empty() ? "." : parent, O_PATH | O_DIRECTORY);
  if (!found && found.error().os_errno == ENOENT) {
    MOTH_TRY(root_.make_dirs_in_root(parent, 0755));
    found = root_.open_in_root(parent, O_PATH | O_DIRECTORY);
  }
  if (!found) return fail(std::move(found.error().with_context("layer")));
  cached_ = std::move(*found);
  cached_path_ = parent;
  return cached_.get();
}

Result<Extractor::Place> Extractor::place(const std::string& path) {
  auto slash = path.rfind('/');
  Place result;
  MOTH_ASSIGN(result.parent, open_parent(slash == std::string::npos ? "" : path.substr(0, slash)));
  result.name = slash == std::string::npos ? path : path.substr(slash + 1);
  return result;
}

// The open parent stays valid for the caller, but what it was found by may lead elsewhere now.
Result<void> Extractor::clear(const Place& place) {
  cached_path_ = "/";
  return os::remove_tree(fmt::format("/proc/self/fd/{}/{}", place.parent, place.name));
}

Result<void> Extractor::directory(const std::string& path, const EntryMeta& meta) {
  os::UniqueFd opened;
  if (path.empty()) {
    MOTH_ASSIGN(opened, root_.open_in_root(".", O_RDONLY | O_DIRECTORY));
  } else {
    MOTH_ASSIGN(Place at, place(path));
    bool over_whiteout = false;
    if (::mkdirat(at.parent, at.name.c_str(), 0700) != 0) {
      if (errno != EEXIST) return sys_error("layer: cannot make the directory", path);
      struct stat info {};
      if (::fstatat(at.parent, at.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return sys_error("layer: stat", path);
      }
      if (!S_ISDIR(info.st_mode)) {
        over_whiteout = is_whiteout(info);
        MOTH_TRY(clear(at));
        if (::mkdirat(at.parent, at.name.c_str(), 0700) != 0) {
          return sys_error("layer: cannot make the directory", path);
        }
      }
    }
    opened.reset(
        ::openat(at.parent, at.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return sys_error("layer: cannot open", path);
    // The layer both deletes the lower directory and has a new one: theirs must not mix.
    if (over_whiteout) MOTH_TRY(opaque(path));
  }
  MOTH_TRY(apply_meta(opened.get(), meta, path));
  directory_times_.emplace_back(path, meta.mtime);
  return {};
}

Result<void> Extractor::regular(const std::string& path, const EntryMeta& meta,
                                const std::function<Result<void>(int fd)>& fill) {
  MOTH_ASSIGN(Place at, place(path));
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  os::UniqueFd file(::openat(at.parent, at.name.c_str(), kFlags, 0600));
  if (!file && errno == EEXIST) {
    MOTH_TRY(clear(at));
    file.reset(::openat(at.parent, at.name.c_str(), kFlags, 0600));
  }
  if (!file) return sys_error("layer: cannot create", path);
  MOTH_TRY(fill(file.get()));
  MOTH_TRY(apply_meta(file.get(), meta, path));
  const timespec times[2] = {meta.mtime, meta.mtime};
  if (::futimens(file.get(), times) != 0) return sys_error("layer: cannot set the time of", path);
  return {};
}

Result<void> Extractor::symlink(const std::string& path, const std::string& target,
                                const EntryMeta& meta) {
  MOTH_ASSIGN(Place at, place(path));
  int code = ::symlinkat(target.c_str(), at.parent, at.name.c_str());
  if (code != 0 && errno == EEXIST) {
    MOTH_TRY(clear(at));
    code = ::symlinkat(target.c_str(), at.parent, at.name.c_str());
  }
  if (code != 0) return sys_error("layer: cannot create the symbolic link", path);
  if (::fchownat(at.parent, at.name.c_str(), meta.uid, meta.gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return sys_error("layer: chown", path);
  }
  const timespec times[2] = {meta.mtime, meta.mtime};
  ::utimensat(at.parent, at.name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  return {};
}

Result<void> Extractor::hardlink(const std::string& path, const std::string& target) {
  auto slash = target.rfind('/');
  auto found = root_.open_in_root(slash == std::string::npos ? "." : target.substr(0, slash),
                                  O_PATH | O_DIRECTORY);
  if (!found) {
    return fail(Error::bad_request(fmt::format(
        "layer: \"{}\" is a hard link to \"{}\", which is not in this layer", path, target)));
  }
  std::string target_name = slash == std::string::npos ? target : target.substr(slash + 1);
  if (path == target) return {};
  MOTH_ASSIGN(Place at, place(path));
  int code = ::linkat(found->get(), target_name.c_str(), at.parent, at.name.c_str(), 0);
  if (code != 0 && errno == EEXIST) {
    MOTH_TRY(clear(at));
    code = ::linkat(found->get(), target_name.c_str(), at.parent, at.name.c_str(), 0);
  }
  if (code == 0) return {};
  if (errno != ENOENT && errno != EPERM) return sys_error("layer: cannot link", path);
  return fail(Error::bad_request(fmt::format(
      "layer: \"{}\" is a hard link to \"{}\", which is not a file of this layer", path, target)));
}

Result<void> Extractor::node(const std::string& path, mode_t type, dev_t device,
                             const EntryMeta& meta) {
  MOTH_ASSIGN(Place at, place(path));
  int code = ::mknodat(at.parent, at.name.c_str(), type | 0600, device);
  if (code != 0 && errno == EEXIST) {
    MOTH_TRY(clear(at));
    code = ::mknodat(at.parent, at.name.c_str(), type | 0600, device);
  }
  if (code != 0) return sys_error("layer: cannot make the node", path);
  if (::fchownat(at.parent, at.name.c_str(), meta.uid, meta.gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fchmodat(at.parent, at.name.c_str(), meta.mode, 0) != 0) {
    return sys_error("layer: cannot set the owner of", path);
  }
  return {};
}

Result<void> Extractor::whiteout(const std::string& path) {
  MOTH_ASSIGN(Place at, place(path));
  if (::mknodat(at.parent, at.name.c_str(), S_IFCHR, makedev(0, 0)) == 0) return {};
  if (errno != EEXIST) return sys_error("layer: cannot make the whiteout of", path);
  struct stat info {};
  if (::fstatat(at.parent, at.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return sys_error("layer: stat", path);
  }
  // What this layer adds itself hides the lower one already, except for a directory's content.
  if (S_ISDIR(info.st_mode)) return opaque(path);
  return {};
}

Result<void> Extractor::opaque(const std::string& path) {
  const std::string where = path.empty() ? "." : path;
  auto found = root_.open_in_root(where, O_RDONLY | O_DIRECTORY);
  if (!found && found.error().os_errno == ENOENT) {
    MOTH_TRY(root_.make_dirs_in_root(where, 0755));
    found = root_.open_in_root(where, O_RDONLY | O_DIRECTORY);
  }
  if (!found) return fail(std::move(found.error().with_context("layer")));
  if (::fsetxattr(found->get(), "trusted.overlay.opaque", "y", 1, 0) != 0) {
    return sys_error("layer: cannot mark as opaque", path);
  }
  return {};
}

Result<void> Extractor::finish() {
  for (auto it = directory_times_.rbegin(); it != directory_times_.rend(); ++it) {
    auto found = root_.open_in_root(it->first.empty() ? "." : it->first, O_RDONLY | O_DIRECTORY);
    if (!found) continue;  // replaced by something else meanwhile
    const timespec times[2] = {it->second, it->second};
    if (::futimens(found->get(), times) != 0) {
      return sys_error("layer: cannot set the time of", it->first);
    }
  }
  return {};
}

}  // namespace moth::images
