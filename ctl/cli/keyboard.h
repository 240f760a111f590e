#pragma once
// Keyboard: brings what arrives on this process's stdin into an exec session. Reading is done on a
// thread of its own, since stdin may be a terminal, a pipe or a file, and blocks.
#include <memory>

#include "api/base/task.h"
#include "api/client/http/exec_stream.h"

namespace moth::ctl {

class Keyboard {
 public:
  // `input` is fed on `executor`, which must outlive the process's last use of stdin (the thread
  // ends with the process, there is no way to interrupt a read).
  Keyboard(asio::any_io_executor executor, std::shared_ptr<client::ExecInput> input);
  ~Keyboard();  // what is read from now on is dropped
  Keyboard(const Keyboard&) = delete;
  Keyboard& operator=(const Keyboard&) = delete;

  // Reading goes on when it had paused because too much waits. On the executor.
  void drained();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::ctl
