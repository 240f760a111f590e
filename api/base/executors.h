#pragma once
// The three executors of a moth process (docs/architecture.md, "Concurrency").
//
//   control   one thread: all mutable state, controllers, scheduler, pod workers. Never blocks; a
//             handler runs at most 10 ms without suspending.
//   io        one thread: sockets, TLS, HTTP and JSON parsing, streams, DNS.
//   blocking  a small pool: files, mounts, unpacking, hashing, nft.
//
// Immutable objects cross between them freely; mutable state never does.
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "api/base/task.h"

namespace moth {

class Executors {
 public:
  // Starts the io thread and `blocking_threads` workers; control runs when run() is called.
  explicit Executors(int blocking_threads = 4);
  ~Executors();  // stops and joins
  Executors(const Executors&) = delete;
  Executors& operator=(const Executors&) = delete;

  asio::any_io_executor control() const;
  asio::any_io_executor io() const;
  asio::any_io_executor blocking() const;

  // Runs control on the calling thread until stop().
  void run();
  // Any thread. control's run() returns; io and blocking finish what they are in.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Runs `function` on `executor` and comes back to the caller's executor. Not interrupted by
// cancellation: references in the closure stay valid.
Task<void> run_on(asio::any_io_executor executor, std::function<void()> function);

// With a result: `auto bytes = co_await call_on(executors.blocking(), [&] { return read(); });`
template <class F>
Task<std::invoke_result_t<F&>> call_on(asio::any_io_executor executor, F function) {
  using R = std::invoke_result_t<F&>;
  if constexpr (std::is_void_v<R>) {
    co_await run_on(executor, [&function] { function(); });
  } else {
    std::optional<R> result;
    co_await run_on(executor, [&] { result.emplace(function()); });
    co_return std::move(*result);
  }
}

}  // namespace moth
