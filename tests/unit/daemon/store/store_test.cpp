// The store over the memory backend: what is staged, committed, published, flushed and refused.
#include "daemon/store/store.h"

#include "tests/unit/daemon/store/fixture.h"

namespace moth::store {
namespace {

class MemoryStoreTest : public StoreTest {
 protected:
  void SetUp() override { ASSERT_TRUE(open(memory_options())); }
};

TEST_F(MemoryStoreTest, StartsAtOneSinceZeroMeansAnyToClients) {
  EXPECT_EQ(store->revision(), 1u);
  EXPECT_EQ(store->list(pods(), "").revision, 1u);
  EXPECT_EQ(disk->commits(), 0);
}

TEST_F(MemoryStoreTest, CreatesWithTheRevisionInTheText) {
  auto created = create("default", "a", 7);
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ((*created)->meta().resource_version, 2u);
  EXPECT_EQ((*created)->parse()["metadata"]["resourceVersion"], "2");
  EXPECT_EQ(store->get(pods(), "default", "a"), *created);
  EXPECT_EQ(store->revision(), 2u);
  EXPECT_EQ(store->get(pods(), "other", "a"), nullptr);
  EXPECT_EQ(disk->rows().size(), 1u);
}

TEST_F(MemoryStoreTest, StagedStateIsSeenByWritersOnly) {
  auto staged = store->stage_create(pods(), make_pod("default", "a"), Durability::kDurable);
  ASSERT_TRUE(staged);
  EXPECT_EQ(store->get(pods(), "default", "a"), nullptr);
  EXPECT_EQ(store->count(pods()), 0u);
  EXPECT_EQ(store->revision(), 1u);
  EXPECT_EQ(store->latest(pods(), "default", "a"), (*staged)->object());

  auto deleted = store->stage_delete(pods(), (*staged)->object(), Durability::kDurable);
  ASSERT_TRUE(deleted);
  EXPECT_EQ(store->latest(pods(), "default", "a"), nullptr);
  auto again = store->stage_create(pods(), make_pod("default", "a", 1), Durability::kDurable);
  ASSERT_TRUE(again);
  ASSERT_TRUE(loop.run((*staged)->committed()));
  EXPECT_EQ(store->revision(), 4u);
  EXPECT_EQ(store->get(pods(), "default", "a"), (*again)->object());
  EXPECT_EQ(disk->commits(), 1);
}

TEST_F(MemoryStoreTest, RefusesWhatExistsWhatDoesNotAndWhatIsStale) {
  auto first = *create("default", "a");
  auto exists = create("default", "a");
  ASSERT_FALSE(exists);
  EXPECT_EQ(exists.error().reason, Reason::kAlreadyExists);
  EXPECT_EQ(exists.error().message, "pods \"a\" already exists");

  ASSERT_TRUE(update("default", "a", 1));
  auto stale =
      store->stage_update(pods(), make_pod("default", "a", 2), first, Durability::kDurable);
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().reason, Reason::kConflict);
  auto stale_delete = store->stage_delete(pods(), first, Durability::kDurable);
  ASSERT_FALSE(stale_delete);
  EXPECT_EQ(stale_delete.error().reason, Reason::kConflict);

  ASSERT_TRUE(remove("default", "a"));
  auto gone = store->stage_update(pods(), make_pod("default", "a", 2), first, Durability::kDurable);
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().reason, Reason::kNotFound);
  EXPECT_EQ(gone.error().message, "pods \"a\" not found");
}

TEST_F(MemoryStoreTest, ConflictsAreJudgedByThePendingVersion) {
  auto first = *create("default", "a");
  auto second =
      store->stage_update(pods(), make_pod("default", "a", 1), first, Durability::kDurable);
  ASSERT_TRUE(second);
  auto lost = store->stage_update(pods(), make_pod("default", "a", 2), first, Durability::kDurable);
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().reason, Reason::kConflict);
  auto third = store->stage_update(pods(), make_pod("default", "a", 3), (*second)->object(),
                                   Durability::kDurable);
  ASSERT_TRUE(third);
  ASSERT_TRUE(loop.run((*third)->committed()));
  EXPECT_EQ(value_of("default", "a"), 3);
}

TEST_F(MemoryStoreTest, AnEqualObjectIsNoWrite) {
  auto first = *create("default", "a", 5);
  int commits = disk->commits();
  auto same = update("default", "a", 5);
  ASSERT_TRUE(same);
  EXPECT_EQ(*same, first);
  EXPECT_EQ(store->revision(), 2u);
  EXPECT_EQ(disk->commits(), commits);
}

