#include "runtime/network/dns/cache.h"

#include <gtest/gtest.h>

#include "tests/unit/runtime/network/dns/reader.h"

namespace moth::network::dns {
namespace {

using Bytes = std::vector<std::uint8_t>;
constexpr Cache::Time kStart{std::chrono::hours(1)};

Bytes reply_to(const Bytes& query, std::uint32_t ttl) {
  auto parsed = parse_query(query);
  Reply reply(parsed.query);
  reply.a(Reply::kAnswer, parsed.query.name, ttl, Ipv4::of(192, 0, 2, 1));
  return reply.finish(1232);
}

void put(Cache& cache, const std::string& name, std::uint32_t ttl, Cache::Time now = kStart) {
  Bytes query = make_query(1, name, kA);
  Bytes reply = reply_to(query, ttl);
  cache.put(query, reply, *read_reply(reply), now);
}

TEST(Cache, CountsDownAndExpires) {
  Cache cache(10);
  put(cache, "www.example.org", 60);
  auto kept =
      cache.find(make_query(99, "WWW.example.org", kA), false, kStart + std::chrono::seconds(20));
  ASSERT_TRUE(kept);
  Reading reading = read(*kept);
  EXPECT_EQ(reading.id, 99);
  EXPECT_EQ(reading.question, "A WWW.example.org");
  EXPECT_EQ(reading.answer[0], "A WWW.example.org 40 192.0.2.1");
  EXPECT_FALSE(cache.find(make_query(1, "www.example.org", kAaaa), false, kStart));
  EXPECT_FALSE(
      cache.find(make_query(1, "www.example.org", kA), false, kStart + std::chrono::seconds(60)));
  EXPECT_EQ(cache.size(), 0u);
}

TEST(Cache, IsBoundedAndDropsWhatExpiresFirst) {
  Cache cache(3);
  for (std::uint32_t i = 0; i < 10; ++i) put(cache, "n" + std::to_string(i) + ".org", 100 + i);
  EXPECT_EQ(cache.size(), 3u);
  EXPECT_TRUE(cache.find(make_query(1, "n9.org", kA), false, kStart));
  EXPECT_FALSE(cache.find(make_query(1, "n1.org", kA), false, kStart));
  put(cache, "n9.org", 5);
  EXPECT_EQ(cache.size(), 3u) << "the same question replaces";
}

TEST(Cache, LongTtlsAreCutAndZeroIsNotKept) {
  Cache cache(3);
  put(cache, "long.org", 1000000);
  EXPECT_TRUE(cache.find(make_query(1, "long.org", kA), false, kStart + std::chrono::seconds(299)));
  EXPECT_FALSE(
      cache.find(make_query(1, "long.org", kA), false, kStart + std::chrono::seconds(301)));
  put(cache, "zero.org", 0);
  EXPECT_FALSE(cache.find(make_query(1, "zero.org", kA), false, kStart));
}

TEST(Cache, NegativeRepliesAreKeptForTheSoasTime) {
  Cache cache(3);
  Bytes query = make_query(1, "no.org", kA);
  auto parsed = parse_query(query);
  Reply reply(parsed.query);
  reply.set_rcode(kNxDomain);
  reply.soa(Reply::kAuthority, "org", 900, 30);
  Bytes bytes = reply.finish(1232);
  EXPECT_EQ(read_reply(bytes)->ttl, 30u);
  cache.put(query, bytes, *read_reply(bytes), kStart);
  EXPECT_TRUE(cache.find(query, false, kStart + std::chrono::seconds(29)));
  EXPECT_FALSE(cache.find(query, false, kStart + std::chrono::seconds(31)));
}

TEST(Cache, OnlyRepliesToTheQuestionCount) {
  Bytes query = make_query(1, "www.example.org", kA);
  EXPECT_TRUE(answers_query(query, reply_to(make_query(1, "WWW.Example.org", kA), 1)));
  EXPECT_FALSE(answers_query(query, reply_to(make_query(2, "www.example.org", kA), 1)));
  EXPECT_FALSE(answers_query(query, reply_to(make_query(1, "www.example.com", kA), 1)));
  EXPECT_FALSE(answers_query(query, reply_to(make_query(1, "www.example.org", kAaaa), 1)));
  EXPECT_FALSE(answers_query(query, query));
}

}  // namespace
}  // namespace moth::network::dns
