#include "api/machinery/hash.h"

#include <array>

#include "api/base/json.h"
#include "api/machinery/json_text.h"

namespace moth {
namespace {

constexpr std::string_view kSafeAlphabet = "bcdfghjklmnpqrstvwxz2456789";

std::uint32_t fnv32a_more(std::uint32_t state, std::string_view bytes) {
  for (char c : bytes) state = (state ^ static_cast<unsigned char>(c)) * 16777619u;
  return state;
}

}  // namespace

std::uint32_t fnv32a(std::string_view bytes) {
  return fnv32a_more(2166136261u, bytes);
}

std::uint64_t fnv64a(std::string_view bytes) {
  std::uint64_t state = 14695981039346656037u;
  for (char c : bytes) state = (state ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return state;
}

std::string safe_encode(std::string_view text) {
  std::string encoded(text);
  for (char& c : encoded) {
    c = kSafeAlphabet[static_cast<unsigned char>(c) % kSafeAlphabet.size()];
  }
  return encoded;
}

std::string template_hash(const Json& pod_template, std::int64_t collision_count) {
  std::uint32_t state = fnv32a(dump_json(pod_template));
  if (collision_count >= 0) {
    // As upstream: the count's 32 bits, low byte first, in a buffer of eight bytes.
    std::array<char, 8> bytes{};
    auto count = static_cast<std::uint32_t>(collision_count);
    for (std::size_t i = 0; i < 4; ++i) bytes[i] = static_cast<char>(count >> (8 * i));
    state = fnv32a_more(state, {bytes.data(), bytes.size()});
  }
  return safe_encode(std::to_string(state));
}

}  // namespace moth
