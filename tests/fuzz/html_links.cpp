// Pages on their way through a proxy: the cut of the bytes does not matter, and a page without
// links of the server's own is not changed.
#include <string>

#include "api/server/streams/proxy.h"
#include "tests/fuzz/fuzz.h"

using namespace moth;
using namespace moth::server::streams;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  std::string_view page = fuzz::text_of(data + 1, size - 1);
  std::size_t step = 1 + data[0] % 31;
  HtmlLinks whole("/proxy", "10.0.0.1:80"), cut("/proxy", "10.0.0.1:80");
  std::string one = whole.take(page);
  one += whole.finish();
  std::string two;
  for (std::size_t at = 0; at < page.size(); at += step) two += cut.take(page.substr(at, step));
  two += cut.finish();
  fuzz::check(one == two, "the cut of the bytes changes the page");
  HtmlLinks same("", "no.such.host");
  std::string three = same.take(page);
  three += same.finish();
  fuzz::check(three == page, "without a prefix nothing changes");
  (void)split_proxy_name(page);
  ProxyPath path = split_proxy_path(page, data[0] % 2 == 0);
  fuzz::check(path.prefix + path.rest == page, "nothing of a path is lost");
  return 0;
}
