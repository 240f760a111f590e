// get, list, watch, tables, discovery, health, and who may.
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

using namespace std::chrono_literals;

constexpr const char* kTable = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

class ReadTest : public ServerTest {
 protected:
  void fill(int n) {
    for (int i = 0; i < n; ++i) {
      Json labels = {{"even", i % 2 == 0 ? "yes" : "no"}};
      ASSERT_EQ(
          lab_.post(kMaps, config_map(fmt::format("m{}", i), {{"metadata", {{"labels", labels}}}}))
              .status,
          201);
    }
  }
  static std::string names(const Answer& list) {
    std::string all;
    for (const Json& item : list.at("/items"))
      all += (all.empty() ? "" : " ") + item["metadata"]["name"].get<std::string>();
    return all;
  }
  std::string first_version() { return lab_.get(kMaps).version(); }
  ServerLab lab_{{2, 64, nullptr}};
};

TEST_F(ReadTest, ListsAndSelectors) {
  fill(4);
  Answer all = lab_.get(kMaps);
  EXPECT_EQ(all.at("/kind"), "ConfigMapList");
  EXPECT_EQ(all.at("/apiVersion"), "v1");
  EXPECT_EQ(names(all), "m0 m1 m2 m3");
  EXPECT_EQ(names(lab_.get("/api/v1/configmaps")), "m0 m1 m2 m3");
  std::string maps = kMaps;
  EXPECT_EQ(names(lab_.get(maps + "?labelSelector=even%3Dyes")), "m0 m2");
  EXPECT_EQ(names(lab_.get(maps + "?labelSelector=even+in+(no),!x")), "m1 m3");
  EXPECT_EQ(names(lab_.get(maps + "?fieldSelector=metadata.name%3Dm3")), "m3");
  EXPECT_EQ(names(lab_.get(maps + "?fieldSelector=metadata.name!%3Dm3")), "m0 m1 m2");
  Answer field = lab_.get(maps + "?fieldSelector=data.a%3D1");
  EXPECT_EQ(field.status, 400);
  EXPECT_EQ(field.message(), "field label not supported: data.a");
  EXPECT_EQ(lab_.get(maps + "?labelSelector=a%3D%3D%3D").status, 400);
  EXPECT_EQ(lab_.get("/api/v1/namespaces/none/configmaps").at("/items"), Json::array());
  lab_.post(kPods, pod("p", {{"spec", {{"nodeName", "box"}}}}));
  EXPECT_EQ(names(lab_.get("/api/v1/pods?fieldSelector=spec.nodeName%3Dbox")), "p");
  EXPECT_EQ(names(lab_.get("/api/v1/pods?fieldSelector=status.phase%3DRunning")), "");
}

TEST_F(ReadTest, PagesAreOfOneMoment) {
  fill(5);
  std::string maps = kMaps;
  Answer first = lab_.get(maps + "?limit=2");
  EXPECT_EQ(names(first), "m0 m1");
  EXPECT_EQ(first.at("/metadata/remainingItemCount"), 3);
  std::string token = first.at("/metadata/continue").get<std::string>();
  lab_.remove(at(kMaps, "m3"));
  lab_.post(kMaps, config_map("m2a"));
  Answer second = lab_.get(maps + "?limit=2&continue=" + token);
  EXPECT_EQ(names(second), "m2 m3");
  EXPECT_EQ(second.version(), first.version());
  Answer third =
      lab_.get(maps + "?limit=2&continue=" + second.at("/metadata/continue").get<std::string>());
  EXPECT_EQ(names(third), "m4");
  EXPECT_EQ(third.at("/metadata/continue"), nullptr);
  EXPECT_EQ(third.at("/metadata/remainingItemCount"), nullptr);
}

TEST_F(ReadTest, PagesOfASelectionTellNoRemainder) {
  fill(6);
  std::string maps = kMaps;
  std::string query = "?limit=1&labelSelector=even%3Dyes";
  Answer first = lab_.get(maps + query);
  EXPECT_EQ(names(first), "m0");
  EXPECT_EQ(first.at("/metadata/remainingItemCount"), nullptr);
  Answer second =
      lab_.get(maps + query + "&continue=" + first.at("/metadata/continue").get<std::string>());
  EXPECT_EQ(names(second), "m2");
  EXPECT_EQ(second.at("/metadata/remainingItemCount"), nullptr);
}

