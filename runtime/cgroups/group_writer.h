#pragma once
// GroupWriter: the two ways of making and changing a v1 group. Internal to this folder.
#include <memory>
#include <string>

#include "api/base/result.h"
#include "runtime/cgroups/layout.h"

namespace moth::cgroups {

class GroupWriter {
 public:
  virtual ~GroupWriter() = default;
  // One level: the parent exists. An existing group is no error.
  virtual Result<void> create(const Hierarchy& hierarchy, const std::string& path) = 0;
  virtual Result<void> set(const Hierarchy& hierarchy, const std::string& path,
                           const std::string& file, const std::string& value) = 0;
};

std::unique_ptr<GroupWriter> make_file_writer();
// InternalError when the library cannot be initialised.
Result<std::unique_ptr<GroupWriter>> make_libcgroup_writer();

}  // namespace moth::cgroups
