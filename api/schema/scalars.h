#pragma once
// The text forms of the API's own scalars: syntax checks and the canonical form that upstream
// serves. Pure; any thread.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/base/result.h"

namespace moth::schema {

// "1024Mi" -> "1Gi", "0.5" -> "500m", "1e3" -> "1e3", "100.5m" -> "101m" (finer than nano rounds
// up). BadRequest with upstream's text on bad syntax or suffix.
Result<std::string> canonical_quantity(std::string_view text);

// An instant of RFC 3339 text. The range is the years 0 to 9999.
struct Instant {
  std::int64_t seconds = 0;  // since 1970-01-01T00:00:00Z
  std::int32_t nanos = 0;
};
std::optional<Instant> parse_rfc3339(std::string_view text);
std::string format_time(std::int64_t seconds);          // 2026-01-02T03:04:05Z
std::string format_micro_time(const Instant& instant);  // 2026-01-02T03:04:05.000006Z

// Standard base64 with padding; line breaks are skipped, as encoders of Secrets write them.
bool is_base64(std::string_view text);
std::string encode_base64(std::string_view bytes);

// Go duration text: [+-](number unit)+ with h m s ms us ns, or "0".
bool is_duration(std::string_view text);
std::string format_duration(std::int64_t nanoseconds);

}  // namespace moth::schema
