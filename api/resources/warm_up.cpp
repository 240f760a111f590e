#include "api/resources/warm_up.h"

#include "api/resources/apiextensions_v1/prepared_schema.h"

namespace moth::resources {

WarmUp warm_up_of(const ResourceDef& def) {
  bool definition =
      def.group == "apiextensions.k8s.io" && def.resource == "customresourcedefinitions";
  return definition ? warm_up_definition : nullptr;
}

}  // namespace moth::resources
