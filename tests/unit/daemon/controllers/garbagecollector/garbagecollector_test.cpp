#include <gtest/gtest.h>

#include "daemon/controllers/garbagecollector/garbagecollector_controller.h"
#include "daemon/controllers/garbagecollector/garbagecollector_plan.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

using Action = CollectionPlan::Action;
using client::gvr::kConfigMaps;

Meta meta(std::vector<std::string> owners, bool deleting = false,
          std::vector<std::string> finalizers = {}) {
  Meta object;
  for (const std::string& uid : owners) {
    OwnerReference owner;
    owner.uid = uid;
    object.owners.push_back(owner);
  }
  if (deleting) object.deletion_time = WallTime(std::chrono::seconds(1));
  object.finalizers = std::move(finalizers);
  return object;
}

TEST(CollectionPlan, Table) {
  const auto lives = OwnerState::kLives, absent = OwnerState::kAbsent,
             foreground = OwnerState::kForeground;
  struct Case {
    const char* what;
    Meta object;
    std::vector<OwnerState> owners;
    std::size_t dependents, blocking;
    Action action;
    bool in_foreground = false;
    std::vector<std::string> dropped = {};
  };
  const Case cases[] = {
      {"owned by nobody", meta({}), {}, 0, 0, Action::kNone},
      {"owner lives", meta({"a"}), {lives}, 0, 0, Action::kNone},
      {"owner gone", meta({"a"}), {absent}, 0, 0, Action::kDelete},
      {"both gone", meta({"a", "b"}), {absent, absent}, 2, 2, Action::kDelete},
      {"one of two gone",
       meta({"a", "b"}),
       {absent, lives},
       0,
       0,
       Action::kDropOwners,
       false,
       {"a"}},
      {"owner waits", meta({"a"}), {foreground}, 0, 0, Action::kDelete},
      {"owner waits, own dependents", meta({"a"}), {foreground}, 3, 3, Action::kDelete, true},
      {"one waits, one lives",
       meta({"a", "b"}),
       {foreground, lives},
       0,
       0,
       Action::kDropOwners,
       false,
       {"a"}},
      {"already going", meta({"a"}, true), {absent}, 0, 0, Action::kNone},
      {"waits for blocking ones", meta({}, true, {"foregroundDeletion"}), {}, 2, 1, Action::kNone},
      {"none blocks", meta({}, true, {"foregroundDeletion"}), {}, 2, 0, Action::kReleaseOwner},
      {"orphans first", meta({}, true, {"orphan"}), {}, 2, 2, Action::kOrphanDependents},
      {"orphaned", meta({}, true, {"orphan"}), {}, 0, 0, Action::kReleaseOwner},
      {"finalizer without deletion", meta({}, false, {"orphan"}), {}, 0, 0, Action::kNone},
  };
  for (const Case& one : cases) {
    auto plan = plan_collection(one.object, one.owners, one.dependents, one.blocking);
    EXPECT_EQ(plan.action, one.action) << one.what;
    EXPECT_EQ(plan.foreground, one.in_foreground) << one.what;
    EXPECT_EQ(plan.drop_owners, one.dropped) << one.what;
  }
}

class GarbageCollectorTest : public ::testing::Test {
 protected:
  GarbageCollectorTest() : cluster_({false, false}) {
    auto made = resources::make_registry();
    EXPECT_TRUE(made);
    registry_ = std::move(*made);
    cluster_.add([this](ControllerContext context) {
      return make_garbagecollector_controller(context, *registry_);
    });
    cluster_.start();
  }
  // Returns the uid. Owners as {name, uid}.
  std::string make(const std::string& name,
                   const std::vector<std::pair<std::string, std::string>>& owners = {},
                   bool blocks = true) {
    Json references = Json::array();
    for (const auto& [owner, uid] : owners) {
      references.push_back({{"apiVersion", "v1"},
                            {"kind", "ConfigMap"},
                            {"name", owner},
                            {"uid", uid},
                            {"blockOwnerDeletion", blocks}});
    }
    Json object = {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}}}};
    if (!references.empty()) object["metadata"]["ownerReferences"] = references;
    auto created = cluster_.create(kConfigMaps, "default", object);
    EXPECT_TRUE(created) << (created ? "" : created.error().message);
    return created ? (*created)->uid() : "";
  }
  bool there(const std::string& name) {
    return cluster_.get(kConfigMaps, "default", name) != nullptr;
  }
  void remove(const std::string& name, const std::string& policy) {
    client::DeleteOptions options;
    options.propagation_policy = policy;
    ASSERT_TRUE(cluster_.remove(kConfigMaps, "default", name, options));
    cluster_.settle();
  }
  Json owners_of(const std::string& name) {
    return cluster_.field(kConfigMaps, "default", name, "/metadata/ownerReferences");
  }
  std::unique_ptr<resources::Registry> registry_;
  test::TestCluster cluster_;
};

