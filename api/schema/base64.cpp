#include "api/schema/base64.h"

#include <array>
#include <cstdint>

namespace moth::schema {

namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> make_values() {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (std::size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::int8_t>(i);
  return values;
}
constexpr auto kValues = make_values();

// Calls `group(value, count)` for each four characters: 24 bits, of which `count` bytes count.
// Returns the offset of the first error or npos.
template <class Group>
std::size_t scan(std::string_view text, Group group) {
  std::uint32_t bits = 0;
  int have = 0, padding = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\r' || c == '\n') continue;
    if (c == '=') {
      if (have + padding < 2 || have + padding == 4) return i;
      if (++padding + have == 4) group(bits << (6 * padding), 3 - padding);
      continue;
    }
    std::int8_t value = kValues[static_cast<unsigned char>(c)];
    if (value < 0 || padding > 0) return i;
    bits = bits << 6 | static_cast<std::uint32_t>(value);
    if (++have == 4) {
      group(bits, 3);
      have = 0;
      bits = 0;
    }
  }
  return have == 0 || have + padding == 4 ? std::string_view::npos : text.size();
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = 0; j < 3; ++j)
      bits = bits << 8 | (i + j < bytes.size() ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    for (std::size_t j = 0; j < 4; ++j)
      out += i + j <= bytes.size() ? kAlphabet[bits >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3);
  std::size_t error = scan(text, [&](std::uint32_t bits, int count) {
    for (int i = 0; i < count; ++i) out += static_cast<char>(bits >> (16 - 8 * i) & 255);
  });
  if (error != std::string_view::npos) return std::nullopt;
  return out;
}

std::size_t find_base64_error(std::string_view text) {
  return scan(text, [](std::uint32_t, int) {});
}

}  // namespace moth::schema
