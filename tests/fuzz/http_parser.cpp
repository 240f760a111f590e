// HTTP requests as they come from sockets, and request targets.
#include <array>
#include <string>

#include "api/http/message.h"
#include "api/http/parser.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;
using namespace moth::http;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view bytes = fuzz::text_of(data, size);
  Request request;
  Parser parser;
  parser.reset(request, 8192);
  std::size_t used = 0;
  auto outcome = parser.feed_header(bytes, used);
  fuzz::check(used <= size, "no more is consumed than there is");
  if (outcome == Parser::Outcome::kHeader || outcome == Parser::Outcome::kDone) {
    bytes.remove_prefix(used);
    std::array<char, 64> out{};
    for (int turns = 0; turns < 100'000 && !parser.done(); ++turns) {
      std::size_t produced = 0;
      used = 0;
      outcome = parser.feed_body(bytes, used, out.data(), out.size(), produced);
      fuzz::check(used <= bytes.size() && produced <= out.size(), "bodies stay within bounds");
      bytes.remove_prefix(used);
      if (outcome != Parser::Outcome::kFull && produced == 0 && used == 0) break;
      if (outcome == Parser::Outcome::kMalformed) break;
    }
    (void)parser.feed_end();
    (void)request.query.integer("timeoutSeconds");
    (void)request.query.flag("watch");
    (void)request.headers.has_token("Connection", "upgrade");
  }
  Request target;
  target.set_target("/" + std::string(fuzz::text_of(data, size)));
  return 0;
}
