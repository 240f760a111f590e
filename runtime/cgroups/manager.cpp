#include "runtime/cgroups/manager.h"

#include <dirent.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>
#include <thread>

#include "runtime/cgroups/group_files.h"
#include "runtime/cgroups/group_writer.h"
#include "runtime/cgroups/settings.h"
#include "runtime/os/fs.h"

namespace moth::cgroups {

namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool has_word(std::string_view text, std::string_view word) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find_first_of(" \n"), text.size());
    if (text.substr(0, end) == word) return true;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return false;
}

// "/a/b" gives "/a" and "/a/b".
std::vector<std::string> levels(const std::string& path) {
  std::vector<std::string> result;
  for (std::size_t at = 1; at != std::string::npos + 1 && at < path.size();) {
    at = std::min(path.find('/', at), path.size());
    result.push_back(path.substr(0, at));
    ++at;
  }
  return result;
}

Result<void> check_path(const std::string& path) {
  const bool sane = path.size() > 1 && path.front() == '/' && path.back() != '/' &&
                    path.find("//") == std::string::npos && path.find("/.") == std::string::npos;
  if (sane) return {};
  return fail(Error::bad_request(fmt::format("\"{}\" is no path of a cgroup", path)));
}

class ManagerImpl final : public Manager {
 public:
  ManagerImpl(Layout layout, std::unique_ptr<GroupWriter> v1_writer)
      : layout_(std::move(layout)),
        v1_writer_(std::move(v1_writer)),
        v2_writer_(make_file_writer()) {}

  Result<void> ensure_group(const std::string& path, const Limits& limits) override {
    MOTH_TRY(check_path(path));
    std::lock_guard lock(mutex_);
    for (const Hierarchy& hierarchy : layout_.hierarchies) {
      MOTH_TRY(create_levels(hierarchy, path, limits));
    }
    return apply(path, limits);
  }

  Result<void> set_limits(const std::string& path, const Limits& limits) override {
    MOTH_TRY(check_path(path));
    std::lock_guard lock(mutex_);
    return apply(path, limits);
  }

  bool exists(const std::string& path) const override {
    return std::any_of(layout_.hierarchies.begin(), layout_.hierarchies.end(),
                       [&](const Hierarchy& h) { return os::is_directory(h.mount_point + path); });
  }

  Result<std::vector<pid_t>> processes(const std::string& path) const override {
    MOTH_TRY(check_path(path));
    MOTH_ASSIGN(const std::set<pid_t> found, all_processes(path));
    return std::vector<pid_t>(found.begin(), found.end());
  }

  Result<void> kill_all(const std::string& path, std::chrono::milliseconds patience) override;
  Result<void> remove(const std::string& path) override;
  Result<std::vector<std::string>> children(const std::string& path) const override;

  Result<std::uint64_t> oom_kills(const std::string& path) const override {
    const std::string file = oom_file(path);
    if (file.empty()) return 0;
    MOTH_ASSIGN(const std::string text, os::read_file(file, 64 * 1024));
    return stat_value(text, "oom_kill").value_or(0);
  }

  std::string oom_file(const std::string& path) const override {
    return file_of("memory", path, "memory.oom_control", "memory.events");
  }

  std::vector<std::string> join_files(const std::string& path) const override {
    std::vector<std::string> files;
    for (const Hierarchy& hierarchy : layout_.hierarchies) {
      // v1: moving the calling thread alone spares the wait for all processors (10 ms) that moving
      // by cgroup.procs costs; who joins has one thread.
      files.push_back(hierarchy.mount_point + path + (hierarchy.v2 ? "/cgroup.procs" : "/tasks"));
    }
    return files;
  }

  Result<std::unique_ptr<UsageReader>> usage_reader(const std::string& path) const override {
    UsageReader::Files files;
    files.cpu_usage = file_of("cpuacct", path, "cpuacct.usage", "");
    if (files.cpu_usage.empty()) files.cpu_usage = file_of("cpu", path, "", "cpu.stat");
    files.cpu_stat = file_of("cpu", path, "cpu.stat", "cpu.stat");
    files.memory_usage = file_of("memory", path, "memory.usage_in_bytes", "memory.current");
    files.memory_stat = file_of("memory", path, "memory.stat", "memory.stat");
    files.memory_oom = oom_file(path);
    files.pids = file_of("pids", path, "pids.current", "pids.current");
    MOTH_ASSIGN(UsageReader reader, UsageReader::open(files));
    return std::make_unique<UsageReader>(std::move(reader));
  }

