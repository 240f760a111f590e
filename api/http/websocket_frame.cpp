#include "api/http/websocket_frame.h"

#include <cstring>

namespace moth::http {
namespace {

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void append_big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) {
    out.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

FrameParse violation(const char* why) {
  FrameParse parse;
  parse.outcome = FrameParse::Outcome::kViolation;
  parse.violation = why;
  return parse;
}

}  // namespace

FrameParse parse_frame_header(std::string_view bytes) {
  FrameParse parse;
  if (bytes.size() < 2) return parse;
  auto first = static_cast<unsigned char>(bytes[0]);
  auto second = static_cast<unsigned char>(bytes[1]);
  if (first & 0x70) return violation("reserved bits are set");
  FrameHeader& header = parse.header;
  header.final = first & 0x80;
  unsigned opcode = first & 0x0f;
  if (opcode > 10 || (opcode > 2 && opcode < 8)) return violation("unknown opcode");
  header.opcode = static_cast<Opcode>(opcode);
  header.length = second & 0x7f;
  if (header.control() && (!header.final || header.length > 125)) {
    return violation("control frame is fragmented or too long");
  }
  header.size = 2;
  if (header.length >= 126) {
    std::size_t width = header.length == 126 ? 2 : 8;
    if (bytes.size() < 2 + width) return parse;
    header.length = big_endian(bytes.substr(2, width));
    header.size += width;
    if (header.length >> 63) return violation("frame length is out of range");
  }
  if (second & 0x80) {
    if (bytes.size() < header.size + 4) return parse;
    FrameMask mask;
    std::memcpy(mask.data(), bytes.data() + header.size, mask.size());
    header.mask = mask;
    header.size += 4;
  }
  parse.outcome = FrameParse::Outcome::kFrame;
  return parse;
}

std::string frame_header(Opcode opcode, bool final, std::uint64_t length,
                         const std::optional<FrameMask>& mask) {
  std::string header;
  header.push_back(static_cast<char>((final ? 0x80 : 0) | static_cast<int>(opcode)));
  int mask_bit = mask ? 0x80 : 0;
  if (length < 126) {
    header.push_back(static_cast<char>(mask_bit | static_cast<int>(length)));
  } else if (length <= 0xffff) {
    header.push_back(static_cast<char>(mask_bit | 126));
    append_big_endian(header, length, 2);
  } else {
    header.push_back(static_cast<char>(mask_bit | 127));
    append_big_endian(header, length, 8);
  }
  if (mask) header.append(reinterpret_cast<const char*>(mask->data()), mask->size());
  return header;
}

void apply_mask(char* data, std::size_t size, const FrameMask& mask, std::uint64_t offset) {
  FrameMask turned;
  for (std::size_t i = 0; i < 4; ++i) turned[i] = mask[(i + offset) % 4];
  std::uint32_t word = 0;
  std::memcpy(&word, turned.data(), 4);
  std::uint64_t wide = static_cast<std::uint64_t>(word) << 32 | word;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t chunk = 0;
    std::memcpy(&chunk, data + i, 8);
    chunk ^= wide;
    std::memcpy(data + i, &chunk, 8);
  }
  for (; i < size; ++i) data[i] = static_cast<char>(data[i] ^ turned[i % 4]);
}

std::string close_payload(std::uint16_t code, std::string_view reason) {
  std::string payload;
  append_big_endian(payload, code, 2);
  payload += reason.substr(0, 123);
  return payload;
}

bool valid_close_code(std::uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

bool valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    std::size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || text.size() - i <= more) return false;
    std::uint32_t point = lead & (0x3fU >> more);
    for (std::size_t k = 1; k <= more; ++k) {
      auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xc0) != 0x80) return false;
      point = point << 6 | (next & 0x3f);
    }
    constexpr std::array<std::uint32_t, 4> kLeast = {0, 0x80, 0x800, 0x10000};
    if (point < kLeast[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      return false;
    }
    i += more + 1;
  }
  return true;
}

}  // namespace moth::http
