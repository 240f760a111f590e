#pragma once
// Mounts. Synchronous (0.1 to 2 ms each), thread-safe. They act on the caller's mount namespace.
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::os {

// One line of /proc/self/mountinfo, escapes undone.
struct MountEntry {
  int id = 0, parent = 0;
  std::string device;  // "8:1"
  std::string root;    // what of the file system is mounted
  std::string target;
  std::string options;  // of the mount: "ro,nosuid,relatime"
  std::string fs_type;
  std::string source;
  std::string super_options;  // of the file system
  bool shared = false;        // propagates
};

std::vector<MountEntry> parse_mountinfo(std::string_view text);
Result<std::vector<MountEntry>> list_mounts();
// `path` itself when it is a mount point, and everything below it, in mount order.
Result<std::vector<MountEntry>> mounts_below(const std::string& path);
Result<bool> is_mount_point(const std::string& path);

Result<void> mount(const std::string& source, const std::string& target, const std::string& fs_type,
                   unsigned long flags, const std::string& data);

struct BindOptions {
  bool recursive = true;
  bool read_only = false;  // recursively where the kernel can (5.12), else the top mount alone
  bool no_exec = false, no_suid = false, no_dev = false;
};
// The target must exist and be of the same sort (file or folder) as the source.
Result<void> bind_mount(const std::string& source, const std::string& target,
                        const BindOptions& options = {});
Result<void> remount_read_only(const std::string& target, bool recursive = true);
// MS_PRIVATE, MS_SLAVE, MS_SHARED, with MS_REC as wanted.
Result<void> set_propagation(const std::string& target, unsigned long flags);

struct TmpfsOptions {
  std::uint64_t size_bytes = 0;  // 0: the kernel's default, half of the memory
  mode_t mode = 0755;
  bool no_exec = false;
  bool huge_pages = false;
};
Result<void> mount_tmpfs(const std::string& target, const TmpfsOptions& options = {});

struct OverlayOptions {
  std::vector<std::string> lowers;  // the topmost first, at least one; several hundred fit
  std::string upper, work;          // both empty: read only
  bool volatile_upper = false;      // no syncs: the upper layer does not survive a power loss
  bool user_xattr = false;          // for mounts in a user namespace
};
Result<void> mount_overlay(const std::string& target, const OverlayOptions& options);

// Detaches the mount (users keep what they hold). Not mounted or missing: no error.
Result<void> unmount(const std::string& target);
// Everything at and below `path`, the latest first.
Result<void> unmount_below(const std::string& path);

}  // namespace moth::os
