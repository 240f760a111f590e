// Clock, Notifier, TaskScope, Executors, await_on.
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>
#include <optional>
#include <stdexcept>
#include <thread>

#include "api/base/await_on.h"
#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/log.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"

namespace moth {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Task<void> sleep_then(Clock& clock, Duration duration, std::vector<int>& order, int id) {
  co_await clock.sleep_for(duration);
  order.push_back(id);
}

TEST(FakeClock, WakesSleepersInTheOrderOfTheirDeadlines) {
  FakeClock clock;
  asio::io_context context;
  std::vector<int> order;
  asio::co_spawn(context, sleep_then(clock, seconds(30), order, 30), asio::detached);
  asio::co_spawn(context, sleep_then(clock, seconds(10), order, 10), asio::detached);
  asio::co_spawn(context, sleep_then(clock, seconds(20), order, 20), asio::detached);
  asio::co_spawn(context, sleep_then(clock, seconds(0), order, 0), asio::detached);
  context.poll();
  EXPECT_EQ(order, std::vector<int>{0});
  MonoTime start = clock.mono();
  WallTime wall = clock.wall();
  EXPECT_EQ(clock.next_deadline(), start + seconds(10));
  clock.advance(milliseconds(9999));
  context.poll();
  EXPECT_EQ(order.size(), 1u);
  clock.advance(seconds(30));
  context.poll();
  EXPECT_EQ(order, (std::vector<int>{0, 10, 20, 30}));
  EXPECT_EQ(clock.next_deadline(), MonoTime::max());
  EXPECT_EQ(clock.wall() - wall, clock.mono() - start);
}

TEST(FakeClock, ACancelledSleeperIsGone) {
  FakeClock clock;
  asio::io_context context;
  std::vector<int> order;
  asio::cancellation_signal signal;
  std::exception_ptr ended;
  asio::co_spawn(context, sleep_then(clock, seconds(1), order, 1),
                 asio::bind_cancellation_slot(signal.slot(),
                                              [&](std::exception_ptr thrown) { ended = thrown; }));
  context.poll();
  signal.emit(asio::cancellation_type::all);
  context.poll();
  EXPECT_TRUE(ended);
  EXPECT_EQ(clock.next_deadline(), MonoTime::max());
  clock.advance(seconds(5));
  context.poll();
  EXPECT_TRUE(order.empty());
}

TEST(RealClock, Sleeps) {
  RealClock clock;
  asio::io_context context;
  std::vector<int> order;
  MonoTime start = clock.mono();
  asio::co_spawn(context, sleep_then(clock, milliseconds(20), order, 1), asio::detached);
  context.run();
  EXPECT_GE(clock.mono() - start, milliseconds(20));
  EXPECT_EQ(order.size(), 1u);
}

Task<void> wait_once(Notifier& notifier, int& woken) {
  co_await notifier.wait();
  ++woken;
}
Task<void> wait_bounded(Notifier& notifier, MonoTime deadline, std::optional<bool>& result) {
  result = co_await notifier.wait_until(deadline);
}

TEST(Notifier, WakesAllThatWait) {
  asio::io_context context;
  Notifier notifier(context.get_executor());
  int woken = 0;
  for (int i = 0; i < 3; ++i) asio::co_spawn(context, wait_once(notifier, woken), asio::detached);
  context.poll();
  EXPECT_EQ(woken, 0);
  notifier.notify();
  context.poll();
  EXPECT_EQ(woken, 3);
}

TEST(Notifier, RemembersOneNotification) {
  asio::io_context context;
  Notifier notifier(context.get_executor());
  notifier.notify();
  notifier.notify();
  int woken = 0;
  asio::co_spawn(context, wait_once(notifier, woken), asio::detached);
  context.poll();
  EXPECT_EQ(woken, 1);
  asio::co_spawn(context, wait_once(notifier, woken), asio::detached);
  context.poll();
  EXPECT_EQ(woken, 1);
  notifier.notify();
  context.restart();
  context.poll();
  EXPECT_EQ(woken, 2);
}

TEST(Notifier, TellsADeadlineFromANotification) {
  asio::io_context context;
  Notifier notifier(context.get_executor());
  std::optional<bool> late, notified;
  asio::co_spawn(context,
                 wait_bounded(notifier, std::chrono::steady_clock::now() + milliseconds(10), late),
                 asio::detached);
  context.run();
  EXPECT_EQ(late, false);
  context.restart();
  asio::co_spawn(context,
                 wait_bounded(notifier, std::chrono::steady_clock::now() + seconds(60), notified),
                 asio::detached);
  context.poll();
  notifier.notify();
  context.run();
  EXPECT_EQ(notified, true);
}

TEST(Notifier, WaitersOutliveIt) {
  asio::io_context context;
  auto notifier = std::make_unique<Notifier>(context.get_executor());
  std::optional<bool> result;
  asio::co_spawn(context, wait_bounded(*notifier, MonoTime::max(), result), asio::detached);
  context.poll();
  notifier.reset();
  context.poll();
  EXPECT_EQ(result, true);
}

Task<void> note(int& count) {
  ++count;
  co_return;
}
Task<void> throw_now() {
  throw std::runtime_error("on purpose");
  co_return;
}
Task<void> join(TaskScope& scope, bool& joined) {
  co_await scope.join();
  joined = true;
}

TEST(TaskScope, CancelsAndJoins) {
  asio::io_context context;
  FakeClock clock;
  std::vector<int> order;
  TaskScope scope(context.get_executor());
  for (int i = 0; i < 5; ++i) scope.spawn("sleeper", sleep_then(clock, seconds(1), order, i));
  context.poll();
  EXPECT_EQ(scope.running(), 5u);
  bool joined = false;
  asio::co_spawn(context, join(scope, joined), asio::detached);
  context.poll();
  EXPECT_FALSE(joined);
  EXPECT_FALSE(scope.cancelled());
  scope.cancel();
  context.poll();
  EXPECT_TRUE(joined);
  EXPECT_TRUE(order.empty());
  EXPECT_EQ(scope.running(), 0u);
  int count = 0;
  scope.spawn("too late", note(count));
  context.restart();
  context.poll();
  EXPECT_EQ(count, 0);
}

TEST(TaskScope, JoinOfAnEmptyOneIsImmediateAndTasksThatThrowEnd) {
  log::set_level(log::Level::kOff);
  asio::io_context context;
  TaskScope scope(context.get_executor());
  bool joined = false;
  asio::co_spawn(context, join(scope, joined), asio::detached);
  context.poll();
  EXPECT_TRUE(joined);
  scope.spawn("thrower", throw_now());
  context.restart();
  context.poll();
  EXPECT_EQ(scope.running(), 0u);
}

Task<void> cancel_at_once(TaskScope& scope) {
  scope.cancel();
  co_return;
}

TEST(TaskScope, ATaskMayCancelItsOwnScopeWithoutEverWaiting) {
  asio::io_context context;
  TaskScope scope(context.get_executor());
  asio::post(context, [&] { scope.spawn("canceller", cancel_at_once(scope)); });
  EXPECT_NO_THROW(context.run());
  EXPECT_EQ(scope.running(), 0u);
}

Task<void> tour(Executors& executors, std::vector<std::thread::id>& ids, std::string& caught) {
  auto here = [] { return std::this_thread::get_id(); };
  ids.push_back(here());
  ids.push_back(co_await call_on(executors.io(), here));
  ids.push_back(here());
  ids.push_back(co_await call_on(executors.blocking(), here));
  ids.push_back(here());
  try {
    co_await run_on(executors.blocking(), [] { throw std::runtime_error("from the worker"); });
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }
  executors.stop();
}

TEST(Executors, CallsGoThereAndComeBack) {
  Executors executors(2);
  std::vector<std::thread::id> ids;
  std::string caught;
  asio::co_spawn(executors.control(), tour(executors, ids, caught), asio::detached);
  executors.run();
  ASSERT_EQ(ids.size(), 5u);
  auto control = std::this_thread::get_id();
  EXPECT_EQ(ids[0], control);
  EXPECT_NE(ids[1], control);
  EXPECT_EQ(ids[2], control);
  EXPECT_NE(ids[3], control);
  EXPECT_NE(ids[3], ids[1]);
  EXPECT_EQ(ids[4], control);
  EXPECT_EQ(caught, "from the worker");
}

Task<std::thread::id> where() {
  co_return std::this_thread::get_id();
}
Task<int> throws() {
  throw std::runtime_error("over there");
  co_return 0;
}
Task<void> visit(Executors& executors, std::thread::id& there, std::string& caught) {
  there = co_await await_on(executors.io(), where());
  try {
    co_await await_on(executors.io(), throws());
  } catch (const std::runtime_error& error) {
    caught = error.what();
  }
  EXPECT_EQ(co_await await_on(executors.control(), where()), std::this_thread::get_id());
  executors.stop();
}

TEST(AwaitOn, RunsThereAndPassesErrorsOn) {
  Executors executors;
  std::thread::id there;
  std::string caught;
  asio::co_spawn(executors.control(), visit(executors, there, caught), asio::detached);
  executors.run();
  EXPECT_NE(there, std::this_thread::get_id());
  EXPECT_NE(there, std::thread::id());
  EXPECT_EQ(caught, "over there");
}

Task<void> sleep_there(Executors& executors, Clock& clock, bool& aborted) {
  try {
    co_await await_on(executors.io(), clock.sleep_for(std::chrono::hours(1)));
  } catch (const boost::system::system_error& error) {
    aborted = error.code() == asio::error::operation_aborted;
  }
}
Task<void> cancel_soon(TaskScope& scope, Executors& executors) {
  RealClock clock;
  co_await clock.sleep_for(milliseconds(10));
  scope.cancel();
  co_await scope.join();
  executors.stop();
}

TEST(AwaitOn, CancellationReachesTheOtherSide) {
  Executors executors;
  RealClock clock;
  bool aborted = false;
  TaskScope scope(executors.control());
  scope.spawn("sleeper", sleep_there(executors, clock, aborted));
  asio::co_spawn(executors.control(), cancel_soon(scope, executors), asio::detached);
  executors.run();
  EXPECT_TRUE(aborted);
}

}  // namespace
}  // namespace moth
