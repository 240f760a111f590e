#include "runtime/network/dns/message.h"

#include <algorithm>

namespace moth::network::dns {

namespace {

constexpr std::uint16_t kFlagResponse = 0x8000;
constexpr std::uint16_t kFlagAuthoritative = 0x0400;
constexpr std::uint16_t kFlagTruncated = 0x0200;
constexpr std::uint16_t kFlagRecursionDesired = 0x0100;
constexpr std::uint16_t kFlagRecursionAvailable = 0x0080;
constexpr std::uint16_t kFlagCheckingDisabled = 0x0010;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxLabel = 63;
constexpr std::uint16_t kOwnEdnsSize = 1232;
constexpr int kBadVersion = 16;

std::uint16_t get16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

std::string lowered(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), lower);
  return text;
}

std::vector<std::string> split(const std::string& name) {
  std::vector<std::string> labels;
  std::size_t start = 0;
  while (start < name.size()) {
    std::size_t dot = name.find('.', start);
    if (dot == std::string::npos) dot = name.size();
    labels.push_back(lowered(name.substr(start, dot - start)));
    start = dot + 1;
  }
  return labels;
}

// The records behind the question: only OPT matters. False when malformed.
bool read_additional(std::span<const std::uint8_t> bytes, std::size_t offset, std::size_t records,
                     Query& query) {
  for (std::size_t i = 0; i < records; ++i) {
    auto owner = read_name(bytes, offset);
    if (!owner || offset + 10 > bytes.size()) return false;
    std::uint16_t type = get16(bytes, offset);
    std::uint16_t size = get16(bytes, offset + 8);
    if (offset + 10 + size > bytes.size()) return false;
    if (type == kOpt) {
      if (query.edns || !owner->empty()) return false;
      query.edns = true;
      query.edns_size = std::max<std::uint16_t>(512, get16(bytes, offset + 2));
      query.edns_version = bytes[offset + 5];
      query.dnssec_ok = bytes[offset + 6] & 0x80;
    }
    offset += std::size_t{10} + size;
  }
  return true;
}

}  // namespace

std::optional<std::string> read_name(std::span<const std::uint8_t> bytes, std::size_t& offset) {
  std::string name;
  std::size_t at = offset;
  bool jumped = false;
  std::size_t limit = offset;  // pointers go strictly back, so there are no loops
  for (;;) {
    if (at >= bytes.size()) return std::nullopt;
    std::uint8_t length = bytes[at];
    if ((length & 0xc0) == 0xc0) {
      if (at + 1 >= bytes.size()) return std::nullopt;
      std::size_t target = static_cast<std::size_t>(length & 0x3f) << 8 | bytes[at + 1];
      if (!jumped) offset = at + 2;
      jumped = true;
      if (target >= limit || target < kHeaderSize) return std::nullopt;
      limit = at = target;
      continue;
    }
    if (length > kMaxLabel) return std::nullopt;
    if (length == 0) break;
    if (at + 1 + length > bytes.size()) return std::nullopt;
    if (!name.empty()) name += '.';
    for (std::size_t i = 0; i < length; ++i) {
      char c = static_cast<char>(bytes[at + 1 + i]);
      // A dot inside a label would be mistaken for two labels.
      if (c == '.' || c == '\0') return std::nullopt;
      name += c;
    }
    if (name.size() + 2 > kMaxName) return std::nullopt;
    at += std::size_t{1} + length;
  }
  if (!jumped) offset = at + 1;
  return name;
}

ParsedQuery parse_query(std::span<const std::uint8_t> bytes) {
  ParsedQuery parsed;
  if (bytes.size() < kHeaderSize) return parsed;
  Query& query = parsed.query;
  query.id = get16(bytes, 0);
  query.flags = get16(bytes, 2);
  query.question_end = kHeaderSize;
  if (query.flags & kFlagResponse) return parsed;
  parsed.answerable = true;
  if ((query.flags >> 11 & 15) != 0) {
    parsed.rcode = kNotImp;
    return parsed;
  }
  parsed.rcode = kFormErr;
  if (get16(bytes, 4) != 1 || get16(bytes, 6) != 0) return parsed;
  std::size_t offset = kHeaderSize;
  auto name = read_name(bytes, offset);
  if (!name || offset + 4 > bytes.size()) return parsed;
  query.type = get16(bytes, offset);
  query.question_class = get16(bytes, offset + 2);
  std::size_t records = std::size_t{get16(bytes, 8)} + get16(bytes, 10);
  if (!read_additional(bytes, offset + 4, records, query)) return parsed;
  query.question_end = offset + 4;
  query.name = *name;
  query.labels = split(query.name);
  parsed.rcode = query.edns && query.edns_version != 0 ? kBadVersion : kNoError;
  return parsed;
}

Reply::Reply(const Query& query) : query_(query), bytes_(kHeaderSize) {
  if (query.question_end > kHeaderSize) {
    name(query.name);
    u16(query.type);
    u16(query.question_class);
  }
}

