#include "api/machinery/managed_text.h"

#include "api/base/json.h"

namespace moth {
namespace {

constexpr std::size_t kNowhere = std::string_view::npos;

// Behind the string that starts at `at`.
std::size_t skip_string(std::string_view text, std::size_t at) {
  for (++at; at < text.size(); ++at) {
    if (text[at] == '\\') {
      ++at;
    } else if (text[at] == '"') {
      return at + 1;
    }
  }
  return kNowhere;
}

// Behind the value that starts at `at`. Brackets are counted, not matched: the text is our own.
std::size_t skip_value(std::string_view text, std::size_t at) {
  if (at >= text.size()) return kNowhere;
  if (text[at] == '"') return skip_string(text, at);
  if (text[at] != '{' && text[at] != '[') {
    at = text.find_first_of(",}]", at);
    return at;
  }
  std::size_t depth = 0;
  while (at < text.size()) {
    char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
      continue;
    }
    ++at;
    if (c == '{' || c == '[') ++depth;
    if ((c == '}' || c == ']') && --depth == 0) return at;
  }
  return kNowhere;
}

struct Member {
  std::size_t key = kNowhere, value = kNowhere, end = kNowhere;
};

// The member `key` (with its quotes) of the object that starts at `at`.
Member find_in(std::string_view text, std::size_t at, std::string_view key) {
  if (at >= text.size() || text[at] != '{') return {};
  ++at;
  while (at < text.size() && text[at] == '"') {
    Member member;
    member.key = at;
    at = skip_string(text, at);
    if (at >= text.size() || text[at] != ':') return {};
    std::string_view name = text.substr(member.key, at - member.key);
    member.value = at + 1;
    member.end = at = skip_value(text, at + 1);
    if (at == kNowhere) return {};
    if (name == key) return member;
    if (at >= text.size() || text[at] != ',') return {};
    ++at;
  }
  return {};
}

}  // namespace

ManagedText find_managed_fields(std::string_view text) {
  Member metadata = find_in(text, 0, "\"metadata\"");
  if (metadata.value == kNowhere) return {};
  Member managed = find_in(text, metadata.value, "\"managedFields\"");
  if (managed.value == kNowhere) return {};
  ManagedText found{managed.key, managed.end,
                    text.substr(managed.value, managed.end - managed.value)};
  if (text[found.end] == ',') {
    ++found.end;
  } else if (text[found.begin - 1] == ',') {
    --found.begin;
  }
  return found;
}

std::vector<TextPart> parts_of(std::string_view text, std::size_t limit) {
  std::vector<TextPart> parts;
  if (text.size() < 3 || (text[0] != '{' && text[0] != '[')) return parts;
  bool keyed = text[0] == '{';
  std::size_t at = 1;
  while (parts.size() < limit) {
    TextPart part;
    if (keyed) {
      if (text[at] != '"') return {};
      std::size_t end = skip_string(text, at);
      if (end >= text.size() || text[end] != ':') return {};
      part.key = text.substr(at, end - at);
      at = end + 1;
    }
    std::size_t end = skip_value(text, at);
    if (end >= text.size()) return {};
    part.value = text.substr(at, end - at);
    parts.push_back(part);
    if (text[end] != ',') break;
    at = end + 1;
    if (at >= text.size()) return {};
  }
  return parts;
}

std::string without_managed_fields(std::string_view text) {
  ManagedText found = find_managed_fields(text);
  std::string rest(text.substr(0, found.begin));
  rest += text.substr(found.end);
  return rest;
}

Json raw_json(std::string_view text) {
  return Json::binary({text.begin(), text.end()});
}

std::string_view raw_json_text(const Json& value) {
  if (!value.is_binary()) return {};
  const auto& bytes = value.get_binary();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace moth