  const Layout& layout() const override { return layout_; }

 private:
  GroupWriter& writer_of(const Hierarchy& hierarchy) {
    return hierarchy.v2 ? *v2_writer_ : *v1_writer_;
  }

  std::string file_of(std::string_view controller, const std::string& path, std::string_view v1,
                      std::string_view v2) const {
    const Hierarchy* hierarchy = layout_.find(controller);
    if (!hierarchy) return {};
    const std::string_view name = hierarchy->v2 ? v2 : v1;
    if (name.empty()) return {};
    return fmt::format("{}{}/{}", hierarchy->mount_point, path, name);
  }

  Result<std::set<pid_t>> all_processes(const std::string& path) const {
    std::set<pid_t> found;
    for (const Hierarchy& hierarchy : layout_.hierarchies) {
      MOTH_TRY(add_processes(hierarchy.mount_point + path, found));
    }
    return found;
  }

  Result<void> create_levels(const Hierarchy& hierarchy, const std::string& path,
                             const Limits& limits);
  Result<void> enable_controllers(const Hierarchy& hierarchy, const std::string& parent,
                                  const Limits& limits);
  Result<void> inherit_cpuset(const Hierarchy& hierarchy, const std::string& parent,
                              const std::string& path);
  Result<void> apply(const std::string& path, const Limits& limits);
  void thaw(const std::string& path);

  const Layout layout_;
  std::mutex mutex_;
  std::unique_ptr<GroupWriter> v1_writer_, v2_writer_;
};

Result<void> ManagerImpl::create_levels(const Hierarchy& hierarchy, const std::string& path,
                                        const Limits& limits) {
  std::string parent;
  for (const std::string& level : levels(path)) {
    if (hierarchy.v2) MOTH_TRY(enable_controllers(hierarchy, parent, limits));
    const bool there = os::is_directory(hierarchy.mount_point + level);
    if (!there) MOTH_TRY(writer_of(hierarchy).create(hierarchy, level));
    if (!hierarchy.v2 && contains(hierarchy.controllers, "cpuset")) {
      MOTH_TRY(inherit_cpuset(hierarchy, parent, level));
    }
    parent = level;
  }
  return {};
}

// A v2 group has the files of a controller only when its parent passes the controller on.
Result<void> ManagerImpl::enable_controllers(const Hierarchy& hierarchy, const std::string& parent,
                                             const Limits& limits) {
  const std::string file = hierarchy.mount_point + parent + "/cgroup.subtree_control";
  auto enabled = os::read_file(file, 4096);
  if (!enabled) return fail(std::move(enabled).error());
  for (const std::string& controller : hierarchy.controllers) {
    const bool wanted = controller == "cpu" || controller == "memory" || controller == "pids" ||
                        controller == "cpuset" || controller == "io" ||
                        (controller == "hugetlb" && !limits.huge_pages.empty());
    if (!wanted || has_word(*enabled, controller)) continue;
    // Each by itself: one that the kernel refuses (cpu with real-time tasks) keeps no other away.
    // What is missing then shows when its limit is written.
    auto written = os::write_existing(file, "+" + controller);
    if (!written && written.error().os_errno == EACCES) return fail(std::move(written).error());
  }
  return {};
}

// A new v1 cpuset is empty, and no task can enter an empty one.
Result<void> ManagerImpl::inherit_cpuset(const Hierarchy& hierarchy, const std::string& parent,
                                         const std::string& path) {
  for (const char* name : {"cpuset.cpus", "cpuset.mems"}) {
    auto own = os::read_file(hierarchy.mount_point + path + "/" + name, 4096);
    if (!own || own->find_first_not_of(" \n") != std::string::npos) continue;
    MOTH_ASSIGN(std::string value,
                os::read_file(hierarchy.mount_point + parent + "/" + name, 4096));
    while (!value.empty() && value.back() == '\n') value.pop_back();
    if (!value.empty()) MOTH_TRY(writer_of(hierarchy).set(hierarchy, path, name, value));
  }
  return {};
}

