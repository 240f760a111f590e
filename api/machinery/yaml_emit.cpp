// The writing half of yaml.h: block style with the quoting, folding and key order of kubectl's
// printer.
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/text.h"
#include "api/machinery/yaml.h"
#include "api/machinery/yaml_scalar.h"

namespace moth {
namespace {

constexpr std::size_t kFoldAfter = 80;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

// The number in `text` from `at` on, and where it ends.
struct Run {
  std::uint64_t number = 0;
  std::size_t end = 0;
};

Run digit_run(std::string_view text, std::size_t at, std::uint64_t start) {
  Run run{start, at};
  for (; run.end < text.size() && is_digit(text[run.end]); ++run.end) {
    run.number = run.number * 10 + static_cast<std::uint64_t>(text[run.end] - '0');
  }
  return run;
}

// Numbers inside keys count by their value: a2 before a10.
bool key_less(std::string_view a, std::string_view b) {
  bool digits = false;
  for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
    if (a[i] == b[i]) {
      digits = is_digit(a[i]);
      continue;
    }
    bool a_letter = is_letter(a[i]);
    bool b_letter = is_letter(b[i]);
    if (a_letter && b_letter)
      return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[i]);
    if (a_letter || b_letter) return digits ? a_letter : b_letter;
    std::uint64_t start = 0;
    if (a[i] == '0' || b[i] == '0') {
      for (std::size_t j = i; j > 0 && is_digit(a[j - 1]); --j) {
        if (a[j - 1] != '0') start = 1;
      }
    }
    Run a_run = digit_run(a, i, start);
    Run b_run = digit_run(b, i, start);
    if (a_run.number != b_run.number) return a_run.number < b_run.number;
    if (a_run.end != b_run.end) return a_run.end < b_run.end;
    return a[i] < b[i];
  }
  return a.size() < b.size();
}

enum class Style { kPlain, kSingle, kDouble, kLiteral };

// What a text contains that limits how it can be written.
struct Analysis {
  bool indicator = false;  // cannot stand plain in block context
  bool special = false;    // needs escapes
  bool multiline = false;
  bool outer_space = false;  // a space or break first or last
  bool trailing_space = false;
  bool space_before_break = false;
  bool space_after_break = false;
};

bool is_printable(std::string_view text, std::size_t at, std::size_t length) {
  if (length == 0 || length == 4) return false;
  char32_t code = utf8_decode(text, at, length);
  if (length == 1) return code == '\n' || (code >= 0x20 && code < 0x7F);
  return code >= 0xA0 && code != 0x2028 && code != 0x2029 && code != 0xFEFF && code < 0xFFFE;
}

bool is_indicator(std::string_view text, std::size_t at) {
  char c = text[at];
  bool blank_follows =
      at + 1 == text.size() || text[at + 1] == ' ' || text[at + 1] == '\n' || text[at + 1] == '\t';
  if (at == 0) {
    if (std::string_view("#,[]{}&*!|>'\"%@`").find(c) != std::string_view::npos) return true;
    return (c == '?' || c == ':' || c == '-') && blank_follows;
  }
  if (c == ':') return blank_follows;
  return c == '#' && (text[at - 1] == ' ' || text[at - 1] == '\n');
}

Analysis analyze(std::string_view text) {
  Analysis found;
  found.indicator = text.starts_with("---") || text.starts_with("...");
  for (std::size_t i = 0; i < text.size();) {
    std::size_t length = utf8_length(text, i);
    if (!is_printable(text, i, length)) found.special = true;
    if (is_indicator(text, i)) found.indicator = true;
    bool edge = i == 0 || i + 1 == text.size();
    if (text[i] == ' ') {
      if (edge) found.outer_space = true;
      if (i + 1 == text.size()) found.trailing_space = true;
      if (i > 0 && text[i - 1] == '\n') found.space_after_break = true;
    } else if (text[i] == '\n') {
      found.multiline = true;
      if (edge) found.outer_space = true;
      if (i > 0 && text[i - 1] == ' ') found.space_before_break = true;
    }
    i += std::max<std::size_t>(length, 1);
  }
  return found;
}

