// Creates, updates, patches and deletes as clients see them.
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

using namespace std::chrono_literals;

class WriteTest : public ServerTest {
 protected:
  ServerLab lab_;
};

TEST_F(WriteTest, CreateFillsTheMetadata) {
  Answer made =
      lab_.post(kMaps, config_map("one", {{"metadata", {{"uid", "mine"}, {"generation", 7}}}}));
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.at("/metadata/namespace"), "default");
  EXPECT_EQ(made.at("/metadata/creationTimestamp"), "2025-06-15T15:06:40Z");
  EXPECT_EQ(made.at("/metadata/uid").get<std::string>().size(), 36u);
  EXPECT_EQ(made.at("/metadata/generation"), nullptr);
  EXPECT_FALSE(made.version().empty());
  EXPECT_EQ(lab_.get(at(kMaps, "one")).json, made.json);
  Answer again = lab_.post(kMaps, config_map("one"));
  EXPECT_EQ(again.status, 409);
  EXPECT_EQ(again.reason(), "AlreadyExists");
  EXPECT_EQ(again.message(), "configmaps \"one\" already exists");
  EXPECT_EQ(again.at("/details/name"), "one");
  EXPECT_EQ(again.at("/code"), 409);
}

TEST_F(WriteTest, KindsAreFilledInAndChecked) {
  Answer bare = lab_.post(kMaps, {{"metadata", {{"name", "bare"}}}});
  ASSERT_EQ(bare.status, 201);
  EXPECT_EQ(bare.at("/kind"), "ConfigMap");
  EXPECT_EQ(bare.at("/apiVersion"), "v1");
  Answer wrong = lab_.post(kMaps, {{"kind", "Secret"}, {"apiVersion", "v1"}});
  EXPECT_EQ(wrong.status, 400);
  Answer version = lab_.post(kMaps, {{"kind", "ConfigMap"}, {"apiVersion", "v2"}});
  EXPECT_EQ(version.status, 400);
  EXPECT_EQ(version.message(),
            "the API version in the data (v2) does not match the expected API version (v1)");
}

TEST_F(WriteTest, CreateRefusals) {
  struct Case {
    std::string path;
    Json body;
    int status;
    std::string message;
  };
  const Case cases[] = {
      {kMaps, config_map("x", {{"metadata", {{"namespace", "other"}}}}), 400,
       "the namespace of the provided object does not match the namespace sent on the request"},
      {kMaps, config_map("x", {{"metadata", {{"resourceVersion", "5"}}}}), 400,
       "resourceVersion should not be set on objects to be created"},
      {"/api/v1/namespaces/nowhere/configmaps", config_map("x"), 404,
       "namespaces \"nowhere\" not found"},
      {kMaps, Json{{"kind", "ConfigMap"}, {"apiVersion", "v1"}, {"metadata", Json::object()}}, 422,
       "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is "
       "required"},
      {kMaps, Json::array({1}), 400, "the body must be a ConfigMap object, not array"},
  };
  for (const Case& one : cases) {
    Answer answer = lab_.post(one.path, one.body);
    EXPECT_EQ(answer.status, one.status) << one.message;
    EXPECT_EQ(answer.message(), one.message);
  }
  Answer bad_name = lab_.post(kMaps, config_map("Not_OK"));
  EXPECT_EQ(bad_name.status, 422);
  EXPECT_EQ(bad_name.reason(), "Invalid");
  EXPECT_EQ(bad_name.at("/details/kind"), "ConfigMap");
  EXPECT_EQ(bad_name.at("/details/causes/0/field"), "metadata.name");
  EXPECT_EQ(bad_name.at("/details/causes/0/reason"), "FieldValueInvalid");
  EXPECT_EQ(lab_.call("POST", kMaps, "{\"kind\":").status, 400);
  EXPECT_EQ(lab_.call("POST", kMaps).status, 400);
}

TEST_F(WriteTest, GenerateNameMakesDifferentNames) {
  Json body = {{"metadata", {{"generateName", "job-"}}}};
  Answer first = lab_.post(kMaps, body), second = lab_.post(kMaps, body);
  ASSERT_EQ(first.status, 201) << first.text;
  std::string name = first.at("/metadata/name").get<std::string>();
  EXPECT_TRUE(name.starts_with("job-"));
  EXPECT_EQ(name.size(), 9u);
  EXPECT_NE(second.at("/metadata/name"), first.at("/metadata/name"));
  EXPECT_EQ(first.at("/metadata/generateName"), "job-");
}

