#include "api/base/clock.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace moth {

WallTime RealClock::wall() const {
  return std::chrono::system_clock::now();
}
MonoTime RealClock::mono() const {
  return std::chrono::steady_clock::now();
}

Task<void> RealClock::sleep_until(MonoTime deadline) {
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
  co_await timer.async_wait(asio::use_awaitable);
}

struct FakeClock::Sleeper {
  Sleeper(const asio::any_io_executor& executor, MonoTime until)
      : timer(executor, MonoTime::max()), deadline(until) {}
  asio::steady_timer timer;
  MonoTime deadline;
  bool woken = false;
};

FakeClock::FakeClock(WallTime start) : wall_(start) {}
FakeClock::~FakeClock() = default;

WallTime FakeClock::wall() const {
  std::lock_guard lock(mutex_);
  return wall_;
}

MonoTime FakeClock::mono() const {
  std::lock_guard lock(mutex_);
  return mono_;
}

MonoTime FakeClock::next_deadline() const {
  std::lock_guard lock(mutex_);
  MonoTime earliest = MonoTime::max();
  for (const auto& sleeper : sleepers_) earliest = std::min(earliest, sleeper->deadline);
  return earliest;
}

Task<void> FakeClock::sleep_until(MonoTime deadline) {
  auto sleeper = std::make_shared<Sleeper>(co_await asio::this_coro::executor, deadline);
  {
    std::lock_guard lock(mutex_);
    if (deadline <= mono_) co_return;
    sleepers_.push_back(sleeper);
  }
  struct Removal {
    FakeClock* clock;
    std::shared_ptr<Sleeper> sleeper;
    ~Removal() {
      std::lock_guard lock(clock->mutex_);
      std::erase(clock->sleepers_, sleeper);
    }
  } removal{this, sleeper};
  boost::system::error_code error;
  co_await sleeper->timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (!sleeper->woken) throw boost::system::system_error(asio::error::operation_aborted);
}

void FakeClock::advance(Duration duration) {
  std::vector<std::shared_ptr<Sleeper>> due;
  {
    std::lock_guard lock(mutex_);
    wall_ += std::chrono::duration_cast<WallTime::duration>(duration);
    mono_ += duration;
    for (const auto& sleeper : sleepers_) {
      if (sleeper->deadline <= mono_) due.push_back(sleeper);
    }
    std::erase_if(sleepers_, [&](const auto& sleeper) { return sleeper->deadline <= mono_; });
  }
  std::stable_sort(due.begin(), due.end(),
                   [](const auto& a, const auto& b) { return a->deadline < b->deadline; });
  for (const auto& sleeper : due) {
    // A timer is touched on its own executor only.
    asio::post(sleeper->timer.get_executor(), [sleeper] {
      sleeper->woken = true;
      sleeper->timer.cancel();
    });
  }
}

}  // namespace moth
