#pragma once
// What a CustomResourceDefinition serves: the rows of its versions. Pure; the hooks of the rows are
// for any thread.
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/resources/registry.h"

namespace moth::resources {

struct CustomRowOptions {
  // Objects of an older resourceVersion may have been written under another schema.
  std::uint64_t current_since = 0;
  // The definition is being deleted: no new objects.
  bool terminating = false;
};

// One row for each version that is served, and for the stored one. Fails for definitions that
// validation would refuse.
Result<std::vector<ResourceDef>> custom_rows(const Json& definition,
                                             const CustomRowOptions& options);

}  // namespace moth::resources
