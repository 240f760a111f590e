#pragma once
// TaskScope: owns coroutines. Every long-lived object that spawns owns one, cancels it when it
// stops and awaits join() before it is destroyed. All methods on the scope's executor.
#include <functional>
#include <memory>
#include <string_view>

#include "api/base/task.h"

namespace moth {

class TaskScope {
 public:
  explicit TaskScope(asio::any_io_executor executor);
  ~TaskScope();  // aborts the program if tasks are still running: a bug of the owner
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  // Starts `task` on the scope's executor. `name` (a literal) appears in logs when the task throws,
  // which is a bug: tasks report errors by themselves. After cancel() nothing is started.
  void spawn(const char* name, Task<void> task);
  // Asks every task to end: their pending operations throw operation_aborted.
  void cancel();
  bool cancelled() const;
  std::size_t running() const;
  // Completes when no task runs. Not interrupted by cancellation of the caller.
  Task<void> join();
  const asio::any_io_executor& executor() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth
