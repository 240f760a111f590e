#pragma once
// JSON Patch (RFC 6902). Pure functions.
#include <cstddef>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

inline constexpr std::size_t kMaxJsonPatchOperations = 10'000;

// `patch` is a list of {op, path, from, value}. BadRequest when it is no such list;
// RequestEntityTooLarge above kMaxJsonPatchOperations; Invalid (422) when an operation cannot be
// done or a `test` fails. The document grows to `max_bytes` of copied text at most.
Result<Json> apply_json_patch(Json document, const Json& patch,
                              std::size_t max_copied_bytes = 3u << 20);

}  // namespace moth
