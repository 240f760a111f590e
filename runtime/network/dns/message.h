#pragma once
// The wire format of DNS (RFC 1035, 6891) as far as a responder needs it. Pure. Internal to this
// folder and its tests.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/network/address/address.h"

namespace moth::network::dns {

enum Type : std::uint16_t {
  kA = 1,
  kNs = 2,
  kCname = 5,
  kSoa = 6,
  kPtr = 12,
  kTxt = 16,
  kAaaa = 28,
  kSrv = 33,
  kOpt = 41,
  kAny = 255,
};
enum Rcode { kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4, kRefused = 5 };
inline constexpr std::uint16_t kClassIn = 1;
inline constexpr std::uint16_t kClassAny = 255;
inline constexpr std::size_t kHeaderSize = 12;

struct Query {
  std::uint16_t id = 0;
  std::uint16_t flags = 0;          // as received
  std::string name;                 // as asked, without the final dot; "" is the root
  std::vector<std::string> labels;  // lower case
  std::uint16_t type = 0;
  std::uint16_t question_class = 0;
  std::size_t question_end = 0;  // offset behind the question
  bool edns = false;
  std::uint16_t edns_size = 512;
  std::uint8_t edns_version = 0;
  bool dnssec_ok = false;
};

struct ParsedQuery {
  // False: no answer may be sent (too short, or itself a response).
  bool answerable = false;
  int rcode = kNoError;  // of a query that is refused: FORMERR, NOTIMP, BADVERS is 16
  Query query;
};

ParsedQuery parse_query(std::span<const std::uint8_t> bytes);

// Reads a possibly compressed name at `offset` and moves it behind; nullopt when malformed.
std::optional<std::string> read_name(std::span<const std::uint8_t> bytes, std::size_t& offset);

// Builds a reply: question first, then answer, authority and additional records in this order.
class Reply {
 public:
  enum Section { kAnswer, kAuthority, kAdditional };
  explicit Reply(const Query& query);

  void set_rcode(int rcode) { rcode_ = rcode; }
  void set_authoritative(bool yes) { authoritative_ = yes; }
  void a(Section section, const std::string& name, std::uint32_t ttl, Ipv4 address);
  void cname(const std::string& name, std::uint32_t ttl, const std::string& target);
  void ptr(const std::string& name, std::uint32_t ttl, const std::string& target);
  void ns(Section section, const std::string& name, std::uint32_t ttl, const std::string& target);
  void txt(const std::string& name, std::uint32_t ttl, const std::string& text);
  void srv(const std::string& name, std::uint32_t ttl, std::uint16_t priority, std::uint16_t weight,
           std::uint16_t port, const std::string& target);
  void raw(const std::string& name, std::uint16_t type, std::uint32_t ttl,
           std::span<const std::uint8_t> data);
  void soa(Section section, const std::string& zone, std::uint32_t ttl, std::uint32_t negative_ttl);

  // With the EDNS record if the query had one. A reply beyond `limit` is cut to the question with
  // TC set; for additional records alone nothing is cut but those.
  std::vector<std::uint8_t> finish(std::size_t limit);

 private:
  void begin(Section section, const std::string& name, std::uint16_t type, std::uint32_t ttl);
  void end();
  void u8(std::uint8_t value) { bytes_.push_back(value); }
  void u16(std::uint16_t value);
  void u32(std::uint32_t value);
  // SRV targets must not be compressed (RFC 2782), others may.
  void name(const std::string& text, bool compress = true);

  const Query& query_;
  std::vector<std::uint8_t> bytes_;
  std::map<std::string, std::uint16_t> known_;  // lower case suffix -> offset
  std::size_t data_start_ = 0;
  std::size_t before_additional_ = 0;
  std::uint16_t counts_[3] = {0, 0, 0};
  int rcode_ = kNoError;
  bool authoritative_ = true;
};

// A recursive query with EDNS.
std::vector<std::uint8_t> make_query(std::uint16_t id, const std::string& name, std::uint16_t type);

// Copies the answer records of another message (CNAME, and types without names in them) into
// `reply`. Returns that message's rcode, SERVFAIL when it is malformed.
int append_answers(Reply& reply, std::span<const std::uint8_t> message);

// What a cache needs to know of a reply.
struct ReplyFacts {
  int rcode = kServFail;
  bool truncated = false;
  // Seconds it may be kept: the smallest TTL of its records, for negative ones that of the SOA. 0:
  // not at all.
  std::uint32_t ttl = 0;
  std::vector<std::size_t> ttl_offsets;  // of the records' TTL fields
};
// nullopt when malformed or no reply.
std::optional<ReplyFacts> read_reply(std::span<const std::uint8_t> bytes);

}  // namespace moth::network::dns