TEST_F(WriteTest, UpdateReplacesAndConflicts) {
  Answer made = lab_.post(kMaps, config_map("one"));
  Json changed = made.json;
  changed["data"] = {{"b", "2"}};
  changed["metadata"]["creationTimestamp"] = "1999-01-01T00:00:00Z";
  Answer put = lab_.put(at(kMaps, "one"), changed);
  ASSERT_EQ(put.status, 200) << put.text;
  EXPECT_EQ(put.at("/data"), (Json{{"b", "2"}}));
  EXPECT_EQ(put.at("/metadata/creationTimestamp"), made.at("/metadata/creationTimestamp"));
  EXPECT_NE(put.version(), made.version());
  Answer stale = lab_.put(at(kMaps, "one"), changed);
  EXPECT_EQ(stale.status, 409);
  EXPECT_EQ(stale.reason(), "Conflict");
  EXPECT_EQ(stale.message(),
            "Operation cannot be fulfilled on configmaps \"one\": the object has been modified; "
            "please apply your changes to the latest version and try again");
  // Without a version it overwrites; nothing changed means no new version.
  Answer same =
      lab_.put(at(kMaps, "one"), config_map("one", {{"data", {{"a", nullptr}, {"b", "2"}}}}));
  EXPECT_EQ(same.status, 200);
  EXPECT_EQ(same.version(), put.version());
  Json other_uid = config_map("one", {{"metadata", {{"uid", "other"}}}});
  Answer uid = lab_.put(at(kMaps, "one"), other_uid);
  EXPECT_EQ(uid.status, 409);
  EXPECT_EQ(uid.message(),
            fmt::format("Operation cannot be fulfilled on configmaps \"one\": Precondition failed: "
                        "UID in precondition: other, UID in object meta: {}",
                        made.at("/metadata/uid").get<std::string>()));
  Answer name = lab_.put(at(kMaps, "one"), config_map("two"));
  EXPECT_EQ(name.status, 400);
  EXPECT_EQ(name.message(),
            "the name of the object (two) does not match the name on the URL (one)");
  EXPECT_EQ(lab_.put(at(kMaps, "none"), config_map("none")).status, 404);
}

TEST_F(WriteTest, PutCreatesWhereTheKindAllowsIt) {
  Json lease = {{"apiVersion", "coordination.k8s.io/v1"},
                {"kind", "Lease"},
                {"metadata", {{"name", "holder"}}},
                {"spec", {{"holderIdentity", "me"}}}};
  std::string path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/holder";
  Answer made = lab_.put(path, lease);
  EXPECT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(lab_.get(path).at("/spec/holderIdentity"), "me");
  Answer unversioned = lab_.put(path, lease);
  EXPECT_EQ(unversioned.status, 422) << unversioned.text;
}

TEST_F(WriteTest, ThreeKindsOfPatch) {
  lab_.post(kDeployments, deployment("web"));
  std::string path = at(kDeployments, "web");
  Answer merge = lab_.merge(path, {{"metadata", {{"labels", {{"x", "1"}}}}}});
  ASSERT_EQ(merge.status, 200) << merge.text;
  EXPECT_EQ(merge.at("/metadata/labels/x"), "1");
  EXPECT_EQ(merge.at("/metadata/generation"), 1);
  Json containers = {{{"name", "d"}, {"image", "redis"}}};
  Answer strategic =
      lab_.patch(path, "strategic-merge-patch+json",
                 {{"spec", {{"template", {{"spec", {{"containers", containers}}}}}}}});
  ASSERT_EQ(strategic.status, 200) << strategic.text;
  EXPECT_EQ(strategic.at("/spec/template/spec/containers").size(), 2u);
  EXPECT_EQ(strategic.at("/metadata/generation"), 2);
  Answer json = lab_.patch(path, "json-patch+json",
                           {{{"op", "test"}, {"path", "/spec/replicas"}, {"value", 2}},
                            {{"op", "replace"}, {"path", "/spec/replicas"}, {"value", 5}}});
  ASSERT_EQ(json.status, 200) << json.text;
  EXPECT_EQ(json.at("/spec/replicas"), 5);
  Answer failed = lab_.patch(path, "json-patch+json",
                             {{{"op", "test"}, {"path", "/spec/replicas"}, {"value", 2}}});
  EXPECT_GE(failed.status, 400);
  Answer stale = lab_.merge(path, {{"metadata", {{"resourceVersion", "1"}}}});
  EXPECT_EQ(stale.status, 409);
  Answer renamed = lab_.merge(path, {{"metadata", {{"name", "other"}}}});
  EXPECT_EQ(renamed.status, 400);
  Answer unknown = lab_.patch(path, "json", Json::object());
  EXPECT_EQ(unknown.status, 415);
  EXPECT_EQ(unknown.reason(), "UnsupportedMediaType");
  Answer invalid = lab_.merge(path, {{"spec", {{"replicas", -1}}}});
  EXPECT_EQ(invalid.status, 422);
  EXPECT_EQ(lab_.merge(at(kDeployments, "none"), Json::object()).status, 404);
}

