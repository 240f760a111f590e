#include "api/base/notifier.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <list>

namespace moth {

struct Waiter {
  asio::steady_timer timer;
  bool woken = false;
};

struct Notifier::State {
  explicit State(asio::any_io_executor home) : executor(std::move(home)) {}
  asio::any_io_executor executor;
  std::list<Waiter*> waiters;
  bool pending = false;
};

Notifier::Notifier(asio::any_io_executor executor)
    : state_(std::make_shared<State>(std::move(executor))) {}

Notifier::~Notifier() {
  notify();
}

void Notifier::notify() {
  if (state_->waiters.empty()) {
    state_->pending = true;
    return;
  }
  for (Waiter* waiter : state_->waiters) {
    waiter->woken = true;
    waiter->timer.cancel();
  }
  state_->waiters.clear();
}

Task<void> Notifier::wait() {
  co_await wait_until(MonoTime::max());
}

Task<bool> Notifier::wait_until(MonoTime deadline) {
  auto state = state_;
  if (state->pending) {
    state->pending = false;
    co_return true;
  }
  Waiter waiter{asio::steady_timer(state->executor, deadline)};
  state->waiters.push_back(&waiter);
  struct Removal {
    State& state;
    Waiter* waiter;
    ~Removal() { state.waiters.remove(waiter); }
  } removal{*state, &waiter};
  boost::system::error_code error;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (waiter.woken) co_return true;
  if (error) throw boost::system::system_error(error);  // the caller was cancelled
  co_return false;
}

}  // namespace moth
