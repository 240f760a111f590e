#pragma once
// Awaiting a coroutine that runs on another executor. Kept apart from executors.h, since co_spawn
// is costly to compile.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/base/task.h"

namespace moth {

// Runs `task` on `executor` and comes back to the caller's. Cancellation of the caller reaches it.
template <class T>
Task<T> spawn_on(asio::any_io_executor executor, Task<T> task) {
  co_return co_await asio::co_spawn(executor, std::move(task), asio::use_awaitable);
}

}  // namespace moth
