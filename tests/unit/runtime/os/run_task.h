#pragma once
// Runs a coroutine to its end on a context of its own.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "api/base/task.h"

namespace moth::test {

template <class T>
T run_task(Task<T> task) {
  asio::io_context context{1};
  std::optional<T> result;
  std::exception_ptr error;
  asio::co_spawn(context, std::move(task), [&](std::exception_ptr thrown, T value) {
    error = thrown;
    if (!thrown) result.emplace(std::move(value));
  });
  context.run();
  if (error) std::rethrow_exception(error);
  return std::move(*result);
}

inline void run_task(Task<void> task) {
  asio::io_context context{1};
  std::exception_ptr error;
  asio::co_spawn(context, std::move(task), [&](std::exception_ptr thrown) { error = thrown; });
  context.run();
  if (error) std::rethrow_exception(error);
}

}  // namespace moth::test
