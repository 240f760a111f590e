#include "runtime/images/gc.h"

#include <gtest/gtest.h>

namespace moth::images {
namespace {

constexpr MonoTime kNow{std::chrono::hours(10)};

GcCandidate image(std::string id, std::uint64_t size, int seen_minutes_ago, int used_minutes_ago) {
  return {std::move(id),
          size,
          kNow - std::chrono::minutes(seen_minutes_ago),
          kNow - std::chrono::minutes(used_minutes_ago),
          false,
          false};
}

TEST(ImageGc, NothingBelowTheThreshold) {
  auto plan = plan_image_gc(1000, 160, {image("a", 900, 60, 60)}, {}, kNow);
  EXPECT_EQ(plan.usage_percent, 84);
  EXPECT_TRUE(plan.delete_ids.empty());
  EXPECT_EQ(plan.bytes_to_free, 0U);
}

TEST(ImageGc, FreesDownToTheLowThresholdLeastRecentlyUsedFirst) {
  auto plan = plan_image_gc(
      1000, 100, {image("new", 60, 60, 5), image("old", 60, 60, 50), image("mid", 60, 60, 20)}, {},
      kNow);
  EXPECT_EQ(plan.usage_percent, 90);
  EXPECT_EQ(plan.bytes_to_free, 100U);
  EXPECT_EQ(plan.delete_ids, (std::vector<std::string>{"old", "mid"}));
  EXPECT_TRUE(plan.shortfall.empty());
}

TEST(ImageGc, KeepsUsedPinnedAndYoungImages) {
  auto used = image("used", 500, 60, 60);
  used.in_use = true;
  auto pinned = image("pinned", 500, 60, 60);
  pinned.pinned = true;
  auto young = image("young", 500, 1, 1);
  auto recent = image("recent", 500, 60, 1);
  auto plan =
      plan_image_gc(1000, 50, {used, pinned, young, recent, image("x", 10, 60, 60)}, {}, kNow);
  EXPECT_EQ(plan.delete_ids, std::vector<std::string>{"x"});
  EXPECT_EQ(plan.shortfall,
            "Failed to garbage collect required amount of images. Attempted to free 150 bytes, but "
            "only found 10 bytes eligible to free.");
}

TEST(ImageGc, UnknownCapacityIsLeftAlone) {
  EXPECT_TRUE(plan_image_gc(0, 0, {image("a", 1, 60, 60)}, {}, kNow).delete_ids.empty());
}

}  // namespace
}  // namespace moth::images
