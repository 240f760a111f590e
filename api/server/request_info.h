#pragma once
// What a method and path mean: verb, resource, namespace, name, subresource. Pure function.
#include "api/http/message.h"
#include "api/server/request_context.h"

namespace moth::server {

// /api/v1/... and /apis/GROUP/VERSION/... with at least a resource are resource requests, all else
// is not. A GET with watch=true has the verb watch, a GET or DELETE of a collection list or
// deletecollection.
RequestInfo parse_request_info(const http::Request& request);

}  // namespace moth::server
