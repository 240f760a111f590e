#include <gtest/gtest.h>

#include "api/schema/base64.h"
#include "daemon/controllers/serviceaccounttokens/serviceaccounttokens_controller.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

using client::gvr::kSecrets;
using client::gvr::kServiceAccounts;

class TokenSecrets : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_.add([](ControllerContext context) {
      TokenSecretOptions options;
      options.ca_pem = "CA";
      options.sign = [](const std::string& ns, const std::string& account, const std::string&,
                        const std::string& secret) -> Result<std::string> {
        return ns + "." + account + "." + secret;
      };
      return make_serviceaccounttokens_controller(context, std::move(options));
    });
    cluster_.start();
    ASSERT_TRUE(cluster_.create(
        kServiceAccounts, "default",
        {{"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", "bot"}}}}));
  }
  void make(const std::string& name, const std::string& type, const std::string& account) {
    ASSERT_TRUE(cluster_.create(
        kSecrets, "default",
        {{"apiVersion", "v1"},
         {"kind", "Secret"},
         {"type", type},
         {"metadata",
          {{"name", name}, {"annotations", {{"kubernetes.io/service-account.name", account}}}}}}));
    cluster_.settle();
  }
  std::string value(const std::string& name, const std::string& key) {
    Json text = cluster_.field(kSecrets, "default", name, "/data/" + key);
    return text.is_string() ? schema::decode_base64(text.get<std::string>()).value_or("?") : "";
  }
  test::TestCluster cluster_{{false, false}};
};

TEST_F(TokenSecrets, AreFilledIn) {
  make("t", "kubernetes.io/service-account-token", "bot");
  EXPECT_EQ(value("t", "token"), "default.bot.t");
  EXPECT_EQ(value("t", "ca.crt"), "CA");
  EXPECT_EQ(value("t", "namespace"), "default");
  ASSERT_TRUE(cluster_.patch(kSecrets, "default", "t", {{"data", {{"token", nullptr}}}}));
  cluster_.settle();
  EXPECT_EQ(value("t", "token"), "default.bot.t");
}

TEST_F(TokenSecrets, OtherTypesAreLeftAlone) {
  make("o", "Opaque", "bot");
  EXPECT_EQ(value("o", "token"), "");
}

TEST_F(TokenSecrets, GoWithTheirAccount) {
  make("t", "kubernetes.io/service-account-token", "bot");
  ASSERT_TRUE(cluster_.remove(kServiceAccounts, "default", "bot"));
  cluster_.settle();
  EXPECT_FALSE(cluster_.get(kSecrets, "default", "t"));
  make("u", "kubernetes.io/service-account-token", "nobody");
  EXPECT_FALSE(cluster_.get(kSecrets, "default", "u"));
}

}  // namespace
}  // namespace moth::controllers
