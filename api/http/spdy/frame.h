#pragma once
// The frames of SPDY/3.1 as pure functions and a pure state machine; header blocks are in
// header_block.h. Values, free of threads.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"

namespace moth::http::spdy {

enum class FrameType : std::uint16_t {
  kData = 0,  // of ours: data frames have no type on the wire
  kSynStream = 1,
  kSynReply = 2,
  kRstStream = 3,
  kSettings = 4,
  kPing = 6,
  kGoAway = 7,
  kHeaders = 8,
  kWindowUpdate = 9,
};

// Why a stream was reset.
enum class ResetStatus : std::uint32_t {
  kProtocolError = 1,
  kInvalidStream = 2,
  kRefusedStream = 3,
  kUnsupportedVersion = 4,
  kCancel = 5,
  kInternalError = 6,
  kFlowControlError = 7,
};

inline constexpr std::uint8_t kFlagFin = 1;
inline constexpr std::uint32_t kSettingInitialWindow = 7;
// A longer control frame is a violation.
inline constexpr std::size_t kMaxControlFrame = 64 * 1024;
inline constexpr std::size_t kMaxDataFrame = (1u << 24) - 1;

struct Frame {
  FrameType type = FrameType::kData;
  std::uint8_t flags = 0;
  std::uint32_t stream = 0;  // PING: its id; GOAWAY: the last stream that was taken
  // RST_STREAM and GOAWAY: status; WINDOW_UPDATE: bytes; SYN_STREAM: associated stream.
  std::uint32_t number = 0;
  std::uint8_t priority = 0;                                      // SYN_STREAM
  std::string payload;                                            // data, or a header block
  std::vector<std::pair<std::uint32_t, std::uint32_t>> settings;  // id, value

  bool fin() const { return (flags & kFlagFin) != 0; }
};

// Cuts a byte stream into frames. A data frame comes in pieces as its bytes do, so that a peer's
// 16 MiB frame needs no such buffer; FIN is on the last piece alone. Control frames of unknown
// types are skipped.
class FrameReader {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // The next frame or piece; nothing until more was fed; an error when the peer breaks the
  // protocol.
  Result<std::optional<Frame>> next();

 private:
  std::string_view rest() const { return std::string_view(buffer_).substr(offset_); }
  void consume(std::size_t count);
  Frame data_piece();

  std::string buffer_;
  std::size_t offset_ = 0;
  // Of the data frame that is being read.
  std::size_t data_left_ = 0;
  std::uint32_t data_stream_ = 0;
  bool data_open_ = false, data_fin_ = false;
};

// The whole frame; `payload` of a header frame is the compressed block.
std::string encode(const Frame& frame);
// The eight bytes before the payload of a data frame; `size` at most kMaxDataFrame.
std::string data_header(std::uint32_t stream, std::size_t size, bool fin);

}  // namespace moth::http::spdy
