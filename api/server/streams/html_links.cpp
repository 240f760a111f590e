#include <algorithm>
#include <array>

#include "api/server/streams/proxy.h"

namespace moth::server::streams {
namespace {

constexpr std::size_t kMaxTag = 64 * 1024;
constexpr std::array<std::string_view, 17> kLinks = {
    "href",     "src",     "action",   "formaction", "cite",   "background",
    "codebase", "data",    "icon",     "longdesc",   "poster", "usemap",
    "profile",  "classid", "manifest", "archive",    "ping"};

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// Where a tag that begins at the start of `text` ends, behind its '>', not counting '>' in quotes.
std::size_t tag_end(std::string_view text) {
  char quote = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (quote) {
      if (text[i] == quote) quote = 0;
    } else if (text[i] == '>') {
      return i + 1;
    } else if ((text[i] == '"' || text[i] == '\'') && text[i - 1] == '=') {
      quote = text[i];
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::string HtmlLinks::rewritten_tag(std::string_view tag) {
  std::string out;
  std::size_t at = 1;
  while (at < tag.size() && !blank(tag[at]) && tag[at] != '>') ++at;
  std::string name = lower(tag.substr(1, at - 1));
  if (name == "script" || name == "style") raw_until_ = "</" + name;
  out = tag.substr(0, at);
  while (at < tag.size()) {
    std::size_t start = at;
    while (at < tag.size() && (blank(tag[at]) || tag[at] == '/')) ++at;
    std::size_t name_start = at;
    while (at < tag.size() && !blank(tag[at]) && tag[at] != '=' && tag[at] != '>') ++at;
    std::string attribute = lower(tag.substr(name_start, at - name_start));
    while (at < tag.size() && blank(tag[at])) ++at;
    if (at >= tag.size() || tag[at] != '=') {
      if (at < tag.size() && tag[at] == '>') ++at;
      out += tag.substr(start, at - start);
      if (at == start) break;
      continue;
    }
    ++at;
    while (at < tag.size() && blank(tag[at])) ++at;
    char quote = at < tag.size() && (tag[at] == '"' || tag[at] == '\'') ? tag[at] : '\0';
    if (quote) ++at;
    std::size_t value_start = at;
    while (at < tag.size() && (quote ? tag[at] != quote : !blank(tag[at]) && tag[at] != '>')) ++at;
    std::string_view value = tag.substr(value_start, at - value_start);
    out += tag.substr(start, value_start - start);
    bool link = std::find(kLinks.begin(), kLinks.end(), attribute) != kLinks.end();
    out += link ? rewritten_link(value, prefix_, host_) : std::string(value);
  }
  return out;
}

// Moves what is decided from the front of `held_` to `out`; false when more bytes are needed.
bool HtmlLinks::step(std::string& out) {
  if (held_.empty()) return false;
  auto pass = [&](std::size_t count) {
    out.append(held_, 0, count);
    held_.erase(0, count);
    return true;
  };
  if (!raw_until_.empty()) {
    std::size_t end = lower(held_).find(raw_until_);
    if (end != std::string::npos) {
      raw_until_.clear();
      return pass(end) && !held_.empty();
    }
    // Its beginning may be there already.
    std::size_t sure = held_.size() - std::min(held_.size(), raw_until_.size() - 1);
    if (sure > 0) pass(sure);
    return false;
  }
  std::size_t open = held_.find('<');
  if (open == std::string::npos) {
    pass(held_.size());
    return false;
  }
  if (open > 0) return pass(open);
  if (std::string_view(held_).starts_with("<!--")) {
    std::size_t end = held_.find("-->", 4);
    if (end != std::string::npos) return pass(end + 3);
    if (held_.size() > kMaxTag) return pass(1);
    return false;
  }
  if (held_.size() == 1 || (held_.size() < 4 && held_[1] == '!')) return false;
  bool tag = (held_[1] >= 'a' && held_[1] <= 'z') || (held_[1] >= 'A' && held_[1] <= 'Z');
  if (!tag) return pass(1);
  std::size_t end = tag_end(held_);
  if (end == std::string::npos) {
    if (held_.size() > kMaxTag) return pass(1);
    return false;
  }
  out += rewritten_tag(std::string_view(held_).substr(0, end));
  held_.erase(0, end);
  return true;
}

std::string HtmlLinks::take(std::string_view piece) {
  std::string out;
  held_ += piece;
  while (step(out)) {
  }
  return out;
}

std::string HtmlLinks::finish() {
  return std::exchange(held_, {});
}

}  // namespace moth::server::streams
