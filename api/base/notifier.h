#pragma once
// Notifier: wakes coroutines that wait for "something changed". Remembers one notification when
// nobody waits, so a consumer that checks, then waits, never misses one. All methods on one
// executor (the one given).
#include <memory>

#include "api/base/clock.h"
#include "api/base/task.h"

namespace moth {

class Notifier {
 public:
  explicit Notifier(asio::any_io_executor executor);
  ~Notifier();  // waiters must be gone or are woken
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Wakes all waiters; with none, the next wait() returns at once.
  void notify();
  // Throws operation_aborted when the caller is cancelled.
  Task<void> wait();
  // False when `deadline` of the real monotonic clock passed first.
  Task<bool> wait_until(MonoTime deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth
