#pragma once
// Reading the status pipe of a shim. Internal to this folder.
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "runtime/os/subprocess.h"

namespace moth::shim {

struct StatusPipe {
  os::UniqueFd ours, theirs;
};
Result<StatusPipe> make_status_pipe();

// Words of a line "failed <stage> <number>".
struct Failure {
  std::string stage;
  int number = 0;
};

// Lines as they come. The last one may lack its newline.
class StatusReader {
 public:
  explicit StatusReader(os::UniqueFd fd) : fd_(std::move(fd)) {}
  // The next line split at its spaces; empty at the end of the pipe. Timeout at `deadline`.
  Task<Result<std::vector<std::string>>> next(MonoTime deadline);

 private:
  os::UniqueFd fd_;
  std::string buffered_;
};

// Nullopt-like: stage is empty when `words` is no failure.
Failure failure_of(const std::vector<std::string>& words);

// Waits until `fd` is readable; false at the deadline. Throws operation_aborted when cancelled.
Task<bool> readable_until(int fd, MonoTime deadline);

}  // namespace moth::shim
