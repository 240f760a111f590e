#include "api/resources/check_text.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "api/base/json.h"

namespace moth::resources {
namespace {

constexpr std::string_view kSubdomainRegex =
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
constexpr std::string_view kPathRegex = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";

bool is_path_character(char c) {
  constexpr std::string_view kOthers = "/-._~%!$&'()*+,;=:";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kOthers.find(c) != std::string_view::npos;
}

// inet_pton refuses leading zeros and everything else that is not plain.
bool parse_address(const std::string& text, Cidr& out) {
  if (text.find('\0') != std::string::npos) return false;
  if (::inet_pton(AF_INET, text.c_str(), out.address.data()) == 1) return true;
  out.is_v6 = true;
  return ::inet_pton(AF_INET6, text.c_str(), out.address.data()) == 1;
}

std::string address_text(const std::array<std::uint8_t, 16>& address, bool is_v6) {
  char buffer[INET6_ADDRSTRLEN];
  ::inet_ntop(is_v6 ? AF_INET6 : AF_INET, address.data(), buffer, sizeof(buffer));
  return buffer;
}

std::array<std::uint8_t, 16> masked(const Cidr& cidr) {
  std::array<std::uint8_t, 16> out = cidr.address;
  for (unsigned bit = cidr.prefix; bit < cidr.bits(); ++bit) {
    out[bit / 8] = static_cast<std::uint8_t>(out[bit / 8] & ~(0x80U >> (bit % 8)));
  }
  return out;
}

}  // namespace

void check_domain_prefixed_path(FieldErrors& errors, std::string_view value,
                                const FieldPath& path) {
  if (value.empty()) {
    errors.push_back(FieldError::required(path, ""));
    return;
  }
  auto slash = value.find('/');
  std::string_view rest = slash == std::string_view::npos ? "" : value.substr(slash + 1);
  if (slash == 0 || rest.empty()) {
    errors.push_back(FieldError::invalid(
        path, value, "must be a domain-prefixed path (such as \"acme.io/foo\")"));
    return;
  }
  std::string_view host = value.substr(0, slash);
  add_invalid(errors, path, host, check_dns1123_subdomain(host));
  if (!std::all_of(rest.begin(), rest.end(), is_path_character)) {
    errors.push_back(
        FieldError::invalid(path, rest, regex_message("Invalid path", kPathRegex, {})));
  }
}

Messages check_wildcard_subdomain(std::string_view value) {
  Messages wrong;
  if (value.size() > kDns1123SubdomainMax)
    wrong.push_back(max_length_message(kDns1123SubdomainMax));
  bool shaped = value.starts_with("*.");
  if (shaped) {
    std::string_view domain = value.substr(2);
    shaped = domain.size() > kDns1123SubdomainMax || check_dns1123_subdomain(domain).empty();
  }
  if (!shaped) {
    wrong.push_back(regex_message(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, "
        "which must consist of lower case alphanumeric characters, '-' or '.' and end with an "
        "alphanumeric character",
        "\\*\\." + std::string(kSubdomainRegex), {"*.example.com"}));
  }
  return wrong;
}

bool Cidr::is_masked() const {
  return masked(*this) == address;
}

bool Cidr::strictly_contains(const Cidr& other) const {
  if (is_v6 != other.is_v6 || prefix >= other.prefix) return false;
  Cidr cut = other;
  cut.prefix = prefix;
  return masked(cut) == masked(*this);
}

std::string Cidr::to_string() const {
  return fmt::format("{}/{}", address_text(masked(*this), is_v6), prefix);
}

std::optional<Cidr> parse_cidr(std::string_view text) {
  constexpr std::size_t kMaxDigits = 3;
  auto slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  Cidr cidr;
  if (!parse_address(std::string(text.substr(0, slash)), cidr)) return std::nullopt;
  std::string_view digits = text.substr(slash + 1);
  bool plain =
      !digits.empty() && digits.size() <= kMaxDigits &&
      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!plain) return std::nullopt;
  for (char c : digits) cidr.prefix = cidr.prefix * 10 + static_cast<unsigned>(c - '0');
  if (cidr.prefix > cidr.bits()) return std::nullopt;
  return cidr;
}

void check_cidr(FieldErrors& errors, std::string_view value, const FieldPath& path) {
  auto cidr = parse_cidr(value);
  if (!cidr) {
    errors.push_back(FieldError::invalid(
        path, value, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"));
  } else if (!cidr->is_masked()) {
    errors.push_back(
        FieldError::invalid(path, value, "must not have bits set beyond the prefix length"));
  }
}

void check_canonical_cidr(FieldErrors& errors, std::string_view value, const FieldPath& path) {
  std::size_t before = errors.size();
  check_cidr(errors, value, path);
  if (errors.size() != before) return;
  std::string canonical = parse_cidr(value)->to_string();
  if (canonical == value) return;
  errors.push_back(FieldError::invalid(
      path, value, fmt::format("must be in canonical form (\"{}\")", canonical)));
}

Messages check_canonical_ip(std::string_view value) {
  Messages wrong = check_ip(value);
  if (!wrong.empty()) return wrong;
  Cidr parsed;
  parse_address(std::string(value), parsed);
  std::string canonical = address_text(parsed.address, parsed.is_v6);
  if (canonical != value) {
    wrong.push_back(fmt::format("must be in canonical form (\"{}\")", canonical));
  }
  return wrong;
}

}  // namespace moth::resources
