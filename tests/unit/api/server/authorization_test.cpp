// Users, tokens, roles and reviews through a whole server.
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

constexpr const char* kRbac = "/apis/rbac.authorization.k8s.io/v1";
constexpr const char* kAccounts = "/api/v1/namespaces/default/serviceaccounts";

class AuthorizationTest : public ServerTest {
 protected:
  AuthorizationTest() : lab_({.secured = true}) {}

  Answer as(const std::string& token, std::string method, const std::string& path,
            const Json& body = nullptr, std::vector<http::Header> headers = {}) {
    std::string kept = std::exchange(lab_.token, token);
    Answer answer =
        lab_.call(std::move(method), path, body.is_null() ? "" : body.dump(), std::move(headers));
    lab_.token = kept;
    return answer;
  }
  Answer jo(std::string method, const std::string& path, const Json& body = nullptr) {
    return as("user-token", std::move(method), path, body);
  }
  static Json role(const std::string& name, Json rules) {
    return {{"metadata", {{"name", name}}}, {"rules", std::move(rules)}};
  }
  static Json rule(Json verbs, Json groups, Json resources) {
    return {{"verbs", std::move(verbs)},
            {"apiGroups", std::move(groups)},
            {"resources", std::move(resources)}};
  }
  static Json binding(const std::string& name, const std::string& kind, const std::string& role,
                      Json subject) {
    return {
        {"metadata", {{"name", name}}},
        {"roleRef", {{"apiGroup", "rbac.authorization.k8s.io"}, {"kind", kind}, {"name", role}}},
        {"subjects", Json::array({std::move(subject)})}};
  }
  static Json user(const std::string& name) {
    return {{"kind", "User"}, {"apiGroup", "rbac.authorization.k8s.io"}, {"name", name}};
  }
  void must_create(const std::string& path, const Json& object) {
    Answer made = lab_.post(path, object);
    ASSERT_EQ(made.status, 201) << made.text;
  }
  std::string local(const std::string& resource) {
    return std::string(kRbac) + "/namespaces/default/" + resource;
  }
  std::string token_of(const std::string& account, Json spec = Json::object()) {
    Answer answer = lab_.post(std::string(kAccounts) + "/" + account + "/token", {{"spec", spec}});
    EXPECT_EQ(answer.status, 201) << answer.text;
    return answer.at("/status/token").get<std::string>();
  }
  void make_account(const std::string& name) {
    must_create(kAccounts, {{"metadata", {{"name", name}}}});
  }

  ServerLab lab_;
};

TEST_F(AuthorizationTest, ABindingCountsWithTheNextRequest) {
  Answer refused = jo("GET", kPods);
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.message(),
            "pods is forbidden: User \"jo\" cannot list resource \"pods\" in API group \"\" in the "
            "namespace \"default\"");
  must_create(local("rolebindings"), binding("jo", "ClusterRole", "view", user("jo")));
  EXPECT_EQ(jo("GET", kPods).status, 200);
  EXPECT_EQ(jo("GET", "/api/v1/pods").status, 403);
  EXPECT_EQ(jo("GET", "/api/v1/namespaces/default").status, 200);
  EXPECT_EQ(jo("GET", "/api/v1/namespaces/default/secrets").status, 403);
  EXPECT_EQ(jo("POST", kPods, pod("a")).status, 403);
  EXPECT_EQ(lab_.remove(local("rolebindings") + "/jo").status, 200);
  EXPECT_EQ(jo("GET", kPods).status, 403);
}

TEST_F(AuthorizationTest, NobodyAndStrangers) {
  EXPECT_EQ(as("wrong", "GET", "/api").status, 401);
  Answer nobody = as("", "GET", "/version", nullptr, {{"Authorization", ""}});
  EXPECT_EQ(nobody.status, 200);
  Answer refused = as("", "GET", "/api/v1/pods", nullptr, {{"Authorization", ""}});
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.message(),
            "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API "
            "group \"\" at the cluster scope");
  EXPECT_EQ(as("", "GET", "/apis", nullptr, {{"Authorization", ""}}).status, 403);
}

