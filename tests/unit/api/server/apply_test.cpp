// Server-side apply and managedFields over HTTP.
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

class ApplyTest : public ServerTest {
 protected:
  Answer apply(const std::string& path, const Json& body, const std::string& manager = "one",
               const std::string& query = "") {
    return lab.call("PATCH", path + "?fieldManager=" + manager + query, body.dump(),
                    {{"Content-Type", "application/apply-patch+yaml"}});
  }
  static Json map(Json data, const std::string& name = "m") {
    return {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}}},
            {"data", std::move(data)}};
  }
  // The entry of a manager; null when there is none.
  static Json entry(const Answer& answer, const std::string& manager,
                    const std::string& operation = "Apply", const std::string& subresource = "") {
    for (const Json& entry : answer.at("/metadata/managedFields")) {
      if (entry["manager"] == manager && entry["operation"] == operation &&
          string_or(entry, "subresource") == subresource) {
        return entry;
      }
    }
    return nullptr;
  }
  ServerLab lab;
  const std::string where = at(kMaps, "m");
};

TEST_F(ApplyTest, CreatesUpdatesAndRemoves) {
  Answer made = apply(where, map({{"a", "1"}, {"b", "2"}}));
  ASSERT_EQ(made.status, 201) << made.text;
  Json one = entry(made, "one");
  EXPECT_EQ(one["fieldsV1"], Json::parse(R"({"f:data":{"f:a":{},"f:b":{}}})"));
  EXPECT_EQ(one["apiVersion"], "v1");
  EXPECT_EQ(one["fieldsType"], "FieldsV1");
  EXPECT_TRUE(one["time"].is_string());
  EXPECT_EQ(made.at("/metadata/managedFields").size(), 1u);

  Answer dropped = apply(where, map({{"a", "1"}}));
  EXPECT_EQ(dropped.status, 200);
  EXPECT_EQ(dropped.at("/data"), Json::parse(R"({"a":"1"})"));
  lab.clock.advance(std::chrono::seconds(5));
  Answer again = apply(where, map({{"a", "1"}}));
  EXPECT_EQ(again.version(), dropped.version()) << "an apply that changes nothing writes nothing";
  EXPECT_EQ(entry(again, "one")["time"], entry(dropped, "one")["time"]);
}

TEST_F(ApplyTest, TakesYaml) {
  Answer made =
      lab.call("PATCH", where + "?fieldManager=y",
               "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\ndata:\n  a: \"1\"\n",
               {{"Content-Type", "application/apply-patch+yaml"}});
  EXPECT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.at("/data/a"), "1");
  Answer binary = lab.call("PATCH", where + "?fieldManager=y", "x",
                           {{"Content-Type", "application/apply-patch+cbor"}});
  EXPECT_EQ(binary.status, 415);
}

TEST_F(ApplyTest, Conflicts) {
  ASSERT_EQ(lab.post(std::string(kMaps) + "?fieldManager=maker", map({{"a", "1"}})).status, 201);
  Answer refused = apply(where, map({{"a", "2"}}));
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.reason(), "Conflict");
  EXPECT_EQ(refused.message(),
            "Apply failed with 1 conflict: conflict with \"maker\" using v1: .data.a");
  EXPECT_EQ(refused.at("/details/causes"), Json::parse(R"([{"reason":"FieldManagerConflict",
                "message":"conflict with \"maker\" using v1","field":".data.a"}])"));
  Answer forced = apply(where, map({{"a", "2"}}), "one", "&force=true");
  EXPECT_EQ(forced.status, 200) << forced.text;
  EXPECT_EQ(entry(forced, "maker", "Update")["fieldsV1"], Json::parse(R"({"f:data":{}})"));
}