// A Deployment's annotations are its controller's business, those of other kinds are nobody's.
TEST_F(WriteTest, AnnotationsOfADeploymentCountAsAChange) {
  const Json noted = {{"metadata", {{"annotations", {{"note", "a"}}}}}};
  ASSERT_EQ(lab_.post(kDeployments, deployment("web")).at("/metadata/generation"), 1);
  EXPECT_EQ(lab_.merge(at(kDeployments, "web"), noted).at("/metadata/generation"), 2);
  EXPECT_EQ(lab_.merge(at(kDeployments, "web"), noted).at("/metadata/generation"), 2);
  Json labelled = {{"metadata", {{"labels", {{"tier", "front"}}}}}};
  EXPECT_EQ(lab_.merge(at(kDeployments, "web"), labelled).at("/metadata/generation"), 2);
  Json both = {{"metadata", {{"annotations", nullptr}}}, {"spec", {{"replicas", 5}}}};
  EXPECT_EQ(lab_.merge(at(kDeployments, "web"), both).at("/metadata/generation"), 3);
  EXPECT_EQ(lab_.merge(at(kDeployments, "web") + "/status", noted).at("/metadata/generation"), 3)
      << "the controller notes the revision so";
  const std::string sets = "/apis/apps/v1/namespaces/default/replicasets";
  ASSERT_EQ(lab_.post(sets, {{"metadata", {{"name", "web"}}}, {"spec", deployment("web")["spec"]}})
                .status,
            201);
  EXPECT_EQ(lab_.merge(at(sets, "web"), noted).at("/metadata/generation"), 1);
}

TEST_F(WriteTest, DryRunStoresNothing) {
  Answer made = lab_.call("POST", std::string(kMaps) + "?dryRun=All", config_map("one").dump());
  EXPECT_EQ(made.status, 201);
  EXPECT_EQ(made.at("/data/a"), "1");
  EXPECT_EQ(lab_.get(at(kMaps, "one")).status, 404);
  lab_.post(kMaps, config_map("one"));
  EXPECT_EQ(lab_.call("POST", std::string(kMaps) + "?dryRun=All", config_map("one").dump()).status,
            409);
  Answer put = lab_.call("PUT", at(kMaps, "one") + "?dryRun=All",
                         config_map("one", {{"data", {{"a", "9"}}}}).dump());
  EXPECT_EQ(put.at("/data/a"), "9");
  EXPECT_EQ(lab_.get(at(kMaps, "one")).at("/data/a"), "1");
  EXPECT_EQ(lab_.call("DELETE", at(kMaps, "one") + "?dryRun=All").status, 200);
  EXPECT_EQ(lab_.remove(at(kMaps, "one"), {{"dryRun", {"All"}}}).status, 200);
  EXPECT_EQ(lab_.get(at(kMaps, "one")).status, 200);
}

TEST_F(WriteTest, FieldValidation) {
  Json typo = deployment("web");
  typo["spec"]["replica"] = 3;
  std::string body = typo.dump();
  Answer strict = lab_.call("POST", std::string(kDeployments) + "?fieldValidation=Strict", body);
  EXPECT_EQ(strict.status, 400);
  EXPECT_EQ(strict.message(),
            "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding "
            "error: unknown field \"spec.replica\"");
  Answer warned = lab_.call("POST", std::string(kDeployments), body);
  EXPECT_EQ(warned.status, 201);
  EXPECT_EQ(warned.headers.get("Warning"), "299 - \"unknown field \\\"spec.replica\\\"\"");
  EXPECT_EQ(warned.at("/spec/replica"), nullptr);
  lab_.remove(at(kDeployments, "web"));
  Answer ignored = lab_.call("POST", std::string(kDeployments) + "?fieldValidation=Ignore", body);
  EXPECT_EQ(ignored.status, 201);
  EXPECT_FALSE(ignored.headers.has("Warning"));
  std::string twice = R"({"metadata":{"name":"d","name":"d"}})";
  Answer duplicate = lab_.call("POST", std::string(kMaps) + "?fieldValidation=Strict", twice);
  EXPECT_EQ(duplicate.status, 400);
  EXPECT_NE(duplicate.message().find("duplicate field \"metadata.name\""), std::string::npos);
}

