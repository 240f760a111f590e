#include "daemon/controllers/serviceaccount/serviceaccount_controller.h"

#include <gtest/gtest.h>

#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

using client::gvr::kNamespaces;
using client::gvr::kServiceAccounts;

TEST(ServiceAccount, EveryNamespaceHasItsDefault) {
  test::TestCluster cluster({false, false});
  cluster.add(make_serviceaccount_controller);
  cluster.start();
  cluster.settle();
  EXPECT_TRUE(cluster.get(kServiceAccounts, "default", "default")) << "of one that was there";
  ASSERT_TRUE(cluster.create(
      kNamespaces, "",
      {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", "shop"}}}}));
  cluster.settle();
  ObjectPtr account = cluster.get(kServiceAccounts, "shop", "default");
  ASSERT_TRUE(account);
  ASSERT_TRUE(cluster.remove(kServiceAccounts, "shop", "default"));
  cluster.settle();
  ObjectPtr again = cluster.get(kServiceAccounts, "shop", "default");
  ASSERT_TRUE(again) << "it comes back";
  EXPECT_NE(again->uid(), account->uid());
  // Not in a namespace that is going.
  ASSERT_TRUE(cluster.remove(kNamespaces, "", "shop"));
  ASSERT_TRUE(cluster.remove(kServiceAccounts, "shop", "default"));
  cluster.settle();
  EXPECT_FALSE(cluster.get(kServiceAccounts, "shop", "default"));
}

}  // namespace
}  // namespace moth::controllers
