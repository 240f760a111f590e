#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "daemon/controllers/endpoints/endpoints_controller.h"
#include "daemon/controllers/endpoints/slice_plan.h"
#include "tests/support/cluster/test_cluster.h"

namespace moth::controllers {
namespace {

ObjectPtr service(Json spec, const std::string& name = "web") {
  spec["selector"] = {{"app", "web"}};
  return Object::from_json(
      {{"apiVersion", "v1"},
       {"kind", "Service"},
       {"metadata",
        {{"name", name}, {"namespace", "shop"}, {"uid", "svc"}, {"labels", {{"tier", "front"}}}}},
       {"spec", std::move(spec)}});
}

struct PodText {
  std::string name, ip;
  bool ready = true, deleting = false;
  std::string phase = "Running";
  int named_port = 8080;
  Json spec = Json::object();
};

ObjectPtr pod(const PodText& text) {
  Json spec = {{"nodeName", "box"},
               {"containers",
                {{{"name", "c"},
                  {"image", "i"},
                  {"ports", {{{"name", "http"}, {"containerPort", text.named_port}}}}}}}};
  spec.merge_patch(text.spec);
  Json metadata = {{"name", text.name}, {"namespace", "shop"}, {"uid", "uid-" + text.name}};
  if (text.deleting) metadata["deletionTimestamp"] = "2025-01-01T00:00:00Z";
  Json status = {{"phase", text.phase},
                 {"conditions", {{{"type", "Ready"}, {"status", text.ready ? "True" : "False"}}}}};
  if (!text.ip.empty()) status["podIP"] = text.ip;
  return Object::from_json({{"apiVersion", "v1"},
                            {"kind", "Pod"},
                            {"metadata", metadata},
                            {"spec", spec},
                            {"status", status}});
}

Json port(int number, Json target = nullptr) {
  Json port = {{"name", ""}, {"port", number}, {"protocol", "TCP"}};
  port["targetPort"] = target.is_null() ? Json(number) : std::move(target);
  return port;
}

// "ip ready serving terminating" of each endpoint.
std::string text(const Json& slice) {
  std::string out;
  for (const Json& endpoint : slice["endpoints"]) {
    const Json& conditions = endpoint["conditions"];
    out += fmt::format("{} {:d}{:d}{:d};", endpoint["addresses"][0].get<std::string>(),
                       conditions["ready"].get<bool>(), conditions["serving"].get<bool>(),
                       conditions["terminating"].get<bool>());
  }
  return out;
}

TEST(SlicePlan, OneSliceWithItsLabelsAndOwner) {
  auto web = service({{"ports", {port(80, "http")}}});
  SlicePlan plan = plan_slices(*web, {pod({"a", "10.0.0.1"})}, {});
  ASSERT_EQ(plan.create.size(), 1u);
  const Json& slice = plan.create[0];
  EXPECT_EQ(slice["metadata"]["generateName"], "web-");
  EXPECT_EQ(slice["metadata"]["labels"],
            (Json{{"tier", "front"},
                  {"kubernetes.io/service-name", "web"},
                  {"endpointslice.kubernetes.io/managed-by", "endpointslice-controller.k8s.io"}}));
  EXPECT_EQ(slice["metadata"]["ownerReferences"][0]["uid"], "svc");
  EXPECT_EQ(slice["addressType"], "IPv4");
  EXPECT_EQ(slice["ports"], (Json{{{"name", ""}, {"port", 8080}, {"protocol", "TCP"}}}));
  EXPECT_EQ(slice["endpoints"][0]["targetRef"]["uid"], "uid-a");
  EXPECT_EQ(slice["endpoints"][0]["nodeName"], "box");
}

TEST(SlicePlan, ConditionsOfEndpoints) {
  auto web = service({{"ports", {port(80)}}});
  std::vector<ObjectPtr> pods = {pod({"ready", "10.0.0.1"}), pod({"unready", "10.0.0.2", false}),
                                 pod({"leaving", "10.0.0.3", true, true}),
                                 pod({"done", "10.0.0.4", false, false, "Succeeded"}),
                                 pod({"new", ""})};
  EXPECT_EQ(text(plan_slices(*web, pods, {}).create[0]), "10.0.0.1 110;10.0.0.2 000;10.0.0.3 011;");
  auto eager = service({{"ports", {port(80)}}, {"publishNotReadyAddresses", true}});
  EXPECT_EQ(text(plan_slices(*eager, pods, {}).create[0]),
            "10.0.0.1 110;10.0.0.2 100;10.0.0.3 111;");
}

TEST(SlicePlan, PodsThatNameTheirPortsDifferently) {
  auto web = service({{"ports", {port(80, "http")}}});
  PodText other{"b", "10.0.0.2"};
  other.named_port = 9090;
  SlicePlan plan = plan_slices(*web, {pod({"a", "10.0.0.1"}), pod(other)}, {});
  ASSERT_EQ(plan.create.size(), 2u);
  std::set<int> ports;
  for (const Json& slice : plan.create) ports.insert(slice["ports"][0]["port"].get<int>());
  EXPECT_EQ(ports, (std::set<int>{8080, 9090}));
}

TEST(SlicePlan, EmptyServicesHaveOneSlice) {
  auto web = service({{"ports", {port(80)}}});
  SlicePlan plan = plan_slices(*web, {}, {});
  ASSERT_EQ(plan.create.size(), 1u);
  EXPECT_EQ(plan.create[0]["endpoints"], Json::array());
}

TEST(SlicePlan, AHundredToASlice) {
  auto web = service({{"ports", {port(80)}}});
  std::vector<ObjectPtr> pods;
  for (int i = 0; i < 250; ++i)
    pods.push_back(
        pod({fmt::format("p{:03}", i), fmt::format("10.0.{}.{}", i / 200, i % 200 + 1)}));
  SlicePlan plan = plan_slices(*web, pods, {});
  ASSERT_EQ(plan.create.size(), 3u);
  EXPECT_EQ(plan.create[0]["endpoints"].size(), 100u);
  EXPECT_EQ(plan.create[2]["endpoints"].size(), 50u);
  // With these there, fewer pods take slices away and change no more than they must.
  std::vector<ObjectPtr> existing;
  for (int i = 0; i < 3; ++i) {
    Json slice = plan.create[static_cast<std::size_t>(i)];
    slice["metadata"]["name"] = fmt::format("web-{}", i);
    existing.push_back(Object::from_json(slice));
  }
  SlicePlan same = plan_slices(*web, pods, existing);
  EXPECT_TRUE(same.create.empty() && same.update.empty() && same.remove.empty());
  pods.resize(100);
  SlicePlan fewer = plan_slices(*web, pods, existing);
  EXPECT_TRUE(fewer.create.empty() && fewer.update.empty());
  EXPECT_EQ(fewer.remove, (std::vector<std::string>{"web-1", "web-2"}));
}

TEST(SlicePlan, HostnamesOfHeadlessServices) {
  auto db = service({{"clusterIP", "None"}, {"ports", {port(80)}}}, "db");
  PodText named{"db-0", "10.0.0.1"};
  named.spec = {{"hostname", "db-0"}, {"subdomain", "db"}};
  Json slice = plan_slices(*db, {pod(named), pod({"x", "10.0.0.2"})}, {}).create[0];
  EXPECT_EQ(slice["endpoints"][0]["hostname"], "db-0");
  EXPECT_FALSE(slice["endpoints"][1].contains("hostname"));
  EXPECT_TRUE(slice["metadata"]["labels"].contains("service.kubernetes.io/headless"));
}

TEST(EndpointsPlan, ReadyAndNotReady) {
  auto web = service({{"ports", {port(80)}}});
  Json endpoints = plan_endpoints(
      *web,
      {pod({"a", "10.0.0.1"}), pod({"b", "10.0.0.2", false}), pod({"c", "10.0.0.3", true, true})},
      nullptr);
  EXPECT_EQ(endpoints["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"],
            "endpoint-controller");
  ASSERT_EQ(endpoints["subsets"].size(), 1u);
  const Json& subset = endpoints["subsets"][0];
  ASSERT_EQ(subset["addresses"].size(), 1u);
  EXPECT_EQ(subset["addresses"][0]["ip"], "10.0.0.1");
  ASSERT_EQ(subset["notReadyAddresses"].size(), 1u);
  EXPECT_EQ(subset["notReadyAddresses"][0]["ip"], "10.0.0.2");
  EXPECT_EQ(subset["ports"], (Json{{{"port", 80}, {"protocol", "TCP"}}}));
  EXPECT_FALSE(plan_endpoints(*web, {}, nullptr).contains("subsets"));
}

class EndpointsTest : public ::testing::Test {
 protected:
  EndpointsTest() {
    cluster_.add(make_endpoints_controller);
    cluster_.start();
  }
  std::vector<ObjectPtr> slices() { return cluster_.list(client::gvr::kEndpointSlices, "default"); }
  std::string slice_text() {
    auto all = slices();
    return all.size() == 1 ? text(all[0]->parse()) : fmt::format("{} slices", all.size());
  }
  void add_pod(const std::string& name) {
    cluster_.apply("apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
                   ", namespace: default, labels: {app: web}}\nspec: {containers: [{name: c, "
                   "image: i}]}\n");
  }
  test::TestCluster cluster_;
};

TEST_F(EndpointsTest, FollowPodsAndServices) {
  add_pod("a");
  cluster_.settle();
  cluster_.apply(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\nspec: "
      "{selector: {app: web}, ports: [{port: 80}]}\n");
  ASSERT_TRUE(cluster_.wait_until([&] { return slice_text().ends_with(" 110;"); }));
  Json ready = cluster_.field(client::gvr::kEndpoints, "default", "web", "/subsets/0/addresses");
  EXPECT_EQ(ready.size(), 1u);
  std::string version = slices()[0]->text();
  cluster_.advance(std::chrono::minutes(2));
  EXPECT_EQ(slices()[0]->text(), version) << "nothing to do means no write";
  // The last pod goes: the slice stays, empty.
  client::DeleteOptions now;
  now.grace_period_seconds = 0;
  ASSERT_TRUE(cluster_.remove(client::gvr::kPods, "default", "a", now));
  ASSERT_TRUE(cluster_.wait_until([&] { return slice_text().empty(); }));
  // A pod that loses its label leaves too.
  add_pod("b");
  ASSERT_TRUE(cluster_.wait_until([&] { return !slice_text().empty(); }));
  ASSERT_TRUE(cluster_.patch(client::gvr::kPods, "default", "b",
                             {{"metadata", {{"labels", {{"app", "other"}}}}}}));
  ASSERT_TRUE(cluster_.wait_until([&] { return slice_text().empty(); }));
  ASSERT_TRUE(cluster_.remove(client::gvr::kServices, "default", "web"));
  cluster_.settle();
  EXPECT_FALSE(cluster_.get(client::gvr::kEndpoints, "default", "web"));
}

TEST_F(EndpointsTest, ServicesWithoutASelectorAreLeftAlone) {
  cluster_.apply(
      "apiVersion: v1\nkind: Service\nmetadata: {name: own, namespace: default}\nspec: "
      "{ports: [{port: 80}]}\n");
  cluster_.settle();
  EXPECT_TRUE(slices().empty());
  EXPECT_FALSE(cluster_.get(client::gvr::kEndpoints, "default", "own"));
}

}  // namespace
}  // namespace moth::controllers
