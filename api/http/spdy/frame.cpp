#include "api/http/spdy/frame.h"

#include <algorithm>

namespace moth::http::spdy {
namespace {

constexpr std::size_t kHeaderSize = 8;
constexpr std::uint16_t kVersion = 3;

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  }
  return value;
}

std::uint32_t id_at(std::string_view bytes, std::size_t at) {
  return number_at(bytes, at, 4) & 0x7fffffffu;
}

void append(std::string& out, std::uint32_t value, std::size_t size) {
  for (std::size_t i = size; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i)));
}

tl::unexpected<Error> violation(const char* why) {
  return fail(Error::bad_request(std::string("spdy: protocol violation: ") + why));
}

Result<void> parse_settings(std::string_view body, Frame& frame) {
  if (body.size() < 4) return violation("SETTINGS frame is too short");
  std::uint32_t count = number_at(body, 0, 4);
  body.remove_prefix(4);
  if (body.size() != std::size_t{count} * 8) return violation("SETTINGS frame of a wrong size");
  for (std::uint32_t i = 0; i < count; ++i) {
    frame.settings.emplace_back(number_at(body, i * 8 + 1, 3), number_at(body, i * 8 + 4, 4));
  }
  return {};
}

Result<void> parse_body(std::string_view body, Frame& frame) {
  auto has = [&](std::size_t size) { return body.size() == size; };
  switch (frame.type) {
    case FrameType::kSynStream:
      if (body.size() < 10) return violation("SYN_STREAM frame is too short");
      frame.stream = id_at(body, 0);
      frame.number = id_at(body, 4);
      frame.priority = static_cast<unsigned char>(body[8]) >> 5;
      frame.payload = body.substr(10);
      break;
    case FrameType::kSynReply:
    case FrameType::kHeaders:
      if (body.size() < 4) return violation("header frame is too short");
      frame.stream = id_at(body, 0);
      frame.payload = body.substr(4);
      break;
    case FrameType::kRstStream:
    case FrameType::kWindowUpdate:
    case FrameType::kGoAway:
      if (!has(8)) return violation("control frame of a wrong size");
      frame.stream = id_at(body, 0);
      frame.number = number_at(body, 4, 4);
      break;
    case FrameType::kPing:
      if (!has(4)) return violation("PING frame of a wrong size");
      frame.stream = number_at(body, 0, 4);
      break;
    case FrameType::kSettings:
      return parse_settings(body, frame);
    case FrameType::kData:
      break;
  }
  bool needs_id = frame.type == FrameType::kSynStream || frame.type == FrameType::kSynReply ||
                  frame.type == FrameType::kHeaders || frame.type == FrameType::kRstStream;
  if (needs_id && frame.stream == 0) return violation("stream 0");
  return {};
}

bool known(std::uint32_t type) {
  return type >= 1 && type <= 9 && type != 5;
}

}  // namespace

void FrameReader::consume(std::size_t count) {
  offset_ += count;
  if (offset_ == buffer_.size()) {
    buffer_.clear();
    offset_ = 0;
  } else if (offset_ > 64 * 1024) {
    buffer_.erase(0, offset_);
    offset_ = 0;
  }
}

Frame FrameReader::data_piece() {
  std::size_t size = std::min(data_left_, rest().size());
  Frame frame;
  frame.stream = data_stream_;
  frame.payload = rest().substr(0, size);
  consume(size);
  data_left_ -= size;
  if (data_left_ == 0) {
    data_open_ = false;
    if (data_fin_) frame.flags = kFlagFin;
  }
  return frame;
}

Result<std::optional<Frame>> FrameReader::next() {
  for (;;) {
    if (data_open_) {
      if (data_left_ > 0 && rest().empty()) return std::nullopt;
      return data_piece();
    }
    std::string_view bytes = rest();
    if (bytes.size() < kHeaderSize) return std::nullopt;
    std::uint32_t first = number_at(bytes, 0, 4);
    auto flags = static_cast<std::uint8_t>(bytes[4]);
    std::size_t length = number_at(bytes, 5, 3);
    if (!(first & 0x80000000u)) {
      if (first == 0) return violation("data on stream 0");
      data_open_ = true;
      data_stream_ = first;
      data_left_ = length;
      data_fin_ = (flags & kFlagFin) != 0;
      consume(kHeaderSize);
      continue;
    }
    if ((first >> 16 & 0x7fff) != kVersion) return violation("not version 3");
    if (length > kMaxControlFrame) return violation("control frame is too long");
    if (bytes.size() < kHeaderSize + length) return std::nullopt;
    std::string_view body = bytes.substr(kHeaderSize, length);
    if (!known(first & 0xffff)) {
      consume(kHeaderSize + length);
      continue;
    }
    Frame frame;
    frame.type = static_cast<FrameType>(first & 0xffff);
    frame.flags = flags;
    MOTH_TRY(parse_body(body, frame));
    consume(kHeaderSize + length);
    return frame;
  }
}

std::string data_header(std::uint32_t stream, std::size_t size, bool fin) {
  std::string out;
  append(out, stream & 0x7fffffffu, 4);
  append(out, fin ? kFlagFin : 0, 1);
  append(out, static_cast<std::uint32_t>(size), 3);
  return out;
}

std::string encode(const Frame& frame) {
  if (frame.type == FrameType::kData) {
    return data_header(frame.stream, frame.payload.size(), frame.fin()) + frame.payload;
  }
  std::string body;
  if (frame.type == FrameType::kSettings) {
    append(body, static_cast<std::uint32_t>(frame.settings.size()), 4);
    for (const auto& [id, value] : frame.settings) {
      append(body, id & 0xffffffu, 4);
      append(body, value, 4);
    }
  } else {
    append(body, frame.stream, 4);
  }
  switch (frame.type) {
    case FrameType::kSynStream:
      append(body, frame.number, 4);
      append(body, static_cast<std::uint32_t>(frame.priority) << 5, 1);
      append(body, 0, 1);
      break;
    case FrameType::kRstStream:
    case FrameType::kWindowUpdate:
    case FrameType::kGoAway:
      append(body, frame.number, 4);
      break;
    default:
      break;
  }
  body += frame.payload;
  std::string out;
  append(out, 0x8000u | kVersion, 2);
  append(out, static_cast<std::uint32_t>(frame.type), 2);
  append(out, frame.flags, 1);
  append(out, static_cast<std::uint32_t>(body.size()), 3);
  return out + body;
}

}  // namespace moth::http::spdy
