#include "ctl/objects/tar.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace moth::ctl {
namespace {

constexpr std::size_t kBlock = 512;
constexpr std::size_t kMaxName = 100;
constexpr std::uint64_t kMaxSpecial = 1 << 20;

void put(std::string& block, std::size_t at, std::size_t size, std::string_view text) {
  std::memcpy(block.data() + at, text.data(), std::min(size, text.size()));
}

void put_octal(std::string& block, std::size_t at, std::size_t size, std::uint64_t number) {
  std::string text = fmt::format("{:0{}o}", number, size - 1);
  if (text.size() < size) {
    put(block, at, size, text);
    return;
  }
  // Too big for octal: base 256, as GNU tar writes it.
  for (std::size_t i = 0; i < size; ++i) {
    std::size_t shift = 8 * (size - 1 - i);
    block[at + i] = shift < 64 ? static_cast<char>((number >> shift) & 0xff) : '\0';
  }
  block[at] = static_cast<char>(0x80);
}

std::uint64_t read_number(std::string_view field) {
  if (!field.empty() && (static_cast<unsigned char>(field[0]) & 0x80)) {
    std::uint64_t number = 0;
    for (char c : field.substr(1)) number = (number << 8) | static_cast<unsigned char>(c);
    return number;
  }
  std::uint64_t number = 0;
  for (char c : field) {
    if (c >= '0' && c <= '7') number = number * 8 + static_cast<std::uint64_t>(c - '0');
    if (c == '\0' && number > 0) break;
  }
  return number;
}

std::string text_of(std::string_view field) {
  return std::string(field.substr(0, std::min(field.find('\0'), field.size())));
}

unsigned checksum(std::string_view block) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i)
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(block[i]);
  return sum;
}

std::string plain_header(const TarEntry& entry, char type) {
  std::string block(kBlock, '\0');
  put(block, 0, kMaxName, entry.name);
  put_octal(block, 100, 8, entry.mode & 07777);
  put_octal(block, 108, 8, 0);
  put_octal(block, 116, 8, 0);
  put_octal(block, 124, 12, entry.size);
  put_octal(block, 136, 12, static_cast<std::uint64_t>(std::max<std::int64_t>(entry.modified, 0)));
  block[156] = type;
  put(block, 157, kMaxName, entry.target);
  put(block, 257, 8, std::string_view("ustar\00000", 8));
  std::string sum = fmt::format("{:06o}", checksum(block));
  put(block, 148, 6, sum);
  block[154] = '\0';
  block[155] = ' ';
  return block;
}

std::string long_text(char type, const std::string& text) {
  TarEntry entry;
  entry.name = "././@LongLink";
  entry.size = text.size() + 1;
  std::string out = plain_header(entry, type) + text + '\0';
  return out + tar_padding(entry.size);
}

// "27 path=some/name\n" records.
std::string pax_value(std::string_view records, std::string_view key) {
  std::string found;
  while (!records.empty()) {
    std::size_t size = 0;
    auto [end, problem] = std::from_chars(records.data(), records.data() + records.size(), size);
    if (problem != std::errc() || size == 0 || size > records.size()) break;
    std::string_view record = records.substr(0, size);
    records.remove_prefix(size);
    auto space = record.find(' '), equals = record.find('=');
    if (space == std::string_view::npos || equals == std::string_view::npos || equals < space)
      continue;
    if (record.substr(space + 1, equals - space - 1) == key)
      found = std::string(record.substr(equals + 1, record.size() - equals - 2));
  }
  return found;
}

}  // namespace

std::string tar_padding(std::uint64_t size) {
  return std::string((kBlock - size % kBlock) % kBlock, '\0');
}

std::string tar_end() {
  return std::string(2 * kBlock, '\0');
}

std::string tar_header(const TarEntry& entry) {
  TarEntry shown = entry;
  char type = entry.type == TarEntry::Type::kFolder ? '5'
              : entry.type == TarEntry::Type::kLink ? '2'
                                                    : '0';
  if (type == '5' && !shown.name.ends_with('/')) shown.name += '/';
  if (type != '0') shown.size = 0;
  std::string out;
  if (shown.name.size() > kMaxName) out += long_text('L', shown.name);
  if (shown.target.size() > kMaxName) out += long_text('K', shown.target);
  return out + plain_header(shown, type);
}

Outcome<> TarReader::finish_special() {
  if (special_ == 'L') {
    long_name_ = text_of(special_text_);
  } else if (special_ == 'K') {
    long_target_ = text_of(special_text_);
  } else if (special_ == 'x') {
    if (std::string path = pax_value(special_text_, "path"); !path.empty()) long_name_ = path;
    if (std::string link = pax_value(special_text_, "linkpath"); !link.empty()) long_target_ = link;
  }
  special_ = 0;
  special_text_.clear();
  return {};
}

Outcome<> TarReader::block() {
  std::string header = std::move(block_);
  block_.clear();
  if (std::all_of(header.begin(), header.end(), [](char c) { return c == '\0'; })) return {};
  std::string_view view = header;
  if (read_number(view.substr(148, 8)) != checksum(view))
    return refuse("what the container sent is no tar archive: is tar there?");
  char type = view[156];
  left_ = read_number(view.substr(124, 12));
  padding_ = (kBlock - left_ % kBlock) % kBlock;
  wanted_ = false;
  if (type == 'L' || type == 'K' || type == 'x' || type == 'g') {
    if (left_ > kMaxSpecial) return refuse("a name in the tar archive is longer than 1 MiB");
    special_ = type;
    if (left_ == 0) return finish_special();
    return {};
  }
  TarEntry entry;
  std::string prefix = view.substr(257, 5) == "ustar" && view[262] == '\0'
                           ? text_of(view.substr(345, 155))
                           : std::string();
  entry.name = !long_name_.empty() ? long_name_ : text_of(view.substr(0, kMaxName));
  if (long_name_.empty() && !prefix.empty()) entry.name = prefix + "/" + entry.name;
  entry.target = !long_target_.empty() ? long_target_ : text_of(view.substr(157, kMaxName));
  long_name_.clear();
  long_target_.clear();
  entry.mode = static_cast<unsigned>(read_number(view.substr(100, 8)) & 07777);
  entry.modified = static_cast<std::int64_t>(read_number(view.substr(136, 12)));
  entry.size = left_;
  entry.type = type == '0' || type == '\0' || type == '7' ? TarEntry::Type::kFile
               : type == '5'                              ? TarEntry::Type::kFolder
               : type == '2'                              ? TarEntry::Type::kLink
                                                          : TarEntry::Type::kOther;
  ++entries_;
  MOTH_TRY(entry_(entry));
  wanted_ = entry.type == TarEntry::Type::kFile;
  return {};
}

Outcome<> TarReader::add(std::string_view bytes) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      std::string_view piece =
          bytes.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size())));
      bytes.remove_prefix(piece.size());
      left_ -= piece.size();
      if (special_ != 0)
        special_text_ += piece;
      else if (wanted_)
        MOTH_TRY(content_(piece));
      if (left_ == 0 && special_ != 0) MOTH_TRY(finish_special());
      continue;
    }
    if (padding_ > 0) {
      std::size_t skipped =
          static_cast<std::size_t>(std::min<std::uint64_t>(padding_, bytes.size()));
      bytes.remove_prefix(skipped);
      padding_ -= skipped;
      continue;
    }
    std::string_view piece = bytes.substr(0, kBlock - block_.size());
    bytes.remove_prefix(piece.size());
    block_ += piece;
    if (block_.size() == kBlock) MOTH_TRY(block());
  }
  return {};
}

}  // namespace moth::ctl
