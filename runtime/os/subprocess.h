#pragma once
// Subprocesses: posix_spawn, a pidfd, waiting without signals. A child gets exactly the descriptors
// named here (everything else is closed), default signal dispositions and an empty signal mask.
//
// Process objects and their tasks belong to one executor at a time; spawn() itself takes about a
// millisecond and may be called anywhere. Cancelling an awaiting caller does not end the child:
// the destructor of Process does (SIGKILL), unless detach() was called.
#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/os/unique_fd.h"

namespace moth::os {

struct ExitStatus {
  int code = 0;    // exit code; 0 when a signal ended the process
  int signal = 0;  // the signal that ended it, 0 when it exited
  bool success() const { return code == 0 && signal == 0; }
  // What a shell would show: the code, or 128 + signal.
  int shell_code() const { return signal != 0 ? 128 + signal : code; }
  std::string describe() const;  // "exit status 1", "signal: killed"
};

// What one standard stream of a child is connected to.
struct Stdio {
  enum class Kind { kNull, kInherit, kPipe, kFd, kFile };
  Kind kind = Kind::kNull;
  int fd = -1;       // kFd: borrowed until spawn() returns
  std::string path;  // kFile: opened for reading (stdin), else created and appended to, mode 0600

  static Stdio null() { return {}; }
  static Stdio inherit() { return {Kind::kInherit, -1, {}}; }
  static Stdio pipe() { return {Kind::kPipe, -1, {}}; }
  static Stdio of_fd(int fd) { return {Kind::kFd, fd, {}}; }
  static Stdio file(std::string path) { return {Kind::kFile, -1, std::move(path)}; }
};

struct SpawnOptions {
  std::vector<std::string> argv;  // argv[0] is looked up in the caller's PATH when it has no slash
  std::optional<std::vector<std::string>> env;  // NAME=value; none: the caller's environment
  std::string cwd;                              // empty: the caller's
  Stdio stdin_from = Stdio::null();
  Stdio stdout_to = Stdio::null();
  Stdio stderr_to = Stdio::null();
  // {descriptor of ours, its number in the child}, numbers 3, 4, ... without gaps.
  std::vector<std::pair<int, int>> extra_fds;
  bool new_session = false;  // setsid()
};

class Process {
 public:
  // NotFound when the program does not exist.
  static Result<Process> spawn(const SpawnOptions& options);
  Process(Process&&) noexcept;
  Process& operator=(Process&&) noexcept;
  ~Process();  // ends and reaps the child unless it was waited for or detached

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  // Our ends of pipes (non-blocking, close-on-exec); empty for other kinds.
  UniqueFd& stdin_pipe() { return stdin_; }
  UniqueFd& stdout_pipe() { return stdout_; }
  UniqueFd& stderr_pipe() { return stderr_; }

  // To the process itself, never to a reused pid. NotFound when it is gone.
  Result<void> signal(int number) const;
  // Completes when the child ended and reaps it. Call once. Throws operation_aborted when
  // cancelled.
  Task<Result<ExitStatus>> wait();
  // Reaps without waiting: nullopt while it runs.
  Result<std::optional<ExitStatus>> try_wait();
  // Gives the child up: it runs on, its parent (init, or this process) has to reap it.
  void detach();

 private:
  Process() = default;
  void end_and_reap();
  pid_t pid_ = -1;
  bool reaped_ = false;
  UniqueFd pidfd_, stdin_, stdout_, stderr_;
};

struct RunLimits {
  std::size_t max_output = 64 * 1024;  // bytes kept of each of stdout and stderr
  Duration timeout = std::chrono::minutes(2);
};

struct RunResult {
  ExitStatus status;
  std::string out, err;    // the first max_output bytes
  bool truncated = false;  // something was dropped
  bool timed_out = false;  // it was killed
};

// Runs a program to its end with captured output, feeding `input`. Pipes that outlive the child in
// grandchildren are not waited for. Errors only when the program could not be started.
Task<Result<RunResult>> run(SpawnOptions options, RunLimits limits = {}, std::string input = {});

// The same for callers that need success: an Error with the last line of stderr otherwise.
Task<Result<std::string>> run_checked(std::vector<std::string> argv, RunLimits limits = {});

// The same without an executor: blocks the calling thread. For start-up and tests.
Result<RunResult> run_blocking(std::vector<std::string> argv, RunLimits limits = {});

// Absolute path of an executable, searched as a shell would; NotFound names the program.
Result<std::string> find_program(const std::string& name);

}  // namespace moth::os