Result<void> ManagerImpl::apply(const std::string& path, const Limits& limits) {
  const std::vector<Setting> v1 = v1_settings(limits);
  const std::vector<Setting> v2 = v2_settings(limits);
  for (const Hierarchy& hierarchy : layout_.hierarchies) {
    for (const Setting& setting : hierarchy.v2 ? v2 : v1) {
      if (!contains(hierarchy.controllers, setting.controller)) continue;
      auto written = writer_of(hierarchy).set(hierarchy, path, setting.file, setting.value);
      if (!written && !(setting.optional && written.error().os_errno == ENOENT)) return written;
    }
  }
  return {};
}

void ManagerImpl::thaw(const std::string& path) {
  for (const Hierarchy& hierarchy : layout_.hierarchies) {
    const std::string folder = hierarchy.mount_point + path;
    if (hierarchy.v2) {
      (void)os::write_existing(folder + "/cgroup.freeze", "0");
    } else if (contains(hierarchy.controllers, "freezer")) {
      for (const std::string& group : group_tree(folder)) {
        (void)os::write_existing(group + "/freezer.state", "THAWED");
      }
    }
  }
}

Result<void> ManagerImpl::kill_all(const std::string& path, std::chrono::milliseconds patience) {
  MOTH_TRY(check_path(path));
  const auto deadline = std::chrono::steady_clock::now() + patience;
  bool thawed = false;
  while (true) {
    MOTH_ASSIGN(const std::set<pid_t> found, all_processes(path));
    if (found.empty()) return {};
    if (std::chrono::steady_clock::now() > deadline) {
      return fail(
          Error::timeout(fmt::format("{} processes of cgroup {} do not end", found.size(), path)));
    }
    // A frozen task does not see its signal.
    if (!thawed) thaw(path);
    thawed = true;
    kill_and_wait(found, deadline);
    // A process that is dead but not reaped is still listed: its parent needs a moment.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

Result<void> ManagerImpl::remove(const std::string& path) {
  MOTH_TRY(check_path(path));
  std::lock_guard lock(mutex_);
  MOTH_ASSIGN(const std::set<pid_t> found, all_processes(path));
  if (!found.empty()) {
    return fail(Error::of(Reason::kConflict,
                          fmt::format("remove cgroup {}: {} processes live in it, the first is {}",
                                      path, found.size(), *found.begin())));
  }
  // All hierarchies, whatever happens in one of them: a leftover is worse than a late error.
  Result<void> result;
  for (const Hierarchy& hierarchy : layout_.hierarchies) {
    auto removed = remove_group_tree(hierarchy.mount_point + path);
    if (!removed && result) result = std::move(removed);
  }
  return result;
}

Result<std::vector<std::string>> ManagerImpl::children(const std::string& path) const {
  MOTH_TRY(check_path(path));
  std::set<std::string> names;
  for (const Hierarchy& hierarchy : layout_.hierarchies) {
    auto entries = os::list_dir(hierarchy.mount_point + path);
    if (!entries) continue;
    for (const os::DirEntry& entry : *entries) {
      if (entry.type == DT_DIR) names.insert(entry.name);
    }
  }
  return std::vector<std::string>(names.begin(), names.end());
}

}  // namespace

Result<std::unique_ptr<Manager>> make_manager() {
  MOTH_ASSIGN(Layout layout, detect_layout());
  std::unique_ptr<GroupWriter> v1_writer;
  const bool has_v1 = std::any_of(layout.hierarchies.begin(), layout.hierarchies.end(),
                                  [](const Hierarchy& h) { return !h.v2; });
  if (has_v1) {
    MOTH_ASSIGN(v1_writer, make_libcgroup_writer());
  } else {
    v1_writer = make_file_writer();
  }
  return std::unique_ptr<Manager>(
      std::make_unique<ManagerImpl>(std::move(layout), std::move(v1_writer)));
}

std::unique_ptr<Manager> make_file_manager(Layout layout) {
  return std::make_unique<ManagerImpl>(std::move(layout), make_file_writer());
}

}  // namespace moth::cgroups