TEST_F(ApplyTest, WhatIsRefused) {
  struct Case {
    Json body;
    std::string query;
    int status;
    std::string message;
  };
  auto with = [](const char* pointer, Json value) {
    Json body = map({{"a", "1"}});
    body[Json::json_pointer(pointer)] = std::move(value);
    return body;
  };
  const Case cases[] = {
      {map({}), "?x", 422,
       "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for "
       "apply patch"},
      {with("/metadata/managedFields", Json::array()), "", 400,
       "metadata.managedFields must be nil"},
      {with("/metadata/name", "other"), "", 400,
       "the name of the object (other) does not match the name on the URL (m)"},
      {with("/metadata/namespace", "other"), "", 400,
       "the namespace of the provided object does not match the namespace sent on the request"},
      {with("/kind", "Secret"), "", 400, "invalid object type: /v1, Kind=Secret"},
      {with("/metadata", {{"labels", {{"a", "b"}}}}), "", 400,
       "the name of the object (m based on URL) was undeterminable: name must be provided"},
      {with("/metadata/uid", "1-2"), "", 409, ""},
      {with("/nope", 1), "", 500,
       "failed to create typed patch object (/m; /v1, Kind=ConfigMap): .nope: field not declared "
       "in schema"},
      {with("/data/a", 1), "", 400, ""},
  };
  for (const Case& c : cases) {
    std::string query = c.query.empty() ? "?fieldManager=one" : c.query;
    Answer answer = lab.call("PATCH", where + query, c.body.dump(),
                             {{"Content-Type", "application/apply-patch+yaml"}});
    EXPECT_EQ(answer.status, c.status) << c.body << answer.text;
    if (!c.message.empty()) EXPECT_EQ(answer.message(), c.message);
  }
  EXPECT_EQ(lab.get(where).status, 404);
  Answer force = lab.call("PATCH", where + "?force=true", "{}",
                          {{"Content-Type", "application/merge-patch+json"}});
  EXPECT_EQ(force.status, 422);
  Answer long_name =
      lab.post(std::string(kMaps) + "?fieldManager=" + std::string(129, 'x'), map({}));
  EXPECT_EQ(long_name.status, 422);
  EXPECT_EQ(
      long_name.message(),
      "CreateOptions.meta.k8s.io \"\" is invalid: fieldManager: Too long: may not be more than "
      "128 bytes");
  Answer stale = [&] {
    apply(where, map({{"a", "1"}}));
    return apply(where, with("/metadata/resourceVersion", "1"));
  }();
  EXPECT_EQ(stale.status, 409) << stale.text;
}

TEST_F(ApplyTest, DryRun) {
  Answer made = apply(where, map({{"a", "1"}}), "one", "&dryRun=All");
  EXPECT_EQ(made.status, 201) << made.text;
  EXPECT_FALSE(entry(made, "one").is_null());
  EXPECT_EQ(lab.get(where).status, 404);
}

TEST_F(ApplyTest, EveryWriteHasAManager) {
  Answer made = lab.call("POST", kDeployments, deployment("d").dump(),
                         {{"Content-Type", "application/json"}, {"User-Agent", "tool/1.2 (x)"}});
  ASSERT_EQ(made.status, 201) << made.text;
  Json fields = entry(made, "tool", "Update")["fieldsV1"];
  ASSERT_TRUE(fields.is_object()) << made.text;
  // Defaults belong to who created; what the server sets to nobody.
  EXPECT_TRUE(fields["f:spec"].contains("f:progressDeadlineSeconds"));
  EXPECT_FALSE(fields["f:spec"].contains("."));
  EXPECT_FALSE(fields.contains("f:metadata"));
  EXPECT_FALSE(fields.contains("f:status"));

  const std::string path = at(kDeployments, "d");
  Answer status = lab.call("PATCH", path + "/status?fieldManager=ctl",
                           R"({"status":{"replicas":1},"spec":{"replicas":9}})",
                           {{"Content-Type", "application/merge-patch+json"}});
  EXPECT_EQ(entry(status, "ctl", "Update", "status")["fieldsV1"],
            Json::parse(R"({"f:status":{"f:replicas":{}}})"));
  Answer scaled = lab.call("PATCH", path + "/scale?fieldManager=hpa", R"({"spec":{"replicas":5}})",
                           {{"Content-Type", "application/merge-patch+json"}});
  EXPECT_EQ(scaled.status, 200) << scaled.text;
  Answer now = lab.get(path);
  EXPECT_EQ(entry(now, "hpa", "Update", "scale")["fieldsV1"],
            Json::parse(R"({"f:spec":{"f:replicas":{}}})"));
  EXPECT_FALSE(entry(now, "tool", "Update")["fieldsV1"]["f:spec"].contains("f:replicas"));
}

TEST_F(ApplyTest, WritesThatChangeNothingLeaveTheTimes) {
  Answer made = lab.post(std::string(kMaps) + "?fieldManager=maker", map({{"a", "1"}}));
  lab.clock.advance(std::chrono::seconds(9));
  Answer same = lab.call("PATCH", where + "?fieldManager=other", R"({"data":{"a":"1"}})",
                         {{"Content-Type", "application/merge-patch+json"}});
  EXPECT_EQ(same.version(), made.version());
  EXPECT_EQ(same.at("/metadata/managedFields"), made.at("/metadata/managedFields"));
}

TEST_F(ApplyTest, StatusAndMainResourceLeaveEachOtherAlone) {
  Json body = deployment("d");
  body["status"] = {{"replicas", 7}};
  const std::string path = at(kDeployments, "d");
  Answer made = apply(path, body);
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_FALSE(entry(made, "one")["fieldsV1"].contains("f:status"));
  EXPECT_NE(made.at("/status/replicas"), 7);
  Answer status = apply(path + "/status", body, "two");
  ASSERT_EQ(status.status, 200) << status.text;
  EXPECT_EQ(status.at("/status/replicas"), 7);
  EXPECT_EQ(entry(status, "two", "Apply", "status")["fieldsV1"],
            Json::parse(R"({"f:status":{"f:replicas":{}}})"));
  EXPECT_EQ(apply(at(kDeployments, "none") + "/status", deployment("none")).status, 404);
}

