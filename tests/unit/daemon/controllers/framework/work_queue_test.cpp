#include "daemon/controllers/framework/work_queue.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <vector>

namespace moth::controllers {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class WorkQueueTest : public testing::Test {
 protected:
  ~WorkQueueTest() override {
    asio::co_spawn(context, queue.stop(), asio::detached);
    context.poll();
  }
  // The keys that are ready, each taken and done at once.
  std::vector<std::string> drain() {
    std::vector<std::string> keys;
    context.restart();
    context.poll();
    while (queue.size() > 0) {
      asio::co_spawn(context, take_one(keys), asio::detached);
      context.restart();
      context.poll();
    }
    return keys;
  }
  Task<void> take_one(std::vector<std::string>& keys) {
    Key key = co_await queue.take();
    keys.push_back(key.text());
    queue.done(key);
  }
  void advance(Duration duration) {
    clock.advance(duration);
    context.restart();
    context.poll();
  }

  FakeClock clock;
  asio::io_context context;
  WorkQueue queue{context.get_executor(), clock};
};

using Keys = std::vector<std::string>;

TEST_F(WorkQueueTest, KeysComeOnceInOrder) {
  queue.add({"a", "1"});
  queue.add({"", "node"});
  queue.add({"a", "1"});
  EXPECT_EQ(drain(), (Keys{"a/1", "node"}));
  EXPECT_TRUE(queue.idle());
}

TEST_F(WorkQueueTest, KeyAddedWhileWorkedOnComesAgainAfterwards) {
  Key key{"a", "1"};
  queue.add(key);
  Key taken;
  asio::co_spawn(
      context,
      [](WorkQueue& from, Key& to) -> Task<void> { to = co_await from.take(); }(queue, taken),
      asio::detached);
  context.poll();
  ASSERT_EQ(taken, key);
  queue.add(key);
  queue.add(key);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_FALSE(queue.idle());
  queue.done(key);
  EXPECT_EQ(drain(), (Keys{"a/1"}));
}

TEST_F(WorkQueueTest, EarlierTimeWins) {
  queue.add_after({"a", "1"}, seconds(10));
  queue.add_after({"a", "1"}, seconds(2));
  queue.add_after({"a", "1"}, seconds(5));
  context.poll();
  advance(seconds(1));
  EXPECT_EQ(drain(), Keys{});
  advance(seconds(1));
  EXPECT_EQ(drain(), (Keys{"a/1"}));
  advance(seconds(20));
  EXPECT_EQ(drain(), Keys{});
}

TEST_F(WorkQueueTest, FailuresBackOffUntilForgotten) {
  Key key{"a", "1"};
  for (milliseconds wait : {milliseconds(5), milliseconds(10), milliseconds(20)}) {
    queue.add_failed(key);
    context.restart();
    context.poll();
    advance(wait - milliseconds(1));
    EXPECT_EQ(drain(), Keys{});
    advance(milliseconds(1));
    EXPECT_EQ(drain(), (Keys{"a/1"}));
  }
  EXPECT_EQ(queue.failures(key), 3);
  queue.forget(key);
  queue.add_failed(key);
  context.restart();
  context.poll();
  advance(milliseconds(5));
  EXPECT_EQ(drain(), (Keys{"a/1"}));
}

TEST(BackoffTest, DoublesUpToItsMaximum) {
  Backoff backoff;
  EXPECT_EQ(backoff.of(1), milliseconds(5));
  EXPECT_EQ(backoff.of(2), milliseconds(10));
  EXPECT_EQ(backoff.of(18), milliseconds(655'360));
  EXPECT_EQ(backoff.of(19), seconds(1000));
  EXPECT_EQ(backoff.of(1'000'000), seconds(1000));
}

}  // namespace
}  // namespace moth::controllers
