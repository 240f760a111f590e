#pragma once
// Discovery documents, made from the registry. Pure functions, any thread.
#include <optional>
#include <string_view>

#include "api/base/json.h"
#include "api/resources/registry.h"

namespace moth::server {

// APIGroupDiscoveryList of /api (the core group) or /apis (all others).
Json aggregated_discovery(const resources::Registry& registry, bool core);
Json api_versions();                                       // /api
Json api_group_list(const resources::Registry& registry);  // /apis
std::optional<Json> api_group(const resources::Registry& registry,
                              std::string_view group);  // /apis/G
// /api/v1, /apis/G/V; nothing when there is no such group-version.
std::optional<Json> api_resource_list(const resources::Registry& registry, std::string_view group,
                                      std::string_view version);

}  // namespace moth::server
