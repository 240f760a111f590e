#pragma once
// Everything that a pod needs on this node before its containers run, as PodResources in the order
// in which they are prepared: folders, group, volumes, network, files of /etc, namespaces. Control
// thread; what blocks runs on the blocking executor.
#include <memory>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/client/event_recorder.h"
#include "api/client/object_client.h"
#include "runtime/agent/paths.h"
#include "runtime/agent/pod_resource.h"
#include "runtime/agent/resources/volume_plugin.h"
#include "runtime/cgroups/manager.h"
#include "runtime/network/ipam.h"
#include "runtime/network/pod_network.h"
#include "runtime/oci/runtime.h"

namespace moth::agent {

class PodTokens;

// What the resources use; all outlive them.
struct ResourceServices {
  Executors& executors;
  Clock& clock;
  Paths paths;
  const client::ObjectReader& reader;
  client::EventRecorder& events;
  cgroups::Manager& cgroups;
  network::PodNetwork& network;
  network::Ipam& ipam;
  oci::Runtime& runtime;
  std::string instance, node_name, node_hostname;
  std::string cluster_domain = "cluster.local";
  std::string dns_address;             // of the cluster; empty: pods use the host's servers
  std::vector<VolumePlugin*> plugins;  // the first that handles a volume sets it up
  PodTokens* tokens = nullptr;         // null: pods get no tokens
};

class PodNetworking;

struct PodResources {
  std::vector<std::unique_ptr<PodResource>> list;  // in the order of prepare()
  PodNetworking* networking = nullptr;             // one of the list
  std::vector<PodResource*> pointers() const;
};
PodResources make_pod_resources(ResourceServices& services);

}  // namespace moth::agent