TEST_F(ApplyTest, AppliesToScale) {
  const std::string path = at(kDeployments, "d");
  ASSERT_EQ(apply(path, deployment("d", 2), "app").status, 201);
  Json scale = {{"apiVersion", "autoscaling/v1"},
                {"kind", "Scale"},
                {"metadata", {{"name", "d"}}},
                {"spec", {{"replicas", 4}}}};
  Answer refused = apply(path + "/scale", scale, "hpa");
  EXPECT_EQ(refused.status, 409) << refused.text;
  EXPECT_EQ(refused.message(),
            "Apply failed with 1 conflict: conflict with \"app\": .spec.replicas");
  Answer forced = apply(path + "/scale", scale, "hpa", "&force=true");
  EXPECT_EQ(forced.status, 200) << forced.text;
  EXPECT_EQ(forced.at("/spec/replicas"), 4);
  EXPECT_EQ(forced.at("/kind"), "Scale");
  Answer now = lab.get(path);
  EXPECT_EQ(now.at("/spec/replicas"), 4);
  EXPECT_EQ(entry(now, "hpa", "Apply", "scale")["apiVersion"], "apps/v1");
}

TEST_F(ApplyTest, ClientsRewriteManagedFields) {
  Answer made =
      lab.post(std::string(kMaps) + "?fieldManager=kubectl-client-side-apply", map({{"a", "1"}}));
  Json managed = made.at("/metadata/managedFields");
  managed[0]["manager"] = "kubectl";
  managed[0]["operation"] = "Apply";
  Json patch = Json::array(
      {{{"op", "replace"}, {"path", "/metadata/managedFields"}, {"value", managed}},
       {{"op", "replace"}, {"path", "/metadata/resourceVersion"}, {"value", made.version()}}});
  Answer moved = lab.patch(where, "json-patch+json", patch);
  ASSERT_EQ(moved.status, 200) << moved.text;
  EXPECT_FALSE(entry(moved, "kubectl").is_null());
  EXPECT_TRUE(entry(moved, "kubectl-client-side-apply", "Update").is_null());
  // What only the moved entry owned goes with it.
  Answer applied = apply(where, map({{"b", "2"}}), "kubectl");
  EXPECT_EQ(applied.at("/data"), Json::parse(R"({"b":"2"})")) << applied.text;

  Json object = applied.json;
  object["metadata"]["managedFields"] = Json::array({Json::object()});
  Answer reset = lab.put(where, object);
  EXPECT_TRUE(reset.at("/metadata/managedFields").is_null()) << reset.text;
  // PUT without managedFields keeps them.
  apply(where, map({{"b", "2"}}), "kubectl");
  object = lab.get(where).json;
  object["metadata"].erase("managedFields");
  EXPECT_FALSE(entry(lab.put(where, object), "kubectl").is_null());
}

TEST_F(ApplyTest, ListsMergeByKey) {
  Json mine = service("s");
  Json other = mine;
  mine["spec"]["ports"] = {{{"name", "web"}, {"port", 80}}};
  other["spec"]["ports"] = {{{"name", "metrics"}, {"port", 9090}}};
  const std::string path = at(kServices, "s");
  ASSERT_EQ(apply(path, mine, "app").status, 201);
  Answer both = apply(path, other, "mesh");
  ASSERT_EQ(both.status, 200) << both.text;
  ASSERT_EQ(both.at("/spec/ports").size(), 2u);
  EXPECT_EQ(both.at("/spec/ports/0/name"), "web");
  EXPECT_TRUE(entry(both, "mesh")["fieldsV1"]["f:spec"]["f:ports"].contains(
      R"(k:{"port":9090,"protocol":"TCP"})"));
  Json none = mine;
  none["spec"].erase("ports");
  Answer left = apply(path, none, "mesh");
  EXPECT_EQ(left.at("/spec/ports").size(), 1u) << left.text;
}

TEST_F(ApplyTest, QuantitiesAreComparedByValue) {
  Json body = pod("p");
  body["spec"]["containers"][0]["resources"] = {{"limits", {{"memory", "1024Mi"}}}};
  const std::string path = at(kPods, "p");
  ASSERT_EQ(apply(path, body, "one").status, 201);
  Answer same = apply(path, body, "two");
  EXPECT_EQ(same.status, 200) << same.text;
}

}  // namespace
}  // namespace moth::server
