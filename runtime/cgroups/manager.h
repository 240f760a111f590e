#pragma once
// Manager: the groups that moth itself owns (instance, QoS class, pod) and the reading side of the
// containers' groups, which the OCI runtime makes. Works on v1, v2 and hybrid machines: for every
// controller the hierarchy that has it is used.
//
// All methods block (0.1 to 2 ms; kill_all longer) and are thread-safe: they are serialised inside,
// since libcgroup is not. Paths are absolute within a hierarchy ("/moth-default/burstable/pod1").
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "runtime/cgroups/layout.h"
#include "runtime/cgroups/limits.h"
#include "runtime/cgroups/usage.h"

namespace moth::cgroups {

class Manager {
 public:
  virtual ~Manager() = default;

  // Creates the group and its missing parents in every hierarchy, then sets the limits. An existing
  // group only gets the limits.
  virtual Result<void> ensure_group(const std::string& path, const Limits& limits) = 0;
  // NotFound when there is no such group.
  virtual Result<void> set_limits(const std::string& path, const Limits& limits) = 0;
  virtual bool exists(const std::string& path) const = 0;
  // Process ids of the group and of all groups below, sorted, without repetition.
  virtual Result<std::vector<pid_t>> processes(const std::string& path) const = 0;
  // SIGKILL to all of them until none is left. Timeout when some resist (uninterruptible sleep).
  virtual Result<void> kill_all(const std::string& path, std::chrono::milliseconds patience) = 0;
  // Removes the group and the groups below in every hierarchy, the deepest first. Conflict when a
  // task still lives in it: removing would move the task to the parent, out of its limits.
  // A missing group is no error.
  virtual Result<void> remove(const std::string& path) = 0;
  // Names of the direct sub-groups, over all hierarchies, sorted.
  virtual Result<std::vector<std::string>> children(const std::string& path) const = 0;

  // Number of processes that the kernel killed for lack of memory in this very group.
  virtual Result<std::uint64_t> oom_kills(const std::string& path) const = 0;
  // The file with an "oom_kill N" line, for the shim to read when the container ends; empty without
  // a memory controller.
  virtual std::string oom_file(const std::string& path) const = 0;
  // Files to which a process writes "0" to enter the group.
  virtual std::vector<std::string> join_files(const std::string& path) const = 0;
  // A reader that keeps the group's files open. It stays valid, giving NotFound, when the group is
  // gone. Its reads may run on any thread, one at a time.
  virtual Result<std::unique_ptr<UsageReader>> usage_reader(const std::string& path) const = 0;

  virtual const Layout& layout() const = 0;
};

// The manager of this machine: libcgroup creates and changes v1 groups; files do the rest.
Result<std::unique_ptr<Manager>> make_manager();
// The same over any layout, with files alone (tests: a fake tree).
std::unique_ptr<Manager> make_file_manager(Layout layout);

}  // namespace moth::cgroups
