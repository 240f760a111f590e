#pragma once
// Request bodies: JSON, YAML or Kubernetes protobuf to a DOM. Pure functions, any thread.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/base/result.h"
#include "api/client/object_client.h"
#include "api/http/message.h"

namespace moth::server {

struct DecodedBody {
  Json value;                           // null for an empty body
  std::vector<std::string> duplicates;  // texts `duplicate field "x"`
};

// By Content-Type; a missing one means JSON. UnsupportedMediaType (415) for others.
Result<DecodedBody> decode_body(const http::Request& request);
Result<client::PatchType> patch_type(const http::Request& request);
// From the body and, where it says nothing, the query.
Result<client::DeleteOptions> decode_delete_options(const http::Request& request);

}  // namespace moth::server