TEST_F(MemoryStoreTest, AnEqualObjectWaitsForThePendingVersion) {
  disk->hold();
  auto staged = store->stage_create(pods(), make_pod("default", "a"), Durability::kDurable);
  loop.poll();
  disk->await_held();
  auto same =
      store->stage_update(pods(), make_pod("default", "a"), (*staged)->object(), Durability::kLazy);
  ASSERT_TRUE(same);
  EXPECT_EQ((*same)->object(), (*staged)->object());
  disk->fail_commit(1, Error::internal("boom"));
  disk->release();
  EXPECT_FALSE(loop.run((*same)->committed()));
}

TEST_F(MemoryStoreTest, ListsInTheOrderOfNamespaceAndName) {
  for (auto [ns, name] : {std::pair{"b", "x"}, {"a", "y"}, {"a-b", "z"}, {"a", "x"}}) {
    ASSERT_TRUE(create(ns, name));
  }
  std::vector<std::string> keys;
  for (const auto& object : store->list(pods(), "").objects) keys.push_back(object->meta().key());
  EXPECT_EQ(keys, (std::vector<std::string>{"a/x", "a/y", "a-b/z", "b/x"}));
  EXPECT_EQ(store->list(pods(), "a").objects.size(), 2u);
  EXPECT_EQ(store->list(pods(), "c").objects.size(), 0u);
  EXPECT_EQ(store->count(pods()), 4u);
  EXPECT_EQ(store->count(deployments()), 0u);
}

TEST_F(MemoryStoreTest, VersionsOfOneResourceShareATable) {
  const auto& v1 = *registry->find("autoscaling", "v1", "horizontalpodautoscalers");
  const auto& v2 = *registry->find("autoscaling", "v2", "horizontalpodautoscalers");
  ASSERT_TRUE(finish(store->stage_create(v1, make_pod("default", "a"), Durability::kDurable)));
  EXPECT_NE(store->get(v2, "default", "a"), nullptr);
  EXPECT_TRUE(disk->rows().contains({"horizontalpodautoscalers.autoscaling", "default", "a"}));
}

TEST_F(MemoryStoreTest, WritesPileUpBehindACommitAndShareTheNext) {
  disk->hold();
  std::vector<server::StagedWritePtr> writes;
  auto stage = [&](int i) {
    auto staged = store->stage_create(pods(), make_pod("default", "p" + std::to_string(i)),
                                      Durability::kDurable);
    ASSERT_TRUE(staged);
    writes.push_back(std::move(*staged));
  };
  stage(0);
  loop.poll();
  disk->await_held();
  for (int i = 1; i <= 100; ++i) stage(i);
  loop.poll();
  EXPECT_EQ(store->count(pods()), 0u);
  disk->release();
  ASSERT_TRUE(loop.run(writes.back()->committed()));
  EXPECT_EQ(disk->commits(), 2);
  EXPECT_EQ(store->count(pods()), 101u);
  EXPECT_EQ(store->revision(), 102u);
}

TEST_F(MemoryStoreTest, TooManyWaitingBytesAreRefused) {
  auto with = memory_options();
  with.pending_bytes = 1000;
  ASSERT_TRUE(open(std::move(with)));
  disk->hold();
  Json big = make_pod("default", "big");
  big["spec"]["text"] = std::string(2000, 'x');
  auto staged = store->stage_create(pods(), big, Durability::kDurable);
  ASSERT_TRUE(staged);
  auto refused = store->stage_create(pods(), make_pod("default", "b"), Durability::kDurable);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kTooManyRequests);
  EXPECT_EQ(refused.error().retry_after_seconds, 1);
  disk->release();
  ASSERT_TRUE(loop.run((*staged)->committed()));
  EXPECT_TRUE(create("default", "b"));
}

TEST_F(MemoryStoreTest, ListenersHearOfEveryCommitInOrder) {
  std::vector<std::string> heard;
  store->subscribe(pods(), [&](const server::StoreEvent& event) {
    // The batch is published before its listeners run.
    EXPECT_GE(store->revision(), event.revision);
    heard.push_back(std::to_string(event.revision) + event.object->name() +
                    (event.previous ? "+" : "-") + std::to_string(static_cast<int>(event.type)));
  });
  ASSERT_TRUE(create("default", "a"));
  ASSERT_TRUE(update("default", "a", 1));
  ASSERT_TRUE(remove("default", "a"));
  ASSERT_TRUE(finish(store->stage_create(deployments(), make_pod("d", "x"), Durability::kDurable)));
  EXPECT_EQ(heard, (std::vector<std::string>{"2a-0", "3a+1", "4a+2"}));
}

