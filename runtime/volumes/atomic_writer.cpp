#include "runtime/volumes/atomic_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <set>

#include "runtime/os/fs.h"
#include "runtime/volumes/ownership.h"

namespace moth::volumes {

namespace {

constexpr const char* kData = "..data";
constexpr const char* kNewData = "..data_tmp";
constexpr mode_t kFolderMode = 0755;

Error errno_error(std::string_view what, std::string_view path) {
  return Error::from_errno(errno, fmt::format("{} {}", what, path));
}

std::string first_part(const std::string& path) {
  return path.substr(0, path.find('/'));
}

// "" when there is no such link.
std::string read_link(const std::string& path) {
  char target[4096];
  const ssize_t size = ::readlink(path.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : "";
}

std::uint32_t wanted_mode(const File& file, const AtomicWriteOptions& options) {
  return options.fs_group ? file.mode | 0440 : file.mode;
}

bool same_file(const std::string& path, const File& file, const AtomicWriteOptions& options) {
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return false;
  if ((st.st_mode & 07777) != wanted_mode(file, options)) return false;
  if (options.fs_group && st.st_gid != *options.fs_group) return false;
  if (file.owner && st.st_uid != *file.owner) return false;
  if (static_cast<std::size_t>(st.st_size) != file.content.size()) return false;
  auto content = os::read_file(path, file.content.size());
  return content && *content == file.content;
}

// Adds the paths of all files below `folder`, relative to it; false when it cannot be read.
bool collect_files(const std::string& folder, const std::string& prefix,
                   std::set<std::string>& files) {
  auto entries = os::list_dir(folder);
  if (!entries) return false;
  for (const os::DirEntry& entry : *entries) {
    const std::string path = folder + "/" + entry.name;
    if (entry.type == DT_DIR) {
      if (!collect_files(path, prefix + entry.name + "/", files)) return false;
    } else {
      files.insert(prefix + entry.name);
    }
  }
  return true;
}

bool holds(const std::string& folder, const Payload& payload, const AtomicWriteOptions& options) {
  std::set<std::string> present;
  if (!collect_files(folder, "", present) || present.size() != payload.size()) return false;
  return std::all_of(payload.begin(), payload.end(), [&](const auto& entry) {
    return present.contains(entry.first) &&
           same_file(folder + "/" + entry.first, entry.second, options);
  });
}

std::string folder_name(WallTime now) {
  const auto since_epoch = now.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch - seconds);
  const std::time_t time = static_cast<std::time_t>(seconds.count());
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return fmt::format("..{:%Y_%m_%d_%H_%M_%S}.{:09}", parts, nanos.count());
}

Result<std::string> make_data_folder(const std::string& root, WallTime now) {
  const std::string base = folder_name(now);
  std::string name = base;
  for (int i = 1; ::mkdir((root + "/" + name).c_str(), kFolderMode) != 0; ++i) {
    if (errno != EEXIST || i > 100) return fail(errno_error("mkdir", root + "/" + name));
    name = fmt::format("{}.{}", base, i);
  }
  if (::chmod((root + "/" + name).c_str(), kFolderMode) != 0) {
    return fail(errno_error("chmod", root + "/" + name));
  }
  return name;
}

Result<> write_payload(const std::string& folder, const Payload& payload,
                       const AtomicWriteOptions& options) {
  for (const auto& [path, file] : payload) {
    const std::string target = folder + "/" + path;
    MOTH_TRY(os::make_dirs(target.substr(0, target.rfind('/')), kFolderMode));
    MOTH_TRY(os::write_file(target, file.content, static_cast<mode_t>(file.mode)));
    if (file.owner && ::chown(target.c_str(), *file.owner, static_cast<gid_t>(-1)) != 0)
      return fail(errno_error("chown", target));
  }
  if (options.fs_group) {
    MOTH_TRY(apply_fs_group(folder, *options.fs_group, {.read_only = true}));
  }
  return {};
}

Result<> swing_data_link(const std::string& root, const std::string& folder) {
  const std::string temporary = root + "/" + kNewData;
  MOTH_TRY(os::remove_file(temporary));
  if (::symlink(folder.c_str(), temporary.c_str()) != 0) {
    return fail(errno_error("symlink", temporary));
  }
  if (::rename(temporary.c_str(), (root + "/" + kData).c_str()) != 0) {
    return fail(errno_error("rename", temporary));
  }
  return {};
}

Result<> make_visible(const std::string& root, const std::set<std::string>& names) {
  for (const std::string& name : names) {
    const std::string link = root + "/" + name;
    const std::string target = std::string(kData) + "/" + name;
    if (read_link(link) == target) continue;
    MOTH_TRY(os::remove_tree(link));
    if (::symlink(target.c_str(), link.c_str()) != 0) return fail(errno_error("symlink", link));
  }
  return {};
}

// Everything at the top that the present content does not need, also what a crash left.
Result<> remove_rest(const std::string& root, const std::set<std::string>& names,
                     const std::string& folder) {
  MOTH_ASSIGN(const auto entries, os::list_dir(root));
  for (const os::DirEntry& entry : entries) {
    if (entry.name == kData || entry.name == folder || names.contains(entry.name)) continue;
    MOTH_TRY(os::remove_tree(root + "/" + entry.name));
  }
  return {};
}

}  // namespace

Result<bool> write_atomically(const std::string& root, const Payload& payload,
                              const AtomicWriteOptions& options) {
  std::set<std::string> names;
  for (const auto& [path, file] : payload) {
    MOTH_TRY(check_payload_path(path));
    names.insert(first_part(path));
  }
  const std::string present = read_link(root + "/" + kData);
  const bool whole = !present.empty() && holds(root + "/" + present, payload, options);
  std::string folder = present;
  if (!whole) {
    MOTH_ASSIGN(folder, make_data_folder(root, options.now));
    auto written = write_payload(root + "/" + folder, payload, options);
    if (written) written = swing_data_link(root, folder);
    if (!written) {
      (void)os::remove_tree(root + "/" + folder);
      return fail(std::move(written).error());
    }
  }
  // Also when the content is there: a crash may have come before these steps.
  MOTH_TRY(make_visible(root, names));
  MOTH_TRY(remove_rest(root, names, folder));
  return !whole;
}

}  // namespace moth::volumes
