#pragma once
// Hashes whose values appear in names and labels. Pure functions.
#include <cstdint>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"

namespace moth {

std::uint32_t fnv32a(std::string_view bytes);
std::uint64_t fnv64a(std::string_view bytes);

// Each character mapped into the alphabet of generated names, so that a hash can be part of a name.
std::string safe_encode(std::string_view text);

// The pod-template-hash of a pod template: safe_encode of the fnv32a of its canonical JSON, and of
// `collision_count` when it is not negative (0 and absent are different, as upstream).
std::string template_hash(const Json& pod_template, std::int64_t collision_count = -1);

}  // namespace moth
