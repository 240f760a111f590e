#include "scheduler/queue.h"

#include <gtest/gtest.h>

namespace moth::scheduler {
namespace {

using namespace std::chrono_literals;

constexpr auto kNow = MonoTime(1h);

QueuedPod pod(const std::string& name, std::int64_t priority = 0, int created = 0) {
  return {name, "default", name, priority, WallTime(std::chrono::seconds(created))};
}
std::string pop(Queue& queue, MonoTime now = kNow) {
  auto next = queue.pop(now);
  return next ? next->name : "none";
}

TEST(Queue, PriorityThenAge) {
  Queue queue;
  queue.add(pod("young", 0, 9));
  queue.add(pod("old", 0, 1));
  queue.add(pod("important", 10, 9));
  EXPECT_EQ(pop(queue), "important");
  EXPECT_EQ(pop(queue), "old");
  EXPECT_EQ(pop(queue), "young");
  EXPECT_EQ(pop(queue), "none");
  EXPECT_EQ(queue.size(), 3u) << "they are being tried";
  EXPECT_EQ(queue.next_time(kNow), MonoTime::max());
}

TEST(Queue, BackOffDoublesToTenSeconds) {
  Queue queue;
  queue.add(pod("p"));
  MonoTime now = kNow;
  for (auto wait : {1s, 2s, 4s, 8s, 10s, 10s}) {
    ASSERT_EQ(pop(queue, now), "p");
    queue.failed(pod("p"), now);
    queue.wake(now);
    EXPECT_EQ(queue.next_time(now), now + wait);
    EXPECT_EQ(pop(queue, now + wait - 1ms), "none");
    now += wait;
  }
}

TEST(Queue, WithoutAChangeAFlushComes) {
  Queue queue;
  queue.add(pod("p"));
  pop(queue);
  queue.failed(pod("p"), kNow);
  EXPECT_EQ(queue.next_time(kNow), kNow + 300s);
  EXPECT_EQ(pop(queue, kNow + 299s), "none");
  EXPECT_EQ(pop(queue, kNow + 300s), "p");
}

TEST(Queue, AChangeDuringATryIsNotLost) {
  Queue queue;
  queue.add(pod("p"));
  pop(queue);
  queue.wake(kNow);
  queue.failed(pod("p"), kNow);
  EXPECT_EQ(pop(queue, kNow + 1s), "p");
  queue.add(pod("p", 5));  // changed while it is tried
  queue.failed(pod("p"), kNow);
  EXPECT_EQ(queue.pop(kNow + 2s)->priority, 5);
}

TEST(Queue, RemovedPodsDoNotComeBack) {
  Queue queue;
  queue.add(pod("p"));
  pop(queue);
  queue.remove("p");
  queue.failed(pod("p"), kNow);
  EXPECT_EQ(queue.size(), 0u);
  EXPECT_EQ(pop(queue, kNow + 400s), "none");
}

}  // namespace
}  // namespace moth::scheduler