TEST_F(MemoryStoreTest, ADeletedObjectCarriesTheRevisionOfItsDeletion) {
  ASSERT_TRUE(create("default", "a", 3));
  auto deleted = remove("default", "a");
  ASSERT_TRUE(deleted);
  EXPECT_EQ((*deleted)->meta().resource_version, 3u);
  EXPECT_EQ((*deleted)->parse()["spec"]["value"], 3);
  EXPECT_EQ(store->get(pods(), "default", "a"), nullptr);
  EXPECT_TRUE(disk->rows().empty());
}

// Durability.

TEST_F(MemoryStoreTest, LazyWritesAreFlushedOnceAfterTheInterval) {
  ASSERT_TRUE(create("default", "a"));
  int commits = disk->commits();
  for (int i = 1; i <= 50; ++i) ASSERT_TRUE(update("default", "a", i, Durability::kLazy));
  EXPECT_EQ(value_of("default", "a"), 50);
  EXPECT_EQ(store->revision(), 52u);
  EXPECT_EQ(disk->commits(), commits);
  clock->advance(std::chrono::seconds(299));
  loop.poll();
  EXPECT_EQ(disk->commits(), commits);
  clock->advance(std::chrono::seconds(1));
  ASSERT_TRUE(loop.run_until([&] { return disk->commits() == commits + 1; }));
  EXPECT_NE(disk->rows().begin()->second.find("\"value\":50"), std::string::npos);
  // Idle: nothing is armed any more.
  loop.poll();
  clock->advance(std::chrono::hours(24));
  loop.poll();
  EXPECT_EQ(disk->commits(), commits + 1);
}

TEST_F(MemoryStoreTest, ACrashLosesOnlyTheLazyPart) {
  ASSERT_TRUE(create("default", "a", 1));
  ASSERT_TRUE(update("default", "a", 2, Durability::kLazy));
  ASSERT_TRUE(create("default", "lazy", 1, Durability::kLazy));
  std::uint64_t seen = store->revision();
  ASSERT_TRUE(open(memory_options()));
  EXPECT_EQ(value_of("default", "a"), 1);
  EXPECT_EQ(store->get(pods(), "default", "lazy"), nullptr);
  EXPECT_GE(store->revision(), seen);
}

TEST_F(MemoryStoreTest, ALazyUpdateOfAPendingCreateDoesNotUndoIt) {
  auto created = store->stage_create(pods(), make_pod("default", "a", 1), Durability::kDurable);
  auto updated = store->stage_update(pods(), make_pod("default", "a", 2), (*created)->object(),
                                     Durability::kLazy);
  ASSERT_TRUE(loop.run((*updated)->committed()));
  ASSERT_TRUE(open(memory_options()));
  EXPECT_EQ(value_of("default", "a"), 2);
}

TEST_F(MemoryStoreTest, ADurableWriteTakesTheLazyPartAlong) {
  ASSERT_TRUE(create("default", "a", 1));
  Json object = make_pod("default", "a", 1);
  object["status"] = {{"phase", "Running"}};
  ASSERT_TRUE(finish(store->stage_update(pods(), object, store->latest(pods(), "default", "a"),
                                         Durability::kLazy)));
  object["spec"]["value"] = 2;
  ASSERT_TRUE(finish(store->stage_update(pods(), object, store->latest(pods(), "default", "a"),
                                         Durability::kDurable)));
  int commits = disk->commits();
  ASSERT_TRUE(loop.run(store->flush()));
  EXPECT_EQ(disk->commits(), commits) << "nothing was dirty any more";
  ASSERT_TRUE(open(memory_options()));
  EXPECT_EQ(store->get(pods(), "default", "a")->parse()["status"]["phase"], "Running");
}

TEST_F(MemoryStoreTest, ADurableWriteThatChangesNothingStillReachesTheDisk) {
  ASSERT_TRUE(create("default", "a", 1, Durability::kLazy));
  ASSERT_TRUE(disk->rows().empty());
  ASSERT_TRUE(update("default", "a", 1, Durability::kDurable));
  EXPECT_EQ(disk->rows().size(), 1u);
  EXPECT_EQ(store->revision(), 2u);
}

TEST_F(MemoryStoreTest, LazyDeletesReachTheDiskWithTheFlush) {
  ASSERT_TRUE(create("default", "a"));
  ASSERT_TRUE(remove("default", "a", Durability::kLazy));
  EXPECT_EQ(store->count(pods()), 0u);
  EXPECT_EQ(disk->rows().size(), 1u);
  ASSERT_TRUE(loop.run(store->flush()));
  EXPECT_TRUE(disk->rows().empty());
}