TEST_F(GarbageCollectorTest, BackgroundTakesTheWholeTree) {
  std::string top = make("top");
  std::string middle = make("middle", {{"top", top}});
  make("leaf", {{"middle", middle}});
  make("stranger");
  cluster_.settle();
  EXPECT_TRUE(there("leaf"));
  remove("top", "Background");
  EXPECT_FALSE(there("middle"));
  EXPECT_FALSE(there("leaf"));
  EXPECT_TRUE(there("stranger"));
}

TEST_F(GarbageCollectorTest, ForegroundWaitsForThoseThatBlock) {
  std::string top = make("top");
  make("held", {{"top", top}});
  ASSERT_TRUE(cluster_.patch(kConfigMaps, "default", "held",
                             {{"metadata", {{"finalizers", {"test.io/hold"}}}}}));
  remove("top", "Foreground");
  EXPECT_TRUE(there("top"));
  EXPECT_TRUE(there("held"));
  ASSERT_TRUE(
      cluster_.patch(kConfigMaps, "default", "held", {{"metadata", {{"finalizers", nullptr}}}}));
  cluster_.settle();
  EXPECT_FALSE(there("held"));
  EXPECT_FALSE(there("top"));
}

TEST_F(GarbageCollectorTest, ForegroundWithoutDependentsEnds) {
  make("top");
  remove("top", "Foreground");
  EXPECT_FALSE(there("top"));
}

TEST_F(GarbageCollectorTest, OrphansStayWithoutTheirOwner) {
  std::string top = make("top");
  make("a", {{"top", top}});
  make("b", {{"top", top}});
  remove("top", "Orphan");
  EXPECT_FALSE(there("top"));
  for (const char* name : {"a", "b"}) {
    EXPECT_TRUE(there(name));
    EXPECT_TRUE(owners_of(name).is_null());
  }
}

TEST_F(GarbageCollectorTest, AnotherUidIsAnotherOwner) {
  make("top");
  make("late", {{"top", "of-an-earlier-one"}});
  cluster_.settle();
  EXPECT_FALSE(there("late"));
  EXPECT_TRUE(there("top"));
}

TEST_F(GarbageCollectorTest, DeadOwnersAreDroppedBesideLiveOnes) {
  std::string one = make("one"), two = make("two");
  make("child", {{"one", one}, {"two", two}});
  remove("one", "Background");
  EXPECT_TRUE(there("child"));
  ASSERT_EQ(owners_of("child").size(), 1u);
  EXPECT_EQ(owners_of("child")[0]["uid"], two);
  remove("two", "Background");
  EXPECT_FALSE(there("child"));
}

TEST_F(GarbageCollectorTest, UnknownKindsAreNoReasonToDelete) {
  auto created = cluster_.create(
      kConfigMaps, "default",
      {{"apiVersion", "v1"},
       {"kind", "ConfigMap"},
       {"metadata",
        {{"name", "kept"},
         {"ownerReferences",
          {{{"apiVersion", "x.io/v1"}, {"kind", "Thing"}, {"name", "t"}, {"uid", "u"}}}}}}});
  ASSERT_TRUE(created);
  cluster_.settle();
  EXPECT_TRUE(there("kept"));
}

}  // namespace
}  // namespace moth::controllers
