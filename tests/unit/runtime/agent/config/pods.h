#pragma once
// Pods for tests, from YAML.
#include <gtest/gtest.h>

#include <string>

#include "api/base/json.h"
#include "api/machinery/object.h"
#include "api/machinery/yaml.h"
#include "runtime/agent/pod_context.h"

namespace moth::agent {

inline ObjectPtr object_from(const std::string& yaml) {
  auto parsed = parse_yaml(yaml);
  EXPECT_TRUE(parsed) << yaml;
  return Object::from_json(*parsed);
}

// `spec` is the YAML of the spec's members, indented by two.
inline PodContext pod_from(const std::string& spec, const std::string& metadata = "") {
  PodContext pod;
  pod.ns = "shop";
  pod.name = "web-0";
  pod.uid = "uid-1";
  pod.node_name = "box";
  pod.host_ip = "192.168.1.5";
  pod.pod_ip = "10.244.0.7";
  pod.netns_path = "/run/moth/netns/uid-1";
  pod.cgroup_path = "/moth-test/poduid-1";
  pod.object = object_from(
      "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-0\n  namespace: shop\n  uid: uid-1\n" +
      metadata + "spec:\n" + spec);
  return pod;
}

inline const resources::Container& first(const PodContext& pod) {
  return pod.view().spec().containers.front();
}

}  // namespace moth::agent
