#include <sys/stat.h>

#include <fmt/format.h>

#include <cerrno>

#include "runtime/cgroups/group_writer.h"
#include "runtime/os/fs.h"

namespace moth::cgroups {

namespace {

class FileWriter final : public GroupWriter {
 public:
  Result<void> create(const Hierarchy& hierarchy, const std::string& path) override {
    const std::string folder = hierarchy.mount_point + path;
    if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
      return fail(Error::from_errno(errno, fmt::format("create cgroup {}", folder)));
    }
    return {};
  }

  Result<void> set(const Hierarchy& hierarchy, const std::string& path, const std::string& file,
                   const std::string& value) override {
    return os::write_existing(hierarchy.mount_point + path + "/" + file, value);
  }
};

}  // namespace

std::unique_ptr<GroupWriter> make_file_writer() {
  return std::make_unique<FileWriter>();
}

}  // namespace moth::cgroups
