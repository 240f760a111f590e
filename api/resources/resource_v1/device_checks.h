#pragma once
// Defaults and checks of what the kinds of dynamic resource allocation share. Internal to this
// folder.
#include <cstddef>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

inline constexpr std::size_t kMaxDeviceItems = 32;

// The `devices` of a claim's spec.
void default_device_claim(Json& spec);
void check_device_claim(FieldErrors& errors, const Json& spec, const FieldPath& path);

// object.selectors.
void check_device_selectors(FieldErrors& errors, const Json& object, const FieldPath& path);
// One DeviceConfiguration; only opaque ones exist.
void check_device_config(FieldErrors& errors, const Json& config, const FieldPath& path);
// The name of a DRA driver; `path` is the name's own.
void check_device_driver(FieldErrors& errors, std::string_view name, const FieldPath& path);
// A pool: one or more subdomains with slashes between them.
void check_pool_name(FieldErrors& errors, std::string_view name, const FieldPath& path);
// `object[key]` has no more than `max` items.
void check_count(FieldErrors& errors, const Json& object, std::string_view key, std::size_t max,
                 const FieldPath& path);

}  // namespace moth::resources