TEST(ObjectText, NumbersPrintAsGoDoes) {
  ObjectPtr object = Object::from_json({{"kind", "X"}, {"spec", {{"a", 1.0}, {"b", 0.25}}}});
  EXPECT_EQ(object->text(), R"({"kind":"X","spec":{"a":1,"b":0.25}})");
}

TEST_F(WriteTest, YamlBodies) {
  Answer made = lab_.call("POST", kMaps, "metadata:\n  name: yaml\ndata:\n  k: v\n",
                          {{"Content-Type", "application/yaml"}});
  EXPECT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.at("/data/k"), "v");
  EXPECT_EQ(lab_.call("POST", kMaps, "x", {{"Content-Type", "text/plain"}}).status, 415);
}

TEST_F(WriteTest, StatusIsWrittenThroughItsSubresourceOnly) {
  Json with_status = deployment("web");
  with_status["status"] = {{"replicas", 9}};
  Answer made = lab_.post(kDeployments, with_status);
  EXPECT_EQ(made.at("/status/replicas"), nullptr);
  Json object = made.json;
  object["status"] = {{"replicas", 2}, {"observedGeneration", 1}};
  object["spec"]["replicas"] = 7;
  Answer status = lab_.put(at(kDeployments, "web") + "/status", object);
  ASSERT_EQ(status.status, 200) << status.text;
  EXPECT_EQ(status.at("/status/replicas"), 2);
  EXPECT_EQ(status.at("/spec/replicas"), 2);
  EXPECT_EQ(status.at("/metadata/generation"), 1);
  Answer spec = lab_.merge(at(kDeployments, "web"), {{"status", {{"replicas", 5}}}});
  EXPECT_EQ(spec.at("/status/replicas"), 2);
  Answer patched = lab_.merge(at(kDeployments, "web") + "/status", {{"status", {{"replicas", 3}}}});
  EXPECT_EQ(patched.at("/status/replicas"), 3);
  // The kind checks its status too.
  Answer bad = lab_.merge(at(kDeployments, "web") + "/status", {{"status", {{"replicas", -3}}}});
  EXPECT_EQ(bad.status, 422) << bad.text;
}

TEST_F(WriteTest, ScaleSubresource) {
  lab_.post(kDeployments, deployment("web"));
  std::string path = at(kDeployments, "web") + "/scale";
  Answer scale = lab_.get(path);
  ASSERT_EQ(scale.status, 200) << scale.text;
  EXPECT_EQ(scale.at("/kind"), "Scale");
  EXPECT_EQ(scale.at("/apiVersion"), "autoscaling/v1");
  EXPECT_EQ(scale.at("/spec/replicas"), 2);
  EXPECT_EQ(scale.at("/status/selector"), "app=web");
  Json wanted = scale.json;
  wanted["spec"]["replicas"] = 4;
  Answer put = lab_.put(path, wanted);
  ASSERT_EQ(put.status, 200) << put.text;
  EXPECT_EQ(put.at("/spec/replicas"), 4);
  Answer whole = lab_.get(at(kDeployments, "web"));
  EXPECT_EQ(whole.at("/spec/replicas"), 4);
  EXPECT_EQ(whole.at("/metadata/generation"), 2);
  EXPECT_EQ(lab_.put(path, wanted).status, 409) << "stale";
  EXPECT_EQ(lab_.merge(path, {{"spec", {{"replicas", 1}}}}).at("/spec/replicas"), 1);
  EXPECT_EQ(lab_.merge(path, {{"spec", {{"replicas", -1}}}}).status, 422);
  EXPECT_EQ(lab_.get(at(kMaps, "x") + "/scale").status, 404);
}

