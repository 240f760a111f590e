#include "daemon/controllers/framework/batch.h"

#include <algorithm>
#include <vector>

#include "api/base/task_scope.h"

namespace moth::controllers {
namespace {

using Work = std::function<Task<Result<>>(int)>;

Task<void> run_one(const Work& work, int index, std::optional<Error>& error) {
  auto outcome = co_await work(index);
  if (!outcome) error = outcome.error();
}

Task<BatchOutcome> run_range(asio::any_io_executor control, int begin, int end, const Work& work) {
  std::vector<std::optional<Error>> errors(static_cast<std::size_t>(end - begin));
  TaskScope scope(control);
  for (int i = begin; i < end; ++i) {
    scope.spawn("controller write", run_one(work, i, errors[static_cast<std::size_t>(i - begin)]));
  }
  co_await scope.join();
  BatchOutcome outcome;
  for (auto& error : errors) {
    if (!error) {
      ++outcome.succeeded;
    } else if (!outcome.first_error) {
      outcome.first_error = std::move(error);
    }
  }
  co_return outcome;
}

}  // namespace

Task<BatchOutcome> run_all(asio::any_io_executor control, int count, Work work) {
  co_return co_await run_range(std::move(control), 0, count, work);
}

Task<BatchOutcome> slow_start(asio::any_io_executor control, int count, Work work) {
  BatchOutcome total;
  int size = 1;
  for (int begin = 0; begin < count; begin += size, size *= 2) {
    int end = std::min(begin + size, count);
    BatchOutcome batch = co_await run_range(control, begin, end, work);
    total.succeeded += batch.succeeded;
    if (batch.first_error) {
      total.first_error = std::move(batch.first_error);
      break;
    }
  }
  co_return total;
}

}  // namespace moth::controllers
