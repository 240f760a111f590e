#include "daemon/store/watch_hub.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <list>
#include <map>

#include "api/base/log.h"
#include "api/base/notifier.h"

namespace moth::store {
namespace {

// How many events one call of next() hands out: a watcher far behind must not hold the thread.
constexpr std::size_t kMaxEvents = 512;

Error too_large(std::uint64_t after, std::uint64_t current) {
  Error error =
      Error::timeout(fmt::format("Too large resource version: {}, current: {}", after, current));
  error.retry_after_seconds = 1;
  error.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  return error;
}

enum class Wake { kNone, kChanged, kDeadline };

struct Waiter {
  Waiter(const asio::any_io_executor& control, const server::WatchInterest* what,
         std::uint64_t* position)
      : timer(control, MonoTime::max()), interest(what), cursor(position) {}
  void wake(Wake why) {
    if (woken == Wake::kNone) woken = why;
    timer.cancel();
  }
  asio::steady_timer timer;
  const server::WatchInterest* interest;  // of a watch, as the next one
  std::uint64_t* cursor;
  Wake woken = Wake::kNone;
};

}  // namespace

struct WatchHub::State : std::enable_shared_from_this<State> {
  State(asio::any_io_executor executor, Clock* time, std::uint64_t at)
      : control(executor), clock(time), revision(at), rearm(executor) {}

  asio::any_io_executor control;
  Clock* clock;
  std::uint64_t revision;
  bool closed = false;
  std::size_t watchers = 0;
  std::uint64_t expired = 0;
  std::map<Table*, std::list<Waiter*>> waiting;
  std::multimap<MonoTime, Waiter*> deadlines;
  // The deadline keeper: one sleeper, for the earliest deadline, while there is any.
  bool keeping = false;
  MonoTime kept_until = MonoTime::max();
  Notifier rearm;

  // Waits for a change of `table` that is of interest, other changes moving the cursor meanwhile;
  // without a table for a change of anything.
  static Task<void> wait(std::shared_ptr<State> state, Table* table,
                         const server::WatchInterest* interest, std::uint64_t* cursor,
                         MonoTime deadline);
  void wake(Table* table, const std::vector<const server::StoreEvent*>& events);
  void keep_deadline(MonoTime deadline);
  void wake_due();
  static Task<void> keep(std::shared_ptr<State> state);
};

void WatchHub::State::keep_deadline(MonoTime deadline) {
  if (!keeping) {
    keeping = true;
    asio::co_spawn(control, keep(shared_from_this()), asio::detached);
  } else if (deadline < kept_until) {
    rearm.notify();
  }
}

void WatchHub::State::wake_due() {
  MonoTime now = clock->mono();
  for (auto it = deadlines.begin(); it != deadlines.end() && it->first <= now; ++it) {
    it->second->wake(Wake::kDeadline);
  }
}

Task<void> WatchHub::State::keep(std::shared_ptr<State> state) {
  using namespace asio::experimental::awaitable_operators;  // NOLINT: `||` has no other spelling
  while (!state->closed && !state->deadlines.empty()) {
    state->wake_due();
    auto next = state->deadlines.upper_bound(state->clock->mono());
    if (next == state->deadlines.end()) break;
    state->kept_until = next->first;
    co_await (state->clock->sleep_until(state->kept_until) || state->rearm.wait());
  }
  state->kept_until = MonoTime::max();
  state->keeping = false;
}

Task<void> WatchHub::State::wait(std::shared_ptr<State> state, Table* table,
                                 const server::WatchInterest* interest, std::uint64_t* cursor,
                                 MonoTime deadline) {
  Waiter waiter(state->control, interest, cursor);
  auto& waiting = state->waiting[table];
  auto place = waiting.insert(waiting.end(), &waiter);
  bool bounded = deadline != MonoTime::max();
  auto due = state->deadlines.end();
  if (bounded) {
    due = state->deadlines.emplace(deadline, &waiter);
    state->keep_deadline(deadline);
  }
  struct Removal {
    WatchHub::State& state;
    std::list<Waiter*>& waiting;
    std::list<Waiter*>::iterator place;
    bool bounded;
    std::multimap<MonoTime, Waiter*>::iterator due;
    ~Removal() {
      waiting.erase(place);
      if (bounded) state.deadlines.erase(due);
    }
  } removal{*state, waiting, place, bounded, due};
  boost::system::error_code error;
  co_await waiter.timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (waiter.woken == Wake::kNone && error) throw boost::system::system_error(error);
}

void WatchHub::State::wake(Table* table, const std::vector<const server::StoreEvent*>& events) {
  auto it = waiting.find(table);
  if (it == waiting.end()) return;
  for (Waiter* waiter : it->second) {
    bool concerned =
        !waiter->interest || std::any_of(events.begin(), events.end(), [&](const auto* event) {
          return waiter->interest->covers(*event->object);
        });
    if (concerned) {
      waiter->wake(Wake::kChanged);
    } else if (waiter->woken == Wake::kNone) {
      *waiter->cursor = revision;
    }
  }
}

class Watch final : public server::StoreWatch {
 public:
  Watch(std::shared_ptr<WatchHub::State> state, Table& table, std::uint64_t after,
        server::WatchInterest interest)
      : state_(std::move(state)), table_(table), cursor_(after), interest_(std::move(interest)) {
    ++state_->watchers;
  }
  ~Watch() override { --state_->watchers; }

