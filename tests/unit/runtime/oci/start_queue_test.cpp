#include "runtime/oci/start_queue.h"

#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>

namespace moth::oci {
namespace {

struct Fixture {
  asio::io_context context{1};
  StartQueue queue{2};
  std::string order;
  int most = 0;
};

Task<void> one(Fixture& fixture, char name, int priority) {
  const StartQueue::Place place = co_await fixture.queue.enter(priority);
  fixture.order += name;
  fixture.most = std::max(fixture.most, fixture.queue.running());
  for (int i = 0; i < 3; ++i) {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
  }
}

TEST(StartQueue, HighestPriorityThenFirstCome) {
  Fixture fixture;
  for (const auto& [name, priority] :
       {std::pair{'a', 0}, {'b', 0}, {'c', 0}, {'d', 5}, {'e', 0}, {'f', 9}}) {
    asio::co_spawn(fixture.context, one(fixture, name, priority), asio::detached);
  }
  fixture.context.run();
  EXPECT_EQ(fixture.order, "abfdce");
  EXPECT_EQ(fixture.most, 2);
  EXPECT_EQ(fixture.queue.running(), 0);
}

TEST(StartQueue, CancelledWaitersLeave) {
  Fixture fixture;
  asio::cancellation_signal signal;
  asio::co_spawn(fixture.context, one(fixture, 'a', 0), asio::detached);
  asio::co_spawn(fixture.context, one(fixture, 'b', 0), asio::detached);
  bool aborted = false;
  asio::co_spawn(fixture.context, one(fixture, 'c', 0),
                 asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr thrown) {
                   aborted = static_cast<bool>(thrown);
                 }));
  asio::co_spawn(fixture.context, one(fixture, 'd', 0), asio::detached);
  asio::post(fixture.context, [&] { signal.emit(asio::cancellation_type::all); });
  fixture.context.run();
  EXPECT_TRUE(aborted);
  EXPECT_EQ(fixture.order, "abd");
  EXPECT_EQ(fixture.queue.running(), 0);
  EXPECT_EQ(fixture.queue.waiting(), 0u);
}

}  // namespace
}  // namespace moth::oci
