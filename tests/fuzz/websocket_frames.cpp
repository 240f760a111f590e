// WebSocket frame headers, close payloads and UTF-8.
#include <string>

#include "api/http/websocket_frame.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;
using namespace moth::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = fuzz::text_of(data, size);
  FrameParse parse = parse_frame_header(bytes);
  if (parse.outcome == FrameParse::Outcome::kFrame) {
    const FrameHeader& header = parse.header;
    fuzz::check(header.size <= size, "the header is not longer than what there is");
    std::string wire = frame_header(header.opcode, header.final, header.length, header.mask);
    FrameParse again = parse_frame_header(wire);
    fuzz::check(again.outcome == FrameParse::Outcome::kFrame, "a written header is read back");
    fuzz::check(again.header.length == header.length && again.header.opcode == header.opcode &&
                    again.header.final == header.final && again.header.mask == header.mask,
                "a written header says the same");
    std::string rest(bytes.substr(header.size));
    if (header.mask) {
      std::string masked = rest;
      apply_mask(masked.data(), masked.size(), *header.mask);
      apply_mask(masked.data(), masked.size(), *header.mask);
      fuzz::check(masked == rest, "masking twice changes nothing");
    }
  }
  if (parse.outcome == FrameParse::Outcome::kMore) {
    fuzz::check(size < 14, "fourteen bytes are a header or a violation");
  }
  (void)valid_utf8(bytes);
  std::string close = close_payload(1000, bytes);
  fuzz::check(close.size() <= 125, "a close frame is a control frame");
  return 0;
}
