#pragma once
// The daemon's side of moth-shim: start a container through a shim of its own, find it again after
// a restart of the daemon, talk to it. See protocol.h for what the two say to each other.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/shim/container.h"
#include "runtime/shim/exec_context.h"

namespace moth::shim {

struct Programs {
  std::string shim = "moth-shim";  // path of the shim
  std::string runtime = "runc";    // path of the OCI runtime
  std::string runtime_root;        // its --root: state folder of this instance, on tmpfs
};

struct StartRequest {
  std::string id;        // of the container: letters, digits, "_.-"
  std::string bundle;    // folder with config.json; the shim keeps its records there too
  std::string log_path;  // CRI log; rotated to log_path.1, .2, ...
  std::uint64_t log_max_bytes = 10 * 1024 * 1024;  // per file, 0: no rotation
  int log_max_files = 5;                           // with the current one
  bool tty = false;                                // config.json says process.terminal as well
  bool with_stdin = false;
  bool stdin_once = false;  // stdin ends with the first client that leaves
  std::string oom_file;     // Manager::oom_file of the container's group
  std::vector<std::string>
      shim_join_files;  // Manager::join_files for the shim itself; may be empty
  Duration timeout = std::chrono::minutes(2);
};

class Client {
 public:
  // `oom_score_adj_floor`: os::KernelFeatures::oom_score_adj_floor.
  Client(Programs programs, int oom_score_adj_floor);

  // Starts the shim and the container. Errors: what the runtime said (InternalError), Timeout.
  // The records of an earlier run in the bundle are removed first.
  Task<Result<std::unique_ptr<Container>>> start(StartRequest request, ExecContext exec);
  // After a restart of the daemon: the container of this bundle, running or ended. NotFound when
  // none was ever started there. Synchronous and cheap.
  Result<std::unique_ptr<Container>> adopt(std::string id, std::string bundle, ExecContext exec);

  // The init of a shared process namespace (shareProcessNamespace): does nothing but reap, in an
  // empty root file system of its own. Ends on SIGTERM or SIGKILL.
  struct PauseRequest {
    std::string record_path;  // what adopt_pause reads
    std::vector<std::string> join_files;
    std::string ipc_namespace, uts_namespace, net_namespace;  // joined when not empty
    int oom_score_adj = -998;
  };
  Task<Result<Started>> start_pause(PauseRequest request);
  // The running init of an earlier start; NotFound when it is gone.
  Result<Started> adopt_pause(const std::string& record_path);

  const Programs& programs() const { return programs_; }

 private:
  Programs programs_;
  int oom_score_adj_floor_;
};

}  // namespace moth::shim
