#pragma once
// PodNetwork: one network namespace and one routed veth pair per pod; no bridge.
//
//   pod:   eth0 <ip>/32, default via 169.254.1.1 onlink (static neighbour: the host end), lo up
//   host:  <prefix><10 hex> with a /32 route to the pod and a static neighbour; no address
//
// Methods block 1-2 ms: call them on `blocking`. Thread-safe for different pods. State lives in the
// kernel alone: after a restart attach() finds and completes what exists.
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/network/host_network.h"
#include "runtime/network/netns.h"

namespace moth::network {

struct Attached {
  std::string netns_path;      // for linux.namespaces[].path
  std::string host_interface;  // host end of the veth
  Ipv4 ip;
};

class PodNetwork {
 public:
  // `config` must have passed validate().
  explicit PodNetwork(NetworkConfig config);

  // Creates namespace, veth, address and routes. Idempotent: a pod that has them (same address)
  // keeps them untouched, a half made one is completed. On error nothing of the pod is left.
  Result<Attached> attach(std::string_view pod_uid, Ipv4 ip);
  // A namespace for a pod whose network is the host's is never needed; this one gives a pod with
  // no address at all (only lo), for tests and sandboxed builds.
  Result<std::string> create_isolated(std::string_view name);
  // Unmounts the namespace; the kernel removes veth and route in the background: as a rule within
  // milliseconds, but not before the last socket in the namespace is gone, and a connection whose
  // other end no longer answers may keep one for minutes. sweep() does not wait. Missing: success.
  // The tracked connections of `ip` are forgotten before another pod gets it, many pods at a time
  // (finding them takes the kernel 10-30 ms).
  Result<> detach(std::string_view pod_uid, Ipv4 ip);
  // Removes at once what is left of pods other than those in `keep` (uids): namespaces in which no
  // process runs, then the host ends, with their routes, of pods that have no namespace. Tells how
  // many. Touches nothing of other instances. For the start, and after the last pod.
  Result<std::size_t> sweep(const std::set<std::string>& keep);
  // The pods that have a namespace.
  Result<std::vector<std::string>> list() const;
  // True when namespace, veth and address are all in place. For adoption checks and probes.
  bool complete(std::string_view pod_uid, Ipv4 ip) const;

  const NetnsDirectory& directory() const { return netns_; }
  std::string netns_path(std::string_view pod_uid) const { return netns_.path(pod_uid); }

 private:
  void forget_flows_before_reuse(Ipv4 ip);
  void forget_flows(const std::set<Ipv4>& addresses);

  NetworkConfig config_;
  NetnsDirectory netns_;
  std::mutex mutex_;
  std::set<Ipv4> released_;  // addresses of former pods whose flows are still tracked
};

}  // namespace moth::network