TEST_F(MemoryStoreTest, WhatComesAndGoesLazilyNeverReachesTheDisk) {
  ASSERT_TRUE(create("default", "kept"));
  int commits = disk->commits();
  ASSERT_TRUE(create("default", "a", 1, Durability::kLazy));
  ASSERT_TRUE(update("default", "a", 2, Durability::kLazy));
  ASSERT_TRUE(remove("default", "a", Durability::kLazy));
  ASSERT_TRUE(loop.run(store->flush()));
  EXPECT_EQ(disk->commits(), commits);
}

TEST_F(MemoryStoreTest, ManyLazyWritesAreFlushedBeforeTheirTime) {
  ASSERT_TRUE(create("default", "first"));
  int commits = disk->commits();
  for (int i = 0; i < 1000; ++i)
    ASSERT_TRUE(create("default", "p" + std::to_string(i), 1, Durability::kLazy));
  EXPECT_EQ(disk->commits(), commits);
  for (int i = 1000; i < 1100; ++i)
    ASSERT_TRUE(create("default", "p" + std::to_string(i), 1, Durability::kLazy));
  ASSERT_TRUE(loop.run_until([&] { return disk->commits() > commits; }));
  EXPECT_GT(disk->rows().size(), 1000u);
}

TEST_F(MemoryStoreTest, ALazyRebirthDoesNotHideTheDeathOnDisk) {
  ASSERT_TRUE(create("default", "a"));
  ASSERT_TRUE(remove("default", "a", Durability::kLazy));
  ASSERT_TRUE(create("default", "a", 2, Durability::kLazy));
  ASSERT_TRUE(remove("default", "a", Durability::kLazy));
  ASSERT_TRUE(loop.run(store->flush()));
  EXPECT_TRUE(disk->rows().empty());
}

TEST_F(MemoryStoreTest, ALazyWriteWaitsForItsPlaceBehindADurableOne) {
  disk->hold();
  auto durable = store->stage_create(pods(), make_pod("default", "a"), Durability::kDurable);
  loop.poll();
  disk->await_held();
  auto lazy = store->stage_create(pods(), make_pod("default", "b"), Durability::kLazy);
  loop.poll();
  EXPECT_EQ(store->get(pods(), "default", "b"), nullptr);
  disk->release();
  ASSERT_TRUE(loop.run((*lazy)->committed()));
  EXPECT_NE(store->get(pods(), "default", "a"), nullptr);
}

TEST_F(MemoryStoreTest, CloseFlushesAndRecordsTheExactRevision) {
  ASSERT_TRUE(create("default", "a", 1));
  ASSERT_TRUE(update("default", "a", 2, Durability::kLazy));
  auto unawaited = store->stage_create(pods(), make_pod("default", "b"), Durability::kDurable);
  ASSERT_TRUE(loop.run(store->close()));
  EXPECT_EQ(disk->reserved_revision(), 4u);
  EXPECT_TRUE(disk->clean());
  auto refused = store->stage_create(pods(), make_pod("default", "c"), Durability::kDurable);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kServiceUnavailable);
  EXPECT_NE(store->failure(), nullptr);

  int commits = disk->commits();
  ASSERT_TRUE(open(memory_options()));
  EXPECT_EQ(store->revision(), 4u);
  EXPECT_EQ(value_of("default", "a"), 2);
  EXPECT_EQ(value_of("default", "b"), 0);
  ASSERT_TRUE(loop.run(store->close()));
  EXPECT_EQ(disk->commits(), commits) << "a start and a stop without writes write nothing";
}

// Revisions.

TEST_F(MemoryStoreTest, RevisionsNeverGoBackOverCrashes) {
  std::uint64_t highest = 0;
  for (int round = 0; round < 5; ++round) {
    auto with = memory_options();
    with.revision_block = 10;
    ASSERT_TRUE(open(std::move(with)));
    EXPECT_GE(store->revision(), highest);
    for (int i = 0; i < 37; ++i) {
      std::string name = "r" + std::to_string(round) + "-" + std::to_string(i);
      auto created = create("default", name, 0, Durability::kLazy);
      ASSERT_TRUE(created);
      EXPECT_GT((*created)->meta().resource_version, highest);
      highest = (*created)->meta().resource_version;
      EXPECT_GE(disk->reserved_revision(), highest) << "published beyond the reserved block";
    }
  }
}

TEST_F(MemoryStoreTest, LazyWritesNeedOneTransactionPerBlock) {
  auto with = memory_options();
  with.revision_block = 100;
  ASSERT_TRUE(open(std::move(with)));
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(create("default", std::to_string(i), 0, Durability::kLazy));
  }
  EXPECT_LE(disk->commits(), 11);
}

