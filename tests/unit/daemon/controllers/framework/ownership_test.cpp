#include "daemon/controllers/framework/ownership.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "api/base/json.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "daemon/controllers/framework/batch.h"

namespace moth::controllers {
namespace {

Meta meta_of(std::string ns, Labels labels) {
  Meta meta;
  meta.ns = std::move(ns);
  meta.labels = std::move(labels);
  return meta;
}

TEST(ClaimTest, ByControllerAndSelector) {
  Meta owner = meta_of("ns", {});
  owner.uid = "me";
  LabelSelector selector = LabelSelector::from_map({{"app", "web"}});
  Meta orphan = meta_of("ns", {{"app", "web"}});
  Meta mine = orphan, stray = meta_of("ns", {{"app", "db"}}), theirs = orphan;
  mine.owners = stray.owners = {{"apps/v1", "ReplicaSet", "me", "me", true, true}};
  theirs.owners = {{"apps/v1", "ReplicaSet", "you", "you", true, true}};
  EXPECT_EQ(classify(owner, selector, orphan), Claim::kAdopt);
  EXPECT_EQ(classify(owner, selector, mine), Claim::kOwned);
  EXPECT_EQ(classify(owner, selector, stray), Claim::kRelease);
  EXPECT_EQ(classify(owner, selector, theirs), Claim::kForeign);
  EXPECT_EQ(classify(owner, selector, meta_of("ns", {{"app", "db"}})), Claim::kForeign);
  EXPECT_EQ(classify(owner, selector, meta_of("other", {{"app", "web"}})), Claim::kForeign);
  // An owner that is no controller leaves the object free.
  Meta shared = orphan;
  shared.owners = {{"v1", "ConfigMap", "c", "c", false, false}};
  EXPECT_EQ(classify(owner, selector, shared), Claim::kAdopt);

  Meta leaving = orphan;
  leaving.deletion_time = WallTime{};
  EXPECT_EQ(classify(owner, selector, leaving), Claim::kForeign);
  owner.deletion_time = WallTime{};
  EXPECT_EQ(classify(owner, selector, orphan), Claim::kForeign);
  EXPECT_EQ(classify(owner, selector, stray), Claim::kForeign);
  EXPECT_EQ(classify(owner, selector, mine), Claim::kOwned);
}

class BatchTest : public testing::Test {
 protected:
  BatchOutcome run(Task<BatchOutcome> task) {
    BatchOutcome outcome;
    asio::co_spawn(context, std::move(task),
                   [&](std::exception_ptr, BatchOutcome done) { outcome = std::move(done); });
    context.run();
    return outcome;
  }
  // Fails from the call number `fail_from` on.
  std::function<Task<Result<>>(int)> work(int fail_from) {
    return [this, fail_from](int) -> Task<Result<>> {
      if (++calls > fail_from) co_return fail(Error::internal("quota"));
      co_return Result<>{};
    };
  }
  asio::io_context context;
  int calls = 0;
};

TEST_F(BatchTest, SlowStartReachesEverything) {
  BatchOutcome outcome = run(slow_start(context.get_executor(), 10, work(100)));
  EXPECT_EQ(outcome.succeeded, 10);
  EXPECT_FALSE(outcome.first_error);
  EXPECT_EQ(calls, 10);
}

TEST_F(BatchTest, SlowStartStopsBehindTheBatchWithAnError) {
  // 1, 2, 4: the fifth call fails within the third batch.
  BatchOutcome outcome = run(slow_start(context.get_executor(), 500, work(4)));
  EXPECT_EQ(outcome.succeeded, 4);
  ASSERT_TRUE(outcome.first_error);
  EXPECT_EQ(calls, 7);
}

TEST_F(BatchTest, RunAllTriesAll) {
  BatchOutcome outcome = run(run_all(context.get_executor(), 9, work(3)));
  EXPECT_EQ(outcome.succeeded, 3);
  EXPECT_EQ(calls, 9);
  calls = 0;
  context.restart();
  EXPECT_EQ(run(run_all(context.get_executor(), 0, work(3))).succeeded, 0);
}

// A worker must still end when it is asked to after it has waited for a batch.
TEST_F(BatchTest, LeavesTheCallerCancellable) {
  TaskScope scope(context.get_executor());
  Notifier never(context.get_executor());
  bool waiting = false;
  auto task = [this](Notifier& wait_for, bool& reached) -> Task<void> {
    (void)co_await slow_start(context.get_executor(), 3, work(100));
    reached = true;
    co_await wait_for.wait();
  };
  scope.spawn("worker", task(never, waiting));
  context.poll();
  ASSERT_TRUE(waiting);
  scope.cancel();
  context.restart();
  context.poll();
  EXPECT_EQ(scope.running(), 0u);
}

}  // namespace
}  // namespace moth::controllers
