#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/server/webhooks/configuration.h"
#include "api/server/webhooks/review.h"

namespace moth::server {
namespace {

WebhookRule rule(std::vector<std::string> resources, std::string scope = "*") {
  return {{"CREATE"}, {""}, {"v1"}, std::move(resources), std::move(scope)};
}

TEST(WebhookRule, ResourcesAndSubresources) {
  const Gvr pods{"", "v1", "pods"};
  struct Case {
    const char* pattern;
    const char* sub;
    bool fits;
  };
  for (const Case& one :
       {Case{"pods", "", true}, Case{"pods", "status", false}, Case{"pods/*", "status", true},
        Case{"pods/status", "status", true}, Case{"pods/status", "", false}, Case{"*", "", true},
        Case{"*", "status", false}, Case{"*/*", "status", true}, Case{"*/status", "status", true},
        Case{"*/scale", "status", false}, Case{"services", "", false}}) {
    EXPECT_EQ(rule({one.pattern}).matches(Operation::kCreate, pods, one.sub, true), one.fits)
        << one.pattern << " " << one.sub;
  }
}

TEST(WebhookRule, ScopeOperationAndVersion) {
  const Gvr pods{"", "v1", "pods"};
  EXPECT_FALSE(rule({"*"}, "Cluster").matches(Operation::kCreate, pods, "", true));
  EXPECT_TRUE(rule({"*"}, "Namespaced").matches(Operation::kCreate, pods, "", true));
  EXPECT_FALSE(rule({"*"}).matches(Operation::kUpdate, pods, "", true));
  EXPECT_FALSE(rule({"*"}).matches(Operation::kCreate, {"apps", "v1", "pods"}, "", true));
}

std::string answer(const std::string& response) {
  return R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":)" + response +
         "}";
}

TEST(ReviewAnswer, ReadsPatchAndWarnings) {
  auto read = read_answer(
      answer(
          R"({"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"W10=","warnings":["w"]})"),
      "u", true);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_TRUE(read->allowed);
  EXPECT_EQ(read->patch, Json::array());
  EXPECT_EQ(read->warnings, std::vector<std::string>{"w"});
}

TEST(ReviewAnswer, RefusesWhatIsNoAnswer) {
  for (const std::string& body :
       {std::string("no json"), std::string("{}"), answer(R"({"uid":"other","allowed":true})"),
        answer(R"({"uid":"u","allowed":true,"patch":"W10="})"),
        answer(R"({"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"!"})")}) {
    auto read = read_answer(body, "u", true);
    ASSERT_FALSE(read) << body;
    EXPECT_EQ(read.error().message.find("received invalid webhook response: "), 0u);
  }
  EXPECT_FALSE(read_answer(
      answer(R"({"uid":"u","allowed":true,"patchType":"JSONPatch","patch":"W10="})"), "u", false));
}

TEST(Refusal, WordsAndCodes) {
  Error plain = refusal("x.example", nullptr);
  EXPECT_EQ(plain.message,
            "admission webhook \"x.example\" denied the request without explanation");
  EXPECT_EQ(plain.code(), 400);
  Error told = refusal("x.example", {{"code", 403}, {"message", "no"}});
  EXPECT_EQ(told.message, "admission webhook \"x.example\" denied the request: no");
  EXPECT_EQ(told.code(), 403);
  Error reason = refusal("x.example", {{"reason", "Conflict"}, {"code", 409}});
  EXPECT_EQ(reason.message, "admission webhook \"x.example\" denied the request: Conflict");
  EXPECT_EQ(reason.code(), 409);
}

TEST(ParseWebhooks, ReadsWhatMatters) {
  const Json json = {
      {"apiVersion", "admissionregistration.k8s.io/v1"},
      {"kind", "MutatingWebhookConfiguration"},
      {"metadata", {{"name", "conf"}}},
      {"webhooks",
       Json::array({{{"name", "a.example"},
                     {"failurePolicy", "Ignore"},
                     {"matchPolicy", "Exact"},
                     {"timeoutSeconds", 3},
                     {"sideEffects", "NoneOnDryRun"},
                     {"reinvocationPolicy", "IfNeeded"},
                     {"admissionReviewVersions", {"v1"}},
                     {"namespaceSelector", {{"matchLabels", {{"on", "yes"}}}}},
                     {"matchConditions", Json::array({{{"name", "c"}, {"expression", "true"}},
                                                      {{"name", "d"}, {"expression", "1 +"}}})},
                     {"clientConfig",
                      {{"caBundle", "UEVN"},
                       {"service", {{"namespace", "n"}, {"name", "s"}, {"path", "/p"}}}}},
                     {"rules", Json::array({{{"operations", {"*"}},
                                             {"apiGroups", {"*"}},
                                             {"apiVersions", {"*"}},
                                             {"resources", {"*"}}}})}}})}};
  auto all = parse_webhooks(*Object::from_json(json));
  ASSERT_EQ(all.size(), 1u);
  const Webhook& one = all.front();
  EXPECT_EQ(one.key(), "conf/a.example");
  EXPECT_FALSE(one.must_not_fail);
  EXPECT_FALSE(one.equivalent);
  EXPECT_EQ(one.timeout, std::chrono::seconds(3));
  EXPECT_FALSE(one.side_effects);
  EXPECT_TRUE(one.reinvoke);
  EXPECT_EQ(one.ca_pem, "PEM");
  EXPECT_EQ(one.service_port, 443);
  EXPECT_TRUE(one.namespaces.matches({{"on", "yes"}}));
  EXPECT_FALSE(one.namespaces.matches({}));
  ASSERT_EQ(one.conditions.size(), 2u);
  EXPECT_TRUE(one.conditions[0].program);
  EXPECT_FALSE(one.conditions[1].error.empty());
}

}  // namespace
}  // namespace moth::server