TEST_F(AuthorizationTest, NobodyGrantsWhatHeLacks) {
  must_create(local("rolebindings"), binding("jo", "ClusterRole", "admin", user("jo")));
  Answer granted =
      jo("POST", local("roles"), role("own", Json::array({rule({"get"}, {""}, {"pods"})})));
  EXPECT_EQ(granted.status, 201) << granted.text;
  Answer refused = jo("POST", local("roles"),
                      role("much", Json::array({rule({"get", "list"}, {""}, {"nodes"})})));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.message(),
            "roles.rbac.authorization.k8s.io \"much\" is forbidden: user \"jo\" "
            "(groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not "
            "currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}");
  Answer bound = jo("POST", local("rolebindings"),
                    binding("kim", "ClusterRole", "cluster-admin", user("kim")));
  EXPECT_EQ(bound.status, 403);
  EXPECT_NE(bound.message().find("not currently held:\n{APIGroups:[\"*\"]"), std::string::npos);
  EXPECT_EQ(
      jo("POST", local("rolebindings"), binding("kim", "ClusterRole", "view", user("kim"))).status,
      201);
  EXPECT_EQ(
      jo("POST", local("rolebindings"), binding("lou", "ClusterRole", "nope", user("lou"))).status,
      404);
  // The verbs that allow it all the same.
  must_create(
      local("roles"),
      role("giver", Json::array({{{"verbs", {"bind"}},
                                  {"apiGroups", {"rbac.authorization.k8s.io"}},
                                  {"resources", {"clusterroles"}},
                                  {"resourceNames", {"cluster-admin"}}},
                                 rule({"escalate"}, {"rbac.authorization.k8s.io"}, {"roles"})})));
  must_create(local("rolebindings"), binding("giver", "Role", "giver", user("jo")));
  EXPECT_EQ(jo("POST", local("rolebindings"),
               binding("kim2", "ClusterRole", "cluster-admin", user("kim")))
                .status,
            201);
  EXPECT_EQ(jo("POST", local("roles"),
               role("much", Json::array({rule({"get", "list"}, {""}, {"nodes"})})))
                .status,
            201);
}

TEST_F(AuthorizationTest, WhoMayOnlyChangeDoesNotCreate) {
  must_create(local("roles"),
              role("editor", Json::array({rule({"update", "patch"}, {"", "coordination.k8s.io"},
                                               {"configmaps", "leases"})})));
  must_create(local("rolebindings"), binding("jo", "Role", "editor", user("jo")));
  const std::string lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l";
  Answer put = jo("PUT", lease, {{"metadata", {{"name", "l"}}}});
  EXPECT_EQ(put.status, 403) << put.text;
  EXPECT_EQ(lab_.put(lease, {{"metadata", {{"name", "l"}}}}).status, 201);
  Answer changed = as("user-token", "PATCH", lease, {{"metadata", {{"labels", {{"a", "b"}}}}}},
                      {{"Content-Type", "application/merge-patch+json"}});
  EXPECT_EQ(changed.status, 200) << changed.text;
  Answer applied = as("user-token", "PATCH", std::string(kMaps) + "/m?fieldManager=x",
                      config_map("m"), {{"Content-Type", "application/apply-patch+yaml"}});
  EXPECT_EQ(applied.status, 403) << applied.text;
}

TEST_F(AuthorizationTest, StreamsIntoPodsNeedCreate) {
  must_create(kPods, pod("p"));
  must_create(local("roles"), role("peek", Json::array({rule({"get"}, {""}, {"pods/exec"})})));
  must_create(local("rolebindings"), binding("jo", "Role", "peek", user("jo")));
  Answer refused = jo("GET", at(kPods, "p") + "/exec?command=id");
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.message().find("cannot create resource \"pods/exec\""), std::string::npos);
}

TEST_F(AuthorizationTest, TokensOfAccounts) {
  make_account("bot");
  std::string token = token_of("bot");
  Answer who = as(token, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                  {{"kind", "SelfSubjectReview"}});
  ASSERT_EQ(who.status, 201) << who.text;
  EXPECT_EQ(who.at("/status/userInfo/username"), "system:serviceaccount:default:bot");
  EXPECT_EQ(
      who.at("/status/userInfo/groups"),
      Json({"system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"}));
  EXPECT_EQ(as(token, "GET", kPods).status, 403);
  must_create(local("rolebindings"),
              binding("bot", "ClusterRole", "view",
                      {{"kind", "ServiceAccount"}, {"name", "bot"}, {"namespace", "default"}}));
  EXPECT_EQ(as(token, "GET", kPods).status, 200);
  EXPECT_EQ(lab_.tokens->cached(), 1u);
  // Another audience is none of the API's.
  EXPECT_EQ(as(token_of("bot", {{"audiences", {"vault"}}}), "GET", kPods).status, 401);
  // It ends with its account.
  EXPECT_EQ(lab_.remove(std::string(kAccounts) + "/bot").status, 200);
  EXPECT_EQ(as(token, "GET", kPods).status, 401);
  make_account("bot");
  EXPECT_EQ(as(token, "GET", kPods).status, 401) << "another account of the same name";
}

