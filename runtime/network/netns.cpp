#include "runtime/network/netns.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <filesystem>
#include <thread>

namespace moth::network {

namespace {

constexpr long kNsfsMagic = 0x6e736673;

// The thread ends with the call, so whatever namespace it is in ends with it.
Result<> on_own_thread(const std::function<Result<>()>& function) {
  Result<> result;
  try {
    std::thread thread([&] {
      try {
        result = function();
      } catch (const std::exception& error) {
        result = fail(Error::internal(error.what()));
      }
    });
    thread.join();
  } catch (const std::exception& error) {
    return fail(Error::internal(std::string("start a thread: ") + error.what()));
  }
  return result;
}

bool is_namespace(const std::string& path) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && info.f_type == kNsfsMagic;
}

Result<> enter(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(Error::from_errno(errno, "open network namespace " + path));
  int status = ::setns(fd, CLONE_NEWNET);
  int error = errno;
  ::close(fd);
  if (status < 0) return fail(Error::from_errno(error, "enter network namespace " + path));
  return {};
}

}  // namespace

Result<> run_in_netns(const std::string& path, const std::function<Result<>()>& function) {
  return on_own_thread([&]() -> Result<> {
    MOTH_TRY(enter(path));
    return function();
  });
}

Result<> run_in_new_netns(const std::function<Result<>()>& function) {
  return on_own_thread([&]() -> Result<> {
    if (::unshare(CLONE_NEWNET) < 0)
      return fail(Error::from_errno(errno, "create a network namespace"));
    return function();
  });
}

NetnsDirectory::NetnsDirectory(std::string run_dir) : directory_(std::move(run_dir) + "/netns") {}

std::string NetnsDirectory::path(std::string_view name) const {
  return directory_ + "/" + std::string(name);
}

// The folder is a shared mount of its own: other mount namespaces that copied it (containers being
// started, services with a private /tmp) then drop their copies when a namespace is unmounted
// here, instead of keeping it alive.
Result<> NetnsDirectory::prepare() const {
  std::error_code error;
  std::filesystem::create_directories(directory_, error);
  if (error) return fail(Error::from_errno(error.value(), "create " + directory_));
  if (::mount("", directory_.c_str(), "none", MS_SHARED | MS_REC, nullptr) == 0) return {};
  if (errno != EINVAL) return fail(Error::from_errno(errno, "share mounts below " + directory_));
  if (::mount(directory_.c_str(), directory_.c_str(), "none", MS_BIND | MS_REC, nullptr) < 0)
    return fail(Error::from_errno(errno, "mount " + directory_));
  if (::mount("", directory_.c_str(), "none", MS_SHARED | MS_REC, nullptr) < 0)
    return fail(Error::from_errno(errno, "share mounts below " + directory_));
  return {};
}

Result<std::string> NetnsDirectory::create(std::string_view name,
                                           const std::function<Result<>()>& inside) {
  std::string target = path(name);
  if (is_namespace(target)) {
    if (inside) MOTH_TRY(run_in_netns(target, inside));
    return target;
  }
  int fd = ::open(target.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
  if (fd < 0 && errno == ENOENT) {
    MOTH_TRY(prepare());
    fd = ::open(target.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0444);
  }
  if (fd < 0) return fail(Error::from_errno(errno, "create " + target));
  ::close(fd);
  auto made = run_in_new_netns([&]() -> Result<> {
    if (::mount("/proc/thread-self/ns/net", target.c_str(), "none", MS_BIND, nullptr) < 0)
      return fail(Error::from_errno(errno, "mount network namespace " + target));
    return inside ? inside() : Result<>{};
  });
  if (!made) {
    (void)remove(name);
    return fail(std::move(made).error());
  }
  return target;
}

bool NetnsDirectory::exists(std::string_view name) const {
  return is_namespace(path(name));
}

Result<bool> NetnsDirectory::in_use(std::string_view name) const {
  struct stat wanted {};
  if (::stat(path(name).c_str(), &wanted) < 0) {
    if (errno == ENOENT) return false;
    return fail(Error::from_errno(errno, "look at network namespace " + path(name)));
  }
  DIR* processes = ::opendir("/proc");
  if (!processes) return fail(Error::from_errno(errno, "read /proc"));
  bool found = false;
  while (dirent* entry = found ? nullptr : ::readdir(processes)) {
    if (entry->d_name[0] < '0' || entry->d_name[0] > '9') continue;
    struct stat its {};
    // A process that has ended meanwhile, or is a zombie, has none.
    std::string link = std::string("/proc/") + entry->d_name + "/ns/net";
    found = ::stat(link.c_str(), &its) == 0 && its.st_ino == wanted.st_ino &&
            its.st_dev == wanted.st_dev;
  }
  ::closedir(processes);
  return found;
}

Result<> NetnsDirectory::remove(std::string_view name) {
  std::string target = path(name);
  // Several times when something mounted over it; EINVAL says that it is no mount (any more).
  while (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT)
    return fail(Error::from_errno(errno, "unmount network namespace " + target));
  if (::unlink(target.c_str()) < 0 && errno != ENOENT)
    return fail(Error::from_errno(errno, "remove " + target));
  return {};
}

Result<std::vector<std::string>> NetnsDirectory::list() const {
  std::vector<std::string> names;
  DIR* directory = ::opendir(directory_.c_str());
  if (!directory) {
    if (errno == ENOENT) return names;
    return fail(Error::from_errno(errno, "read " + directory_));
  }
  while (dirent* entry = ::readdir(directory)) {
    std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (exists(name)) {
      names.push_back(name);
    } else {
      ::unlink(path(name).c_str());
    }
  }
  ::closedir(directory);
  return names;
}

Result<> NetnsDirectory::remove_all() {
  MOTH_ASSIGN(auto names, list());
  for (const std::string& name : names) MOTH_TRY(remove(name));
  while (::umount2(directory_.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (::rmdir(directory_.c_str()) < 0 && errno != ENOENT)
    return fail(Error::from_errno(errno, "remove " + directory_));
  return {};
}

}  // namespace moth::network
