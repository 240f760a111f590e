#pragma once
// Standard base64 with padding, as JSON carries bytes. Pure functions.
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace moth::schema {

std::string encode_base64(std::string_view bytes);
// Line breaks are skipped, as encoders of Secrets write them. Nothing else is forgiven.
std::optional<std::string> decode_base64(std::string_view text);
// The offset of the first byte that is wrong; npos when the text is right.
std::size_t find_base64_error(std::string_view text);

}  // namespace moth::schema
