#include "runtime/network/dns/answer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "runtime/network/dns/message.h"
#include "tests/unit/runtime/network/dns/reader.h"

namespace moth::network::dns {
namespace {

using Texts = std::vector<std::string>;

Zone sample_zone() {
  ZoneConfig config;
  config.dns_address = Ipv4::of(10, 96, 0, 10);
  config.reverse = {*Cidr::parse("10.96.0.0/16"), *Cidr::parse("10.244.0.0/24")};
  Zone zone(config);
  ServiceRecord web;
  web.pod_namespace = "shop";
  web.name = "web";
  web.cluster_ip = Ipv4::of(10, 96, 0, 20);
  web.ports = {{"http", Protocol::kTcp, 80}, {"dns", Protocol::kUdp, 53}};
  zone.set(web);
  ServiceRecord db;
  db.pod_namespace = "shop";
  db.name = "db";
  db.ports = {{"sql", Protocol::kTcp, 5432}};
  db.endpoints = {{Ipv4::of(10, 244, 0, 5), "db-0", {}},
                  {Ipv4::of(10, 244, 0, 6), "", {{"sql", Protocol::kTcp, 15432}}}};
  zone.set(db);
  ServiceRecord none;
  none.pod_namespace = "shop";
  none.name = "none";
  zone.set(none);
  ServiceRecord alias;
  alias.pod_namespace = "shop";
  alias.name = "outside";
  alias.external_name = "www.example.org";
  zone.set(alias);
  return zone;
}

Reading ask(const Zone& zone, const std::string& name, std::uint16_t type, bool tcp = false) {
  Answer result = answer(make_query(7, name, type), zone, tcp, 1);
  EXPECT_EQ(result.outcome, Outcome::kAnswered) << name;
  Reading reading = read(result.reply);
  EXPECT_TRUE(reading.good) << name;
  EXPECT_EQ(reading.id, 7);
  EXPECT_TRUE(reading.edns);
  return reading;
}

struct Case {
  const char* name;
  std::uint16_t type;
  int rcode;
  Texts answer;  // sorted
};

TEST(Answer, Table) {
  const Zone zone = sample_zone();
  const std::vector<Case> cases = {
      {"web.shop.svc.cluster.local", kA, kNoError, {"A web.shop.svc.cluster.local 5 10.96.0.20"}},
      {"web.shop.svc.cluster.local", kAaaa, kNoError, {}},
      {"web.shop.svc.cluster.local", kTxt, kNoError, {}},
      {"db.shop.svc.cluster.local",
       kA,
       kNoError,
       {"A db.shop.svc.cluster.local 5 10.244.0.5", "A db.shop.svc.cluster.local 5 10.244.0.6"}},
      {"none.shop.svc.cluster.local", kA, kNoError, {}},
      {"nothere.shop.svc.cluster.local", kA, kNxDomain, {}},
      {"web.nowhere.svc.cluster.local", kA, kNxDomain, {}},
      {"shop.svc.cluster.local", kA, kNoError, {}},
      {"nowhere.svc.cluster.local", kA, kNxDomain, {}},
      {"svc.cluster.local", kA, kNoError, {}},
      {"a.b.web.shop.svc.cluster.local", kA, kNxDomain, {}},
      {"www.example.org.cluster.local", kA, kNxDomain, {}},
      {"_http._tcp.web.shop.svc.cluster.local",
       kSrv,
       kNoError,
       {"SRV _http._tcp.web.shop.svc.cluster.local 5 0 100 80 web.shop.svc.cluster.local"}},
      {"_http._udp.web.shop.svc.cluster.local", kSrv, kNxDomain, {}},
      {"_http._tcp.web.shop.svc.cluster.local", kA, kNoError, {}},
      {"_tcp.web.shop.svc.cluster.local", kSrv, kNoError, {}},
      {"_sql._tcp.db.shop.svc.cluster.local",
       kSrv,
       kNoError,
       {"SRV _sql._tcp.db.shop.svc.cluster.local 5 0 100 15432 "
        "10-244-0-6.db.shop.svc.cluster.local",
        "SRV _sql._tcp.db.shop.svc.cluster.local 5 0 100 5432 db-0.db.shop.svc.cluster.local"}},
      {"db-0.db.shop.svc.cluster.local",
       kA,
       kNoError,
       {"A db-0.db.shop.svc.cluster.local 5 10.244.0.5"}},
      {"10-244-0-6.db.shop.svc.cluster.local",
       kA,
       kNoError,
       {"A 10-244-0-6.db.shop.svc.cluster.local 5 10.244.0.6"}},
      {"db-0.db.shop.svc.cluster.local", kAaaa, kNoError, {}},
      {"db-9.db.shop.svc.cluster.local", kA, kNxDomain, {}},
      {"10-244-0-77.shop.pod.cluster.local",
       kA,
       kNoError,
       {"A 10-244-0-77.shop.pod.cluster.local 5 10.244.0.77"}},
      {"10-244-0.shop.pod.cluster.local", kA, kNxDomain, {}},
      {"20.0.96.10.in-addr.arpa",
       kPtr,
       kNoError,
       {"PTR 20.0.96.10.in-addr.arpa 5 web.shop.svc.cluster.local"}},
      {"5.0.244.10.in-addr.arpa",
       kPtr,
       kNoError,
       {"PTR 5.0.244.10.in-addr.arpa 5 db-0.db.shop.svc.cluster.local"}},
      {"99.0.244.10.in-addr.arpa", kPtr, kNxDomain, {}},
      {"outside.shop.svc.cluster.local",
       kCname,
       kNoError,
       {"CNAME outside.shop.svc.cluster.local 5 www.example.org"}},
      {"dns-version.cluster.local", kTxt, kNoError, {"TXT dns-version.cluster.local 5 1.1.0"}},
      {"cluster.local", kNs, kNoError, {"NS cluster.local 5 ns.dns.cluster.local"}},
      {"ns.dns.cluster.local", kA, kNoError, {"A ns.dns.cluster.local 5 10.96.0.10"}},
  };
  for (const Case& item : cases) {
    Reading reading = ask(zone, item.name, item.type);
    EXPECT_EQ(reading.rcode, item.rcode) << item.name << " " << item.type;
    std::sort(reading.answer.begin(), reading.answer.end());
    EXPECT_EQ(reading.answer, item.answer) << item.name << " " << item.type;
    EXPECT_TRUE(reading.authoritative);
    // Negative replies carry the SOA, so that resolvers may keep them.
    EXPECT_EQ(reading.authority.size(), item.answer.empty() ? 1u : 0u) << item.name;
  }
}

TEST(Answer, CaseIsIgnoredAndEchoed) {
  const Zone zone = sample_zone();
  Reading reading = ask(zone, "WeB.shop.SVC.cluster.LOCAL", kA);
  EXPECT_EQ(reading.question, "A WeB.shop.SVC.cluster.LOCAL");
  EXPECT_EQ(reading.answer, Texts{"A WeB.shop.SVC.cluster.LOCAL 5 10.96.0.20"});
}

TEST(Answer, SrvCarriesTheAddressesOfItsTargets) {
  const Zone zone = sample_zone();
  EXPECT_EQ(ask(zone, "_http._tcp.web.shop.svc.cluster.local", kSrv).additional,
            Texts{"A web.shop.svc.cluster.local 5 10.96.0.20"});
  EXPECT_EQ(ask(zone, "_sql._tcp.db.shop.svc.cluster.local", kSrv).additional.size(), 2u);
}

TEST(Answer, OtherNamesAreForwarded) {
  const Zone zone = sample_zone();
  for (const char* name :
       {"www.example.org", "local", "xcluster.local", "1.2.0.192.in-addr.arpa", "arpa", ""})
    EXPECT_EQ(answer(make_query(1, name, kA), zone, false, 1).outcome, Outcome::kForward) << name;
}

TEST(Answer, ExternalNamesAreResolvedForTheClient) {
  const Zone zone = sample_zone();
  Bytes query = make_query(9, "outside.shop.svc.cluster.local", kA);
  Answer result = answer(query, zone, false, 1);
  ASSERT_EQ(result.outcome, Outcome::kAlias);
  EXPECT_EQ(result.alias, "www.example.org");
  Bytes question = query_for(query, result.alias, 33);
  auto parsed = parse_query(question);
  EXPECT_EQ(parsed.query.name, "www.example.org");
  Reply upstream(parsed.query);
  upstream.cname("www.example.org", 60, "real.example.org");
  upstream.a(Reply::kAnswer, "real.example.org", 60, Ipv4::of(192, 0, 2, 80));
  Reading reading = read(with_aliases(query, zone, false, {result.alias}, upstream.finish(1232)));
  EXPECT_TRUE(reading.good);
  EXPECT_EQ(reading.id, 9);
  EXPECT_EQ(reading.answer, (Texts{"CNAME outside.shop.svc.cluster.local 5 www.example.org",
                                   "CNAME www.example.org 60 real.example.org",
                                   "A real.example.org 60 192.0.2.80"}));
  // The upstream's failure is the client's.
  EXPECT_EQ(
      read(with_aliases(query, zone, false, {result.alias}, failure(question, kServFail))).rcode,
      kServFail);
}

TEST(Answer, LargeRepliesAreTruncatedOverUdpOnly) {
  Zone zone = sample_zone();
  ServiceRecord big;
  big.pod_namespace = "shop";
  big.name = "big";
  for (int i = 1; i <= 200; ++i)
    big.endpoints.push_back({Ipv4{Ipv4::of(10, 244, 1, 0).value + i}, "", {}});
  zone.set(big);
  Bytes query = make_query(1, "big.shop.svc.cluster.local", kA);
  Answer udp = answer(query, zone, false, 1);
  EXPECT_LE(udp.reply.size(), kMaxUdpReply);
  EXPECT_TRUE(read(udp.reply).truncated);
  EXPECT_TRUE(read(udp.reply).good);
  Reading tcp = ask(zone, "big.shop.svc.cluster.local", kA, true);
  EXPECT_FALSE(tcp.truncated);
  EXPECT_EQ(tcp.answer.size(), 200u);
  // Without EDNS the limit is 512: 40 addresses of 16 bytes do not fit.
  big.endpoints.resize(40);
  zone.set(big);
  Bytes plain(query.begin(), query.end() - 11);
  plain[11] = 0;
  EXPECT_TRUE(read(answer(plain, zone, false, 1).reply).truncated);
  EXPECT_FALSE(read(answer(query, zone, false, 1).reply).truncated);
}

TEST(Answer, TheOrderOfHeadlessAddressesVaries) {
  const Zone zone = sample_zone();
  Bytes query = make_query(1, "db.shop.svc.cluster.local", kA);
  std::vector<std::string> first;
  for (std::uint32_t seed = 1; seed < 20; ++seed)
    first.push_back(read(answer(query, zone, false, seed * 7919).reply).answer[0]);
  EXPECT_GT(std::count(first.begin(), first.end(), first[0]), 0);
  EXPECT_LT(std::count(first.begin(), first.end(), first[0]), 19);
}

TEST(Answer, BadQueries) {
  const Zone zone = sample_zone();
  Bytes query = make_query(5, "web.shop.svc.cluster.local", kA);
  auto outcome = [&](Bytes bytes) { return answer(bytes, zone, false, 1).outcome; };
  auto rcode = [&](Bytes bytes) { return read(answer(bytes, zone, false, 1).reply).rcode; };
  EXPECT_EQ(outcome({}), Outcome::kIgnore);
  EXPECT_EQ(outcome(Bytes(11, 0)), Outcome::kIgnore);
  Bytes response = query;
  response[2] |= 0x80;
  EXPECT_EQ(outcome(response), Outcome::kIgnore) << "answering answers would make loops";
  Bytes update = query;
  update[2] |= 0x28;
  EXPECT_EQ(rcode(update), kNotImp);
  Bytes two = query;
  two[5] = 2;
  EXPECT_EQ(rcode(two), kFormErr);
  Bytes cut(query.begin(), query.begin() + 20);
  EXPECT_EQ(rcode(cut), kFormErr);
  Bytes looping = query;
  looping[12] = 0xc0;
  looping[13] = 12;
  EXPECT_EQ(rcode(looping), kFormErr);
  Bytes version = query;
  version[version.size() - 5] = 1;
  EXPECT_EQ(rcode(version), 0);  // BADVERS: the upper bits are in the OPT record
  EXPECT_EQ(answer(version, zone, false, 1).outcome, Outcome::kAnswered);
  Bytes chaos = query;
  chaos[chaos.size() - 12] = 3;
  EXPECT_EQ(rcode(chaos), kRefused);
  EXPECT_EQ(rcode(make_query(1, "cluster.local", 252)), kRefused);
}

TEST(Answer, RandomBytesNeverBreakIt) {
  const Zone zone = sample_zone();
  std::minstd_rand random(42);
  Bytes query = make_query(5, "_http._tcp.web.shop.svc.cluster.local", kSrv);
  for (int i = 0; i < 20000; ++i) {
    Bytes bytes = query;
    for (int flips = 0; flips < 4; ++flips)
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    bytes.resize(random() % (bytes.size() + 1));
    Answer result = answer(bytes, zone, i % 2, random());
    if (result.outcome == Outcome::kAnswered) {
      EXPECT_TRUE(read(result.reply).good);
    }
    (void)read_reply(bytes);
    (void)failure(bytes, kServFail);
  }
}

TEST(Zone, EraseRemovesNamesAndPointers) {
  Zone zone = sample_zone();
  zone.erase("shop", "db");
  EXPECT_EQ(ask(zone, "db.shop.svc.cluster.local", kA).rcode, kNxDomain);
  EXPECT_EQ(ask(zone, "5.0.244.10.in-addr.arpa", kPtr).rcode, kNxDomain);
  EXPECT_EQ(ask(zone, "web.shop.svc.cluster.local", kA).rcode, kNoError);
  for (const char* name : {"web", "none", "outside"}) zone.erase("shop", name);
  EXPECT_FALSE(zone.has_namespace("shop"));
  zone.erase("shop", "web");
}

TEST(Zone, ReplacingARecordMovesItsPointer) {
  Zone zone = sample_zone();
  ServiceRecord web = *zone.find("shop", "web");
  web.cluster_ip = Ipv4::of(10, 96, 0, 21);
  zone.set(web);
  EXPECT_TRUE(zone.pointers(Ipv4::of(10, 96, 0, 20)).empty());
  EXPECT_EQ(zone.pointers(Ipv4::of(10, 96, 0, 21)), Texts{"web.shop.svc.cluster.local"});
}

}  // namespace
}  // namespace moth::network::dns
