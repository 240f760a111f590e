#include "runtime/cgroups/group_files.h"

#include <dirent.h>
#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <thread>

#include "runtime/os/fs.h"
#include "runtime/os/pidfd.h"

namespace moth::cgroups {

namespace {

using namespace std::chrono_literals;

void collect(const std::string& folder, std::vector<std::string>& found) {
  auto entries = os::list_dir(folder);
  if (!entries) return;
  for (const os::DirEntry& entry : *entries) {
    if (entry.type == DT_DIR) collect(folder + "/" + entry.name, found);
  }
  found.push_back(folder);
}

}  // namespace

std::vector<std::string> group_tree(const std::string& folder) {
  std::vector<std::string> found;
  collect(folder, found);
  return found;
}

Result<void> add_processes(const std::string& folder, std::set<pid_t>& processes) {
  for (const std::string& group : group_tree(folder)) {
    auto text = os::read_file(group + "/cgroup.procs");
    if (!text) {
      // Removed meanwhile; EOPNOTSUPP: a threaded group, whose processes its domain lists.
      const int error = text.error().os_errno;
      if (error == ENOENT || error == ENODEV || error == EOPNOTSUPP) continue;
      return fail(std::move(text).error());
    }
    const char* at = text->data();
    const char* const end = at + text->size();
    while (at < end) {
      pid_t pid = 0;
      const auto [next, problem] = std::from_chars(at, end, pid);
      // 0: a process of another process namespace, which cannot be named from here.
      if (problem == std::errc() && pid > 0) processes.insert(pid);
      at = next + 1;
    }
  }
  return {};
}

void kill_and_wait(const std::set<pid_t>& processes,
                   std::chrono::steady_clock::time_point deadline) {
  std::vector<os::UniqueFd> handles;
  for (const pid_t pid : processes) {
    auto handle = os::pidfd_open(pid);
    if (!handle) continue;
    (void)os::pidfd_signal(handle->get(), SIGKILL);
    handles.push_back(std::move(*handle));
  }
  for (const os::UniqueFd& handle : handles) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd poller{handle.get(), POLLIN, 0};
    ::poll(&poller, 1, static_cast<int>(std::max<std::int64_t>(0, left.count())));
  }
}

Result<void> remove_group_tree(const std::string& folder) {
  for (const std::string& group : group_tree(folder)) {
    const auto deadline = std::chrono::steady_clock::now() + 1s;
    // No event tells when a dying task has left the group for good.
    while (::rmdir(group.c_str()) != 0 && errno != ENOENT) {
      if (errno != EBUSY || std::chrono::steady_clock::now() > deadline) {
        return fail(Error::from_errno(errno, fmt::format("remove cgroup {}", group)));
      }
      std::this_thread::sleep_for(2ms);
    }
  }
  return {};
}

}  // namespace moth::cgroups
