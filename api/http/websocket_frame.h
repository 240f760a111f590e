#pragma once
// Internal: the frames of RFC 6455 as pure functions.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace moth::http {

enum class Opcode : std::uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10,
};

using FrameMask = std::array<unsigned char, 4>;

struct FrameHeader {
  Opcode opcode = Opcode::kBinary;
  bool final = true;
  std::uint64_t length = 0;
  std::optional<FrameMask> mask;
  std::size_t size = 0;  // of the header itself

  bool control() const { return static_cast<std::uint8_t>(opcode) >= 8; }
};

struct FrameParse {
  enum class Outcome { kMore, kFrame, kViolation } outcome = Outcome::kMore;
  FrameHeader header;
  const char* violation = "";
};

FrameParse parse_frame_header(std::string_view bytes);
std::string frame_header(Opcode opcode, bool final, std::uint64_t length,
                         const std::optional<FrameMask>& mask);
// XORs `data`, whose first byte is number `offset` of the payload.
void apply_mask(char* data, std::size_t size, const FrameMask& mask, std::uint64_t offset = 0);
// Payload of a close frame.
std::string close_payload(std::uint16_t code, std::string_view reason);
// Whether a peer may send `code` in a close frame.
bool valid_close_code(std::uint16_t code);
bool valid_utf8(std::string_view text);

}  // namespace moth::http