TEST_F(ReadTest, ExpiredAndBrokenTokens) {
  fill(4);
  std::string maps = kMaps;
  Answer first = lab_.get(maps + "?limit=2");
  std::string token = first.at("/metadata/continue").get<std::string>();
  EXPECT_EQ(lab_.get(maps + "?limit=2&continue=%21%21").status, 400);
  Answer broken = lab_.get(maps + "?limit=2&continue=e30=");
  EXPECT_EQ(broken.status, 400);
  EXPECT_EQ(broken.message(), "continue key is not valid");
  lab_.clock.advance(6min);
  Answer old = lab_.get(maps + "?limit=2&continue=" + token);
  EXPECT_EQ(old.status, 410);
  EXPECT_EQ(old.reason(), "Expired");
  EXPECT_TRUE(old.message().starts_with("The provided continue parameter is too old"));
  std::string fresh = old.at("/metadata/continue").get<std::string>();
  EXPECT_EQ(names(lab_.get(maps + "?limit=2&continue=" + fresh)), "m2 m3");
  // A token of one list is none of another.
  Answer now = lab_.get(maps + "?limit=2");
  Answer other = lab_.get("/api/v1/namespaces/default/secrets?limit=2&continue=" +
                          now.at("/metadata/continue").get<std::string>());
  EXPECT_EQ(other.status, 400) << other.text;
}

TEST_F(ReadTest, VersionsOfLists) {
  fill(1);
  std::string maps = kMaps;
  std::uint64_t now = std::stoull(first_version());
  EXPECT_EQ(lab_.get(maps + "?resourceVersion=0").status, 200);
  EXPECT_EQ(lab_.get(maps + "?resourceVersion=1&resourceVersionMatch=NotOlderThan").status, 200);
  EXPECT_EQ(
      lab_.get(maps + fmt::format("?resourceVersion={}&resourceVersionMatch=Exact", now)).status,
      200);
  // As it was then: empty.
  Answer first = lab_.get(maps + "?resourceVersion=1&resourceVersionMatch=Exact");
  EXPECT_EQ(first.status, 200);
  EXPECT_EQ(names(first), "");
  EXPECT_EQ(first.version(), "1");
  EXPECT_EQ(lab_.get(maps + "?resourceVersion=x").status, 400);
  EXPECT_EQ(lab_.get(maps + "?resourceVersionMatch=Exact").status, 422);
  EXPECT_EQ(lab_.get(maps + "?resourceVersion=0&resourceVersionMatch=Exact").status, 422);
}

TEST_F(ReadTest, TablesAndMetadata) {
  lab_.post(kPods, pod("p"));
  Answer table = lab_.get(kPods, {{"Accept", kTable}});
  ASSERT_EQ(table.status, 200) << table.text;
  EXPECT_EQ(table.at("/kind"), "Table");
  EXPECT_EQ(table.at("/apiVersion"), "meta.k8s.io/v1");
  EXPECT_EQ(table.at("/columnDefinitions/0/name"), "Name");
  EXPECT_EQ(table.at("/columnDefinitions/1/name"), "Ready");
  EXPECT_EQ(table.at("/rows/0/cells/0"), "p");
  EXPECT_EQ(table.at("/rows/0/cells/2"), "Pending");
  EXPECT_EQ(table.at("/rows/0/object/kind"), "PartialObjectMetadata");
  EXPECT_EQ(table.at("/rows/0/object/metadata/name"), "p");
  EXPECT_EQ(table.at("/rows/0/object/spec"), nullptr);
  Answer whole = lab_.get(std::string(kPods) + "?includeObject=Object", {{"Accept", kTable}});
  EXPECT_EQ(whole.at("/rows/0/object/spec/containers/0/name"), "c");
  Answer none = lab_.get(std::string(kPods) + "?includeObject=None", {{"Accept", kTable}});
  EXPECT_EQ(none.at("/rows/0/object"), nullptr);
  Answer one = lab_.get(at(kPods, "p"), {{"Accept", kTable}});
  EXPECT_EQ(one.at("/rows").size(), 1u);
  lab_.merge(at(kPods, "p") + "/status", {{"status", {{"phase", "Succeeded"}}}});
  EXPECT_EQ(lab_.get(kPods, {{"Accept", kTable}}).at("/rows/0/conditions/0/type"), "Completed");
  const char* partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
  Answer metadata = lab_.get(kPods, {{"Accept", partial}});
  EXPECT_EQ(metadata.at("/kind"), "PartialObjectMetadataList");
  EXPECT_EQ(metadata.at("/items/0/kind"), "PartialObjectMetadata");
  EXPECT_EQ(metadata.at("/items/0/spec"), nullptr);
  Answer unacceptable = lab_.get(kPods, {{"Accept", "text/html"}});
  EXPECT_EQ(unacceptable.status, 406);
  EXPECT_EQ(unacceptable.reason(), "NotAcceptable");
  lab_.post(kDeployments, deployment("web"));
  Answer scale = lab_.get(at(kDeployments, "web") + "/scale", {{"Accept", kTable}});
  EXPECT_EQ(scale.at("/rows/0/cells/1"), 2);
}

