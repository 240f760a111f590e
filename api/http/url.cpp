#include "api/http/url.h"

#include <fmt/format.h>

#include <charconv>

namespace moth::http {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Error bad_url(std::string_view text, std::string_view why) {
  return Error::bad_request(fmt::format("parse \"{}\": {}", text, why));
}

// host, host:port, [v6] or [v6]:port. False when malformed.
bool split_host_port(std::string_view authority, Url& url) {
  std::string_view port;
  if (authority.starts_with('[')) {
    auto end = authority.find(']');
    if (end == std::string_view::npos) return false;
    url.host = authority.substr(1, end - 1);
    authority.remove_prefix(end + 1);
    if (!authority.empty()) {
      if (authority.front() != ':') return false;
      port = authority.substr(1);
    }
  } else {
    auto colon = authority.rfind(':');
    url.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon + 1);
    if (url.host.find(':') != std::string::npos) return false;
  }
  url.port = url.tls() ? 443 : 80;
  if (port.empty()) return !url.host.empty();
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  return error == std::errc() && end == port.data() + port.size() && !url.host.empty();
}

bool printable(std::string_view text) {
  for (unsigned char c : text) {
    if (c <= ' ' || c == 0x7f) return false;
  }
  return true;
}

}  // namespace

std::string Url::authority() const {
  if (!unix_path.empty()) return unix_path;
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                             : fmt::format("[{}]:{}", host, port);
}

std::string Url::host_header() const {
  if (!unix_path.empty()) return "localhost";
  if (port != (tls() ? 443 : 80)) return authority();
  return host.find(':') == std::string::npos ? host : "[" + host + "]";
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  auto scheme_end = text.find("://");
  if (scheme_end == std::string_view::npos) {
    return fail(bad_url(text, "missing protocol scheme"));
  }
  url.scheme = text.substr(0, scheme_end);
  for (char& c : url.scheme) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (url.scheme != "http" && url.scheme != "https" && url.scheme != "http+unix") {
    return fail(bad_url(text, fmt::format("unsupported protocol scheme \"{}\"", url.scheme)));
  }
  if (!printable(text)) return fail(bad_url(text, "invalid character in URL"));
  std::string_view rest = text.substr(scheme_end + 3);
  rest = rest.substr(0, rest.find('#'));
  auto authority_end = rest.find_first_of("/?");
  std::string_view authority = rest.substr(0, authority_end);
  std::string_view target =
      authority_end == std::string_view::npos ? "" : rest.substr(authority_end);
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);

  if (auto at = authority.rfind('@'); at != std::string_view::npos) {
    std::string_view user = authority.substr(0, at);
    auto colon = user.find(':');
    url.user = percent_decode(user.substr(0, colon));
    if (colon != std::string_view::npos) url.password = percent_decode(user.substr(colon + 1));
    authority.remove_prefix(at + 1);
  }
  if (url.scheme == "http+unix") {
    url.unix_path = percent_decode(authority);
    if (url.unix_path.empty()) return fail(bad_url(text, "no socket path in URL"));
    return url;
  }
  if (!split_host_port(authority, url)) {
    return fail(bad_url(text, fmt::format("invalid host or port \"{}\"", authority)));
  }
  return url;
}

std::string percent_decode(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      int high = hex_digit(text[i + 1]);
      int low = hex_digit(text[i + 2]);
      if (high >= 0 && low >= 0) {
        decoded.push_back(static_cast<char>(high * 16 + low));
        i += 2;
        continue;
      }
    }
    decoded.push_back(plus_is_blank && text[i] == '+' ? ' ' : text[i]);
  }
  return decoded;
}

std::string percent_encode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      encoded.push_back(c);
    } else {
      encoded.push_back('%');
      encoded.push_back(kDigits[byte >> 4]);
      encoded.push_back(kDigits[byte & 15]);
    }
  }
  return encoded;
}

std::string encode_query(const std::vector<std::pair<std::string, std::string>>& parameters) {
  std::string query;
  for (const auto& [name, value] : parameters) {
    if (!query.empty()) query += '&';
    query += percent_encode(name);
    query += '=';
    query += percent_encode(value);
  }
  return query;
}

}  // namespace moth::http
