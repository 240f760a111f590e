#pragma once
// NodeStack: everything below runtime/ put together, as the application sees it. Control thread.
#include <memory>
#include <string>

#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/metrics.h"
#include "api/base/result.h"
#include "api/client/node_api.h"
#include "daemon/config.h"

namespace moth::server {
class Pipeline;
}

namespace moth {

class LocalReader;

class NodeStack {
 public:
  virtual ~NodeStack() = default;
  // Registers the node, re-adopts what runs, and begins to act on pods and services.
  virtual Task<Result<>> start(server::Pipeline& pipeline, LocalReader& reader) = 0;
  // Brings services and DNS up. After the endpoints of adopted pods are known again, so that the
  // rules never lose one.
  virtual Task<Result<>> start_services() = 0;
  virtual client::NodeApi* api() = 0;
  // An address of the instance's own that its pods and this machine reach, and that of the machine.
  virtual std::string inner_address() const = 0;
  virtual std::string host_address() const = 0;
  // The daemon leaves, the containers stay.
  virtual Task<void> detach() = 0;
  // After start(), in place of start_services(): every container of the instance ends, everything
  // on the host is removed. The objects stay: the next start makes the pods anew.
  virtual Task<Result<>> stop_workloads() = 0;
};

// An error names what the machine lacks (root, runc, nftables...) and the remedy.
Result<std::unique_ptr<NodeStack>> make_node_stack(const Config& config, Executors& executors,
                                                   Clock& clock, metrics::Registry& metrics);

}  // namespace moth
