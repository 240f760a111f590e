#include "daemon/controllers/namespace/namespace_controller.h"

#include <gtest/gtest.h>

#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

using namespace std::chrono_literals;
using client::gvr::kConfigMaps;
using client::gvr::kNamespaces;
using client::gvr::kPods;

class NamespaceTest : public ::testing::Test {
 protected:
  NamespaceTest() {
    auto made = resources::make_registry();
    EXPECT_TRUE(made);
    registry_ = std::move(*made);
    cluster_.add([this](ControllerContext context) {
      return make_namespace_controller(context, *registry_);
    });
    cluster_.start();
    EXPECT_TRUE(cluster_.create(
        kNamespaces, "",
        {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "shop"}}}}));
    cluster_.settle();
  }
  void add_map(const std::string& name, Json finalizers = nullptr) {
    Json object = {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}}}};
    if (!finalizers.is_null()) object["metadata"]["finalizers"] = std::move(finalizers);
    EXPECT_TRUE(cluster_.create(kConfigMaps, "shop", object));
  }
  std::string condition(const std::string& type) {
    const Json all = cluster_.field(kNamespaces, "", "shop", "/status/conditions");
    if (!all.is_array()) return "";
    for (const Json& one : all) {
      if (string_or(one, "type") == type)
        return string_or(one, "status") + " " + string_or(one, "reason") + ": " +
               string_or(one, "message");
    }
    return "";
  }
  std::unique_ptr<resources::Registry> registry_;
  test::TestCluster cluster_;
};

TEST_F(NamespaceTest, AnEmptyOneGoesAtOnce) {
  ASSERT_TRUE(cluster_.remove(kNamespaces, "", "shop"));
  cluster_.settle();
  EXPECT_FALSE(cluster_.get(kNamespaces, "", "shop"));
}

TEST_F(NamespaceTest, PodsGoBeforeEverythingElse) {
  cluster_.set_behaviour([](const Object&) {
    test::PodBehaviour behaviour;
    behaviour.stop_delay = 10s;
    return behaviour;
  });
  add_map("settings");
  cluster_.apply(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop}\nspec: "
      "{containers: [{name: c, image: i}]}\n");
  ASSERT_TRUE(cluster_.wait_until(
      [&] { return cluster_.field(kPods, "shop", "p", "/status/phase") == "Running"; }));
  ASSERT_TRUE(cluster_.remove(kNamespaces, "", "shop"));
  cluster_.settle();
  EXPECT_TRUE(cluster_.get(kPods, "shop", "p"));
  EXPECT_TRUE(cluster_.get(kConfigMaps, "shop", "settings")) << "the pod may still need it";
  EXPECT_EQ(condition("NamespaceContentRemaining"),
            "True SomeResourcesRemain: Some resources are remaining: pods. has 1 resource "
            "instances");
  EXPECT_TRUE(cluster_.wait_until([&] { return !cluster_.get(kNamespaces, "", "shop"); }, 1min));
  EXPECT_FALSE(cluster_.get(kConfigMaps, "shop", "settings"));
}

TEST_F(NamespaceTest, FinalizersOfContentHoldIt) {
  add_map("held", {"test.io/hold"});
  add_map("free");
  ASSERT_TRUE(cluster_.remove(kNamespaces, "", "shop"));
  cluster_.settle();
  EXPECT_FALSE(cluster_.get(kConfigMaps, "shop", "free"));
  EXPECT_EQ(condition("NamespaceFinalizersRemaining"),
            "True SomeFinalizersRemain: Some content in the namespace has finalizers remaining: "
            "test.io/hold in 1 resource instances");
  ASSERT_TRUE(
      cluster_.patch(kConfigMaps, "shop", "held", {{"metadata", {{"finalizers", nullptr}}}}));
  EXPECT_TRUE(cluster_.wait_until([&] { return !cluster_.get(kNamespaces, "", "shop"); }, 1min));
}

TEST_F(NamespaceTest, OtherNamespacesAreLeftAlone) {
  ASSERT_TRUE(cluster_.create(
      kConfigMaps, "default",
      {{"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", "mine"}}}}));
  ASSERT_TRUE(cluster_.remove(kNamespaces, "", "shop"));
  cluster_.settle();
  EXPECT_TRUE(cluster_.get(kConfigMaps, "default", "mine"));
}

}  // namespace
}  // namespace moth::controllers
