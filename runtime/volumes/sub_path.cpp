#include "runtime/volumes/sub_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"

namespace moth::volumes {

namespace {

// RESOLVE_BENEATH: absolute links and ".." above the volume are refused with EXDEV.
Result<os::UniqueFd> open_beneath(int dir, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  for (int attempt = 0; attempt < 32; ++attempt) {
    const long fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how);
    if (fd >= 0) return os::UniqueFd(static_cast<int>(fd));
    if (errno != EAGAIN && errno != EINTR) break;
  }
  if (errno == EXDEV) {
    return fail(
        Error::of(Reason::kForbidden, fmt::format("subPath \"{}\" leads out of the volume", path)));
  }
  return fail(Error::from_errno(errno, fmt::format("open subPath \"{}\"", path)));
}

// mkdir -p below `volume`, each folder with `mode`.
Result<> make_missing(int volume, const std::string& sub_path, mode_t mode) {
  std::string so_far = ".";
  std::size_t at = 0;
  while (at < sub_path.size()) {
    const std::size_t slash = std::min(sub_path.find('/', at), sub_path.size());
    const std::string name = sub_path.substr(at, slash - at);
    at = slash + 1;
    if (name.empty() || name == ".") continue;
    MOTH_ASSIGN(const os::UniqueFd parent, open_beneath(volume, so_far, O_PATH | O_DIRECTORY));
    if (::mkdirat(parent.get(), name.c_str(), mode) == 0) {
      os::UniqueFd made(
          ::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!made || ::fchmod(made.get(), mode) != 0) {
        return fail(Error::from_errno(errno, fmt::format("chmod subPath \"{}\"", sub_path)));
      }
    } else if (errno != EEXIST) {
      return fail(Error::from_errno(errno, fmt::format("mkdir subPath \"{}\"", sub_path)));
    }
    so_far += "/" + name;
  }
  return {};
}

Result<> make_target(const std::string& target, bool folder) {
  if (folder) return os::make_dirs(target, 0750);
  const std::size_t slash = target.rfind('/');
  MOTH_TRY(os::make_dirs(target.substr(0, slash), 0750));
  if (os::exists(target)) return {};
  return os::write_file(target, "", 0600);
}

}  // namespace

Result<> check_sub_path(std::string_view sub_path) {
  if (sub_path.starts_with('/')) {
    return fail(
        Error::of(Reason::kInvalid,
                  fmt::format("error SubPath `{}` must not be an absolute path", sub_path)));
  }
  std::string_view rest = sub_path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    if (rest.substr(0, end) == "..") {
      return fail(Error::of(
          Reason::kInvalid,
          fmt::format("unable to provision SubPath `{}`: must not contain '..'", sub_path)));
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return {};
}

Result<> bind_sub_path(const std::string& volume, const std::string& sub_path,
                       const std::string& target) {
  MOTH_TRY(check_sub_path(sub_path));
  MOTH_ASSIGN(const bool mounted, os::is_mount_point(target));
  if (mounted) return {};
  os::UniqueFd root(::open(volume.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return fail(Error::from_errno(errno, fmt::format("open volume {}", volume)));
  struct stat st;
  if (::fstat(root.get(), &st) != 0) {
    return fail(Error::from_errno(errno, fmt::format("stat volume {}", volume)));
  }
  auto found = open_beneath(root.get(), sub_path, O_PATH);
  if (!found && found.error().os_errno == ENOENT) {
    MOTH_TRY(make_missing(root.get(), sub_path, st.st_mode & 07777));
    found = open_beneath(root.get(), sub_path, O_PATH);
  }
  if (!found) return fail(std::move(found).error());
  if (::fstat(found->get(), &st) != 0) {
    return fail(Error::from_errno(errno, fmt::format("stat subPath \"{}\"", sub_path)));
  }
  MOTH_TRY(make_target(target, S_ISDIR(st.st_mode)));
  // By descriptor: the object that was checked, whatever its name means by now.
  return os::bind_mount(fmt::format("/proc/self/fd/{}", found->get()), target);
}

}  // namespace moth::volumes
