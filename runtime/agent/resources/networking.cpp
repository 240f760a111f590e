#include "runtime/agent/resources/networking.h"

namespace moth::agent {

void PodNetworking::reserve(const std::string& pod_uid, const std::string& pod_ip) {
  auto ip = network::Ipv4::parse(pod_ip);
  if (!ip || addresses_.contains(pod_uid)) return;
  if (services_.ipam.reserve(*ip)) addresses_[pod_uid] = *ip;
}

Result<network::Ipv4> PodNetworking::address_of(const PodContext& pod) {
  auto known = addresses_.find(pod.uid);
  if (known == addresses_.end()) {
    reserve(pod.uid, pod.pod_ip);
    known = addresses_.find(pod.uid);
  }
  if (known != addresses_.end()) return known->second;
  MOTH_ASSIGN(const network::Ipv4 ip, services_.ipam.allocate());
  addresses_[pod.uid] = ip;
  return ip;
}

Task<Result<>> PodNetworking::prepare(PodContext& pod) {
  if (pod.view().spec().host_network) {
    pod.pod_ip = pod.host_ip;
    pod.netns_path.clear();
    co_return Result<>{};
  }
  auto ip = address_of(pod);
  if (!ip) {
    ip.error().with_context("Failed to create pod sandbox");
    co_return fail(std::move(ip).error());
  }
  const std::string uid = pod.uid;
  network::PodNetwork& net = services_.network;
  auto attached =
      co_await call_on(services_.executors.blocking(), [&] { return net.attach(uid, *ip); });
  if (!attached) {
    attached.error().with_context("Failed to create pod sandbox");
    co_return fail(std::move(attached).error());
  }
  pod.pod_ip = ip->text();
  pod.netns_path = attached->netns_path;
  co_return Result<>{};
}

Task<Result<>> PodNetworking::cleanup(PodContext& pod) {
  const std::string uid = pod.uid;
  auto known = addresses_.find(uid);
  const bool had_address = known != addresses_.end();
  const network::Ipv4 ip = had_address ? known->second : network::Ipv4{};
  network::PodNetwork& net = services_.network;
  auto detached = co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    if (!had_address && !net.directory().exists(uid)) return {};
    return net.detach(uid, ip);
  });
  if (!detached) co_return detached;
  // Looked up again: another cleanup may have come first, and the address may be someone else's.
  if (had_address && addresses_.erase(uid) > 0) services_.ipam.release(ip);
  pod.netns_path.clear();
  co_return Result<>{};
}

}  // namespace moth::agent