TEST_F(AuthorizationTest, TokensEndWithTheirTimeAndTheirPod) {
  make_account("bot");
  std::string token = token_of("bot", {{"expirationSeconds", 600}});
  constexpr const char* kWho = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
  EXPECT_EQ(as(token, "POST", kWho, {{"kind", "SelfSubjectReview"}}).status, 201);
  lab_.clock.advance(std::chrono::seconds(661));
  EXPECT_EQ(as(token, "POST", kWho, {{"kind", "SelfSubjectReview"}}).status, 401);

  must_create(kPods, pod("p", {{"spec", {{"serviceAccountName", "bot"}}}}));
  Json ref = {{"kind", "Pod"}, {"apiVersion", "v1"}, {"name", "p"}};
  std::string bound = token_of("bot", {{"boundObjectRef", ref}});
  Answer who = as(bound, "POST", kWho, {{"kind", "SelfSubjectReview"}});
  ASSERT_EQ(who.status, 201) << who.text;
  EXPECT_EQ(who.at("/status/userInfo/extra/authentication.kubernetes.io~1pod-name"), Json({"p"}));
  EXPECT_EQ(lab_.remove(at(kPods, "p") + "?gracePeriodSeconds=0").status, 200);
  EXPECT_EQ(as(bound, "POST", kWho, {{"kind", "SelfSubjectReview"}}).status, 401);
}

TEST_F(AuthorizationTest, TokenRequestsAreChecked) {
  make_account("bot");
  make_account("other");
  std::string path = std::string(kAccounts) + "/bot/token";
  Answer brief = lab_.post(path, {{"spec", {{"expirationSeconds", 5}}}});
  EXPECT_EQ(brief.status, 422);
  EXPECT_NE(brief.message().find("may not specify a duration less than 10 minutes"),
            std::string::npos);
  EXPECT_EQ(lab_.post(std::string(kAccounts) + "/none/token", {{"spec", Json::object()}}).message(),
            "serviceaccounts \"none\" not found");
  must_create(kPods, pod("p", {{"spec", {{"serviceAccountName", "other"}}}}));
  auto bind = [&](Json ref) { return lab_.post(path, {{"spec", {{"boundObjectRef", ref}}}}); };
  EXPECT_EQ(bind({{"kind", "Pod"}, {"apiVersion", "v1"}, {"name", "p"}}).message(),
            "cannot bind token for serviceaccount \"bot\" to pod running with different "
            "serviceaccount name.");
  EXPECT_EQ(bind({{"kind", "Pod"}, {"apiVersion", "v1"}, {"name", "none"}}).status, 404);
  EXPECT_EQ(bind({{"kind", "ConfigMap"}, {"apiVersion", "v1"}, {"name", "p"}}).status, 400);
  must_create("/api/v1/namespaces/default/secrets", {{"metadata", {{"name", "s"}}}});
  EXPECT_EQ(
      bind({{"kind", "Secret"}, {"apiVersion", "v1"}, {"name", "s"}, {"uid", "other"}}).status,
      409);
  EXPECT_EQ(bind({{"kind", "Secret"}, {"apiVersion", "v1"}, {"name", "s"}}).status, 201);
}

TEST_F(AuthorizationTest, TokenReviews) {
  make_account("bot");
  auto review = [&](const std::string& token, Json audiences = Json::array()) {
    return lab_.post("/apis/authentication.k8s.io/v1/tokenreviews",
                     {{"spec", {{"token", token}, {"audiences", std::move(audiences)}}}});
  };
  Answer good = review(token_of("bot"));
  ASSERT_EQ(good.status, 201) << good.text;
  EXPECT_EQ(good.at("/status/authenticated"), true);
  EXPECT_EQ(good.at("/status/user/username"), "system:serviceaccount:default:bot");
  Answer vault = review(token_of("bot", {{"audiences", {"vault"}}}), {"vault", "x"});
  EXPECT_EQ(vault.at("/status/audiences"), Json({"vault"}));
  Answer foreign = review(token_of("bot", {{"audiences", {"vault"}}}));
  EXPECT_EQ(foreign.at("/status/authenticated"), nullptr);
  EXPECT_NE(foreign.text.find("is invalid for the target audiences"), std::string::npos);
  EXPECT_EQ(review("user-token").at("/status/user/username"), "jo");
  EXPECT_EQ(review("").status, 400);
}

