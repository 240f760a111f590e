#include <gtest/gtest.h>

#include "daemon/controllers/rootca/rootca_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

using client::gvr::kConfigMaps;
using client::gvr::kNamespaces;

TEST(RootCa, IsInEveryNamespaceAndStaysTrue) {
  test::TestCluster cluster({false, false});
  cluster.add([](ControllerContext context) { return make_rootca_controller(context, "PEM"); });
  cluster.start();
  cluster.settle();
  auto text = [&](const std::string& ns) {
    return cluster.field(kConfigMaps, ns, "kube-root-ca.crt", "/data");
  };
  EXPECT_EQ(text("default"), (Json{{"ca.crt", "PEM"}}));
  ASSERT_TRUE(cluster.create(
      kNamespaces, "",
      {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "shop"}}}}));
  cluster.settle();
  EXPECT_EQ(text("shop"), (Json{{"ca.crt", "PEM"}}));
  ASSERT_TRUE(cluster.patch(kConfigMaps, "shop", "kube-root-ca.crt",
                            {{"data", {{"ca.crt", "other"}, {"x", "y"}}}}));
  cluster.settle();
  EXPECT_EQ(text("shop"), (Json{{"ca.crt", "PEM"}}));
  ASSERT_TRUE(cluster.remove(kConfigMaps, "shop", "kube-root-ca.crt"));
  cluster.settle();
  EXPECT_EQ(text("shop"), (Json{{"ca.crt", "PEM"}}));
}

}  // namespace
}  // namespace moth::controllers
