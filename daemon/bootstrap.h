#pragma once
// The objects that every cluster has: system namespaces, the two critical priority classes and the
// kubernetes Service. Control thread.
#include <string>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/client/object_client.h"

namespace moth {

struct BootstrapOptions {
  std::string service_address;  // of the kubernetes Service: the first of the service CIDR
  int api_port = 6443;
};

// Makes what is missing; what is there stays.
Task<Result<>> bootstrap_cluster(client::ObjectClient& client, BootstrapOptions options);

// Keeps EndpointSlice and Endpoints of the Service kubernetes true: it has no selector, and the
// address may change between two starts.
Task<Result<>> publish_api_endpoint(client::ObjectClient& client, std::string api_address,
                                    int api_port);

}  // namespace moth
