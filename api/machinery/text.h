#pragma once
// Small text helpers of the machinery: UTF-8 and quoting. Pure functions.
#include <cstddef>
#include <string>
#include <string_view>

namespace moth {

// The length in bytes of the valid UTF-8 sequence at `position`, 0 when it is none (overlong forms,
// surrogates and values above U+10FFFF are none). `position` must be inside.
std::size_t utf8_length(std::string_view text, std::size_t position);
// The code point of a sequence that utf8_length() measured.
char32_t utf8_decode(std::string_view text, std::size_t position, std::size_t length);
void utf8_append(char32_t code, std::string& out);
bool is_valid_utf8(std::string_view text);

// Double-quoted with Go's escapes, as messages of Kubernetes print texts.
std::string go_quote(std::string_view text);

// The shortest text that reads back as `value`, with Go's choice of exponents (%v): 0.5, 1e+06.
std::string go_format_double(double value);

}  // namespace moth
