// Reads of earlier revisions, waiting for later ones, and what history keeps in memory.
#include "tests/unit/daemon/store/fixture.h"

namespace moth::store {
namespace {

class HistoryTest : public StoreTest {
 protected:
  void SetUp() override { ASSERT_TRUE(open(memory_options())); }

  std::vector<std::string> names_at(std::uint64_t revision, const std::string& ns = "") {
    auto listed = store->list_at(pods(), ns, revision);
    EXPECT_TRUE(listed) << listed.error().message;
    std::vector<std::string> names;
    if (!listed) return names;
    EXPECT_EQ(listed->revision, revision);
    for (const ObjectPtr& object : listed->objects)
      names.push_back(object->meta().key() + "=" +
                      std::to_string(object->parse()["spec"]["value"].get<int>()));
    return names;
  }
};

TEST_F(HistoryTest, ListsAsOfAnyRevisionInTheRing) {
  using Names = std::vector<std::string>;
  ASSERT_TRUE(create("b", "x", 1));  // 2
  ASSERT_TRUE(create("a", "y", 1));  // 3
  ASSERT_TRUE(update("b", "x", 2));  // 4
  ASSERT_TRUE(remove("a", "y"));     // 5
  ASSERT_TRUE(create("a", "y", 9));  // 6
  EXPECT_EQ(names_at(1), Names{});
  EXPECT_EQ(names_at(2), Names{"b/x=1"});
  EXPECT_EQ(names_at(3), (Names{"a/y=1", "b/x=1"}));
  EXPECT_EQ(names_at(4), (Names{"a/y=1", "b/x=2"}));
  EXPECT_EQ(names_at(5), Names{"b/x=2"});
  EXPECT_EQ(names_at(6), (Names{"a/y=9", "b/x=2"}));
  EXPECT_EQ(names_at(4, "a"), Names{"a/y=1"});
}

TEST_F(HistoryTest, WhatTheRingForgotIsExpired) {
  auto with = memory_options();
  with.ring_events = 10;
  ASSERT_TRUE(open(std::move(with)));
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(create("default", "p" + std::to_string(i)));
  auto listed = store->list_at(pods(), "", 2);
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().reason, Reason::kExpired);
  EXPECT_EQ(names_at(13).size(), 12u);
  EXPECT_EQ(names_at(3).size(), 2u);
}

TEST_F(HistoryTest, WaitsForARevision) {
  EXPECT_TRUE(loop.run(store->reach(1, clock->mono())));
  std::optional<bool> reached;
  auto wait = [&](std::uint64_t revision, MonoTime deadline) -> Task<void> {
    reached = co_await store->reach(revision, deadline);
  };
  loop.spawn(wait(3, clock->mono() + std::chrono::seconds(3)), [](std::exception_ptr) {});
  ASSERT_TRUE(create("default", "a"));
  loop.poll();
  EXPECT_FALSE(reached);
  ASSERT_TRUE(finish(store->stage_create(deployments(), make_pod("d", "x"), Durability::kLazy)));
  ASSERT_TRUE(loop.run_until([&] { return reached.has_value(); }));
  EXPECT_TRUE(*reached);

  reached.reset();
  loop.spawn(wait(100, clock->mono() + std::chrono::seconds(3)), [](std::exception_ptr) {});
  loop.poll();
  clock->advance(std::chrono::seconds(3));
  ASSERT_TRUE(loop.run_until([&] { return reached.has_value(); }));
  EXPECT_FALSE(*reached);
}

struct CountedView {
  explicit CountedView(const Object&) { ++alive; }
  ~CountedView() { --alive; }
  CountedView(const CountedView&) = delete;
  CountedView& operator=(const CountedView&) = delete;
  static inline int alive = 0;
};

TEST_F(HistoryTest, SupersededVersionsLoseTheirViewsUnlessHeld) {
  ASSERT_TRUE(create("default", "a"));
  ObjectPtr held;
  for (int i = 1; i <= 100; ++i) {
    ObjectPtr current = store->get(pods(), "default", "a");
    (void)current->view<CountedView>();
    if (i == 50) held = current;
    current.reset();
    ASSERT_TRUE(update("default", "a", i));
  }
  // Those of the latest changes and the one that is held.
  EXPECT_LE(CountedView::alive, 34);
  EXPECT_GE(CountedView::alive, 30);
  (void)held->view<CountedView>();
  EXPECT_LE(CountedView::alive, 34);
  // The texts are all there.
  auto watch = store->watch(pods(), 2);
  ASSERT_TRUE(watch);
  auto events = loop.run((*watch)->next(MonoTime::max()));
  ASSERT_TRUE(events);
  EXPECT_EQ(events->size(), 100u);
  EXPECT_EQ(events->front().previous->parse()["spec"]["value"], 0);
}

}  // namespace
}  // namespace moth::store
