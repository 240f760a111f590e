// Watches: order, completeness, deadlines, expiry, cancellation, the end of the store.
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include "tests/unit/daemon/store/fixture.h"

namespace moth::store {
namespace {

using Events = std::vector<server::StoreEvent>;

class WatchTest : public StoreTest {
 protected:
  void SetUp() override { ASSERT_TRUE(open(memory_options())); }

  std::unique_ptr<server::StoreWatch> watch(std::uint64_t after,
                                            server::WatchInterest interest = {}) {
    auto made = store->watch(pods(), after, std::move(interest));
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }

  static Task<void> collect(server::StoreWatch& watch, MonoTime deadline,
                            std::optional<Result<Events>>& out) {
    out = co_await watch.next(deadline);
  }
  void start(server::StoreWatch& watch, MonoTime deadline, std::optional<Result<Events>>& out) {
    loop.spawn(collect(watch, deadline, out), [](std::exception_ptr) {});
    loop.poll();
  }
};

TEST_F(WatchTest, DeliversWhatCameAfterTheRevision) {
  ASSERT_TRUE(create("default", "a"));
  ASSERT_TRUE(create("default", "b"));
  ASSERT_TRUE(update("default", "a", 1));
  ASSERT_TRUE(remove("default", "b"));
  auto from_two = watch(2);
  auto events = *loop.run(from_two->next(MonoTime::max()));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].type, EventType::kAdded);
  EXPECT_EQ(events[0].previous, nullptr);
  EXPECT_EQ(events[1].type, EventType::kModified);
  EXPECT_EQ(events[1].previous->meta().resource_version, 2u);
  EXPECT_EQ(events[2].type, EventType::kDeleted);
  EXPECT_EQ(events[2].revision, 5u);
  EXPECT_EQ(events[2].object->meta().resource_version, 5u);
  EXPECT_EQ(from_two->revision(), 5u);
}

TEST_F(WatchTest, WaitsAndWakesAllWatchers) {
  std::vector<std::unique_ptr<server::StoreWatch>> watches;
  std::vector<std::optional<Result<Events>>> results(20);
  for (auto& result : results) {
    watches.push_back(watch(1));
    start(*watches.back(), MonoTime::max(), result);
    EXPECT_FALSE(result);
  }
  ASSERT_TRUE(create("default", "a", 0, Durability::kLazy));
  ASSERT_TRUE(loop.run_until([&] { return results.back().has_value(); }));
  for (auto& result : results) {
    ASSERT_TRUE(result && *result);
    ASSERT_EQ((*result)->size(), 1u);
    EXPECT_EQ((**result)[0].object, store->get(pods(), "default", "a"));
  }
}

TEST_F(WatchTest, OtherResourcesMoveOnlyTheBookmark) {
  auto idle = watch(1);
  std::optional<Result<Events>> result;
  start(*idle, clock->mono() + std::chrono::seconds(10), result);
  ASSERT_TRUE(finish(store->stage_create(deployments(), make_pod("d", "x"), Durability::kDurable)));
  EXPECT_FALSE(result);
  clock->advance(std::chrono::seconds(10));
  ASSERT_TRUE(loop.run_until([&] { return result.has_value(); }));
  ASSERT_TRUE(*result);
  EXPECT_TRUE((*result)->empty());
  EXPECT_EQ(idle->revision(), 2u);
}