void Reply::u16(std::uint16_t value) {
  u8(static_cast<std::uint8_t>(value >> 8));
  u8(static_cast<std::uint8_t>(value));
}

void Reply::u32(std::uint32_t value) {
  u16(static_cast<std::uint16_t>(value >> 16));
  u16(static_cast<std::uint16_t>(value));
}

void Reply::name(const std::string& text, bool compress) {
  std::size_t start = 0;
  while (start < text.size()) {
    std::string suffix = lowered(text.substr(start));
    auto found = known_.find(suffix);
    if (compress && found != known_.end()) {
      u16(static_cast<std::uint16_t>(0xc000 | found->second));
      return;
    }
    if (found == known_.end() && bytes_.size() < 0x4000)
      known_.emplace(suffix, static_cast<std::uint16_t>(bytes_.size()));
    std::size_t dot = std::min(text.find('.', start), text.size());
    std::size_t length = std::min(dot - start, kMaxLabel);
    u8(static_cast<std::uint8_t>(length));
    for (std::size_t i = 0; i < length; ++i) u8(static_cast<std::uint8_t>(text[start + i]));
    start = dot + 1;
  }
  u8(0);
}

void Reply::begin(Section section, const std::string& owner, std::uint16_t type,
                  std::uint32_t ttl) {
  if (section == kAdditional && counts_[kAdditional] == 0) before_additional_ = bytes_.size();
  ++counts_[section];
  name(owner);
  u16(type);
  u16(kClassIn);
  u32(ttl);
  u16(0);
  data_start_ = bytes_.size();
}

void Reply::end() {
  std::size_t size = bytes_.size() - data_start_;
  bytes_[data_start_ - 2] = static_cast<std::uint8_t>(size >> 8);
  bytes_[data_start_ - 1] = static_cast<std::uint8_t>(size);
}

void Reply::a(Section section, const std::string& owner, std::uint32_t ttl, Ipv4 address) {
  begin(section, owner, kA, ttl);
  u32(address.value);
  end();
}

void Reply::cname(const std::string& owner, std::uint32_t ttl, const std::string& target) {
  begin(kAnswer, owner, kCname, ttl);
  name(target);
  end();
}

void Reply::ptr(const std::string& owner, std::uint32_t ttl, const std::string& target) {
  begin(kAnswer, owner, kPtr, ttl);
  name(target);
  end();
}

void Reply::ns(Section section, const std::string& owner, std::uint32_t ttl,
               const std::string& target) {
  begin(section, owner, kNs, ttl);
  name(target);
  end();
}

void Reply::txt(const std::string& owner, std::uint32_t ttl, const std::string& text) {
  begin(kAnswer, owner, kTxt, ttl);
  std::size_t length = std::min<std::size_t>(text.size(), 255);
  u8(static_cast<std::uint8_t>(length));
  for (std::size_t i = 0; i < length; ++i) u8(static_cast<std::uint8_t>(text[i]));
  end();
}

void Reply::srv(const std::string& owner, std::uint32_t ttl, std::uint16_t priority,
                std::uint16_t weight, std::uint16_t port, const std::string& target) {
  begin(kAnswer, owner, kSrv, ttl);
  u16(priority);
  u16(weight);
  u16(port);
  name(target, false);
  end();
}

void Reply::raw(const std::string& owner, std::uint16_t type, std::uint32_t ttl,
                std::span<const std::uint8_t> data) {
  begin(kAnswer, owner, type, ttl);
  bytes_.insert(bytes_.end(), data.begin(), data.end());
  end();
}

void Reply::soa(Section section, const std::string& zone, std::uint32_t ttl,
                std::uint32_t negative_ttl) {
  begin(section, zone, kSoa, ttl);
  name("ns.dns." + zone);
  name("hostmaster." + zone);
  u32(1);  // serial: there are no secondary servers
  u32(7200);
  u32(1800);
  u32(86400);
  u32(negative_ttl);
  end();
}

std::vector<std::uint8_t> Reply::finish(std::size_t limit) {
  std::size_t edns_size = query_.edns ? 11 : 0;
  bool truncated = false;
  if (bytes_.size() + edns_size > limit && counts_[kAdditional] > 0) {
    bytes_.resize(before_additional_);
    counts_[kAdditional] = 0;
  }
  if (bytes_.size() + edns_size > limit) {
    truncated = true;
    // Resolvers ask again over TCP and use nothing of a truncated reply.
    bytes_.resize(kHeaderSize);
    known_.clear();
    counts_[kAnswer] = counts_[kAuthority] = counts_[kAdditional] = 0;
    name(query_.name);
    u16(query_.type);
    u16(query_.question_class);
  }
  if (query_.edns) {
    ++counts_[kAdditional];
    u8(0);
    u16(kOpt);
    u16(kOwnEdnsSize);
    u32(static_cast<std::uint32_t>(rcode_ >> 4) << 24);
    u16(0);
  }
  std::uint16_t flags = kFlagResponse | kFlagRecursionAvailable;
  flags = static_cast<std::uint16_t>(
      flags | (query_.flags & (kFlagRecursionDesired | kFlagCheckingDisabled | 0x7800)));
  if (authoritative_) flags |= kFlagAuthoritative;
  if (truncated) flags |= kFlagTruncated;
  flags = static_cast<std::uint16_t>(flags | (rcode_ & 15));
  auto put = [&](std::size_t at, std::uint16_t value) {
    bytes_[at] = static_cast<std::uint8_t>(value >> 8);
    bytes_[at + 1] = static_cast<std::uint8_t>(value);
  };
  put(0, query_.id);
  put(2, flags);
  put(4, query_.question_end > kHeaderSize ? 1 : 0);
  put(6, counts_[kAnswer]);
  put(8, counts_[kAuthority]);
  put(10, counts_[kAdditional]);
  return std::move(bytes_);
}

