#include "runtime/network/address/address.h"

#include <fmt/format.h>

#include <charconv>

namespace moth::network {

std::optional<Ipv4> Ipv4::parse(std::string_view text) {
  std::uint32_t value = 0;
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int part = 0; part < 4; ++part) {
    if (part > 0) {
      if (at == end || *at != '.') return std::nullopt;
      ++at;
    }
    unsigned number = 0;
    auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number > 255 || next - at > 3) return std::nullopt;
    if (next - at > 1 && *at == '0') return std::nullopt;
    value = value << 8 | number;
    at = next;
  }
  if (at != end) return std::nullopt;
  return Ipv4{value};
}

std::string Ipv4::text() const {
  return fmt::format("{}.{}.{}.{}", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
}

std::string Ipv4::dashed() const {
  return fmt::format("{}-{}-{}-{}", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
}

Result<Cidr> Cidr::parse(std::string_view text) {
  auto bad = [&](std::string_view why) {
    return fail(Error::bad_request(fmt::format("invalid CIDR \"{}\": {}", text, why)));
  };
  std::size_t slash = text.find('/');
  if (slash == std::string_view::npos)
    return bad("must be an address and a prefix length, e.g. 10.244.0.0/16");
  auto base = Ipv4::parse(text.substr(0, slash));
  if (!base) return bad("the part before / is no IPv4 address");
  std::string_view digits = text.substr(slash + 1);
  int prefix = 0;
  auto [next, error] = std::from_chars(digits.data(), digits.data() + digits.size(), prefix);
  if (error != std::errc() || next != digits.data() + digits.size() || digits.size() > 2 ||
      prefix < 0 || prefix > 32)
    return bad("the prefix length must be a number from 0 to 32");
  Cidr cidr{*base, prefix};
  if ((base->value & cidr.mask()) != base->value)
    return bad(fmt::format("bits are set beyond the prefix; did you mean {}?",
                           Cidr{{base->value & cidr.mask()}, prefix}.text()));
  return cidr;
}

std::string Cidr::text() const {
  return fmt::format("{}/{}", base.text(), prefix);
}

std::string_view to_string(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
    case Protocol::kSctp:
      return "sctp";
  }
  return "tcp";
}

std::optional<Protocol> parse_protocol(std::string_view text) {
  if (text.empty() || text == "TCP") return Protocol::kTcp;
  if (text == "UDP") return Protocol::kUdp;
  if (text == "SCTP") return Protocol::kSctp;
  return std::nullopt;
}

std::string SocketAddress::text() const {
  return fmt::format("{}:{}", ip.text(), port);
}

}  // namespace moth::network
