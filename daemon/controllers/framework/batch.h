#pragma once
// Many writes of one reconcile. Those of one batch run at once, so that one commit takes them all.
// Control thread; not interrupted by cancellation: the closure stays valid until all have ended.
#include <functional>
#include <optional>

#include "api/base/result.h"
#include "api/base/task.h"

namespace moth::controllers {

struct BatchOutcome {
  int succeeded = 0;
  std::optional<Error> first_error;
};

// work(0) ... work(count - 1), all at once.
Task<BatchOutcome> run_all(asio::any_io_executor control, int count,
                           std::function<Task<Result<>>(int)> work);
// In batches of 1, 2, 4 ...; nothing more is begun behind a batch with an error, so that a quota
// or a broken template costs one call and not hundreds.
Task<BatchOutcome> slow_start(asio::any_io_executor control, int count,
                              std::function<Task<Result<>>(int)> work);

}  // namespace moth::controllers
