#include "daemon/directories.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "api/base/log.h"

namespace moth {
namespace {

namespace fs = std::filesystem;

// Everything that a daemon puts right below its data directory. state.db has siblings: -wal,
// .v1.bak.
constexpr std::array<std::string_view, 10> kOwn = {
    "lock", "admin.kubeconfig", "pki",       "boot_id", "pods",
    "logs", "images",           "snapshots", "build",   "mothd.log"};

bool is_own(const std::string& name) {
  return name.starts_with("state.db") || name.starts_with("backup-") ||
         name.starts_with("quickstart") || std::find(kOwn.begin(), kOwn.end(), name) != kOwn.end();
}

bool holds_others(const std::string& path) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (!is_own(entry.path().filename().string())) return true;
  }
  return static_cast<bool>(error);
}

// Of a directory that was there before.
Result<> close_to_others(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0)
    return fail(Error::from_errno(errno, "--data-dir: " + path));
  if (!S_ISDIR(info.st_mode)) {
    return fail(Error::bad_request(fmt::format("--data-dir: {} is no directory", path)));
  }
  if ((info.st_mode & 0077) == 0) return {};
  if (holds_others(path) || ::chmod(path.c_str(), info.st_mode & 0700) != 0) {
    log::warning(
        "others may enter the data directory: give the daemon one of its own, or close it "
        "(chmod 0700)",
        log::field("path", path), log::field("mode", fmt::format("{:04o}", info.st_mode & 07777)));
  }
  return {};
}

}  // namespace

Result<> make_data_dir(const std::string& path) {
  std::string partial;
  std::istringstream parts(path);
  bool made = false;
  for (std::string part; std::getline(parts, part, '/');) {
    if (part.empty()) continue;
    partial += "/" + part;
    bool last = partial.size() == path.size() || partial + "/" == path;
    made = ::mkdir(partial.c_str(), last ? 0700 : 0755) == 0;
    if (!made && errno != EEXIST) {
      return fail(Error::from_errno(errno, "--data-dir: create " + partial));
    }
  }
  return made ? Result<>{} : close_to_others(path);
}

void remove_empty_directories(const std::string& path) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path, error)) {
    if (entry.is_directory(error) && !entry.is_symlink(error))
      remove_empty_directories(entry.path().string());
  }
  if (::rmdir(path.c_str()) == 0 || errno != EBUSY) return;
  // The folder of network namespaces is a mount of its own; here nothing is in it.
  if (fs::is_empty(path, error) && ::umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0)
    ::rmdir(path.c_str());
}

}  // namespace moth
