#pragma once
// What the node does with a running container, whatever runs it: wait for its end, signal, attach,
// execute. The real one (client.h) talks to a moth-shim; tests have fakes.
//
// A Container and what it gives out belong to the executor that first awaits them. They are
// handles: destroying one changes nothing in the container, except that an ExecSession ends its
// command.
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/base/task.h"

namespace moth::shim {

struct Started {
  pid_t pid = 0;                 // the container's first process, as seen from here
  std::uint64_t start_time = 0;  // clock ticks, tells it from a later process with the same pid
  pid_t shim_pid = 0;
  std::uint64_t shim_start_time = 0;
  WallTime started_at{};
};

struct Exit {
  int exit_code = 0;  // 128 + signal when a signal ended it
  int signal = 0;
  WallTime started_at{}, finished_at{};
  std::uint64_t oom_kills = 0;  // of the container's group during its life
  // The shim is gone without a record (it was killed, or the machine went down): exit_code is 137
  // and finished_at a guess. Kubernetes calls this ContainerStatusUnknown.
  bool unknown = false;
};

// One message of a stream of output.
struct Chunk {
  enum class Kind { kStdout, kStderr, kEnd };  // kEnd: nothing follows, data is empty
  Kind kind = Kind::kEnd;
  std::string data;
};

// Both ends of what a user sees of a process. One reader and one writer at a time; read and write
// may be awaited at the same time from two coroutines of the same executor.
class Streams {
 public:
  virtual ~Streams() = default;
  virtual Task<Result<Chunk>> read() = 0;
  // Waits until there is room for it. Gone when the process takes no more; input to a container
  // that was started without stdin is dropped.
  virtual Task<Result<void>> write(std::string data) = 0;
  // A terminal has no such end: nothing happens.
  virtual Task<Result<void>> close_stdin() = 0;
  virtual Task<Result<void>> resize(std::uint16_t columns, std::uint16_t rows) = 0;
};

// A command inside the container. read() gives kEnd when all output is through.
class ExecSession : public Streams {
 public:
  // The code as a shell shows it. Await once, after or during reading.
  virtual Task<Result<int>> wait() = 0;
  virtual void kill() = 0;
};

struct ExecRequest {
  std::vector<std::string> argv;
  bool tty = false;
  bool with_stdin = false;
  std::vector<std::string> extra_env;  // TERM=... and the like, after the container's own
};

struct ProbeResult {
  int exit_code = 0;
  std::string output;  // stdout and stderr together, the first bytes
  bool timed_out = false;
};

class Container {
 public:
  virtual ~Container() = default;
  virtual const std::string& id() const = 0;
  virtual const Started& started() const = 0;
  // Completes when the container ended. One waiter at a time; may be awaited again after it was
  // cancelled (operation_aborted) and gives the same answer again once ended.
  virtual Task<Result<Exit>> wait() = 0;
  // To the first process. NotFound when it ended.
  virtual Result<void> signal(int number) = 0;
  // Output from now on and, when the container was started with stdin, input. A reader that is too
  // slow loses output (the container never waits for it).
  virtual Task<Result<std::unique_ptr<Streams>>> attach() = 0;
  // Errors name why the command could not be started: Reason NotFound (no such file), Forbidden.
  virtual Task<Result<std::unique_ptr<ExecSession>>> exec(ExecRequest request) = 0;
  // A command to its end, its output bounded, killed after `timeout`.
  virtual Task<Result<ProbeResult>> run_command(std::vector<std::string> argv, Duration timeout,
                                                std::size_t max_output) = 0;
};

}  // namespace moth::shim
