#pragma once
// ResourceQuotaView: what admission and the quota controller act upon. Built and kept by
// `object.view<ResourceQuotaView>()` on the control thread; valid as long as its object.
#include <string>
#include <vector>

#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/resources/core_v1/resource_list.h"

namespace moth::resources {

// Which pods count, one requirement: spec.scopes say Exists.
struct QuotaScope {
  // Terminating, NotTerminating, BestEffort, NotBestEffort, PriorityClass,
  // CrossNamespacePodAffinity, VolumeAttributesClass
  std::string name;
  SelectorOperator op = SelectorOperator::kExists;  // In, NotIn, Exists, DoesNotExist
  std::vector<std::string> values = {};             // of PriorityClass
};

class ResourceQuotaView {
 public:
  explicit ResourceQuotaView(const Object& object);

  const Meta& meta() const { return *meta_; }

  ResourceList hard;               // spec.hard: what is allowed
  std::vector<QuotaScope> scopes;  // all must hold; those of spec.scopes, then of scopeSelector
  // What was last published.
  ResourceList status_hard, used;

 private:
  const Meta* meta_;
};

}  // namespace moth::resources
