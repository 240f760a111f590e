#pragma once
// What ConfigMap and Secret share. Internal to core_v1.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

inline constexpr std::size_t kMaxDataBytes = 1u << 20;

// Bytes of a base64 text.
std::size_t decoded_size(const Json& value);
// With `immutable: true` in `old`, neither that nor the named maps may change.
void check_immutable_data(FieldErrors& errors, const Json& object, const Json& old,
                          const std::vector<std::string_view>& maps);

}  // namespace moth::resources
