#pragma once
// Sets the replicas of a scale target by the usage of its pods (k8s-behaviours 14), every 15 s.
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "api/client/node_api.h"
#include "api/machinery/gvk.h"
#include "daemon/controllers/framework/controller.h"

namespace moth::controllers {

// Where the usage of pods comes from. Control thread.
class MetricsSource {
 public:
  virtual ~MetricsSource() = default;
  // The newest sample of each pod of the namespace that has one. NotFound: no metrics are served.
  virtual Result<std::vector<client::PodUsage>> pod_usage(std::string_view ns) = 0;
};

// Of the node agent, which outlives it; without one (null) no metrics are served.
std::unique_ptr<MetricsSource> make_node_metrics_source(client::NodeApi* node);

struct AutoscalerOptions {
  std::unique_ptr<MetricsSource> metrics;
  // The resource of a scaleTargetRef; unset: Deployments, ReplicaSets, StatefulSets and
  // ReplicationControllers. A kind without a resource makes the condition AbleToScale False.
  std::function<std::optional<Gvr>(const Gvk& target)> resource_of;
};

std::unique_ptr<Controller> make_horizontalpodautoscaler_controller(ControllerContext context,
                                                                    AutoscalerOptions options);

}  // namespace moth::controllers
