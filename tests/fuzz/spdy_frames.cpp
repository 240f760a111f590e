// SPDY frames and header blocks: the cut of the bytes does not matter, and what was read can be
// written and read again.
#include <string>

#include "api/http/spdy/frame.h"
#include "api/http/spdy/header_block.h"
#include "tests/fuzz/fuzz.h"

namespace {

using namespace moth;
using namespace moth::http::spdy;

// Data pieces joined, control frames whole.
std::string read_all(std::string_view bytes, std::size_t step, HeaderInflater& inflater) {
  FrameReader reader;
  std::string seen;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    reader.feed(bytes.substr(at, step));
    for (;;) {
      auto frame = reader.next();
      if (!frame) return seen + "!";
      if (!*frame) break;
      if ((*frame)->type == FrameType::kData) {
        seen += (*frame)->payload + ((*frame)->fin() ? "$" : "");
        continue;
      }
      std::string wire = encode(**frame);
      FrameReader again;
      again.feed(wire);
      auto back = again.next();
      fuzz::check(back && *back && (*back)->type == (*frame)->type, "a written frame is read back");
      seen += wire;
      if (auto block = inflater.inflate((*frame)->payload)) {
        if (auto headers = decode_headers(*block)) {
          auto twice = decode_headers(encode_headers(*headers));
          fuzz::check(twice && twice->size() == headers->size(), "headers are read back");
        }
      }
    }
  }
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view bytes = fuzz::text_of(data + 1, size - 1);
  HeaderInflater one, two;
  std::string whole = read_all(bytes, std::max<std::size_t>(bytes.size(), 1), one);
  std::string pieces = read_all(bytes, 1 + data[0] % 17, two);
  // A violation is seen at the same place; what came before it is the same.
  fuzz::check(whole == pieces, "the cut of the bytes changes the frames");
  return 0;
}
