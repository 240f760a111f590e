#pragma once
// URLs and percent-encoding. Pure.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"

namespace moth::http {

// A parsed absolute URL. `http+unix://%2Frun%2Fmoth.sock/api` names a unix socket.
struct Url {
  std::string scheme;          // http, https or http+unix
  std::string host;            // no brackets; empty for http+unix
  std::uint16_t port = 0;      // the scheme's default filled in
  std::string unix_path;       // only for http+unix
  std::string target;          // path and query as they go on the request line, at least "/"
  std::string user, password;  // decoded user info, usually empty

  bool tls() const { return scheme == "https"; }
  // host:port for dialing and error texts, with brackets around IPv6.
  std::string authority() const;
  // Value of the Host header: without the port when it is the scheme's default.
  std::string host_header() const;
};

// Errors name the URL and what is wrong with it.
Result<Url> parse_url(std::string_view text);

// %XX is decoded, and '+' to a blank when `plus_is_blank`. Broken escapes stay as they are.
std::string percent_decode(std::string_view text, bool plus_is_blank = false);
// Everything but letters, digits and -_.~ becomes %XX: for one path segment or one query value.
std::string percent_encode(std::string_view text);
// "a=1&b=2", both sides encoded. Empty for no parameters.
std::string encode_query(const std::vector<std::pair<std::string, std::string>>& parameters);

}  // namespace moth::http
