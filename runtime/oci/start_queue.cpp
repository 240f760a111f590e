#include "runtime/oci/start_queue.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <utility>

namespace moth::oci {

namespace {

struct Waiter {
  explicit Waiter(const asio::any_io_executor& executor) : wake(executor) {
    wake.expires_at(asio::steady_timer::time_point::max());
  }
  asio::steady_timer wake;
  bool granted = false;
};

}  // namespace

struct StartQueue::State {
  int places = 1;
  int running = 0;
  std::uint64_t next_ticket = 0;
  // The highest priority first, then who came first.
  std::map<std::pair<int, std::uint64_t>, std::shared_ptr<Waiter>> waiters;

  void leave() {
    --running;
    if (waiters.empty()) return;
    const std::shared_ptr<Waiter> next = waiters.begin()->second;
    waiters.erase(waiters.begin());
    // The place changes hands here, so that nobody who comes now can take it.
    ++running;
    next->granted = true;
    next->wake.cancel();
  }
};

StartQueue::StartQueue(int places) : state_(std::make_shared<State>()) {
  state_->places = places < 1 ? 1 : places;
}
StartQueue::~StartQueue() = default;
StartQueue::Place::~Place() = default;

int StartQueue::running() const {
  return state_->running;
}
std::size_t StartQueue::waiting() const {
  return state_->waiters.size();
}

Task<StartQueue::Place> StartQueue::enter(int priority) {
  const std::shared_ptr<State> state = state_;
  if (state->running < state->places) {
    ++state->running;
  } else {
    auto waiter = std::make_shared<Waiter>(co_await asio::this_coro::executor);
    const std::pair<int, std::uint64_t> key{-priority, state->next_ticket++};
    state->waiters.emplace(key, waiter);
    boost::system::error_code error;
    co_await waiter->wake.async_wait(asio::redirect_error(asio::use_awaitable, error));
    const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
    if (!waiter->granted || cancelled != asio::cancellation_type::none) {
      state->waiters.erase(key);
      if (waiter->granted) state->leave();
      throw boost::system::system_error(asio::error::operation_aborted);
    }
  }
  std::shared_ptr<void> held(nullptr, [state](void*) { state->leave(); });
  co_return Place(std::move(held));
}

}  // namespace moth::oci
