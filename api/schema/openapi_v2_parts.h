#pragma once
// The parts of an OpenAPI v2 document as JSON, and their form in protobuf. Internal to api/schema.
#include <functional>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/schema/openapi_v3.h"

namespace moth::schema {

// One entry of `definitions`.
Json v2_definition(Type type);
// A schema of OpenAPI v3 as one of v2: references renamed, what v2 has not left out.
Json v2_from_v3(const Json& schema);
// Calls `take` with each path of a resource and its Path Item.
void v2_paths(const ResourceInfo& resource,
              const std::function<void(const std::string& path, const Json& item)>& take);

// The fields of openapi.v2.Document, one part each (the reader merges them).
std::string v2_protobuf_head(const Json& head);
std::string v2_protobuf_path(std::string_view path, const Json& item);
std::string v2_protobuf_definition(std::string_view name, const Json& schema);

}  // namespace moth::schema
