#include "runtime/network/address/address.h"

#include <gtest/gtest.h>

namespace moth::network {
namespace {

TEST(Ipv4, ParsesOnlyStrictDottedQuads) {
  EXPECT_EQ(Ipv4::parse("10.0.0.1"), Ipv4::of(10, 0, 0, 1));
  EXPECT_EQ(Ipv4::parse("255.255.255.255"), Ipv4{0xffffffff});
  for (const char* bad : {"", "10.0.0", "10.0.0.1.", "10.0.0.256", "010.0.0.1", "10.0.0.1 ",
                          " 10.0.0.1", "10..0.1", "::1", "10.0.0.-1", "10.0.0.0001"})
    EXPECT_FALSE(Ipv4::parse(bad)) << bad;
}

TEST(Ipv4, Texts) {
  EXPECT_EQ(Ipv4::of(10, 1, 2, 3).text(), "10.1.2.3");
  EXPECT_EQ(Ipv4::of(10, 1, 2, 3).dashed(), "10-1-2-3");
  EXPECT_EQ((SocketAddress{Ipv4::of(10, 1, 2, 3), 80}).text(), "10.1.2.3:80");
}

TEST(Cidr, ContainsAndOverlaps) {
  Cidr pods = *Cidr::parse("10.244.0.0/16");
  EXPECT_TRUE(pods.contains(Ipv4::of(10, 244, 255, 255)));
  EXPECT_FALSE(pods.contains(Ipv4::of(10, 245, 0, 0)));
  EXPECT_TRUE(pods.overlaps(*Cidr::parse("10.244.7.0/24")));
  EXPECT_TRUE(Cidr::parse("10.244.7.0/24")->overlaps(pods));
  EXPECT_FALSE(pods.overlaps(*Cidr::parse("10.96.0.0/12")));
  EXPECT_TRUE(Cidr::parse("0.0.0.0/0")->contains(Ipv4::of(1, 2, 3, 4)));
  EXPECT_EQ(pods.size(), 65536u);
  EXPECT_EQ(pods.last(), Ipv4::of(10, 244, 255, 255));
}

TEST(Cidr, RefusesAndSaysWhy) {
  EXPECT_NE(Cidr::parse("10.244.1.0/16").error().message.find("did you mean 10.244.0.0/16"),
            std::string::npos);
  for (const char* bad :
       {"10.244.0.0", "10.244.0.0/33", "10.244.0.0/-1", "10.244.0.0/", "x/8", "10.0.0.0/08x"})
    EXPECT_FALSE(Cidr::parse(bad)) << bad;
}

TEST(Protocol, KubernetesSpelling) {
  EXPECT_EQ(parse_protocol(""), Protocol::kTcp);
  EXPECT_EQ(parse_protocol("UDP"), Protocol::kUdp);
  EXPECT_EQ(parse_protocol("SCTP"), Protocol::kSctp);
  EXPECT_FALSE(parse_protocol("udp"));
}

}  // namespace
}  // namespace moth::network
