#pragma once
// Content negotiation: which form of an object, list or watch a client asks for. Pure function.
#include <string_view>

#include "api/base/result.h"

namespace moth::server {

enum class Form {
  kObject,           // application/json
  kTable,            // ;as=Table;v=v1;g=meta.k8s.io
  kPartialMetadata,  // ;as=PartialObjectMetadata(List);v=v1;g=meta.k8s.io
  kDiscovery,        // ;as=APIGroupDiscoveryList;v=v2;g=apidiscovery.k8s.io
};

// The first entry of an Accept header that can be served; NotAcceptable when none can.
Result<Form> negotiate(std::string_view accept, bool discovery = false);

}  // namespace moth::server
