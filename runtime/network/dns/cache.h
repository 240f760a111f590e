#pragma once
// Cache: replies of the host's servers, kept for as long as their TTL says (at most five minutes).
// One thread. Bounded; when full, what expires first goes.
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "runtime/network/dns/message.h"

namespace moth::network::dns {

class Cache {
 public:
  using Time = std::chrono::steady_clock::time_point;
  explicit Cache(std::size_t max_entries) : max_(max_entries) {}

  // The kept reply with the query's id and TTLs counted down; nullopt when there is none, or when
  // it would not fit the query's UDP size.
  std::optional<std::vector<std::uint8_t>> find(std::span<const std::uint8_t> query, bool tcp,
                                                Time now = std::chrono::steady_clock::now());
  void put(std::span<const std::uint8_t> query, const std::vector<std::uint8_t>& reply,
           const ReplyFacts& facts, Time now = std::chrono::steady_clock::now());
  void clear();
  std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    std::vector<std::uint8_t> reply;
    std::vector<std::size_t> ttl_offsets;
    Time stored, expires;
  };
  void drop(const std::string& key);

  std::size_t max_;
  std::unordered_map<std::string, Entry> entries_;
  std::multimap<Time, std::string> by_expiry_;
};

// True when `reply` has the id and the question of `query`.
bool answers_query(std::span<const std::uint8_t> query, std::span<const std::uint8_t> reply);

}  // namespace moth::network::dns