TEST_F(WatchTest, DeadlinesFireInAnyOrder) {
  std::vector<std::unique_ptr<server::StoreWatch>> watches;
  std::vector<std::optional<Result<Events>>> results(3);
  int seconds[] = {30, 10, 20};
  for (std::size_t i = 0; i < 3; ++i) {
    watches.push_back(watch(1));
    start(*watches[i], clock->mono() + std::chrono::seconds(seconds[i]), results[i]);
  }
  for (std::size_t expected : {1, 2, 0}) {
    clock->advance(std::chrono::seconds(10));
    ASSERT_TRUE(loop.run_until([&] { return results[expected].has_value(); })) << expected;
  }
  // And again after the sleeper had nothing to do.
  std::optional<Result<Events>> later;
  start(*watches[0], clock->mono() + std::chrono::seconds(5), later);
  clock->advance(std::chrono::seconds(5));
  ASSERT_TRUE(loop.run_until([&] { return later.has_value(); }));
  // A deadline that has passed only looks.
  auto passed = loop.run(watches[0]->next(clock->mono()));
  ASSERT_TRUE(passed);
  EXPECT_TRUE(passed->empty());
}

TEST_F(WatchTest, TheSlowAreToldExpired) {
  auto with = memory_options();
  with.ring_events = 10;
  ASSERT_TRUE(open(std::move(with)));
  auto slow = watch(1);
  for (int i = 0; i < 11; ++i) ASSERT_TRUE(create("default", "p" + std::to_string(i)));
  auto late = loop.run(slow->next(MonoTime::max()));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().reason, Reason::kExpired);
  EXPECT_EQ(late.error().message, "too old resource version: 1 (2)");
  auto too_old = store->watch(pods(), 1);
  ASSERT_FALSE(too_old);
  EXPECT_EQ(too_old.error().code(), 410);
  EXPECT_EQ(loop.run(watch(2)->next(MonoTime::max()))->size(), 10u);
  // Other resources are not touched by it.
  EXPECT_TRUE(store->watch(deployments(), 1));
}

TEST_F(WatchTest, WhatIsOfNoInterestMovesTheCursorAndWakesNobody) {
  auto with = memory_options();
  with.ring_events = 10;
  ASSERT_TRUE(open(std::move(with)));
  auto of_namespace = watch(1, {"mine", ""});
  auto of_name = watch(1, {"mine", "b"});
  std::optional<Result<Events>> first, second;
  start(*of_namespace, MonoTime::max(), first);
  start(*of_name, MonoTime::max(), second);
  // More than the ring holds.
  for (int i = 0; i < 30; ++i) ASSERT_TRUE(create("other", "p" + std::to_string(i)));
  EXPECT_FALSE(first);
  EXPECT_EQ(of_namespace->revision(), store->revision());
  ASSERT_TRUE(create("mine", "a"));
  ASSERT_TRUE(loop.run_until([&] { return first.has_value(); }));
  ASSERT_TRUE(*first);
  EXPECT_EQ((*first)->size(), 1u);
  EXPECT_EQ((*first)->front().object->name(), "a");
  EXPECT_FALSE(second);
  ASSERT_TRUE(create("mine", "b"));
  ASSERT_TRUE(loop.run_until([&] { return second.has_value(); }));
  ASSERT_TRUE(*second);
  EXPECT_EQ((*second)->front().object->name(), "b");

  // Of what has happened already, too, only what is of interest is handed out.
  ASSERT_TRUE(create("other", "late"));
  ASSERT_TRUE(create("mine", "c"));
  auto rest = loop.run(of_namespace->next(MonoTime::max()));
  ASSERT_TRUE(rest);
  ASSERT_EQ(rest->size(), 2u);
  EXPECT_EQ(rest->back().object->name(), "c");
  EXPECT_EQ(of_namespace->revision(), store->revision());
}

TEST_F(WatchTest, TheRingIsBoundedInBytes) {
  auto with = memory_options();
  with.ring_bytes = 20'000;
  ASSERT_TRUE(open(std::move(with)));
  Json big = make_pod("default", "big");
  big["spec"]["text"] = std::string(3000, 'x');
  ASSERT_TRUE(finish(store->stage_create(pods(), big, Durability::kLazy)));
  for (int i = 0; i < 50; ++i) {
    big["spec"]["value"] = i + 1;
    ASSERT_TRUE(finish(store->stage_update(pods(), big, store->latest(pods(), "default", "big"),
                                           Durability::kLazy)));
  }
  EXPECT_FALSE(store->watch(pods(), 2));
  EXPECT_TRUE(store->watch(pods(), store->revision() - 3));
}