TEST_F(AuthorizationTest, AccessReviews) {
  constexpr const char* kAuthorization = "/apis/authorization.k8s.io/v1";
  must_create(local("rolebindings"), binding("jo", "ClusterRole", "view", user("jo")));
  Json wanted = {{"verb", "list"}, {"resource", "pods"}, {"namespace", "default"}};
  Answer self = jo("POST", std::string(kAuthorization) + "/selfsubjectaccessreviews",
                   {{"spec", {{"resourceAttributes", wanted}}}});
  ASSERT_EQ(self.status, 201) << self.text;
  EXPECT_EQ(self.at("/status/allowed"), true);
  EXPECT_EQ(self.at("/status/reason"),
            "RBAC: allowed by RoleBinding \"jo/default\" of ClusterRole \"view\" to User \"jo\"");
  auto about = [&](Json spec) {
    return lab_.post(std::string(kAuthorization) + "/subjectaccessreviews", {{"spec", spec}});
  };
  EXPECT_EQ(about({{"user", "kim"}, {"resourceAttributes", wanted}}).at("/status/allowed"), false);
  EXPECT_EQ(about({{"user", "jo"}, {"resourceAttributes", wanted}}).at("/status/allowed"), true);
  EXPECT_EQ(about({{"user", "x"},
                   {"groups", {"system:unauthenticated"}},
                   {"nonResourceAttributes", {{"verb", "get"}, {"path", "/healthz"}}}})
                .at("/status/allowed"),
            true);
  EXPECT_EQ(about({{"user", "x"}}).status, 422);
  Answer there =
      lab_.post(std::string(kAuthorization) + "/namespaces/default/localsubjectaccessreviews",
                {{"metadata", {{"namespace", "default"}}},
                 {"spec", {{"user", "jo"}, {"resourceAttributes", wanted}}}});
  EXPECT_EQ(there.at("/status/allowed"), true) << there.text;
  Answer rules = jo("POST", std::string(kAuthorization) + "/selfsubjectrulesreviews",
                    {{"spec", {{"namespace", "default"}}}});
  ASSERT_EQ(rules.status, 201) << rules.text;
  EXPECT_EQ(rules.at("/status/incomplete"), false);
  EXPECT_GT(rules.at("/status/resourceRules").size(), 5u);
  EXPECT_NE(rules.text.find("/healthz"), std::string::npos);
}

TEST_F(AuthorizationTest, Impersonation) {
  Answer kim =
      as("admin-token", "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
         {{"kind", "SelfSubjectReview"}}, {{"Impersonate-User", "kim"}, {"Impersonate-Uid", "7"}});
  EXPECT_EQ(kim.at("/status/userInfo/username"), "kim");
  EXPECT_EQ(kim.at("/status/userInfo/uid"), "7");
  Answer pods = as("admin-token", "GET", kPods, nullptr, {{"Impersonate-User", "kim"}});
  EXPECT_EQ(pods.status, 403);
  Answer refused = as("user-token", "GET", "/api", nullptr, {{"Impersonate-User", "admin"}});
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(
      refused.message(),
      "users \"admin\" is forbidden: User \"jo\" cannot impersonate resource \"users\" in API "
      "group \"\" at the cluster scope");
}

TEST_F(AuthorizationTest, OpenIdDocuments) {
  make_account("bot");
  std::string token = token_of("bot");
  Answer discovery = as(token, "GET", "/.well-known/openid-configuration");
  ASSERT_EQ(discovery.status, 200) << discovery.text;
  EXPECT_EQ(discovery.at("/jwks_uri"), "https://lab/openid/v1/jwks");
  EXPECT_EQ(discovery.at("/id_token_signing_alg_values_supported"), Json({"ES256"}));
  Answer keys = as(token, "GET", "/openid/v1/jwks");
  EXPECT_EQ(keys.at("/keys/0/kty"), "EC");
  EXPECT_EQ(keys.headers.get("Content-Type"), "application/jwk-set+json");
  EXPECT_EQ(as("", "GET", "/openid/v1/jwks", nullptr, {{"Authorization", ""}}).status, 403);
}

TEST_F(AuthorizationTest, PodsGetTheTokenVolume) {
  make_account("bot");
  Answer made = lab_.post(kPods, pod("p", {{"spec", {{"serviceAccountName", "bot"}}}}));
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.at("/spec/containers/0/volumeMounts/0/mountPath"),
            "/var/run/secrets/kubernetes.io/serviceaccount");
  EXPECT_EQ(made.at("/spec/volumes/0/projected/sources/0/serviceAccountToken/expirationSeconds"),
            3607);
  EXPECT_EQ(made.at("/spec/volumes/0/name").get<std::string>().size(),
            std::string("kube-api-access-").size() + 5);
  Answer without = lab_.post(
      kPods,
      pod("q",
          {{"spec", {{"serviceAccountName", "bot"}, {"automountServiceAccountToken", false}}}}));
  EXPECT_EQ(without.at("/spec/volumes"), nullptr);
  must_create(kAccounts,
              {{"metadata", {{"name", "shy"}}}, {"automountServiceAccountToken", false}});
  EXPECT_EQ(
      lab_.post(kPods, pod("r", {{"spec", {{"serviceAccountName", "shy"}}}})).at("/spec/volumes"),
      nullptr);
  EXPECT_EQ(lab_.post(kPods, pod("s", {{"spec", {{"serviceAccountName", "none"}}}})).message(),
            "pods \"s\" is forbidden: error looking up service account default/none: "
            "serviceaccount \"none\" not found");
}

}  // namespace
}  // namespace moth::server
