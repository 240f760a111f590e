#include "api/server/streams/addresses.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>

namespace moth::server::streams {

bool proxyable_address(const std::string& ip) {
  in_addr v4{};
  if (::inet_pton(AF_INET, ip.c_str(), &v4) == 1) {
    const std::uint32_t address = ntohl(v4.s_addr);
    const bool loopback = address >> 24 == 127;
    const bool link_local = address >> 16 == 0xa9fe;
    const bool multicast = address >> 28 == 0xe;
    return !loopback && !link_local && !multicast && address != 0 && address != 0xffffffffu;
  }
  in6_addr v6{};
  if (::inet_pton(AF_INET6, ip.c_str(), &v6) != 1) return false;
  if (IN6_IS_ADDR_V4MAPPED(&v6)) {
    char text[INET_ADDRSTRLEN];
    return ::inet_ntop(AF_INET, &v6.s6_addr[12], text, sizeof text) && proxyable_address(text);
  }
  return !IN6_IS_ADDR_LOOPBACK(&v6) && !IN6_IS_ADDR_UNSPECIFIED(&v6) &&
         !IN6_IS_ADDR_LINKLOCAL(&v6) && !IN6_IS_ADDR_MULTICAST(&v6);
}

}  // namespace moth::server::streams
