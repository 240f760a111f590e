#include "api/base/task_scope.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cstdlib>
#include <exception>
#include <list>

#include "api/base/log.h"

namespace moth {

struct TaskScope::State {
  explicit State(asio::any_io_executor home) : executor(std::move(home)), idle(executor) {
    idle.expires_at(asio::steady_timer::time_point::max());
  }
  asio::any_io_executor executor;
  std::list<asio::cancellation_signal> tasks;
  asio::steady_timer idle;
  bool cancelled = false;
};

namespace {

void report(const char* name, const std::exception_ptr& thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted) return;
    log::error("a task ended with an exception", log::field("task", name),
               log::field("what", error.what()));
  } catch (const std::exception& error) {
    log::error("a task ended with an exception", log::field("task", name),
               log::field("what", error.what()));
  }
}

// Boost 1.81 ends the process when a spawned task that was cancelled ends without ever having been
// suspended: what comes after it awaits once more, throws, and nobody catches that. A task that
// cancels its own scope at once is such a task, so nothing throws any more once the task is over.
Task<void> survives_its_cancellation(Task<void> task) {
  std::exception_ptr thrown;
  try {
    co_await std::move(task);
  } catch (...) {
    thrown = std::current_exception();
  }
  co_await asio::this_coro::throw_if_cancelled(false);
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

TaskScope::TaskScope(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

TaskScope::~TaskScope() {
  if (!state_->tasks.empty() && !state_->cancelled) {
    log::error("a task scope was destroyed while its tasks ran");
    std::abort();
  }
}

void TaskScope::spawn(const char* name, Task<void> task) {
  if (state_->cancelled) return;
  auto signal = state_->tasks.emplace(state_->tasks.end());
  asio::co_spawn(state_->executor, survives_its_cancellation(std::move(task)),
                 asio::bind_cancellation_slot(
                     signal->slot(), [state = state_, signal, name](std::exception_ptr thrown) {
                       // Races (a || b) wrap what a cancellation throws.
                       if (!state->cancelled) report(name, thrown);
                       state->tasks.erase(signal);
                       if (state->tasks.empty()) state->idle.cancel();
                     }));
}

void TaskScope::cancel() {
  state_->cancelled = true;
  auto keep = state_;
  // emit() may complete a task at once, which erases its signal: step before emitting.
  for (auto it = keep->tasks.begin(); it != keep->tasks.end();) {
    auto current = it++;
    current->emit(asio::cancellation_type::all);
  }
}

bool TaskScope::cancelled() const {
  return state_->cancelled;
}
std::size_t TaskScope::running() const {
  return state_->tasks.size();
}
const asio::any_io_executor& TaskScope::executor() const {
  return state_->executor;
}

Task<void> TaskScope::join() {
  auto state = state_;
  // The wait goes on when the caller is cancelled, and the caller stays cancellable afterwards.
  bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  while (!state->tasks.empty()) {
    boost::system::error_code ignored;
    co_await state->idle.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_await asio::this_coro::throw_if_cancelled(throws);
}

}  // namespace moth
