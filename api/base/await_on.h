#pragma once
// await_on: runs a coroutine on another executor and comes back with its result. Cancelling the
// caller cancels it over there. Safe between threads, unlike awaiting co_spawn(other, ...) with
// Boost 1.81, whose cross-thread cancellation races with completion.
#include <optional>
#include <type_traits>
#include <utility>

#include "api/base/task.h"

namespace moth {

// Rethrows what `task` throws. On the same executor `task` is awaited directly.
Task<void> await_void_on(asio::any_io_executor executor, Task<void> task);

namespace detail {
template <class T>
Task<void> keep_result(Task<T> task, std::optional<T>& result) {
  result.emplace(co_await std::move(task));
}
}  // namespace detail

template <class T>
Task<T> await_on(asio::any_io_executor executor, Task<T> task) {
  if constexpr (std::is_void_v<T>) {
    co_await await_void_on(std::move(executor), std::move(task));
  } else {
    // The caller stays suspended until the other side has finished, so the reference holds.
    std::optional<T> result;
    co_await await_void_on(std::move(executor), detail::keep_result(std::move(task), result));
    co_return std::move(*result);
  }
}

}  // namespace moth