TEST_F(WriteTest, DeleteAnswersAndPreconditions) {
  Answer made = lab_.post(kMaps, config_map("one"));
  EXPECT_EQ(lab_.remove(at(kMaps, "one"), {{"preconditions", {{"uid", "other"}}}}).status, 409);
  EXPECT_EQ(lab_.remove(at(kMaps, "one"), {{"preconditions", {{"resourceVersion", "1"}}}}).status,
            409);
  Answer gone =
      lab_.remove(at(kMaps, "one"), {{"preconditions", {{"uid", made.at("/metadata/uid")}}}});
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(gone.at("/kind"), "Status");
  EXPECT_EQ(gone.at("/status"), "Success");
  EXPECT_EQ(gone.at("/details/uid"), made.at("/metadata/uid"));
  Answer again = lab_.remove(at(kMaps, "one"));
  EXPECT_EQ(again.status, 404);
  EXPECT_EQ(again.message(), "configmaps \"one\" not found");
  EXPECT_EQ(lab_.call("DELETE", at(kMaps, "one") + "?propagationPolicy=Sometimes").status, 404);
  lab_.post(kMaps, config_map("two"));
  EXPECT_EQ(lab_.call("DELETE", at(kMaps, "two") + "?propagationPolicy=Sometimes").status, 400);
}

TEST_F(WriteTest, FinalizersHoldAnObject) {
  lab_.post(kMaps, config_map("one", {{"metadata", {{"finalizers", {"a.io/x", "a.io/y"}}}}}));
  std::string path = at(kMaps, "one");
  Answer held = lab_.remove(path);
  EXPECT_EQ(held.status, 200);
  EXPECT_EQ(held.at("/kind"), "ConfigMap");
  EXPECT_EQ(held.at("/metadata/deletionTimestamp"), "2025-06-15T15:06:40Z");
  EXPECT_EQ(held.at("/metadata/deletionGracePeriodSeconds"), 0);
  Answer added = lab_.merge(path, {{"metadata", {{"finalizers", {"a.io/x", "a.io/z"}}}}});
  EXPECT_EQ(added.status, 422);
  EXPECT_EQ(lab_.merge(path, {{"metadata", {{"finalizers", {"a.io/x"}}}}}).status, 200);
  EXPECT_EQ(lab_.get(path).status, 200);
  EXPECT_EQ(lab_.merge(path, {{"metadata", {{"deletionTimestamp", nullptr}}}})
                .at("/metadata/deletionTimestamp"),
            "2025-06-15T15:06:40Z")
      << "nobody takes a deletion back";
  EXPECT_EQ(lab_.merge(path, {{"metadata", {{"finalizers", nullptr}}}}).status, 200);
  EXPECT_EQ(lab_.get(path).status, 404);
}

TEST_F(WriteTest, PropagationPoliciesBecomeFinalizers) {
  lab_.post(kDeployments, deployment("web"));
  Answer held = lab_.call("DELETE", at(kDeployments, "web") + "?propagationPolicy=Foreground");
  EXPECT_EQ(held.at("/metadata/finalizers"), (Json{"foregroundDeletion"}));
  EXPECT_EQ(held.at("/metadata/generation"), 2) << "a deletion counts as a change";
  lab_.post(kDeployments, deployment("db"));
  Answer orphan = lab_.remove(at(kDeployments, "db"), {{"propagationPolicy", "Orphan"}});
  EXPECT_EQ(orphan.at("/metadata/finalizers"), (Json{"orphan"}));
}

TEST_F(WriteTest, PodsAreDeletedGracefully) {
  lab_.post(kPods, pod("free"));
  EXPECT_EQ(lab_.remove(at(kPods, "free")).at("/kind"), "Status") << "no node: at once";
  EXPECT_EQ(lab_.get(at(kPods, "free")).status, 404);

  Json bound = pod("bound", {{"spec", {{"nodeName", "box"}}}});
  ASSERT_EQ(lab_.post(kPods, bound).status, 201);
  std::string path = at(kPods, "bound");
  Answer first = lab_.remove(path);
  EXPECT_EQ(first.at("/kind"), "Pod");
  EXPECT_EQ(first.at("/metadata/deletionGracePeriodSeconds"), 30);
  EXPECT_EQ(first.at("/metadata/deletionTimestamp"), "2025-06-15T15:07:10Z");
  lab_.clock.advance(5s);
  EXPECT_EQ(lab_.call("DELETE", path + "?gracePeriodSeconds=60")
                .at("/metadata/deletionGracePeriodSeconds"),
            30)
      << "never longer";
  Answer shorter = lab_.call("DELETE", path + "?gracePeriodSeconds=10");
  EXPECT_EQ(shorter.at("/metadata/deletionGracePeriodSeconds"), 10);
  EXPECT_EQ(shorter.at("/metadata/deletionTimestamp"), "2025-06-15T15:06:55Z");
  EXPECT_EQ(lab_.merge(path, {{"metadata", {{"labels", {{"x", "y"}}}}}}).status, 200);
  EXPECT_EQ(lab_.get(path).status, 200) << "an update does not end the grace";
  EXPECT_EQ(lab_.call("DELETE", path + "?gracePeriodSeconds=0").status, 200);
  EXPECT_EQ(lab_.get(path).status, 404);

  ASSERT_EQ(lab_.post(kPods, bound).status, 201);
  lab_.merge(path + "/status", {{"status", {{"phase", "Succeeded"}}}});
  lab_.remove(path);
  EXPECT_EQ(lab_.get(path).status, 404) << "a finished pod goes at once";
}

