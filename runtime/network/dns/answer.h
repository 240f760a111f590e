#pragma once
// The answer to one DNS query from the zone. Pure, any thread.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/network/dns/zone.h"

namespace moth::network::dns {

using Bytes = std::vector<std::uint8_t>;

enum class Outcome {
  kAnswered,  // `reply` is to be sent
  kForward,   // the name is not ours: ask the host's servers
  kIgnore,    // no answer at all (a response, or not even a header)
};

struct Answer {
  Outcome outcome = Outcome::kIgnore;
  Bytes reply;
};

// `seed` varies the order of a headless service's addresses.
Answer answer(std::span<const std::uint8_t> query, const Zone& zone, bool tcp, std::uint32_t seed);

// A reply without records to `query` (which must have passed answer()): for SERVFAIL, REFUSED...
Bytes failure(std::span<const std::uint8_t> query, int rcode);

inline constexpr std::size_t kMaxUdpReply = 1232;  // bytes; larger ones are truncated

}  // namespace moth::network::dns
