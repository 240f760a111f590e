#pragma once
// The EndpointSlices and the Endpoints that a Service should have. Pure (k8s-behaviours 17.2).
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/machinery/names.h"
#include "api/machinery/object.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/core_v1/service_view.h"

namespace moth::controllers {

inline constexpr std::size_t kMaxEndpointsPerSlice = 100;
inline constexpr std::size_t kMaxEndpointsAddresses = 1000;
inline constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
inline constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
inline constexpr const char* kSliceManager = "endpointslice-controller.k8s.io";

struct SlicePlan {
  std::vector<Json> create;         // named by generateName
  std::vector<Json> update;         // existing ones, whole
  std::vector<std::string> remove;  // names
};

// `pods` are those that the selector matches; `existing` the slices that this controller manages
// for the Service.
SlicePlan plan_slices(const Object& service, const std::vector<ObjectPtr>& pods,
                      const std::vector<ObjectPtr>& existing);

// The whole Endpoints object; `existing` may be null.
Json plan_endpoints(const Object& service, const std::vector<ObjectPtr>& pods,
                    const ObjectPtr& existing);

}  // namespace moth::controllers
