#include "api/resources/coordination_v1/lease_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {

LeaseView::LeaseView(const Object& object) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  holder = string_or(spec, "holderIdentity");
  duration = optional_seconds(spec, "leaseDurationSeconds");
  acquired = optional_time(spec, "acquireTime");
  renewed = optional_time(spec, "renewTime");
  transitions = int32_or(spec, "leaseTransitions");
}

}  // namespace moth::resources
