#pragma once
// Small questions that admission steps ask about a request.
#include "api/base/json.h"
#include "api/server/admission/admission.h"

namespace moth::server {

inline bool is_resource(const AdmissionRequest& request, std::string_view group,
                        std::string_view resource) {
  return request.def.resource == resource && request.def.group == group;
}

inline bool is_pod_create(const AdmissionRequest& request) {
  return request.operation == Operation::kCreate && request.subresource.empty() &&
         is_resource(request, "", "pods");
}

inline tl::unexpected<Error> refuse(const AdmissionRequest& request, std::string_view why) {
  return fail(Error::forbidden(request.def.qualified(), request.name, why));
}

}  // namespace moth::server
