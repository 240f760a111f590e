#include "api/cel/opaque.h"

#include <arpa/inet.h>
#include <re2/re2.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <compare>

#include "api/cel/convert.h"
#include "api/machinery/names.h"

namespace moth::cel {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// False for a broken escape.
bool percent_decode(std::string_view text, bool plus, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
        return false;
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += plus && text[i] == '+' ? ' ' : text[i];
    }
  }
  return true;
}

bool split_host(UrlValue& url) {
  std::string_view host = url.host;
  if (host.starts_with('[')) {
    std::size_t end = host.find(']');
    if (end == std::string_view::npos) return false;
    url.hostname = host.substr(1, end - 1);
    host.remove_prefix(end + 1);
  } else {
    std::size_t colon = host.find(':');
    url.hostname = host.substr(0, colon);
    host.remove_prefix(colon == std::string_view::npos ? host.size() : colon);
  }
  if (host.empty()) return true;
  if (host[0] != ':') return false;
  url.port = host.substr(1);
  return url.port.find_first_not_of("0123456789") == std::string::npos;
}

void read_query(std::string_view text, UrlValue& url) {
  while (!text.empty()) {
    std::size_t end = text.find('&');
    std::string_view pair = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (pair.empty()) continue;
    std::size_t equals = pair.find('=');
    std::string key, value;
    if (!percent_decode(pair.substr(0, equals), true, key)) continue;
    if (equals != std::string_view::npos && !percent_decode(pair.substr(equals + 1), true, value))
      continue;
    auto known = std::find_if(url.query.begin(), url.query.end(),
                              [&](const auto& entry) { return entry.first == key; });
    if (known == url.query.end()) known = url.query.insert(known, {key, {}});
    known->second.push_back(value);
  }
}

std::vector<std::string> matches(std::string_view text, const re2::RE2& pattern, const char* what) {
  if (re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), pattern)) return {};
  return {what};
}

}  // namespace

// As Go's url.ParseRequestURI: absolute, or a rooted path.
std::shared_ptr<const UrlValue> parse_url(std::string_view text) {
  auto url = std::make_shared<UrlValue>();
  url->text = text;
  if (text.empty()) return nullptr;
  for (char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) return nullptr;
  }
  std::string_view rest = text;
  static const re2::RE2 kScheme("([a-zA-Z][a-zA-Z0-9+.-]*):.*");
  if (re2::RE2::FullMatch(re2::StringPiece(text.data(), text.size()), kScheme, &url->scheme)) {
    rest.remove_prefix(url->scheme.size() + 1);
    for (char& c : url->scheme) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  } else if (text[0] != '/') {
    return nullptr;
  }
  std::size_t query = rest.find('?');
  if (query != std::string_view::npos) {
    read_query(rest.substr(query + 1), *url);
    rest = rest.substr(0, query);
  }
  if (rest.starts_with("//") && !url->scheme.empty()) {
    rest.remove_prefix(2);
    std::size_t slash = rest.find('/');
    std::string_view authority = rest.substr(0, slash);
    if (std::size_t at = authority.rfind('@'); at != std::string_view::npos)
      authority.remove_prefix(at + 1);
    url->host = authority;
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash);
    if (!split_host(*url)) return nullptr;
  } else if (!rest.starts_with('/')) {
    return nullptr;
  }
  std::string decoded;
  if (!percent_decode(rest, false, decoded)) return nullptr;
  url->path = rest;
  return url;
}

std::shared_ptr<const IpValue> parse_ip(std::string_view text) {
  auto ip = std::make_shared<IpValue>(Kind::kIp);
  std::string zero_ended(text);
  unsigned char bytes[16];
  if (text.find(':') == std::string_view::npos) {
    if (::inet_pton(AF_INET, zero_ended.c_str(), bytes) != 1) return nullptr;
    // inet_pton takes no leading zeros either.
    ip->address.assign(reinterpret_cast<char*>(bytes), 4);
    return ip;
  }
  if (::inet_pton(AF_INET6, zero_ended.c_str(), bytes) != 1) return nullptr;
  static const std::string kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  ip->family = 6;
  ip->address.assign(reinterpret_cast<char*>(bytes), 16);
  if (ip->address.starts_with(kMapped)) return nullptr;
  return ip;
}

std::shared_ptr<const IpValue> parse_cidr(std::string_view text) {
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return nullptr;
  auto address = parse_ip(text.substr(0, slash));
  std::string_view digits = text.substr(slash + 1);
  int bits = 0;
  auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  bool padded = digits.size() > 1 && digits[0] == '0';
  if (!address || error != std::errc{} || end != digits.data() + digits.size() || padded)
    return nullptr;
  if (bits < 0 || bits > (address->family == 4 ? 32 : 128)) return nullptr;
  auto net = std::make_shared<IpValue>(Kind::kCidr);
  net->family = address->family;
  net->address = address->address;
  net->bits = bits;
  return net;
}

