#include "runtime/network/ipam.h"

#include <gtest/gtest.h>

#include <set>

namespace moth::network {
namespace {

TEST(Ipam, GivesEveryAddressOnceButNotTheEnds) {
  Ipam ipam(*Cidr::parse("10.0.0.0/29"));
  EXPECT_EQ(ipam.capacity(), 6u);
  std::set<Ipv4> seen;
  for (int i = 0; i < 6; ++i) seen.insert(*ipam.allocate());
  EXPECT_EQ(seen.size(), 6u);
  EXPECT_FALSE(seen.count(Ipv4::of(10, 0, 0, 0)));
  EXPECT_FALSE(seen.count(Ipv4::of(10, 0, 0, 7)));
  auto none = ipam.allocate();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().reason, Reason::kServiceUnavailable);
  EXPECT_NE(none.error().message.find("10.0.0.0/29"), std::string::npos);
}

TEST(Ipam, ReusesAReleasedAddressLast) {
  Ipam ipam(*Cidr::parse("10.0.0.0/29"));
  Ipv4 first = *ipam.allocate();
  ipam.release(first);
  for (int i = 0; i < 5; ++i) EXPECT_NE(*ipam.allocate(), first);
  EXPECT_EQ(*ipam.allocate(), first);
}

TEST(Ipam, ReserveRestoresAndContinuesBehind) {
  Ipam ipam(*Cidr::parse("10.0.0.0/24"), {Ipv4::of(10, 0, 0, 1)});
  EXPECT_TRUE(ipam.reserve(Ipv4::of(10, 0, 0, 9)));
  EXPECT_EQ(ipam.reserve(Ipv4::of(10, 0, 0, 9)).error().reason, Reason::kAlreadyExists);
  EXPECT_EQ(ipam.reserve(Ipv4::of(10, 0, 0, 1)).error().reason, Reason::kInvalid);
  EXPECT_EQ(ipam.reserve(Ipv4::of(10, 0, 1, 9)).error().reason, Reason::kInvalid);
  EXPECT_EQ(*ipam.allocate(), Ipv4::of(10, 0, 0, 10));
  EXPECT_EQ(ipam.used(), 2u);
  ipam.release(Ipv4::of(10, 0, 0, 77));  // never given out
  EXPECT_EQ(ipam.used(), 2u);
}

}  // namespace
}  // namespace moth::network
