#include "runtime/os/mounts.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <optional>
#include <thread>

#include "runtime/os/fs.h"

namespace moth::os {

namespace {

Error errno_error(std::string_view what, std::string_view path) {
  return Error::from_errno(errno, fmt::format("{} {}", what, path));
}

// Spaces and the like stand as \040 in mountinfo.
std::string unescape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() + 0 && text[i + 1] >= '0' && text[i + 1] <= '3') {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
                                  (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = std::min(text.find(separator), text.size());
    parts.push_back(text.substr(0, end));
    if (end == text.size()) return parts;
    text.remove_prefix(end + 1);
  }
}

int to_int(std::string_view text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::optional<MountEntry> parse_line(std::string_view line) {
  const std::vector<std::string_view> fields = split(line, ' ');
  // id parent device root target options [optional...] - type source super
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (dash - fields.begin() < 6 || fields.end() - dash < 4) return std::nullopt;
  MountEntry entry;
  entry.id = to_int(fields[0]);
  entry.parent = to_int(fields[1]);
  entry.device = fields[2];
  entry.root = unescape(fields[3]);
  entry.target = unescape(fields[4]);
  entry.options = fields[5];
  for (auto it = fields.begin() + 6; it != dash; ++it) {
    entry.shared |= it->substr(0, 7) == "shared:";
  }
  entry.fs_type = dash[1];
  entry.source = unescape(dash[2]);
  entry.super_options = unescape(dash[3]);
  return entry;
}

bool at_or_below(std::string_view path, std::string_view top) {
  if (top == "/") return true;
  return path.substr(0, top.size()) == top &&
         (path.size() == top.size() || path[top.size()] == '/');
}

std::string without_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

std::vector<MountEntry> parse_mountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  for (std::string_view line : split(text, '\n')) {
    if (auto entry = parse_line(line)) entries.push_back(std::move(*entry));
  }
  return entries;
}

Result<std::vector<MountEntry>> list_mounts() {
  MOTH_ASSIGN(const std::string text, read_file("/proc/thread-self/mountinfo"));
  return parse_mountinfo(text);
}

Result<std::vector<MountEntry>> mounts_below(const std::string& path) {
  MOTH_ASSIGN(std::vector<MountEntry> all, list_mounts());
  const std::string top = without_slash(path);
  std::erase_if(all, [&](const MountEntry& entry) { return !at_or_below(entry.target, top); });
  return all;
}

Result<bool> is_mount_point(const std::string& path) {
  struct statx facts;
  if (::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &facts) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return fail(errno_error("stat", path));
  }
  if ((facts.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0) {
    return (facts.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  }
  MOTH_ASSIGN(const std::vector<MountEntry> all, list_mounts());
  const std::string top = without_slash(path);
  return std::any_of(all.begin(), all.end(),
                     [&](const auto& entry) { return entry.target == top; });
}

Result<void> mount(const std::string& source, const std::string& target, const std::string& fs_type,
                   unsigned long flags, const std::string& data) {
  if (::mount(source.c_str(), target.c_str(), fs_type.empty() ? nullptr : fs_type.c_str(), flags,
              data.empty() ? nullptr : data.c_str()) != 0) {
    return fail(Error::from_errno(errno, fmt::format("mount {} on {}", source, target)));
  }
  return {};
}

Result<void> bind_mount(const std::string& source, const std::string& target,
                        const BindOptions& options) {
  // The copy gets its attributes before it appears anywhere: no moment in which it can be written.
  const unsigned recursive = options.recursive ? AT_RECURSIVE : 0;
  UniqueFd tree(
      ::open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | recursive));
  if (!tree) return fail(errno_error("bind mount: open", source));
  mount_attr attributes{};
  if (options.read_only) attributes.attr_set |= MOUNT_ATTR_RDONLY;
  if (options.no_exec) attributes.attr_set |= MOUNT_ATTR_NOEXEC;
  if (options.no_suid) attributes.attr_set |= MOUNT_ATTR_NOSUID;
  if (options.no_dev) attributes.attr_set |= MOUNT_ATTR_NODEV;
  if (attributes.attr_set != 0 && ::mount_setattr(tree.get(), "", AT_EMPTY_PATH | recursive,
                                                  &attributes, sizeof attributes) != 0) {
    return fail(errno_error("bind mount: set attributes of", source));
  }
  if (::move_mount(tree.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return fail(Error::from_errno(errno, fmt::format("bind mount {} on {}", source, target)));
  }
  return {};
}

Result<void> remount_read_only(const std::string& target, bool recursive) {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  if (::mount_setattr(AT_FDCWD, target.c_str(), recursive ? AT_RECURSIVE : 0, &attributes,
                      sizeof attributes) != 0) {
    return fail(errno_error("remount read-only", target));
  }
  return {};
}

Result<void> set_propagation(const std::string& target, unsigned long flags) {
  if (::mount(nullptr, target.c_str(), nullptr, flags, nullptr) != 0) {
    return fail(errno_error("set mount propagation of", target));
  }
  return {};
}

Result<void> mount_tmpfs(const std::string& target, const TmpfsOptions& options) {
  std::string data = fmt::format("mode={:o}", options.mode);
  if (options.size_bytes > 0) data += fmt::format(",size={}", options.size_bytes);
  if (options.huge_pages) data += ",huge=within_size";
  unsigned long flags = MS_NOSUID | MS_NODEV;
  if (options.no_exec) flags |= MS_NOEXEC;
  return mount("tmpfs", target, "tmpfs", flags, data);
}

Result<void> unmount(const std::string& target) {
  if (::umount2(target.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0 && errno != EINVAL &&
      errno != ENOENT) {
    return fail(errno_error("unmount", target));
  }
  return {};
}

Result<void> unmount_below(const std::string& path) {
  MOTH_ASSIGN(const std::vector<MountEntry> mounts, mounts_below(path));
  for (auto it = mounts.rbegin(); it != mounts.rend(); ++it) MOTH_TRY(unmount(it->target));
  return {};
}

}  // namespace moth::os
