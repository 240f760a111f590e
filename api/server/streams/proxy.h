#pragma once
// The pure part of the proxy subresources: names, paths and headers.
#include <optional>
#include <string>
#include <string_view>

#include "api/http/message.h"

namespace moth::server::streams {

// "[scheme:]name[:port]" in the place of an object's name.
struct ProxyName {
  std::string scheme;  // "", http or https
  std::string name, port;
};
std::optional<ProxyName> split_proxy_name(std::string_view id);

// A request path cut behind ".../proxy": `prefix` up to there, `rest` from the slash on, both as on
// the wire. Paths of namespaced objects have seven segments up to there, others five.
struct ProxyPath {
  std::string prefix, rest;
};
ProxyPath split_proxy_path(std::string_view raw_path, bool namespaced);

// What of the client's headers goes on: not those of the hop, no credentials of the cluster; with
// X-Forwarded-*. With `upgrade` Connection and Upgrade stay.
http::Headers forwarded_headers(const http::Request& request, const ProxyPath& path, bool upgrade);
// What of the answer's headers comes back; a Location on the same host gets the prefix.
http::Headers returned_headers(const http::Headers& answer, const ProxyPath& path,
                               std::string_view backend_host);
// The same for one link: absolute paths and URLs of the backend get the prefix, others stay.
std::string rewritten_link(std::string_view link, std::string_view prefix,
                           std::string_view backend_host);

// Rewrites the links of an HTML page on its way through, in pieces of any size. A tag longer than
// 64 KiB goes through as it is.
class HtmlLinks {
 public:
  HtmlLinks(std::string prefix, std::string backend_host)
      : prefix_(std::move(prefix)), host_(std::move(backend_host)) {}
  std::string take(std::string_view piece);
  std::string finish();

 private:
  std::string rewritten_tag(std::string_view tag);
  bool step(std::string& out);

  std::string prefix_, host_;
  std::string held_;       // from a '<' on, not decided yet
  std::string raw_until_;  // "</script": no tags before it
};

}  // namespace moth::server::streams