std::vector<std::uint8_t> make_query(std::uint16_t id, const std::string& name,
                                     std::uint16_t type) {
  Query query;
  query.id = id;
  query.flags = kFlagRecursionDesired;
  query.name = name;
  query.type = type;
  query.question_class = kClassIn;
  query.question_end = kHeaderSize + 1;  // there is one
  query.edns = true;
  Reply message(query);
  message.set_authoritative(false);
  std::vector<std::uint8_t> bytes = message.finish(kOwnEdnsSize);
  bytes[2] = kFlagRecursionDesired >> 8;
  bytes[3] = 0;
  return bytes;
}

namespace {

struct Record {
  std::string owner;
  std::uint16_t type = 0;
  std::uint32_t ttl = 0;
  std::size_t ttl_offset = 0, data = 0, size = 0;
};

// Reads the record at `offset` and moves behind it.
std::optional<Record> read_record(std::span<const std::uint8_t> bytes, std::size_t& offset) {
  auto owner = read_name(bytes, offset);
  if (!owner || offset + 10 > bytes.size()) return std::nullopt;
  Record record;
  record.owner = std::move(*owner);
  record.type = get16(bytes, offset);
  record.ttl_offset = offset + 4;
  record.ttl =
      static_cast<std::uint32_t>(get16(bytes, offset + 4)) << 16 | get16(bytes, offset + 6);
  record.size = get16(bytes, offset + 8);
  record.data = offset + 10;
  offset = record.data + record.size;
  if (offset > bytes.size()) return std::nullopt;
  return record;
}

// Offset behind the questions; 0 when malformed.
std::size_t skip_questions(std::span<const std::uint8_t> bytes) {
  std::size_t offset = kHeaderSize;
  for (int i = 0; i < get16(bytes, 4); ++i) {
    if (!read_name(bytes, offset) || offset + 4 > bytes.size()) return 0;
    offset += 4;
  }
  return offset;
}

}  // namespace

int append_answers(Reply& reply, std::span<const std::uint8_t> message) {
  if (message.size() < kHeaderSize) return kServFail;
  std::size_t offset = skip_questions(message);
  if (offset == 0) return kServFail;
  for (int i = 0; i < get16(message, 6); ++i) {
    auto record = read_record(message, offset);
    if (!record) return kServFail;
    if (record->type == kCname) {
      std::size_t at = record->data;
      auto target = read_name(message, at);
      if (!target) return kServFail;
      reply.cname(record->owner, record->ttl, *target);
    } else if (record->type == kA || record->type == kAaaa || record->type == kTxt) {
      reply.raw(record->owner, record->type, record->ttl,
                message.subspan(record->data, record->size));
    }
  }
  return get16(message, 2) & 15;
}

std::optional<ReplyFacts> read_reply(std::span<const std::uint8_t> bytes) {
  if (bytes.size() < kHeaderSize || !(get16(bytes, 2) & kFlagResponse)) return std::nullopt;
  ReplyFacts facts;
  facts.rcode = get16(bytes, 2) & 15;
  facts.truncated = get16(bytes, 2) & kFlagTruncated;
  std::size_t offset = skip_questions(bytes);
  if (offset == 0) return std::nullopt;
  int answers = get16(bytes, 6), authority = get16(bytes, 8), additional = get16(bytes, 10);
  std::optional<std::uint32_t> least;
  auto lower_to = [&](std::uint32_t ttl) { least = std::min(least.value_or(ttl), ttl); };
  for (int i = 0; i < answers + authority + additional; ++i) {
    auto record = read_record(bytes, offset);
    if (!record) return std::nullopt;
    if (record->type == kOpt) continue;
    facts.ttl_offsets.push_back(record->ttl_offset);
    if (i < answers) lower_to(record->ttl);
    if (answers == 0 && record->type == kSoa && i < authority && record->size >= 4) {
      std::size_t minimum = record->data + record->size - 4;
      lower_to(std::min(record->ttl, static_cast<std::uint32_t>(get16(bytes, minimum)) << 16 |
                                         get16(bytes, minimum + 2)));
    }
  }
  bool cacheable = !facts.truncated && (facts.rcode == kNoError || facts.rcode == kNxDomain);
  facts.ttl = cacheable ? least.value_or(0) : 0;
  return facts;
}

}  // namespace moth::network::dns
