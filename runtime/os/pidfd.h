#pragma once
// ProcessHandle: a process that need not be a child of ours, held by pidfd, so that a reused pid
// can never be mistaken for it. Executor rules as for os::Process.
#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/os/unique_fd.h"

namespace moth::os {

class ProcessHandle {
 public:
  // `start_time` (clock ticks after boot, os::process_start_time) tells the process from a later
  // one with the same number; nullopt accepts any. NotFound when there is none (or a zombie).
  static Result<ProcessHandle> open(pid_t pid, std::optional<std::uint64_t> start_time);

  pid_t pid() const { return pid_; }
  int fd() const { return fd_.get(); }
  Result<void> signal(int number) const;  // NotFound when it is gone
  bool alive() const;                     // false once it ended, also as a zombie
  // Completes when the process ended. Throws operation_aborted when cancelled.
  Task<void> wait_gone() const;

 private:
  ProcessHandle(pid_t pid, UniqueFd fd) : pid_(pid), fd_(std::move(fd)) {}
  pid_t pid_;
  UniqueFd fd_;
};

// Thin wrappers over the system calls.
Result<UniqueFd> pidfd_open(pid_t pid);
Result<void> pidfd_signal(int pidfd, int number);
// Completes when `fd` (kept by the caller, not closed) becomes readable.
Task<void> wait_readable(int fd);
Task<void> wait_writable(int fd);

}  // namespace moth::os