Style choose_style(std::string_view text, bool key) {
  Analysis found = analyze(text);
  bool needs_escapes = found.space_before_break || found.special;
  if (found.multiline) {
    return key || needs_escapes || found.trailing_space ? Style::kDouble : Style::kLiteral;
  }
  if (needs_escapes || yaml_plain_is_not_text(text)) return Style::kDouble;
  return found.outer_space || found.indicator ? Style::kSingle : Style::kPlain;
}

class Emitter {
 public:
  std::string take() {
    new_line();
    return std::move(out_);
  }

  void root(const Json& value) {
    if (value.is_object() && !value.empty()) {
      map(value, 0, false);
    } else if (value.is_array() && !value.empty()) {
      list(value, 0, false);
    } else {
      scalar(value, 2);
    }
  }

 private:
  void put(std::string_view ascii) {
    out_ += ascii;
    column_ += ascii.size();
  }
  void put_character(std::string_view character) {
    out_ += character;
    ++column_;
  }
  void new_line() {
    if (column_ == 0) return;
    out_ += '\n';
    column_ = 0;
  }
  void indent(std::size_t spaces) {
    new_line();
    out_.append(spaces, ' ');
    column_ = spaces;
  }

  // `in_line`: the first member continues the line of a list's dash.
  void map(const Json& value, std::size_t at, bool in_line) {
    using Member = std::pair<std::string_view, const Json*>;
    std::vector<Member> members;
    for (const auto& [name, member] : value.get_ref<const Json::object_t&>()) {
      members.emplace_back(name, &member);
    }
    std::stable_sort(members.begin(), members.end(),
                     [](const Member& a, const Member& b) { return key_less(a.first, b.first); });
    for (const auto& [name, member] : members) {
      if (!in_line) indent(at);
      in_line = false;
      text(name, at, true);
      put(":");
      if (member->is_object() && !member->empty()) {
        map(*member, at + 2, false);
      } else if (member->is_array() && !member->empty()) {
        list(*member, at, false);
      } else {
        put(" ");
        scalar(*member, at + 2);
      }
    }
  }

  void list(const Json& value, std::size_t at, bool in_line) {
    for (const Json& element : value) {
      if (!in_line) indent(at);
      in_line = false;
      put("- ");
      if (element.is_object() && !element.empty()) {
        map(element, at + 2, true);
      } else if (element.is_array() && !element.empty()) {
        list(element, at + 2, true);
      } else {
        scalar(element, at + 2);
      }
    }
  }

  void scalar(const Json& value, std::size_t continued_at) {
    switch (value.type()) {
      case Json::value_t::string:
        text(value.get_ref<const std::string&>(), continued_at, false);
        return;
      case Json::value_t::boolean:
        put(value.get<bool>() ? "true" : "false");
        return;
      case Json::value_t::number_integer:
        put(std::to_string(value.get<std::int64_t>()));
        return;
      case Json::value_t::number_unsigned:
        put(std::to_string(value.get<std::uint64_t>()));
        return;
      case Json::value_t::number_float:
        put(number(value.get<double>()));
        return;
      case Json::value_t::object:
        put("{}");
        return;
      case Json::value_t::array:
        put("[]");
        return;
      default:
        put("null");
    }
  }

  static std::string number(double value) {
    std::string printed = go_format_double(value);
    if (printed == "NaN") return ".nan";
    if (printed == "+Inf") return ".inf";
    return printed == "-Inf" ? "-.inf" : printed;
  }

