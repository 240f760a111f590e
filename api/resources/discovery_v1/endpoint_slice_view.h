#pragma once
// EndpointSliceView: the backends of a service. Built and kept by
// `object.view<EndpointSliceView>()` on the control thread; valid as long as its object.
#include <cstdint>
#include <string>
#include <vector>

#include "api/machinery/object.h"
#include "api/resources/core_v1/pod_spec.h"

namespace moth::resources {

struct SlicePort {
  std::string name, app_protocol;
  Protocol protocol = Protocol::kTcp;
  std::uint16_t port = 0;  // 0: all ports
};

struct SliceEndpoint {
  std::vector<std::string> addresses;  // of one endpoint; consumers use the first
  // Absent conditions: ready and serving true, terminating false.
  bool ready = true, serving = true, terminating = false;
  std::string hostname, node_name, zone;
  std::string target_kind, target_ns, target_name, target_uid;
};

class EndpointSliceView {
 public:
  explicit EndpointSliceView(const Object& object);

  const Meta& meta() const { return *meta_; }
  // The label kubernetes.io/service-name, or "".
  const std::string& service_name() const;
  // The label endpointslice.kubernetes.io/managed-by, or "".
  const std::string& managed_by() const;

  std::string address_type;  // IPv4, IPv6, FQDN
  std::vector<SlicePort> ports;
  std::vector<SliceEndpoint> endpoints;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
