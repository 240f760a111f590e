#pragma once
// Reads DNS replies into texts for tests: "A web.shop.svc.cluster.local 5 10.96.0.20".
#include <span>
#include <string>
#include <vector>

#include "runtime/network/dns/message.h"

namespace moth::network::dns {

struct Reading {
  int rcode = -1;
  bool truncated = false, authoritative = false, edns = false;
  std::uint16_t id = 0;
  std::string question;
  std::vector<std::string> answer, authority, additional;
  bool good = false;  // everything was consumed
};

inline std::uint32_t number(std::span<const std::uint8_t> bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value = value << 8 | bytes[at + i];
  return value;
}

inline std::string record_data(std::span<const std::uint8_t> bytes, std::size_t at,
                               std::size_t size, std::uint32_t type) {
  std::size_t offset = at;
  switch (type) {
    case kA:
      return Ipv4{number(bytes, at, 4)}.text();
    case kCname:
    case kPtr:
    case kNs:
      return read_name(bytes, offset).value_or("?");
    case kSrv: {
      offset = at + 6;
      std::string text = std::to_string(number(bytes, at, 2)) + " " +
                         std::to_string(number(bytes, at + 2, 2)) + " " +
                         std::to_string(number(bytes, at + 4, 2)) + " ";
      return text + read_name(bytes, offset).value_or("?");
    }
    case kTxt:
      return std::string(bytes.begin() + static_cast<std::ptrdiff_t>(at) + 1,
                         bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
    default:
      return std::to_string(size) + " bytes";
  }
}

inline std::string type_name(std::uint32_t type) {
  switch (type) {
    case kA:
      return "A";
    case kAaaa:
      return "AAAA";
    case kCname:
      return "CNAME";
    case kPtr:
      return "PTR";
    case kSrv:
      return "SRV";
    case kSoa:
      return "SOA";
    case kNs:
      return "NS";
    case kTxt:
      return "TXT";
    case kOpt:
      return "OPT";
  }
  return std::to_string(type);
}

inline Reading read(std::span<const std::uint8_t> bytes) {
  Reading reading;
  if (bytes.size() < kHeaderSize) return reading;
  reading.id = static_cast<std::uint16_t>(number(bytes, 0, 2));
  reading.rcode = bytes[3] & 15;
  reading.truncated = bytes[2] & 2;
  reading.authoritative = bytes[2] & 4;
  std::size_t offset = kHeaderSize;
  if (number(bytes, 4, 2) == 1) {
    auto name = read_name(bytes, offset);
    if (!name || offset + 4 > bytes.size()) return reading;
    reading.question = type_name(number(bytes, offset, 2)) + " " + *name;
    offset += 4;
  }
  std::vector<std::string>* sections[] = {&reading.answer, &reading.authority, &reading.additional};
  for (std::size_t section = 0; section < 3; ++section) {
    for (std::uint32_t i = number(bytes, 6 + 2 * section, 2); i > 0; --i) {
      auto name = read_name(bytes, offset);
      if (!name || offset + 10 > bytes.size()) return reading;
      std::uint32_t type = number(bytes, offset, 2), ttl = number(bytes, offset + 4, 4);
      std::size_t size = number(bytes, offset + 8, 2);
      if (offset + 10 + size > bytes.size()) return reading;
      if (type == kOpt) {
        reading.edns = true;
      } else {
        sections[section]->push_back(type_name(type) + " " + *name + " " + std::to_string(ttl) +
                                     " " + record_data(bytes, offset + 10, size, type));
      }
      offset += 10 + size;
    }
  }
  reading.good = offset == bytes.size();
  return reading;
}

}  // namespace moth::network::dns
