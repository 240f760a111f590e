#pragma once
// Runtime: containers of this machine, behind one interface, so that the pod agent runs over a fake
// in tests. The real one is Driver (driver.h). All methods on the control executor.
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/oci/container_config.h"
#include "runtime/shim/container.h"

namespace moth::oci {

struct CreateRequest {
  ContainerConfig config;
  std::string bundle;    // folder of the container, existing, its own; config.json is written there
  std::string log_path;  // CRI log file, its folder exists
  std::uint64_t log_max_bytes = 10 * 1024 * 1024;
  int log_max_files = 5;
  bool with_stdin = false, stdin_once = false;
  int priority = 0;  // of the pod: higher starts first when many wait
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  // Writes the bundle, waits for a place in the start queue, starts. The error carries the words
  // of the OCI runtime.
  virtual Task<Result<std::unique_ptr<shim::Container>>> start(CreateRequest request) = 0;
  // A container started before (also by an earlier daemon), running or ended. NotFound: never.
  virtual Task<Result<std::unique_ptr<shim::Container>>> adopt(std::string id,
                                                               std::string bundle) = 0;
  // Forgets an ended container: runtime state and group. Returns at once; the work is done in the
  // background. A container that still lives is killed first.
  virtual void remove(std::string id, std::string bundle, std::string cgroups_path) = 0;
  // Completes when every remove() called so far is done.
  virtual Task<void> removed() = 0;
  virtual Task<Result<shim::Started>> start_pause(std::string record_path, std::string cgroups_path,
                                                  std::string ipc_namespace,
                                                  std::string uts_namespace,
                                                  std::string net_namespace) = 0;
  virtual Result<shim::Started> adopt_pause(const std::string& record_path) = 0;
  // "runc 1.1.5": for node status.
  virtual std::string version() const = 0;
};

}  // namespace moth::oci
