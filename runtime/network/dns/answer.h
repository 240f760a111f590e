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
  kAlias,   // an ExternalName: `alias` must be resolved for the client, as stub resolvers follow no
            // CNAME on their own; `reply` holds the CNAME alone
  kIgnore,  // no answer at all (a response, or not even a header)
};

struct Answer {
  Outcome outcome = Outcome::kIgnore;
  Bytes reply;
  std::string alias;
};

// `seed` varies the order of a headless service's addresses.
Answer answer(std::span<const std::uint8_t> query, const Zone& zone, bool tcp, std::uint32_t seed);

// A query of ours for `name` with the type of `query`.
Bytes query_for(std::span<const std::uint8_t> query, const std::string& name, std::uint16_t id);
// The reply to `query` once the aliases (each the target of the one before) lead to `resolved`, the
// reply to query_for(last alias).
Bytes with_aliases(std::span<const std::uint8_t> query, const Zone& zone, bool tcp,
                   const std::vector<std::string>& aliases, std::span<const std::uint8_t> resolved);

// A reply without records to `query` (which must have passed answer()): for SERVFAIL, REFUSED...
Bytes failure(std::span<const std::uint8_t> query, int rcode);

inline constexpr std::size_t kMaxUdpReply = 1232;  // bytes; larger ones are truncated

}  // namespace moth::network::dns
