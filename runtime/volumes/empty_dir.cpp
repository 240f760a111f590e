#include "runtime/volumes/empty_dir.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "api/machinery/quantity.h"
#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"
#include "runtime/os/proc.h"
#include "runtime/volumes/ownership.h"

namespace moth::volumes {

namespace {

constexpr mode_t kOpenMode = 0777;
constexpr mode_t kStickyMode = 01777;
constexpr std::string_view kHugePages = "HugePages";

// The page size of the medium; the medium "HugePages" takes the only size that the machine has.
Result<std::uint64_t> page_size(const std::string& medium) {
  if (medium.size() > kHugePages.size()) {
    auto size = Quantity::parse(medium.substr(kHugePages.size() + 1));
    if (!size || size->sign() <= 0) {
      return fail(Error::of(Reason::kInvalid, fmt::format("unknown medium \"{}\"", medium)));
    }
    return static_cast<std::uint64_t>(size->value());
  }
  MOTH_ASSIGN(const auto memory, os::memory_info());
  if (memory.huge_pages.size() != 1) {
    return fail(Error::of(Reason::kInvalid,
                          fmt::format("the machine has {} sizes of huge pages; name one as in "
                                      "HugePages-2Mi",
                                      memory.huge_pages.size())));
  }
  return memory.huge_pages.begin()->first;
}

Result<> mount_medium(const std::string& path, const EmptyDir& spec) {
  if (spec.medium == "Memory") {
    return os::mount_tmpfs(path, {.size_bytes = spec.size_bytes, .mode = kStickyMode});
  }
  if (spec.medium.starts_with(kHugePages)) {
    MOTH_ASSIGN(const std::uint64_t page, page_size(spec.medium));
    std::string data = fmt::format("pagesize={}", page);
    if (spec.size_bytes > 0) data += fmt::format(",size={}", spec.size_bytes);
    return os::mount("nodev", path, "hugetlbfs", 0, data);
  }
  return fail(Error::of(Reason::kInvalid, fmt::format("unknown medium \"{}\"", spec.medium)));
}

}  // namespace

Result<> setup_empty_dir(const std::string& path, const EmptyDir& spec) {
  const bool existed = os::exists(path);
  if (!existed) MOTH_TRY(os::make_dirs(path, kOpenMode));
  if (!spec.medium.empty()) {
    MOTH_ASSIGN(const bool mounted, os::is_mount_point(path));
    if (!mounted) MOTH_TRY(mount_medium(path, spec));
  }
  if (!spec.fs_group) return {};
  // Its content comes from the pod itself: only a root that is not the group's yet is touched.
  return apply_fs_group(path, *spec.fs_group, {.on_root_mismatch = true});
}

Result<> setup_memory_dir(const std::string& path) {
  return setup_empty_dir(path, {.medium = "Memory"});
}

Result<> remove_volume_dir(const std::string& path) {
  MOTH_TRY(os::unmount_below(path));
  return os::remove_tree(path);
}

}  // namespace moth::volumes
