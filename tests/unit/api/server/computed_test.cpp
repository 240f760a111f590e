// Kinds that are answered instead of stored.
#include "api/resources/authentication_v1/rows.h"
#include "api/resources/authorization_v1/rows.h"
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

constexpr const char* kReviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
constexpr const char* kTokens = "/api/v1/namespaces/default/serviceaccounts/robot/token";

class ComputedTest : public ServerTest {
 protected:
  ComputedTest() {
    asio::co_spawn(
        lab_.executors.control(),
        [](Pipeline& pipeline) -> Task<void> {
          pipeline.compute_on_create(
              "subjectaccessreviews.authorization.k8s.io", resources::subject_access_reviews(),
              [](Target, Json object, RequestContext& context) -> Task<Result<Json>> {
                object["status"] = {{"allowed", false},
                                    {"reason", "asked by " + context.user.name}};
                co_return object;
              });
          pipeline.compute_on_create(
              "serviceaccounts/token", resources::token_requests(),
              [](Target target, Json object, RequestContext&) -> Task<Result<Json>> {
                if (target.name != "robot")
                  co_return fail(Error::not_found("serviceaccounts", target.name));
                object["status"] = {{"token", "t"}};
                co_return object;
              });
          co_return;
        }(*lab_.pipeline),
        asio::use_future)
        .get();
  }
  static Json review(Json spec) {
    return {{"apiVersion", "authorization.k8s.io/v1"},
            {"kind", "SubjectAccessReview"},
            {"spec", std::move(spec)}};
  }

  ServerLab lab_;
};

TEST_F(ComputedTest, ACreateIsAnswered) {
  Answer made =
      lab_.post(kReviews, review({{"user", "jo"}, {"resourceAttributes", {{"verb", "get"}}}}));
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.at("/status/reason"), "asked by admin");
  EXPECT_EQ(made.at("/spec/user"), "jo");
  EXPECT_EQ(made.at("/metadata/uid"), nullptr);
}

TEST_F(ComputedTest, BodiesAreChecked) {
  Answer empty = lab_.post(kReviews, review(Json::object()));
  EXPECT_EQ(empty.status, 422);
  EXPECT_EQ(
      empty.message(),
      "SubjectAccessReview.authorization.k8s.io \"\" is invalid: [spec.resourceAttributes: "
      "Invalid value: \"null\": exactly one of nonResourceAttributes or resourceAttributes must "
      "be specified, spec.user: Invalid value: \"\": at least one of user or group must be "
      "specified]");
  Answer unknown = lab_.post(std::string(kReviews) + "?fieldValidation=Strict",
                             review({{"user", "jo"}, {"who", 1}}));
  EXPECT_EQ(unknown.status, 400) << unknown.text;
}

TEST_F(ComputedTest, NothingElseIsServed) {
  EXPECT_EQ(lab_.get(kReviews).status, 405);
  EXPECT_EQ(lab_.remove(std::string(kReviews) + "/x").status, 405);
  // Nobody answers this one.
  EXPECT_EQ(
      lab_.post("/apis/authentication.k8s.io/v1/tokenreviews", {{"spec", {{"token", "x"}}}}).status,
      503);
}

TEST_F(ComputedTest, SubresourcesAreAnsweredToo) {
  Answer token = lab_.post(kTokens, Json::object());
  ASSERT_EQ(token.status, 201) << token.text;
  EXPECT_EQ(token.at("/kind"), "TokenRequest");
  EXPECT_EQ(token.at("/spec/expirationSeconds"), 3600);
  EXPECT_EQ(token.at("/status/token"), "t");
  EXPECT_EQ(token.at("/metadata/namespace"), "default");
  EXPECT_EQ(lab_.post(kTokens, {{"spec", {{"expirationSeconds", 5}}}}).status, 422);
  EXPECT_EQ(lab_.post(kTokens, {{"metadata", {{"namespace", "other"}}}}).status, 400);
  EXPECT_EQ(lab_.post(kTokens, {{"metadata", {{"name", "other"}}}}).status, 400);
  EXPECT_EQ(
      lab_.post("/api/v1/namespaces/default/serviceaccounts/nobody/token", Json::object()).status,
      404);
}

}  // namespace
}  // namespace moth::server