TEST_F(ReadTest, WatchFromNowOnAndByVersion) {
  fill(2);
  std::string maps = kMaps;
  auto all = lab_.watch(maps + "?watch=1");
  EXPECT_EQ(all.next_text(), "ADDED m0");
  EXPECT_EQ(all.next_text(), "ADDED m1");
  auto later = lab_.watch(maps + "?watch=true&resourceVersion=" + first_version());
  lab_.merge(at(kMaps, "m0"), {{"data", {{"a", "2"}}}});
  lab_.remove(at(kMaps, "m1"));
  for (auto* watch : {&all, &later}) {
    Json modified = watch->next();
    EXPECT_EQ(modified["type"], "MODIFIED");
    EXPECT_EQ(modified["object"]["data"]["a"], "2");
    Json deleted = watch->next();
    EXPECT_EQ(deleted["type"], "DELETED");
    EXPECT_EQ(deleted["object"]["metadata"]["resourceVersion"], first_version());
  }
  // Other namespaces and resources are not seen.
  lab_.create_namespace("shop");
  lab_.post("/api/v1/namespaces/shop/configmaps", config_map("far"));
  lab_.post(kMaps, config_map("near"));
  EXPECT_EQ(all.next_text(), "ADDED near");
}

TEST_F(ReadTest, WatchOfSelections) {
  fill(2);
  auto even = lab_.watch(std::string(kMaps) + "?watch=1&labelSelector=even%3Dyes");
  EXPECT_EQ(even.next_text(), "ADDED m0");
  auto label = [&](const char* name, const char* value) {
    lab_.merge(at(kMaps, name), {{"metadata", {{"labels", {{"even", value}}}}}});
  };
  label("m1", "yes");
  EXPECT_EQ(even.next_text(), "ADDED m1");
  label("m0", "no");
  EXPECT_EQ(even.next_text(), "DELETED m0");
  lab_.merge(at(kMaps, "m0"), {{"data", {{"z", "1"}}}});
  lab_.merge(at(kMaps, "m1"), {{"data", {{"z", "1"}}}});
  EXPECT_EQ(even.next_text(), "MODIFIED m1");
  auto one = lab_.watch(std::string(kMaps) + "?watch=1&fieldSelector=metadata.name%3Dm0");
  EXPECT_EQ(one.next_text(), "ADDED m0");
  lab_.remove(at(kMaps, "m1"));
  lab_.remove(at(kMaps, "m0"));
  EXPECT_EQ(one.next_text(), "DELETED m0");
}