  std::uint64_t revision() const override { return cursor_; }

  Task<Result<std::vector<server::StoreEvent>>> next(MonoTime deadline) override {
    for (;;) {
      if (state_->closed) co_return fail(Error::unavailable("the store is closed"));
      if (!table_.ring().reaches(cursor_)) {
        ++state_->expired;
        co_return fail(too_old(cursor_, table_.ring().floor()));
      }
      if (table_.ring().any_after(cursor_)) {
        if (auto events = take(); !events.empty()) co_return events;
        continue;
      }
      // Other resources' changes are of no concern here, so the cursor may pass them.
      cursor_ = std::max(cursor_, state_->revision);
      if (deadline <= state_->clock->mono()) co_return std::vector<server::StoreEvent>{};
      co_await WatchHub::State::wait(state_, &table_, &interest_, &cursor_, deadline);
    }
  }

 private:
  std::vector<server::StoreEvent> take() {
    auto events = table_.ring().after(cursor_, kMaxEvents);
    cursor_ = events.back().revision;
    if (!table_.ring().any_after(cursor_)) cursor_ = std::max(cursor_, state_->revision);
    std::erase_if(events, [&](const auto& event) { return !interest_.covers(*event.object); });
    return events;
  }

  std::shared_ptr<WatchHub::State> state_;
  Table& table_;
  std::uint64_t cursor_;
  server::WatchInterest interest_;
};

WatchHub::WatchHub(asio::any_io_executor control, Clock* clock, std::uint64_t revision)
    : state_(std::make_shared<State>(std::move(control), clock, revision)) {}

WatchHub::~WatchHub() {
  close();
}

Result<std::unique_ptr<server::StoreWatch>> WatchHub::watch(Table& table, std::uint64_t after,
                                                            server::WatchInterest interest) {
  if (state_->closed) return fail(Error::unavailable("the store is closed"));
  if (after > state_->revision) return fail(too_large(after, state_->revision));
  if (!table.ring().reaches(after)) {
    ++state_->expired;
    return fail(too_old(after, table.ring().floor()));
  }
  return std::make_unique<Watch>(state_, table, after, std::move(interest));
}

void WatchHub::publish(std::uint64_t revision, const std::vector<Change>& changes) {
  state_->revision = revision;
  std::map<Table*, std::vector<const server::StoreEvent*>> changed;
  for (const Change& change : changes) changed[change.table].push_back(&change.event);
  for (const auto& [table, events] : changed) state_->wake(table, events);
  state_->wake(nullptr, {});
}

Task<bool> WatchHub::reach(std::uint64_t revision, MonoTime deadline) {
  auto state = state_;
  while (!state->closed && state->revision < revision && state->clock->mono() < deadline)
    co_await State::wait(state, nullptr, nullptr, nullptr, deadline);
  co_return state->revision >= revision;
}

std::uint64_t WatchHub::revision() const {
  return state_->revision;
}
std::size_t WatchHub::watchers() const {
  return state_->watchers;
}
std::uint64_t WatchHub::expired() const {
  return state_->expired;
}

void WatchHub::close() {
  if (state_->closed) return;
  state_->closed = true;
  for (auto& [table, waiting] : state_->waiting) {
    for (Waiter* waiter : waiting) waiter->wake(Wake::kChanged);
  }
  state_->rearm.notify();
}

}  // namespace moth::store
