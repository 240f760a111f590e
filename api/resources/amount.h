#pragma once
// Counts that are a number or a percentage (`maxUnavailable: 25%`). Pure functions.
#include <cstdint>
#include <optional>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// The number, or that of a percentage; 0 when it is not given, nothing for other texts.
std::optional<std::int64_t> amount_of(const Json& owner, std::string_view key);
// A number from 0, or a percentage.
void check_amount(FieldErrors& errors, const Json& owner, std::string_view key,
                  const FieldPath& path);
// A percentage of at most 100.
void check_at_most_whole(FieldErrors& errors, const Json& owner, std::string_view key,
                         const FieldPath& path);

}  // namespace moth::resources