  void text(std::string_view value, std::size_t continued_at, bool key) {
    switch (choose_style(value, key)) {
      case Style::kPlain:
        folded(value, continued_at, !key, false);
        return;
      case Style::kSingle:
        put("'");
        folded(value, continued_at, !key, true);
        put("'");
        return;
      case Style::kLiteral:
        literal(value, continued_at);
        return;
      case Style::kDouble:
        double_quoted(value, continued_at, !key);
        return;
    }
  }

  // Whether the space at `at` may become a line break: the line is long and the space stands alone.
  bool folds_at(std::string_view value, std::size_t at) const {
    return column_ > kFoldAfter && at > 0 && at + 1 < value.size() && value[at - 1] != ' ' &&
           value[at + 1] != ' ';
  }

  void folded(std::string_view value, std::size_t continued_at, bool may_fold, bool quoted) {
    for (std::size_t i = 0; i < value.size();) {
      if (may_fold && value[i] == ' ' && folds_at(value, i)) {
        indent(continued_at);
        ++i;
        continue;
      }
      std::size_t length = std::max<std::size_t>(utf8_length(value, i), 1);
      if (quoted && value[i] == '\'') put("'");
      put_character(value.substr(i, length));
      i += length;
    }
  }

  void double_quoted(std::string_view value, std::size_t continued_at, bool may_fold) {
    put("\"");
    bool after_space = false;
    for (std::size_t i = 0; i < value.size();) {
      std::size_t length = utf8_length(value, i);
      bool space = value[i] == ' ';
      bool fold = space && may_fold && !after_space && column_ > kFoldAfter && i > 0 &&
                  i + 1 < value.size();
      if (fold) {
        indent(continued_at);
        if (value[i + 1] == ' ') put("\\");
      } else if (value[i] == '\n' || value[i] == '"' || value[i] == '\\' ||
                 !is_printable(value, i, length)) {
        escape(value, i, length);
      } else {
        put_character(value.substr(i, length));
      }
      after_space = space;
      i += std::max<std::size_t>(length, 1);
    }
    put("\"");
  }

  void escape(std::string_view value, std::size_t at, std::size_t length) {
    char32_t code = length == 0 ? 0xFFFD : utf8_decode(value, at, length);
    switch (code) {
      case 0:
        put("\\0");
        return;
      case '\a':
        put("\\a");
        return;
      case '\b':
        put("\\b");
        return;
      case '\t':
        put("\\t");
        return;
      case '\n':
        put("\\n");
        return;
      case '\v':
        put("\\v");
        return;
      case '\f':
        put("\\f");
        return;
      case '\r':
        put("\\r");
        return;
      case 0x1B:
        put("\\e");
        return;
      case '"':
        put("\\\"");
        return;
      case '\\':
        put("\\\\");
        return;
      case 0x85:
        put("\\N");
        return;
      case 0x2028:
        put("\\L");
        return;
      case 0x2029:
        put("\\P");
        return;
      default:
        break;
    }
    auto number = static_cast<std::uint32_t>(code);
    if (code <= 0xFF) {
      put(fmt::format("\\x{:02X}", number));
    } else {
      put(code <= 0xFFFF ? fmt::format("\\u{:04X}", number) : fmt::format("\\U{:08X}", number));
    }
  }

  void literal(std::string_view value, std::size_t at) {
    put("|");
    if (value.front() == ' ' || value.front() == '\n') put("2");
    if (value.back() != '\n') {
      put("-");
    } else if (value.size() == 1 || value[value.size() - 2] == '\n') {
      put("+");
    }
    new_line();
    while (!value.empty()) {
      auto end = value.find('\n');
      std::string_view line = value.substr(0, end);
      if (!line.empty()) {
        indent(at);
        put(line);
      }
      if (end == std::string_view::npos) return;
      out_ += '\n';
      column_ = 0;
      value.remove_prefix(end + 1);
    }
  }

  std::string out_;
  std::size_t column_ = 0;
};

}  // namespace

std::string to_yaml(const Json& value) {
  Emitter emitter;
  emitter.root(value);
  return emitter.take();
}

}  // namespace moth
