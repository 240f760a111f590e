// The one file that knows libcgroup. What it is used for and what not:
//   v1 groups are made and changed by it, level by level.
//   v2 groups are not: cgroup_get_cgroup and the multi-level create are broken there (2.0.2).
//   Nothing is removed by it: cgroup_delete_cgroup moves living tasks to the parent, out of their
//   limits, where rmdir(2) refuses. Nothing is read by it: kept descriptors are ten times faster.
// The library keeps global state and is not thread-safe; the manager serialises all calls.
#include <libcgroup.h>
#include <sys/stat.h>

#include <fmt/format.h>

#include <cerrno>
#include <memory>

#include "runtime/cgroups/group_writer.h"

namespace moth::cgroups {

namespace {

struct GroupFree {
  void operator()(cgroup* group) const { ::cgroup_free(&group); }
};
using Group = std::unique_ptr<cgroup, GroupFree>;

Error library_error(int code, const std::string& what) {
  if (code == ECGOTHER) return Error::from_errno(::cgroup_get_last_errno(), what);
  Error error = Error::internal("");
  error.message = fmt::format("{}: {}", what, ::cgroup_strerror(code));
  return error;
}

bool present(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0;
}

class LibcgroupWriter final : public GroupWriter {
 public:
  Result<void> create(const Hierarchy& hierarchy, const std::string& path) override {
    const std::string folder = hierarchy.mount_point + path;
    if (present(folder)) return {};
    // It knows controllers alone, not the named hierarchy of systemd.
    if (hierarchy.controllers.front().substr(0, 5) == "name=") {
      if (::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return {};
      return fail(Error::from_errno(errno, fmt::format("create cgroup {}", folder)));
    }
    MOTH_ASSIGN(Group group, prepare(hierarchy, path));
    if (const int code = ::cgroup_create_cgroup(group.get(), 1); code != 0) {
      return fail(library_error(code, fmt::format("create cgroup {}", folder)));
    }
    return {};
  }

  Result<void> set(const Hierarchy& hierarchy, const std::string& path, const std::string& file,
                   const std::string& value) override {
    const std::string what =
        fmt::format("write \"{}\" to {}{}/{}", value, hierarchy.mount_point, path, file);
    // The library's own answer to a missing file or group names neither.
    if (!present(hierarchy.mount_point + path + "/" + file)) {
      return fail(Error::from_errno(ENOENT, what));
    }
    MOTH_ASSIGN(Group group, prepare(hierarchy, path));
    cgroup_controller* controller =
        ::cgroup_get_controller(group.get(), hierarchy.controllers.front().c_str());
    int code = ::cgroup_add_value_string(controller, file.c_str(), value.c_str());
    if (code == 0) code = ::cgroup_modify_cgroup(group.get());
    if (code != 0) return fail(library_error(code, what));
    return {};
  }

 private:
  static Result<Group> prepare(const Hierarchy& hierarchy, const std::string& path) {
    // Names have no slash in front here.
    Group group(::cgroup_new_cgroup(path.c_str() + 1));
    if (!group || !::cgroup_add_controller(group.get(), hierarchy.controllers.front().c_str())) {
      return fail(Error::internal(
          fmt::format("libcgroup: no group {} for {}", path, hierarchy.controllers.front())));
    }
    return group;
  }
};

}  // namespace

Result<std::unique_ptr<GroupWriter>> make_libcgroup_writer() {
  if (const int code = ::cgroup_init(); code != 0) {
    return fail(library_error(code, "initialise libcgroup"));
  }
  return std::unique_ptr<GroupWriter>(std::make_unique<LibcgroupWriter>());
}

}  // namespace moth::cgroups
