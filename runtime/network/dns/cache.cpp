#include "runtime/network/dns/cache.h"

#include <algorithm>

namespace moth::network::dns {

namespace {

constexpr std::uint32_t kMaxTtl = 300;  // seconds
constexpr std::size_t kMaxKept = 4096;  // bytes of one reply

// Everything that may change the reply: name, type, class, flags, EDNS.
std::string key_of(const Query& query) {
  std::string key;
  for (const std::string& label : query.labels) {
    key += label;
    key += '.';
  }
  constexpr std::uint16_t kRelevantFlags = 0x0110;  // RD, CD
  for (std::uint16_t number : {query.type, query.question_class,
                               static_cast<std::uint16_t>(query.flags & kRelevantFlags)}) {
    key += static_cast<char>(number >> 8);
    key += static_cast<char>(number);
  }
  key += static_cast<char>((query.edns ? 1 : 0) | (query.dnssec_ok ? 2 : 0));
  return key;
}

}  // namespace

std::optional<std::vector<std::uint8_t>> Cache::find(std::span<const std::uint8_t> query, bool tcp,
                                                     Time now) {
  ParsedQuery parsed = parse_query(query);
  if (!parsed.answerable || parsed.rcode != kNoError) return std::nullopt;
  std::string key = key_of(parsed.query);
  auto found = entries_.find(key);
  if (found == entries_.end()) return std::nullopt;
  if (found->second.expires <= now) {
    drop(key);
    return std::nullopt;
  }
  const Entry& entry = found->second;
  std::size_t limit = tcp ? 65535 : parsed.query.edns ? parsed.query.edns_size : 512;
  if (entry.reply.size() > limit) return std::nullopt;
  std::vector<std::uint8_t> reply = entry.reply;
  // The question is echoed as asked, with its spelling.
  std::copy(query.begin(), query.begin() + 2, reply.begin());
  std::copy(query.begin() + kHeaderSize,
            query.begin() + static_cast<std::ptrdiff_t>(parsed.query.question_end),
            reply.begin() + kHeaderSize);
  auto age = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(now - entry.stored).count());
  for (std::size_t at : entry.ttl_offsets) {
    std::uint32_t ttl = 0;
    for (std::size_t i = 0; i < 4; ++i) ttl = ttl << 8 | reply[at + i];
    ttl = ttl > age ? ttl - age : 0;
    for (std::size_t i = 0; i < 4; ++i)
      reply[at + i] = static_cast<std::uint8_t>(ttl >> (24 - 8 * i));
  }
  return reply;
}

void Cache::put(std::span<const std::uint8_t> query, const std::vector<std::uint8_t>& reply,
                const ReplyFacts& facts, Time now) {
  ParsedQuery parsed = parse_query(query);
  if (facts.ttl == 0 || max_ == 0 || reply.size() > kMaxKept) return;
  if (!parsed.answerable || parsed.rcode != kNoError || reply.size() < parsed.query.question_end)
    return;
  std::string key = key_of(parsed.query);
  drop(key);
  if (entries_.size() >= max_) drop(std::string(by_expiry_.begin()->second));
  Time expires = now + std::chrono::seconds(std::min(facts.ttl, kMaxTtl));
  by_expiry_.emplace(expires, key);
  entries_[key] = {reply, facts.ttl_offsets, now, expires};
}

void Cache::drop(const std::string& key) {
  auto found = entries_.find(key);
  if (found == entries_.end()) return;
  auto [first, last] = by_expiry_.equal_range(found->second.expires);
  auto order = std::find_if(first, last, [&](const auto& item) { return item.second == key; });
  if (order != last) by_expiry_.erase(order);
  entries_.erase(found);
}

void Cache::clear() {
  entries_.clear();
  by_expiry_.clear();
}

bool answers_query(std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply) {
  if (query.size() < kHeaderSize || reply.size() < kHeaderSize) return false;
  if (query[0] != reply[0] || query[1] != reply[1] || !(reply[2] & 0x80)) return false;
  std::size_t at_query = kHeaderSize, at_reply = kHeaderSize;
  auto asked = read_name(query, at_query);
  auto echoed = read_name(reply, at_reply);
  if (!asked || !echoed || at_query + 4 > query.size() || at_reply + 4 > reply.size()) return false;
  auto same = [](char a, char b) {
    auto low = [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
    return low(a) == low(b);
  };
  return std::equal(asked->begin(), asked->end(), echoed->begin(), echoed->end(), same) &&
         std::equal(query.begin() + static_cast<std::ptrdiff_t>(at_query),
                    query.begin() + static_cast<std::ptrdiff_t>(at_query) + 4,
                    reply.begin() + static_cast<std::ptrdiff_t>(at_reply));
}

}  // namespace moth::network::dns