TEST_F(WriteTest, BindingAndEviction) {
  lab_.post(kPods, pod("p"));
  Json binding = {{"apiVersion", "v1"},
                  {"kind", "Binding"},
                  {"metadata", {{"name", "p"}}},
                  {"target", {{"kind", "Node"}, {"name", "box"}}}};
  Answer bound = lab_.post(at(kPods, "p") + "/binding", binding);
  EXPECT_EQ(bound.status, 201) << bound.text;
  EXPECT_EQ(bound.at("/status"), "Success");
  Answer now = lab_.get(at(kPods, "p"));
  EXPECT_EQ(now.at("/spec/nodeName"), "box");
  EXPECT_EQ(now.at("/status/conditions/0/type"), "PodScheduled");
  EXPECT_EQ(now.at("/status/conditions/0/status"), "True");
  Answer twice = lab_.post(at(kPods, "p") + "/binding", binding);
  EXPECT_EQ(twice.status, 409);
  EXPECT_NE(twice.message().find("pod p is already assigned to node \"box\""), std::string::npos);
  EXPECT_EQ(lab_.post(at(kPods, "none") + "/binding", binding).status, 404);
  EXPECT_EQ(lab_.post(at(kPods, "p") + "/binding", Json::object()).status, 400);

  Answer evicted =
      lab_.post(at(kPods, "p") + "/eviction", {{"apiVersion", "policy/v1"},
                                               {"kind", "Eviction"},
                                               {"metadata", {{"name", "p"}}},
                                               {"deleteOptions", {{"gracePeriodSeconds", 5}}}});
  EXPECT_EQ(evicted.status, 201) << evicted.text;
  EXPECT_EQ(lab_.get(at(kPods, "p")).at("/metadata/deletionGracePeriodSeconds"), 5);
}

TEST_F(WriteTest, DeleteCollectionBySelector) {
  for (const char* name : {"a", "b", "c"}) {
    Json labels = {{"group", std::string(name) == "c" ? "2" : "1"}};
    lab_.post(kMaps, config_map(name, {{"metadata", {{"labels", labels}}}}));
  }
  Answer gone = lab_.call("DELETE", std::string(kMaps) + "?labelSelector=group%3D1");
  EXPECT_EQ(gone.status, 200) << gone.text;
  EXPECT_EQ(gone.at("/items").size(), 2u);
  EXPECT_EQ(lab_.get(kMaps).at("/items").size(), 1u);
}

