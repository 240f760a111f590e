#pragma once
// IPv4 addresses, ranges and socket addresses as small values. Pure, any thread.
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "api/base/result.h"

namespace moth::network {

// An IPv4 address in host byte order.
struct Ipv4 {
  std::uint32_t value = 0;

  // Strict dotted quad (no leading zeros, no short forms); nullopt otherwise.
  static std::optional<Ipv4> parse(std::string_view text);
  static constexpr Ipv4 of(int a, int b, int c, int d) {
    return {static_cast<std::uint32_t>(a) << 24 | static_cast<std::uint32_t>(b) << 16 |
            static_cast<std::uint32_t>(c) << 8 | static_cast<std::uint32_t>(d)};
  }
  std::string text() const;
  // "10-1-2-3", as in the DNS names of pods.
  std::string dashed() const;
  bool is_loopback() const { return value >> 24 == 127; }
  auto operator<=>(const Ipv4&) const = default;
};

// A range such as 10.244.0.0/24; `base` is the network address.
struct Cidr {
  Ipv4 base;
  int prefix = 32;

  // Host bits must be zero, prefix 0..32. The error says what is wrong with `text`.
  static Result<Cidr> parse(std::string_view text);
  std::string text() const;
  std::uint32_t mask() const { return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix); }
  bool contains(Ipv4 address) const { return (address.value & mask()) == base.value; }
  bool overlaps(const Cidr& other) const { return contains(other.base) || other.contains(base); }
  // Number of addresses, network and broadcast address included.
  std::uint64_t size() const { return std::uint64_t{1} << (32 - prefix); }
  Ipv4 last() const { return {base.value | ~mask()}; }
  auto operator<=>(const Cidr&) const = default;
};

enum class Protocol : std::uint8_t { kTcp = 6, kUdp = 17, kSctp = 132 };  // IP protocol numbers
std::string_view to_string(Protocol protocol);                            // "tcp", "udp", "sctp"
// Kubernetes spells it TCP, UDP, SCTP; the empty text is TCP.
std::optional<Protocol> parse_protocol(std::string_view text);

struct SocketAddress {
  Ipv4 ip;
  std::uint16_t port = 0;
  std::string text() const;  // "10.0.0.1:80"
  auto operator<=>(const SocketAddress&) const = default;
};

}  // namespace moth::network

template <>
struct std::hash<moth::network::Ipv4> {
  std::size_t operator()(moth::network::Ipv4 address) const noexcept {
    return std::hash<std::uint64_t>{}(address.value * 0x9e3779b97f4a7c15ull);
  }
};
