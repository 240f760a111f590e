#include "daemon/controllers/deployment/deployment_math.h"

#include <gtest/gtest.h>

#include "daemon/controllers/deployment/set_annotations.h"

namespace moth::controllers {
namespace {

using Sizes = std::vector<std::int32_t>;

TEST(NewSetSize, UsesTheRoomOfTheSurge) {
  // replicas, surge, unavailable
  RolloutBounds bounds{10, 3, 2};
  EXPECT_EQ(new_set_size(bounds, 0, 10), 3);
  EXPECT_EQ(new_set_size(bounds, 3, 13), 3);
  EXPECT_EQ(new_set_size(bounds, 5, 11), 7);
  EXPECT_EQ(new_set_size(bounds, 9, 9), 10);  // never above replicas
  EXPECT_EQ(new_set_size(bounds, 12, 12), 10);
  EXPECT_EQ(new_set_size({10, 0, 1}, 0, 10), 0);
  EXPECT_EQ(new_set_size({10, 0, 0, true}, 0, 5), 10);
}

TEST(ShrinkOldSets, KeepsEnoughAvailable) {
  RolloutBounds bounds{10, 2, 2};
  // 8 of 12 must stay; the two new pods are not available yet.
  EXPECT_EQ(shrink_old_sets(bounds, {{10, 10}}, {2, 0}), Sizes{8});
  EXPECT_EQ(shrink_old_sets(bounds, {{8, 8}}, {4, 0}), Sizes{8});
  EXPECT_EQ(shrink_old_sets(bounds, {{8, 8}}, {4, 4}), Sizes{4});
  EXPECT_EQ(shrink_old_sets(bounds, {{3, 3}}, {10, 10}), Sizes{0});
}

TEST(ShrinkOldSets, UnhealthyPodsGoFirst) {
  RolloutBounds bounds{10, 2, 2};
  // The newer old set has broken pods; the older, healthy one is left alone.
  EXPECT_EQ(shrink_old_sets(bounds, {{8, 8}, {2, 0}}, {2, 0}), (Sizes{8, 0}));
  // Oldest first among those.
  EXPECT_EQ(shrink_old_sets({10, 0, 3}, {{5, 3}, {5, 4}}, {0, 0}), (Sizes{3, 4}));
}

TEST(ScaleProportionally, UpstreamsExample) {
  // 10 to 15 with maxSurge 3: 8 + 5 become 11 + 7.
  EXPECT_EQ(scale_proportionally({15, 3, 2}, {{8, 8, 13, 0}, {5, 0, 13, 1}}, 13), (Sizes{11, 7}));
}

TEST(ScaleProportionally, LeftoversGoToTheLargest) {
  EXPECT_EQ(scale_proportionally({12, 0, 1}, {{3, 3, 10, 0}, {3, 3, 10, 1}, {4, 4, 10, 2}}, 10),
            (Sizes{3, 4, 5}));
  // Of equal sizes the newer one grows, the older one shrinks.
  EXPECT_EQ(scale_proportionally({11, 0, 1}, {{5, 5, 10, 0}, {5, 5, 10, 1}}, 10), (Sizes{5, 6}));
  EXPECT_EQ(scale_proportionally({9, 0, 1}, {{5, 5, 10, 0}, {5, 5, 10, 1}}, 10), (Sizes{4, 5}));
}

TEST(ScaleProportionally, DownAndToZero) {
  EXPECT_EQ(scale_proportionally({5, 0, 1}, {{6, 6, 10, 0}, {4, 4, 10, 1}}, 10), (Sizes{3, 2}));
  EXPECT_EQ(scale_proportionally({0, 0, 1}, {{6, 6, 10, 0}, {4, 4, 10, 1}}, 10), (Sizes{0, 0}));
  // Without the annotation the size of the Deployment stands in.
  EXPECT_EQ(scale_proportionally({20, 0, 1}, {{6, 6, 0, 0}, {4, 4, 0, 1}}, 10), (Sizes{12, 8}));
  EXPECT_EQ(scale_proportionally({10, 0, 1}, {{6, 6, 10, 0}, {4, 4, 10, 1}}, 10), (Sizes{6, 4}));
}

TEST(SetAnnotations, RevisionOnlyGrowsAndIsRemembered) {
  Labels annotations;
  EXPECT_TRUE(raise_revision(annotations, 1));
  EXPECT_FALSE(annotations.contains("deployment.kubernetes.io/revision-history"));
  EXPECT_FALSE(raise_revision(annotations, 1));
  EXPECT_TRUE(raise_revision(annotations, 3));
  EXPECT_FALSE(raise_revision(annotations, 2));
  EXPECT_TRUE(raise_revision(annotations, 7));
  EXPECT_EQ(revision_of(annotations), 7);
  EXPECT_EQ(annotations["deployment.kubernetes.io/revision-history"], "1,3");
  for (int i = 8; i < 2000; ++i) raise_revision(annotations, i);
  const std::string& history = annotations["deployment.kubernetes.io/revision-history"];
  EXPECT_LE(history.size(), 2000u);
  EXPECT_TRUE(history.ends_with(",1997,1998")) << history;
  EXPECT_NE(history.front(), ',');
}

TEST(SetAnnotations, CopiesWhatIsTheUsers) {
  Labels from = {{"kubernetes.io/change-cause", "because"},
                 {"kubectl.kubernetes.io/last-applied-configuration", "{}"},
                 {"deployment.kubernetes.io/revision", "5"},
                 {"empty", ""}};
  Labels to;
  EXPECT_TRUE(copy_annotations(from, to));
  EXPECT_EQ(to, (Labels{{"kubernetes.io/change-cause", "because"}, {"empty", ""}}));
  EXPECT_FALSE(copy_annotations(from, to));
  EXPECT_TRUE(put_replicas(to, 3, 4));
  EXPECT_FALSE(put_replicas(to, 3, 4));
  EXPECT_EQ(desired_replicas_of(to), 3);
  to["deployment.kubernetes.io/desired-replicas"] = "many";
  EXPECT_EQ(desired_replicas_of(to), std::nullopt);
}

}  // namespace
}  // namespace moth::controllers
