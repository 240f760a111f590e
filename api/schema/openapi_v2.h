#pragma once
// OpenAPI v2 (Swagger) of the whole API, as JSON or as the protobuf that Go's clients ask for: what
// older kubectl releases and code generators fetch.
//
// The document is some megabytes, of which a few kB exist at a time: parts go to a sink as they
// are made. Pure; any thread, but not one that must not wait (some 100 ms).
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/schema/openapi_v3.h"

namespace moth::schema {

enum class OpenApiV2Form { kJson, kProtobuf };

inline constexpr std::string_view kOpenApiV2Protobuf =
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
// The same in the spelling of clients before 1.31.
inline constexpr std::string_view kOpenApiV2OldProtobuf =
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

// Schemas of custom resources as they were given (OpenAPI v3), by the name of their definition.
using CustomSchemas = std::map<std::string, Json>;
using DocumentSink = std::function<void(std::string_view bytes)>;

// Writes the document of all `resources`. What v2 cannot say of custom schemas (oneOf, nullable,
// ...) is left out of them.
void write_openapi_v2(OpenApiV2Form form, std::span<const ResourceInfo> resources,
                      const CustomSchemas& custom, const OpenApiOptions& options,
                      const DocumentSink& sink);

}  // namespace moth::schema
