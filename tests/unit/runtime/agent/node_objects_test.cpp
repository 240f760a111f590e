// The Node object, and what Services mean for rules and names.
#include <gtest/gtest.h>

#include "runtime/agent/node_status.h"
#include "runtime/agent/service_sync.h"
#include "tests/unit/runtime/agent/config/pods.h"

namespace moth::agent {
namespace {

using namespace std::chrono_literals;

NodeFacts facts() {
  NodeFacts facts;
  facts.name = "box";
  facts.internal_ip = "192.168.1.5";
  facts.architecture = "amd64";
  facts.runtime_version = "runc 1.1.5";
  facts.pod_cidr = "10.244.0.0/24";
  facts.cpus = 2;
  facts.memory_bytes = 4ull << 30;
  facts.storage_bytes = 100ull << 30;
  facts.huge_pages = {{2ull << 20, 0}, {1ull << 30, 2}};
  return facts;
}

TEST(NodeObject, WhatItHasAndOffers) {
  Json node = build_node(facts(), nullptr, WallTime(1'750'000'000s));
  EXPECT_EQ(node["metadata"]["name"], "box");
  EXPECT_EQ(node["metadata"]["labels"]["kubernetes.io/arch"], "amd64");
  EXPECT_EQ(node["metadata"]["labels"]["kubernetes.io/hostname"], "box");
  EXPECT_EQ(node["spec"]["podCIDRs"], (Json{"10.244.0.0/24"}));
  const Json& status = node["status"];
  EXPECT_EQ(status["capacity"]["cpu"], "2");
  EXPECT_EQ(status["capacity"]["memory"], "4194304Ki");
  EXPECT_EQ(status["allocatable"]["memory"], "4091904Ki") << "100Mi are the node's";
  EXPECT_EQ(status["capacity"]["pods"], "110");
  EXPECT_EQ(status["capacity"]["hugepages-2Mi"], "0");
  EXPECT_EQ(status["capacity"]["hugepages-1Gi"], "2097152Ki");
  EXPECT_EQ(status["addresses"][0]["address"], "192.168.1.5");
  EXPECT_EQ(status["nodeInfo"]["containerRuntimeVersion"], "runc 1.1.5");
  Json whole = {{"status", status}};
  EXPECT_TRUE(resources::condition_is_true(whole, "Ready"));
  EXPECT_FALSE(resources::condition_is_true(whole, "MemoryPressure"));
}

TEST(NodeObject, KeepsWhatOthersSet) {
  Json existing = {{"apiVersion", "v1"},
                   {"kind", "Node"},
                   {"metadata", {{"name", "box"}, {"labels", {{"disk", "ssd"}}}}},
                   {"spec", {{"unschedulable", true}, {"taints", {{{"key", "x"}}}}}},
                   {"status", {{"config", {{"a", 1}}}}}};
  Json node = build_node(facts(), existing, WallTime(1'750'000'000s));
  EXPECT_EQ(node["metadata"]["labels"]["disk"], "ssd");
  EXPECT_EQ(node["spec"]["unschedulable"], true);
  EXPECT_EQ(node["spec"]["taints"].size(), 1u);
  EXPECT_EQ(node["status"]["config"]["a"], 1);
}

ObjectPtr service(const std::string& spec) {
  return object_from(
      "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec: " + spec);
}

// Two ports; one endpoint ready, one not, one serving on its way out.
ObjectPtr slice() {
  return object_from(
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
      "metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web}}\n"
      "addressType: IPv4\n"
      "ports:\n- {name: http, port: 8080, protocol: TCP}\n- {name: dns, port: 5353, protocol: "
      "UDP}\n"
      "endpoints:\n"
      "- {addresses: [10.0.0.1], conditions: {ready: true}, hostname: web-0}\n"
      "- {addresses: [10.0.0.2], conditions: {ready: false}}\n"
      "- {addresses: [10.0.0.3], conditions: {ready: false, serving: true, terminating: true}}\n");
}

TEST(ServiceRules, PortsMeetTheirEndpoints) {
  auto spec = service_spec(
      *service("{clusterIP: 10.96.0.5, clusterIPs: [10.96.0.5], sessionAffinity: ClientIP, "
               "sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}, ports: [{name: http, "
               "port: 80, targetPort: 8080, nodePort: 30001, protocol: TCP}, {name: dns, port: 53, "
               "protocol: UDP}, {name: none, port: 99, protocol: TCP}]}"),
      {slice()});
  EXPECT_EQ(spec.id, "shop/web");
  ASSERT_TRUE(spec.cluster_ip);
  EXPECT_EQ(spec.affinity_seconds, 60u);
  ASSERT_EQ(spec.ports.size(), 3u);
  EXPECT_EQ(spec.ports[0].port, 80);
  EXPECT_EQ(spec.ports[0].node_port, 30001);
  ASSERT_EQ(spec.ports[0].endpoints.size(), 1u) << "ready ones only";
  EXPECT_EQ(spec.ports[0].endpoints[0].port, 8080);
  EXPECT_EQ(spec.ports[1].protocol, network::Protocol::kUdp);
  ASSERT_EQ(spec.ports[1].endpoints.size(), 1u);
  EXPECT_EQ(spec.ports[1].endpoints[0].port, 5353);
  EXPECT_TRUE(spec.ports[2].endpoints.empty());
}

TEST(ServiceNames, HeadlessOnesNameTheirEndpoints) {
  auto plain = service_record(
      *service("{clusterIP: 10.96.0.5, clusterIPs: [10.96.0.5], ports: [{name: http, port: 80}]}"),
      {slice()});
  EXPECT_TRUE(plain.cluster_ip);
  EXPECT_TRUE(plain.endpoints.empty());
  auto headless = service_record(
      *service("{clusterIP: None, clusterIPs: [None], ports: [{name: http, port: 80}]}"),
      {slice()});
  EXPECT_FALSE(headless.cluster_ip);
  ASSERT_EQ(headless.endpoints.size(), 1u);
  EXPECT_EQ(headless.endpoints[0].hostname, "web-0");
  EXPECT_EQ(headless.endpoints[0].ports.size(), 2u);
  auto external =
      service_record(*service("{type: ExternalName, externalName: db.example.com}"), {});
  EXPECT_EQ(external.external_name, "db.example.com");
}

}  // namespace
}  // namespace moth::agent
