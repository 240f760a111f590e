#pragma once
// Layout: which hierarchy is mounted where, and which one has which controller. A value.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::cgroups {

struct Hierarchy {
  bool v2 = false;
  std::string mount_point;  // "/sys/fs/cgroup/memory"
  std::vector<std::string>
      controllers;  // v1: of the mount, also "name=systemd"; v2: cgroup.controllers
};

struct Layout {
  std::vector<Hierarchy> hierarchies;  // v1 in mount order, then v2

  // The hierarchy that has `controller` (v1 before v2, as the kernel gives it to one alone).
  const Hierarchy* find(std::string_view controller) const;
  const Hierarchy* v2() const;
  bool has(std::string_view controller) const { return find(controller) != nullptr; }
  std::string describe() const;  // "v1: cpu memory ...; v2: hugetlb"
};

// From the text of /proc/self/mountinfo; `root` is put before every path that is read (tests).
Result<Layout> detect_layout(std::string_view mountinfo, const std::string& root = {});
Result<Layout> detect_layout();

}  // namespace moth::cgroups
