#pragma once
// Cluster addresses and node ports of Services: given out at create and update, given back when the
// Service is gone. State is rebuilt from the store at start. Control thread.
#include <cstdint>
#include <memory>
#include <string>

#include "api/base/result.h"
#include "api/server/admission/admission.h"
#include "api/server/storage.h"

namespace moth::server {

struct ServiceAllocatorOptions {
  std::string service_cidr = "10.96.0.0/16";  // IPv4
  int node_port_min = 30000, node_port_max = 32767;
};

// BadRequest names the option that does not hold.
Result<std::unique_ptr<Admission>> make_service_allocator(Storage& storage,
                                                          const resources::Registry& registry,
                                                          const ServiceAllocatorOptions& options);

// The n-th address of an IPv4 CIDR, e.g. 1 for the kubernetes Service.
Result<std::string> cidr_address(std::string_view cidr, std::uint32_t n);

}  // namespace moth::server