// Failure.

TEST_F(MemoryStoreTest, AFailedCommitMakesTheStoreReadOnly) {
  ASSERT_TRUE(create("default", "a", 1));
  std::vector<std::uint64_t> heard;
  store->subscribe(pods(),
                   [&](const server::StoreEvent& event) { heard.push_back(event.revision); });
  disk->fail_commit(1, Error::of(Reason::kInternalError, "no space left"));
  disk->hold();
  auto first = store->stage_update(pods(), make_pod("default", "a", 2),
                                   store->get(pods(), "default", "a"), Durability::kDurable);
  loop.poll();
  disk->await_held();
  auto behind = store->stage_create(pods(), make_pod("default", "b"), Durability::kLazy);
  disk->release();
  for (auto* write : {&first, &behind}) {
    auto outcome = loop.run((**write)->committed());
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().reason, Reason::kServiceUnavailable);
    EXPECT_EQ(outcome.error().message, "the store is read-only: no space left");
  }
  ASSERT_NE(store->failure(), nullptr);
  EXPECT_TRUE(heard.empty());
  EXPECT_EQ(value_of("default", "a"), 1);
  EXPECT_EQ(store->latest(pods(), "default", "a"), store->get(pods(), "default", "a"));
  EXPECT_EQ(store->latest(pods(), "default", "b"), nullptr);

  // Sticky, though the disk would work again.
  for (Durability durability : {Durability::kDurable, Durability::kLazy}) {
    auto refused = store->stage_create(pods(), make_pod("default", "c"), durability);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message, "the store is read-only: no space left");
  }
  EXPECT_FALSE(loop.run(store->flush()));
  EXPECT_FALSE(loop.run(store->close()));
  ASSERT_TRUE(open(memory_options()));
  EXPECT_EQ(value_of("default", "a"), 1);
  EXPECT_TRUE(create("default", "c"));
}

TEST_F(MemoryStoreTest, AFailedFlushMakesTheStoreReadOnly) {
  ASSERT_TRUE(create("default", "a", 1));
  ASSERT_TRUE(update("default", "a", 2, Durability::kLazy));
  disk->fail_commit(1, Error::internal("boom"));
  clock->advance(std::chrono::seconds(301));
  ASSERT_TRUE(loop.run_until([&] { return store->failure() != nullptr; }));
  EXPECT_EQ(value_of("default", "a"), 2) << "what was published stays";
}

TEST_F(MemoryStoreTest, NamelessObjectsAreRefused) {
  for (const Json& bad :
       {Json::object(), Json{{"metadata", 3}}, Json{{"metadata", {{"name", ""}}}}, Json::array()}) {
    EXPECT_FALSE(store->stage_create(pods(), bad, Durability::kDurable));
  }
}

TEST_F(MemoryStoreTest, GoesAwayWhileACommitRuns) {
  disk->delay(std::chrono::milliseconds(20));
  auto staged = store->stage_create(pods(), make_pod("default", "a"), Durability::kDurable);
  loop.poll();
  store.reset();
  auto outcome = loop.run((*staged)->committed());
  EXPECT_FALSE(outcome);
  EXPECT_EQ(disk->rows().size(), 1u);
}

TEST_F(MemoryStoreTest, RowsOfUnknownResourcesAreKept) {
  ASSERT_TRUE(create("default", "a"));
  auto full = std::move(registry);
  registry = std::make_unique<resources::Registry>();
  ASSERT_TRUE(registry->seal());
  ASSERT_TRUE(open(memory_options()));
  ASSERT_TRUE(loop.run(store->close()));
  EXPECT_EQ(disk->rows().size(), 1u);
  // As a CustomResourceDefinition does that is read after the start.
  ASSERT_TRUE(open(memory_options()));
  EXPECT_NE(store->get(*full->find("", "v1", "pods"), "default", "a"), nullptr);
  store.reset();
  registry = std::move(full);
}

TEST_F(MemoryStoreTest, Measures) {
  metrics::Registry metrics;
  auto with = memory_options();
  with.metrics = &metrics;
  ASSERT_TRUE(open(std::move(with)));
  ASSERT_TRUE(create("default", "a"));
  ASSERT_TRUE(update("default", "a", 1, Durability::kLazy));
  std::string text = metrics.expose();
  EXPECT_NE(text.find("moth_store_writes_total{durability=\"durable\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("moth_store_writes_total{durability=\"lazy\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("moth_store_objects{resource=\"pods\"} 1\n"), std::string::npos);
  EXPECT_NE(text.find("moth_store_revision 3\n"), std::string::npos);
  store.reset();
}

}  // namespace
}  // namespace moth::store
