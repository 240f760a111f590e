#include "api/resources/metrics_v1beta1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

ResourceDef metrics_row(std::string resource, std::string kind, bool namespaced) {
  ResourceDef row =
      row_of("metrics.k8s.io", "v1beta1", std::move(resource), "", std::move(kind), "");
  row.namespaced = namespaced;
  row.verbs = kGet | kList;
  row.durability = Durability::kVirtual;
  return row;
}

}  // namespace

ResourceDef pod_metrics() {
  return metrics_row("pods", "PodMetrics", true);
}
ResourceDef node_metrics() {
  return metrics_row("nodes", "NodeMetrics", false);
}

}  // namespace moth::resources