TEST_F(WatchTest, RevisionsToComeAreRefusedAsUpstreamDoes) {
  auto future = store->watch(pods(), 99);
  ASSERT_FALSE(future);
  EXPECT_EQ(future.error().reason, Reason::kTimeout);
  EXPECT_EQ(future.error().causes.at(0).reason, "ResourceVersionTooLarge");
}

TEST_F(WatchTest, ManyEventsComeInPieces) {
  std::vector<server::StagedWritePtr> writes;
  for (int i = 0; i < 2000; ++i) {
    writes.push_back(
        *store->stage_create(pods(), make_pod("d", std::to_string(i)), Durability::kLazy));
  }
  ASSERT_TRUE(loop.run(writes.back()->committed()));
  auto all = watch(1);
  std::uint64_t expected = 1;
  while (expected < 2001) {
    auto events = *loop.run(all->next(MonoTime::max()));
    for (const auto& event : events) ASSERT_EQ(event.revision, ++expected);
    ASSERT_EQ(all->revision(), expected);
  }
}

TEST_F(WatchTest, AfterACrashOldRevisionsAreExpiredAfterACleanStopTheLastIsNot) {
  ASSERT_TRUE(create("default", "a"));
  std::uint64_t last = store->revision();
  ASSERT_TRUE(loop.run(store->close()));
  ASSERT_TRUE(open(memory_options()));
  EXPECT_TRUE(store->watch(pods(), last));
  EXPECT_FALSE(store->watch(pods(), last - 1));
  ASSERT_TRUE(create("default", "b"));
  last = store->revision();
  ASSERT_TRUE(open(memory_options()));
  auto old = store->watch(pods(), last);
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().reason, Reason::kExpired);
}

TEST_F(WatchTest, CanBeCancelledAndGoesOn) {
  auto cancelled = watch(1);
  asio::cancellation_signal signal;
  std::optional<Result<Events>> result;
  bool ended = false;
  asio::co_spawn(loop.executor(),
                 collect(*cancelled, clock->mono() + std::chrono::hours(1), result),
                 asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr thrown) {
                   EXPECT_TRUE(thrown);
                   ended = true;
                 }));
  loop.poll();
  signal.emit(asio::cancellation_type::all);
  ASSERT_TRUE(loop.run_until([&] { return ended; }));
  EXPECT_FALSE(result);
  ASSERT_TRUE(create("default", "a"));
  EXPECT_EQ(loop.run(cancelled->next(MonoTime::max()))->size(), 1u);
}

TEST_F(WatchTest, EndsWithTheStore) {
  auto waiting = watch(1);
  std::optional<Result<Events>> result;
  start(*waiting, clock->mono() + std::chrono::hours(1), result);
  ASSERT_TRUE(loop.run(store->close()));
  ASSERT_TRUE(loop.run_until([&] { return result.has_value(); }));
  EXPECT_EQ(result->error().reason, Reason::kServiceUnavailable);
  store.reset();
  EXPECT_FALSE(loop.run(waiting->next(MonoTime::max())));
}

TEST_F(WatchTest, AListenerThatWritesIsPublishedAfterwards) {
  bool written = false;
  store->subscribe(pods(), [&](const server::StoreEvent& event) {
    if (event.object->name() == "a" && !written) {
      written =
          store->stage_create(pods(), make_pod("default", "b"), Durability::kDurable).has_value();
    }
  });
  auto all = watch(1);
  ASSERT_TRUE(create("default", "a"));
  ASSERT_TRUE(loop.run_until([&] { return store->get(pods(), "default", "b") != nullptr; }));
  auto events = *loop.run(all->next(MonoTime::max()));
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].object->name(), "b");
}

}  // namespace
}  // namespace moth::store
