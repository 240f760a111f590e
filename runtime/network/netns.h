#pragma once
// Network namespaces held by bind mounts at <run dir>/netns/<name>; no process keeps them alive.
// All functions block for up to about a millisecond: call them on `blocking`. Thread-safe. They
// need CAP_SYS_ADMIN.
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::network {

// Runs `function` on a thread of its own inside the namespace at `path` (a bind mount or
// /proc/<pid>/ns/net) and waits for it. No thread of an executor ever changes its namespace.
Result<> run_in_netns(const std::string& path, const std::function<Result<>()>& function);

// Runs `function` on a thread of its own inside a new, unnamed namespace, which ends with the call
// unless the function leaves something in it (sockets keep it alive).
Result<> run_in_new_netns(const std::function<Result<>()>& function);

class NetnsDirectory {
 public:
  // `run_dir` is the instance's own folder on tmpfs, e.g. /run/moth/default.
  explicit NetnsDirectory(std::string run_dir);

  std::string path(std::string_view name) const;
  // Creates the namespace with `lo` still down. Idempotent: an existing namespace stays as it is.
  // `inside` (may be null) runs in the namespace before create returns.
  Result<std::string> create(std::string_view name, const std::function<Result<>()>& inside = {});
  bool exists(std::string_view name) const;  // mounted, not merely a file
  // Whether a process runs in it. Looks at every process of the machine.
  Result<bool> in_use(std::string_view name) const;
  // Unmounts and unlinks. The kernel deletes the interfaces inside and their host ends shortly
  // after the last process left. Missing: success.
  Result<> remove(std::string_view name);
  // Names of the namespaces that exist; leftovers that are no mounts are unlinked on the way.
  Result<std::vector<std::string>> list() const;
  // Removes every namespace and the directory itself (uninstall, tests).
  Result<> remove_all();

 private:
  Result<> prepare() const;
  std::string directory_;
};

}  // namespace moth::network
