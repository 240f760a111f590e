#include "runtime/cgroups/layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"

namespace moth::cgroups {

namespace {

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(separators), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// Super options of a v1 mount are its controllers between settings of the mount.
bool is_controller(std::string_view option) {
  static constexpr std::array kSettings = {
      "rw",       "ro",       "xattr", "clone_children", "all",         "none",
      "noprefix", "relatime", "nodev", "cpuset_v2_mode", "favordynmods"};
  if (std::find(kSettings.begin(), kSettings.end(), option) != kSettings.end()) return false;
  return option.find('=') == std::string_view::npos || option.substr(0, 5) == "name=";
}

}  // namespace

const Hierarchy* Layout::find(std::string_view controller) const {
  for (const Hierarchy& hierarchy : hierarchies) {
    const auto& names = hierarchy.controllers;
    if (std::find(names.begin(), names.end(), controller) != names.end()) return &hierarchy;
  }
  return nullptr;
}

const Hierarchy* Layout::v2() const {
  for (const Hierarchy& hierarchy : hierarchies) {
    if (hierarchy.v2) return &hierarchy;
  }
  return nullptr;
}

std::string Layout::describe() const {
  std::string v1_names, v2_names;
  for (const Hierarchy& hierarchy : hierarchies) {
    std::string& names = hierarchy.v2 ? v2_names : v1_names;
    for (const std::string& name : hierarchy.controllers) names += " " + name;
    if (hierarchy.v2 && names.empty()) names = " (no controllers)";
  }
  std::string text;
  if (!v1_names.empty()) text = "v1:" + v1_names;
  if (!v2_names.empty()) text += (text.empty() ? "v2:" : "; v2:") + v2_names;
  return text;
}

Result<Layout> detect_layout(std::string_view mountinfo, const std::string& root) {
  Layout layout;
  std::vector<Hierarchy> unified;
  for (const os::MountEntry& entry : os::parse_mountinfo(mountinfo)) {
    Hierarchy hierarchy;
    hierarchy.mount_point = root + entry.target;
    const auto same_place = [&](const Hierarchy& other) {
      return other.mount_point == hierarchy.mount_point;
    };
    if (entry.fs_type == "cgroup") {
      for (std::string& option : split(entry.super_options, ",")) {
        if (is_controller(option)) hierarchy.controllers.push_back(std::move(option));
      }
      const bool known = !hierarchy.controllers.empty() && layout.has(hierarchy.controllers[0]);
      if (!known &&
          std::none_of(layout.hierarchies.begin(), layout.hierarchies.end(), same_place)) {
        layout.hierarchies.push_back(std::move(hierarchy));
      }
    } else if (entry.fs_type == "cgroup2" && unified.empty()) {
      hierarchy.v2 = true;
      MOTH_ASSIGN(const std::string names,
                  os::read_file(hierarchy.mount_point + "/cgroup.controllers", 4096));
      hierarchy.controllers = split(names, " \n");
      unified.push_back(std::move(hierarchy));
    }
  }
  layout.hierarchies.insert(layout.hierarchies.end(), unified.begin(), unified.end());
  if (layout.hierarchies.empty()) {
    return fail(Error::of(Reason::kNotFound,
                          "no cgroup file system is mounted: mount cgroup2 on /sys/fs/cgroup"));
  }
  return layout;
}

Result<Layout> detect_layout() {
  MOTH_ASSIGN(const std::string mountinfo, os::read_file("/proc/self/mountinfo"));
  return detect_layout(mountinfo);
}

}  // namespace moth::cgroups
