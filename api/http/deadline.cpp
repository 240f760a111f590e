#include "api/http/deadline.h"

#include <boost/asio/steady_timer.hpp>

namespace moth::http {

struct Deadline::State {
  explicit State(const asio::any_io_executor& executor) : timer(executor) {}
  asio::steady_timer timer;
  std::function<void()> on_expiry;
  bool expired = false;
};

Deadline::Deadline(asio::any_io_executor executor, std::chrono::milliseconds timeout,
                   std::function<void()> on_expiry) {
  if (timeout.count() <= 0) return;
  state_ = std::make_shared<State>(executor);
  state_->on_expiry = std::move(on_expiry);
  state_->timer.expires_after(timeout);
  state_->timer.async_wait([state = state_](const boost::system::error_code& error) {
    // Destruction empties the function: a timer that fired at that very moment does nothing.
    if (error || !state->on_expiry) return;
    state->expired = true;
    auto function = std::move(state->on_expiry);
    function();
  });
}

Deadline::~Deadline() {
  if (!state_) return;
  state_->on_expiry = nullptr;
  state_->timer.cancel();
}

bool Deadline::expired() const {
  return state_ && state_->expired;
}

}  // namespace moth::http