std::string format_ip(const IpValue& ip) {
  char text[INET6_ADDRSTRLEN];
  ::inet_ntop(ip.family == 4 ? AF_INET : AF_INET6, ip.address.data(), text, sizeof text);
  return ip.bits < 0 ? std::string(text) : std::string(text) + "/" + std::to_string(ip.bits);
}

bool network_contains(const IpValue& network, const IpValue& other) {
  if (network.family != other.family) return false;
  if (other.bits >= 0 && other.bits < network.bits) return false;
  for (int bit = 0; bit < network.bits; ++bit) {
    auto at = static_cast<std::size_t>(bit / 8);
    unsigned mask = 0x80u >> (bit % 8);
    if ((static_cast<unsigned char>(network.address[at]) & mask) !=
        (static_cast<unsigned char>(other.address[at]) & mask))
      return false;
  }
  return true;
}

std::optional<std::vector<std::string>> check_format(std::string_view name, std::string_view text) {
  if (name == "dns1123Label") return check_dns1123_label(text);
  if (name == "dns1123Subdomain") return check_dns1123_subdomain(text);
  if (name == "dns1035Label") return check_dns1035_label(text);
  if (name == "qualifiedName") return check_qualified_name(text);
  if (name == "labelValue") return check_label_value(text);
  if (name == "dns1123LabelPrefix") return check_generate_name(text, check_dns1123_label);
  if (name == "dns1123SubdomainPrefix") return check_generate_name(text, check_dns1123_subdomain);
  if (name == "dns1035LabelPrefix") return check_generate_name(text, check_dns1035_label);
  if (name == "uri") {
    if (parse_url(text)) return std::vector<std::string>{};
    return std::vector<std::string>{"must be a valid URI"};
  }
  if (name == "uuid") {
    static const re2::RE2 kPattern(
        "(?i)[0-9A-F]{8}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{4}-?[0-9A-F]{12}");
    return matches(text, kPattern, "does not match the UUID format");
  }
  if (name == "byte") {
    if (decode_base64(text)) return std::vector<std::string>{};
    return std::vector<std::string>{"invalid base64"};
  }
  if (name == "date") {
    if (parse_timestamp(std::string(text) + "T00:00:00Z")) return std::vector<std::string>{};
    return std::vector<std::string>{"invalid date"};
  }
  if (name == "datetime") {
    if (parse_timestamp(text)) return std::vector<std::string>{};
    return std::vector<std::string>{"invalid datetime"};
  }
  return std::nullopt;
}

// --- versions ---

namespace {

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t start = 0;;) {
    std::size_t end = text.find(at, start);
    parts.push_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

// The words behind - or +.
bool are_identifiers(const std::vector<std::string_view>& words, bool strict_numbers) {
  return std::all_of(words.begin(), words.end(), [&](std::string_view word) {
    bool good = !word.empty() && std::all_of(word.begin(), word.end(), [](unsigned char c) {
      return std::isalnum(c) || c == '-';
    });
    return good && !(strict_numbers && is_number(word) && word.size() > 1 && word[0] == '0');
  });
}

int sign_of(std::strong_ordering order) {
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

int compare_identifiers(const std::string& left, const std::string& right) {
  bool number = is_number(left), other = is_number(right);
  if (number != other) return number ? -1 : 1;
  if (number && left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
  return sign_of(left <=> right);
}

}  // namespace

int SemverValue::compare(const SemverValue& other) const {
  for (std::size_t i = 0; i < 3; ++i) {
    if (parts[i] != other.parts[i]) return parts[i] < other.parts[i] ? -1 : 1;
  }
  if (prerelease.empty() != other.prerelease.empty()) return prerelease.empty() ? 1 : -1;
  for (std::size_t i = 0; i < std::min(prerelease.size(), other.prerelease.size()); ++i) {
    if (int order = compare_identifiers(prerelease[i], other.prerelease[i])) return order;
  }
  return sign_of(prerelease.size() <=> other.prerelease.size());
}

std::shared_ptr<const SemverValue> parse_semver(std::string_view text, bool normalize) {
  if (text.size() > 256) return nullptr;
  if (normalize && text.starts_with('v')) text.remove_prefix(1);
  auto version = std::make_shared<SemverValue>();
  if (std::size_t plus = text.find('+'); plus != std::string_view::npos) {
    if (!are_identifiers(split(text.substr(plus + 1), '.'), false)) return nullptr;
    text = text.substr(0, plus);
  }
  if (std::size_t dash = text.find('-'); dash != std::string_view::npos) {
    auto words = split(text.substr(dash + 1), '.');
    if (!are_identifiers(words, true)) return nullptr;
    version->prerelease.assign(words.begin(), words.end());
    text = text.substr(0, dash);
  }
  auto numbers = split(text, '.');
  if (numbers.size() > 3 || (numbers.size() < 3 && !normalize)) return nullptr;
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    std::string_view digits = numbers[i];
    if (!is_number(digits) || (digits.size() > 1 && digits[0] == '0' && !normalize)) return nullptr;
    auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), version->parts[i]);
    if (error != std::errc{}) return nullptr;
  }
  return version;
}

}  // namespace moth::cel