TEST_F(ReadTest, InitialEventsEndWithABookmark) {
  fill(1);
  auto watch = lab_.watch(std::string(kMaps) +
                          "?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
                          "&allowWatchBookmarks=true&resourceVersion=");
  EXPECT_EQ(watch.next_text(), "ADDED m0");
  Json bookmark = watch.next();
  EXPECT_EQ(bookmark["type"], "BOOKMARK");
  EXPECT_EQ(bookmark["object"]["kind"], "ConfigMap");
  EXPECT_EQ(bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
  EXPECT_EQ(bookmark["object"]["metadata"]["resourceVersion"], first_version());
  EXPECT_EQ(lab_.get(std::string(kMaps) + "?watch=1&sendInitialEvents=true").status, 422);
  EXPECT_EQ(lab_.get(std::string(kMaps) + "?watch=1&resourceVersionMatch=Exact").status, 422);
  // None wanted: what happens from now on.
  auto bare = lab_.watch(std::string(kMaps) +
                         "?watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan");
  lab_.post(kMaps, config_map("new"));
  EXPECT_EQ(bare.next_text(), "ADDED new");
}

TEST_F(ReadTest, BookmarksComeByTime) {
  auto watch = lab_.watch(std::string(kMaps) + "?watch=1&allowWatchBookmarks=true");
  fill(1);
  EXPECT_EQ(watch.next_text(), "ADDED m0");
  std::this_thread::sleep_for(20ms);  // until it waits again
  lab_.clock.advance(61s);
  Json bookmark = watch.next();
  EXPECT_EQ(bookmark["type"], "BOOKMARK");
  EXPECT_EQ(bookmark["object"]["metadata"]["resourceVersion"], first_version());
}

TEST_F(ReadTest, WatchEndsAtItsTimeout) {
  auto watch = lab_.watch(std::string(kMaps) + "?watch=1&timeoutSeconds=5");
  std::this_thread::sleep_for(20ms);
  lab_.clock.advance(6s);
  EXPECT_EQ(watch.next_text(), "end");
}

TEST_F(ReadTest, TooOldAWatchIsGone) {
  fill(1);
  std::string before = first_version();
  for (int i = 0; i < 100; ++i) lab_.merge(at(kMaps, "m0"), {{"data", {{"a", std::to_string(i)}}}});
  Answer gone = lab_.get(std::string(kMaps) + "?watch=1&resourceVersion=" + before);
  EXPECT_EQ(gone.status, 410);
  EXPECT_EQ(gone.reason(), "Expired");
  EXPECT_TRUE(gone.message().starts_with("too old resource version")) << gone.message();
}

TEST_F(ReadTest, TableWatchNamesItsColumnsOnce) {
  lab_.post(kPods, pod("a"));
  lab_.post(kPods, pod("b"));
  auto watch = lab_.watch(std::string(kPods) + "?watch=1", {{"Accept", kTable}});
  Json first = watch.next(), second = watch.next();
  EXPECT_EQ(first["object"]["kind"], "Table");
  EXPECT_GT(first["object"]["columnDefinitions"].size(), 3u);
  EXPECT_EQ(first["object"]["rows"][0]["cells"][0], "a");
  EXPECT_TRUE(second["object"]["columnDefinitions"].is_null());
  EXPECT_EQ(second["object"]["rows"][0]["cells"][0], "b");
}

TEST_F(ReadTest, AnotherVersionOfOneResource) {
  Json hpa = {
      {"apiVersion", "autoscaling/v1"},
      {"kind", "HorizontalPodAutoscaler"},
      {"metadata", {{"name", "h"}}},
      {"spec",
       {{"maxReplicas", 5},
        {"targetCPUUtilizationPercentage", 70},
        {"scaleTargetRef", {{"apiVersion", "apps/v1"}, {"kind", "Deployment"}, {"name", "web"}}}}}};
  std::string v1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";
  std::string v2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
  Answer made = lab_.post(v1, hpa);
  ASSERT_EQ(made.status, 201) << made.text;
  EXPECT_EQ(made.at("/apiVersion"), "autoscaling/v1");
  Answer newer = lab_.get(v2 + "/h");
  EXPECT_EQ(newer.at("/apiVersion"), "autoscaling/v2");
  EXPECT_EQ(newer.at("/spec/metrics/0/resource/target/averageUtilization"), 70);
  EXPECT_EQ(lab_.get(v1).at("/items/0/spec/targetCPUUtilizationPercentage"), 70);
  Answer patched = lab_.merge(v1 + "/h", {{"spec", {{"maxReplicas", 9}}}});
  EXPECT_EQ(patched.status, 200) << patched.text;
  EXPECT_EQ(lab_.get(v2 + "/h").at("/spec/maxReplicas"), 9);
  auto watch = lab_.watch(v1 + "?watch=1");
  EXPECT_EQ(watch.next()["object"]["apiVersion"], "autoscaling/v1");
}

TEST_F(ReadTest, Discovery) {
  const char* aggregated =
      "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
  Answer core = lab_.get("/api", {{"Accept", aggregated}});
  EXPECT_EQ(core.at("/kind"), "APIGroupDiscoveryList");
  EXPECT_EQ(core.headers.get("Content-Type"),
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList");
  EXPECT_EQ(core.headers.get("Vary"), "Accept");
  bool pods = false;
  for (const Json& resource : core.at("/items/0/versions/0/resources")) {
    if (resource["resource"] != "pods") continue;
    pods = true;
    EXPECT_EQ(resource["scope"], "Namespaced");
    EXPECT_EQ(resource["singularResource"], "pod");
    EXPECT_EQ(resource["shortNames"], (Json{"po"}));
    EXPECT_EQ(resource["categories"], (Json{"all"}));
    EXPECT_EQ(resource["verbs"], (Json{"create", "delete", "deletecollection", "get", "list",
                                       "patch", "update", "watch"}));
  }
  EXPECT_TRUE(pods);
  Answer groups = lab_.get("/apis");
  EXPECT_EQ(groups.at("/kind"), "APIGroupList");
  Answer list = lab_.get("/apis/apps/v1");
  EXPECT_EQ(list.at("/kind"), "APIResourceList");
  EXPECT_EQ(list.at("/groupVersion"), "apps/v1");
  EXPECT_EQ(lab_.get("/apis/apps").at("/preferredVersion/version"), "v1");
  EXPECT_EQ(lab_.get("/api").at("/versions"), (Json{"v1"}));
  EXPECT_EQ(lab_.get("/apis/none.io/v1").status, 404);
  Answer again =
      lab_.get("/apis/apps/v1", {{"If-None-Match", std::string(list.headers.get("ETag"))}});
  EXPECT_EQ(again.status, 304);
  Answer version = lab_.get("/version");
  EXPECT_EQ(version.at("/gitVersion"), "v1.36.0+test");
  EXPECT_EQ(version.at("/gitCommit"), "0123abcd");
  EXPECT_EQ(version.at("/gitTreeState"), "dirty");
  EXPECT_EQ(version.at("/buildDate"), "2024-05-06T07:08:09Z");
  EXPECT_EQ(version.at("/platform"), std::string(compiled_platform()));
  Answer index = lab_.get("/openapi/v3");
  EXPECT_EQ(index.status, 200);
  std::string url = index.at("/paths/apis~1apps~1v1/serverRelativeURL").get<std::string>();
  EXPECT_NE(url.find("?hash="), std::string::npos);
  EXPECT_EQ(lab_.get(url).at("/openapi"), "3.0.0");
}

TEST_F(ReadTest, HealthAndMetrics) {
  EXPECT_EQ(lab_.get("/livez").text, "ok");
  EXPECT_EQ(lab_.get("/readyz").text, "ok");
  EXPECT_EQ(lab_.get("/healthz?verbose").text, "[+]ping ok\nhealthz check passed\n");
  lab_.unready = "still starting";
  Answer unready = lab_.get("/readyz");
  EXPECT_EQ(unready.status, 500);
  EXPECT_EQ(unready.text, "[-]start failed: still starting\nreadyz check failed\n");
  EXPECT_EQ(lab_.get("/metrics").text, "moth_up 1\n");
  EXPECT_EQ(lab_.get("/nothing").status, 404);
}

TEST_F(ReadTest, WhoMay) {
  lab_.token = "wrong";
  Answer unknown = lab_.get(kPods);
  EXPECT_EQ(unknown.status, 401);
  EXPECT_EQ(unknown.message(), "Unauthorized");
  lab_.token = "user-token";
  Answer user = lab_.get(kPods);
  EXPECT_EQ(user.status, 403);
  EXPECT_EQ(user.message(),
            "pods is forbidden: User \"jo\" cannot list resource \"pods\" in API group \"\" in the "
            "namespace \"default\"");
  EXPECT_EQ(lab_.get("/api/v1/nodes/n").message(),
            "nodes \"n\" is forbidden: User \"jo\" cannot get resource \"nodes\" in API group \"\" "
            "at the cluster scope");
  EXPECT_EQ(lab_.get("/apis").status, 200);
  EXPECT_EQ(lab_.get("/metrics").message(), "forbidden: User \"jo\" cannot get path \"/metrics\"");
  EXPECT_EQ(lab_.get("/livez").status, 200);
}

TEST_F(ReadTest, TooLargeABody) {
  Answer large = lab_.call("POST", kMaps, std::string(4u << 20, ' '));
  EXPECT_EQ(large.status, 413);
  EXPECT_EQ(large.reason(), "RequestEntityTooLarge");
}

TEST_F(ReadTest, WithoutANodeItsPartsSayso) {
  lab_.post(kPods, pod("p"));
  // A pod that no node has got has said nothing.
  Answer nothing = lab_.get(at(kPods, "p") + "/log");
  EXPECT_EQ(nothing.status, 200);
  EXPECT_EQ(nothing.text, "");
  Answer bound =
      lab_.post(at(kPods, "p") + "/binding", {{"apiVersion", "v1"},
                                              {"kind", "Binding"},
                                              {"metadata", {{"name", "p"}}},
                                              {"target", {{"kind", "Node"}, {"name", "n"}}}});
  EXPECT_EQ(bound.status, 201) << bound.text;
  EXPECT_EQ(lab_.get(at(kPods, "p") + "/log").status, 503);
  EXPECT_EQ(lab_.get("/apis/metrics.k8s.io/v1beta1/pods").status, 503);
}

}  // namespace
}  // namespace moth::server