TEST_F(WriteTest, WhatIsNotAllowed) {
  lab_.post(kMaps, config_map("keep"));
  EXPECT_EQ(lab_.call("DELETE", "/api/v1/configmaps").status, 405) << "not in all namespaces";
  EXPECT_EQ(lab_.post("/api/v1/configmaps", config_map("x")).status, 405);
  EXPECT_EQ(lab_.call("DELETE", "/api/v1/namespaces").status, 405);
  EXPECT_EQ(lab_.get(at(kMaps, "keep")).status, 200);
  Answer answer = lab_.post(at(kMaps, "keep"), config_map("keep"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_EQ(answer.reason(), "MethodNotAllowed");
  EXPECT_EQ(lab_.put(kMaps, config_map("x")).status, 405);
  lab_.post(kPods, pod("p"));
  EXPECT_EQ(lab_.put(at(kPods, "p") + "/binding", Json::object()).status, 405);
  EXPECT_EQ(lab_.get(at(kPods, "p") + "/nothing").status, 404);
}

TEST_F(WriteTest, NamespaceLifecycle) {
  lab_.create_namespace("shop");
  Answer made = lab_.get("/api/v1/namespaces/shop");
  EXPECT_EQ(made.at("/status/phase"), "Active");
  EXPECT_EQ(made.at("/spec/finalizers"), (Json{"kubernetes"}));
  EXPECT_EQ(made.at("/metadata/labels/kubernetes.io~1metadata.name"), "shop");
  Answer going = lab_.remove("/api/v1/namespaces/shop");
  EXPECT_EQ(going.at("/status/phase"), "Terminating");
  Answer refused = lab_.post("/api/v1/namespaces/shop/configmaps", config_map("x"));
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.message(),
            "configmaps \"x\" is forbidden: unable to create new content in namespace shop because "
            "it is being terminated");
  EXPECT_EQ(refused.at("/details/causes/0/reason"), "NamespaceTerminating");
  Json finalize = going.json;
  finalize["spec"]["finalizers"] = Json::array();
  EXPECT_EQ(lab_.put("/api/v1/namespaces/shop/finalize", finalize).status, 200);
  EXPECT_EQ(lab_.get("/api/v1/namespaces/shop").status, 404);
  Answer kept = lab_.remove("/api/v1/namespaces/default");
  EXPECT_EQ(kept.status, 403);
  EXPECT_EQ(kept.message(),
            "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

TEST_F(WriteTest, PodAdmission) {
  Answer made = lab_.post(kPods, pod("p"));
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.at("/spec/serviceAccountName"), "default");
  EXPECT_EQ(made.at("/spec/priority"), 0);
  EXPECT_EQ(made.at("/spec/preemptionPolicy"), "PreemptLowerPriority");
  EXPECT_EQ(made.at("/spec/tolerations").size(), 2u);
  EXPECT_EQ(made.at("/spec/tolerations/0/tolerationSeconds"), 300);
  EXPECT_EQ(made.at("/status/phase"), "Pending");
  EXPECT_EQ(made.at("/status/qosClass"), "BestEffort");
  Answer account = lab_.post(kPods, pod("q", {{"spec", {{"serviceAccountName", "ghost"}}}}));
  EXPECT_EQ(account.status, 403);
  EXPECT_EQ(account.message(),
            "pods \"q\" is forbidden: error looking up service account default/ghost: "
            "serviceaccount \"ghost\" not found");
  Answer none = lab_.post(kPods, pod("q", {{"spec", {{"priorityClassName", "gold"}}}}));
  EXPECT_EQ(none.status, 403);
  EXPECT_EQ(none.message(), "pods \"q\" is forbidden: no PriorityClass with name gold was found");
  Answer critical =
      lab_.post(kPods, pod("q", {{"spec", {{"priorityClassName", "system-node-critical"}}}}));
  EXPECT_EQ(critical.at("/spec/priority"), 2'000'001'000);
  Answer number = lab_.post(kPods, pod("r", {{"spec", {{"priority", 5}}}}));
  EXPECT_EQ(number.status, 403);
}

class AddressTest : public ServerTest {
 protected:
  Answer make(const std::string& name, Json spec = Json::object()) {
    return lab_.post(kServices, service(name, std::move(spec)));
  }
  ServerLab lab_;
};

TEST_F(AddressTest, AddressesAreGivenAndTakenBack) {
  Answer first = make("a");
  ASSERT_EQ(first.status, 201) << first.text;
  Json address = first.at("/spec/clusterIP");
  EXPECT_EQ(address, "10.96.0.16") << "the lowest are kept for wishes";
  EXPECT_EQ(first.at("/spec/clusterIPs"), Json::array({address}));
  EXPECT_EQ(make("b").at("/spec/clusterIP"), "10.96.0.17");
  Answer taken = make("c", {{"clusterIP", address}});
  EXPECT_EQ(taken.status, 422);
  EXPECT_EQ(taken.message(),
            "Service \"c\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.16\"]: failed to "
            "allocate IP 10.96.0.16: provided IP is already allocated");
  for (const char* outside : {"10.97.0.1", "10.96.0.0", "10.96.0.255"})
    EXPECT_EQ(make("c", {{"clusterIP", outside}}).status, 422) << outside;
  EXPECT_EQ(make("wish", {{"clusterIP", "10.96.0.10"}}).at("/spec/clusterIP"), "10.96.0.10");
  lab_.remove(at(kServices, "a"));
  EXPECT_EQ(make("c", {{"clusterIP", address}}).status, 201);
}

TEST_F(AddressTest, HeadlessAndExternalNamesHaveNone) {
  EXPECT_EQ(make("h", {{"clusterIP", "None"}}).at("/spec/clusterIP"), "None");
  Answer external = make("e", {{"type", "ExternalName"}, {"externalName", "example.com"}});
  EXPECT_EQ(external.status, 201) << external.text;
  EXPECT_EQ(external.at("/spec/clusterIP"), nullptr);
}

TEST_F(AddressTest, TheAddressStaysOverUpdates) {
  Answer made = make("a");
  // A manifest names no address: applied by PUT it keeps the one it has.
  Answer put = lab_.put(at(kServices, "a"), service("a", {{"sessionAffinity", "ClientIP"}}));
  ASSERT_EQ(put.status, 200) << put.text;
  EXPECT_EQ(put.at("/spec/clusterIP"), made.at("/spec/clusterIP"));
  EXPECT_EQ(make("b").at("/spec/clusterIP"), "10.96.0.17");
}

TEST_F(AddressTest, NodePorts) {
  Answer made = make("a", {{"type", "NodePort"}});
  ASSERT_EQ(made.status, 201) << made.text;
  std::int64_t port = made.at("/spec/ports/0/nodePort").get<std::int64_t>();
  EXPECT_GE(port, 30000);
  EXPECT_LE(port, 30009);
  Json taken = {{"type", "NodePort"}, {"ports", {{{"port", 80}, {"nodePort", port}}}}};
  Answer clash = make("b", taken);
  EXPECT_EQ(clash.status, 422);
  EXPECT_EQ(clash.message(),
            fmt::format("Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: {}: "
                        "provided port is already allocated",
                        port));
  Answer outside =
      make("b", {{"type", "NodePort"}, {"ports", {{{"port", 80}, {"nodePort", 29999}}}}});
  EXPECT_EQ(outside.status, 422);
  EXPECT_NE(outside.message().find(
                "provided port is not in the valid range. The range of valid ports is 30000-30009"),
            std::string::npos);
  Answer kept = lab_.merge(at(kServices, "a"), {{"metadata", {{"labels", {{"x", "y"}}}}}});
  EXPECT_EQ(kept.at("/spec/ports/0/nodePort"), port);
  Answer inside = lab_.merge(at(kServices, "a"), {{"spec", {{"type", "ClusterIP"}}}});
  ASSERT_EQ(inside.status, 200) << inside.text;
  EXPECT_EQ(inside.at("/spec/ports/0/nodePort"), nullptr);
  EXPECT_EQ(make("b", taken).status, 201) << "the port is free again";
}

TEST_F(AddressTest, FailuresKeepNothing) {
  // Ten ports and many refusals: none of them may leak a port or an address.
  Json two_ports = {{{"name", "a"}, {"port", 80}},
                    {{"name", "b"}, {"port", 81}, {"nodePort", 29999}}};
  for (int i = 0; i < 30; ++i) {
    EXPECT_EQ(make("bad", {{"type", "NodePort"}, {"ports", two_ports}}).status, 422);
    Json invalid = service("bad", {{"type", "NodePort"}, {"sessionAffinity", "Sometimes"}});
    EXPECT_EQ(lab_.post(kServices, invalid).status, 422);
    Answer dry = lab_.call("POST", std::string(kServices) + "?dryRun=All",
                           service("dry", {{"type", "NodePort"}}).dump());
    EXPECT_EQ(dry.status, 201) << dry.text;
  }
  ASSERT_EQ(make("plain").status, 201);
  for (int i = 0; i < 30; ++i) {
    Answer dry = lab_.call("PATCH", at(kServices, "plain") + "?dryRun=All",
                           R"({"spec":{"type":"NodePort"}})",
                           {{"Content-Type", "application/merge-patch+json"}});
    EXPECT_EQ(dry.status, 200) << dry.text;
  }
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(make(fmt::format("s{}", i), {{"type", "NodePort"}}).status, 201) << i;
  Answer full = make("one-more", {{"type", "NodePort"}});
  EXPECT_EQ(full.status, 500);
  EXPECT_EQ(full.message(),
            "Internal error occurred: failed to allocate a nodePort: range is full");
}

}  // namespace
}  // namespace moth::server
