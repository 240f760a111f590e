#pragma once
// What one object uses of a quota (k8s-behaviours 16.1). Pure functions, any thread.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/resource_quota_view.h"
#include "api/resources/registry.h"

namespace moth::resources::quota {

// What the scopes of a quota ask about an object.
struct Traits {
  bool is_pod = false;
  bool terminating = false;  // spec.activeDeadlineSeconds is set
  bool best_effort = false;
  bool cross_namespace_affinity = false;
  std::string priority_class;
  bool is_claim = false;
  std::string attributes_class;  // of a claim
};

struct Usage {
  ResourceList amounts;
  Traits traits;
  // A terminating pod whose grace period is over counts as an object only from then on.
  std::optional<WallTime> ends_at;
  ResourceList amounts_after;
};

// `resource` and `group` name the stored row of the object.
Usage usage_of(std::string_view group, std::string_view resource, const Json& object);

bool matches_scopes(const std::vector<QuotaScope>& scopes, const Traits& traits);

// The resources whose objects a quota of `name` counts, as qualified names: "pods" for cpu,
// "deployments.apps" for count/deployments.apps.
std::string counted_resource(std::string_view name);

// Names among cpu, memory, requests.* and limits.* of both that `required` has and a container of
// the pod does not give: "must specify limits.cpu for: c; ..."; empty when all are there.
std::string missing_in_pod(const std::vector<std::string>& required, const Json& pod);

// "cpu=1,pods=2" of the names in `only`.
std::string printed(const ResourceList& list, const std::vector<std::string>& only);

}  // namespace moth::resources::quota
