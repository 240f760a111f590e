#include <fmt/format.h>

#include <charconv>

#include "api/machinery/jsonpath_program.h"
#include "api/machinery/text.h"

namespace moth::jsonpath {
namespace {

constexpr int kMaxNesting = 32;

tl::unexpected<Error> refuse(std::string why) {
  return fail(Error::bad_request(std::move(why)));
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_word(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_space(char c) {
  return c == ' ' || c == '\t';
}
// What ends a field's name.
bool ends_name(char c) {
  return is_space(c) || c == '\r' || c == '\n' ||
         std::string_view(".,[]$@{}").find(c) != std::string_view::npos;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

Node literal(Json value) {
  Node node;
  node.value = std::move(value);
  return node;
}

Node field(std::string name) {
  Node node;
  node.kind = NodeKind::kField;
  node.name = std::move(name);
  return node;
}

// One {action}: its nodes, or the words range and end.
struct Action {
  Nodes nodes;
  bool range = false;
  bool end = false;
};

class ActionParser {
 public:
  ActionParser(std::string_view text, int nesting) : text_(text), nesting_(nesting) {}

  Result<Action> parse() {
    if (nesting_ > kMaxNesting) return refuse("the expression is nested too deeply");
    while (at_ < text_.size()) MOTH_TRY(next());
    return std::move(action_);
  }

 private:
  Result<void> next() {
    char c = text_[at_];
    std::string_view rest = text_.substr(at_);
    if (is_space(c) || c == '@' || c == '$') {
      ++at_;
      return {};
    }
    if (c == '\r' || c == '\n') return refuse("unclosed action");
    if (rest.starts_with("[?(")) return filter();
    if (rest.starts_with("..")) return recursive();
    if (c == '[') return array();
    if (c == '"' || c == '\'') return quoted(c);
    if (c == '.') return dotted();
    if (c == '+' || c == '-' || is_digit(c)) return number();
    if (is_word(c)) return word();
    return refuse(fmt::format("unrecognized character in action: '{}'", c));
  }

  Result<void> recursive() {
    if (!action_.nodes.empty() && action_.nodes.back().kind == NodeKind::kRecursive) {
      return refuse("invalid multiple recursive descent");
    }
    at_ += 2;
    Node node;
    node.kind = NodeKind::kRecursive;
    action_.nodes.push_back(std::move(node));
    if (at_ < text_.size() && (is_word(text_[at_]) || text_[at_] == '*')) add_name();
    return {};
  }

  Result<void> dotted() {
    ++at_;
    add_name();
    return {};
  }

  void add_name() {
    std::string name;
    for (; at_ < text_.size() && !ends_name(text_[at_]); ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      name += text_[at_];
    }
    // `{.}` and `{.[0]}` name the value itself.
    if (name.empty()) return;
    if (name != "*") {
      action_.nodes.push_back(field(std::move(name)));
      return;
    }
    Node node;
    node.kind = NodeKind::kWildcard;
    action_.nodes.push_back(std::move(node));
  }

  Result<void> quoted(char quote) {
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) {
        MOTH_TRY(escape(text_[++at_], quote, out));
      } else {
        out += text_[at_];
      }
    }
    if (at_ == text_.size()) return refuse("unterminated quoted string");
    ++at_;
    action_.nodes.push_back(literal(std::move(out)));
    return {};
  }

  Result<void> escape(char c, char quote, std::string& out) {
    switch (c) {
      case 'n':
        out += '\n';
        return {};
      case 't':
        out += '\t';
        return {};
      case 'r':
        out += '\r';
        return {};
      case 'a':
        out += '\a';
        return {};
      case 'b':
        out += '\b';
        return {};
      case 'f':
        out += '\f';
        return {};
      case 'v':
        out += '\v';
        return {};
      case '\\':
        out += '\\';
        return {};
      case 'u':
      case 'x':
        return code_point(c == 'u' ? 4 : 2, out);
      default:
        break;
    }
    if (c != quote) return refuse("invalid syntax in a quoted string");
    out += c;
    return {};
  }

  Result<void> code_point(std::size_t digits, std::string& out) {
    std::uint32_t code = 0;
    std::string_view hex = text_.substr(at_ + 1, digits);
    auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), code, 16);
    if (hex.size() != digits || error != std::errc() || end != hex.data() + hex.size() ||
        (code >= 0xD800 && code <= 0xDFFF)) {
      return refuse("invalid syntax in a quoted string");
    }
    utf8_append(code, out);
    at_ += digits;
    return {};
  }

  Result<void> number() {
    std::size_t start = at_;
    if (text_[at_] == '+' || text_[at_] == '-') ++at_;
    while (at_ < text_.size() && (is_digit(text_[at_]) || text_[at_] == '.')) ++at_;
    std::string_view digits = text_.substr(start, at_ - start);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    const char* last = digits.data() + digits.size();
    std::int64_t whole = 0;
    if (auto [end, error] = std::from_chars(digits.data(), last, whole);
        error == std::errc() && end == last) {
      action_.nodes.push_back(literal(whole));
      return {};
    }
    double real = 0;
    if (auto [end, error] = std::from_chars(digits.data(), last, real);
        error == std::errc() && end == last) {
      action_.nodes.push_back(literal(real));
      return {};
    }
    return refuse(fmt::format("cannot parse number {}", digits));
  }

  Result<void> word() {
    std::size_t start = at_;
    while (at_ < text_.size() && !ends_name(text_[at_])) ++at_;
    std::string_view name = text_.substr(start, at_ - start);
    if (name == "true" || name == "false") {
      action_.nodes.push_back(literal(name == "true"));
    } else if (name == "range") {
      action_.range = true;
    } else if (name == "end") {
      action_.end = true;
    } else {
      return refuse(fmt::format("unrecognized identifier {}", name));
    }
    return {};
  }

  Result<Nodes> nested(std::string_view text) const {
    MOTH_ASSIGN(Action action, ActionParser(text, nesting_ + 1).parse());
    if (action.range || action.end)
      return refuse("range and end cannot stand inside an expression");
    return std::move(action.nodes);
  }

  // The position of `close` outside quotes, from `from` on.
  std::size_t find_close(std::size_t from, std::string_view close) const {
    char quote = 0;
    for (std::size_t i = from; i < text_.size(); ++i) {
      char c = text_[i];
      if (quote != 0) {
        if (c == '\\') ++i;
        if (c == quote) quote = 0;
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (text_.substr(i).starts_with(close)) {
        return i;
      }
    }
    return std::string_view::npos;
  }

  Result<void> array() {
    std::size_t close = find_close(at_, "]");
    if (close == std::string_view::npos) return refuse("unterminated array");
    std::string_view inside = text_.substr(at_ + 1, close - at_ - 1);
    std::vector<std::string_view> parts = split_union(inside);
    at_ = close + 1;
    if (parts.size() == 1) {
      MOTH_ASSIGN(Node node, element(parts.front()));
      action_.nodes.push_back(std::move(node));
      return {};
    }
    Node node;
    node.kind = NodeKind::kUnion;
    for (std::string_view part : parts) {
      MOTH_ASSIGN(Node branch, element(trim(part)));
      node.branches.emplace_back().push_back(std::move(branch));
    }
    action_.nodes.push_back(std::move(node));
    return {};
  }

  static std::vector<std::string_view> split_union(std::string_view inside) {
    std::vector<std::string_view> parts;
    char quote = 0;
    std::size_t start = 0;
    for (std::size_t i = 0; i < inside.size(); ++i) {
      char c = inside[i];
      if (quote != 0) {
        if (c == '\\') ++i;
        if (c == quote) quote = 0;
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (c == ',') {
        parts.push_back(inside.substr(start, i - start));
        start = i + 1;
      }
    }
    parts.push_back(inside.substr(start));
    return parts;
  }

  // 'name', a position, or a slice a:b:c.
  static Result<Node> element(std::string_view text) {
    if (text.size() >= 2 && (text.front() == '\'' || text.front() == '"') &&
        text.back() == text.front()) {
      std::string name;
      for (std::size_t i = 1; i + 1 < text.size(); ++i) {
        if (text[i] == '\\' && i + 2 < text.size()) ++i;
        name += text[i];
      }
      return field(std::move(name));
    }
    Node node;
    node.kind = NodeKind::kSlice;
    std::string_view rest = text == "*" ? ":" : text;
    std::optional<std::int64_t>* parts[] = {&node.slice.start, &node.slice.end, &node.slice.step};
    std::size_t seen = 0;
    for (;; ++seen) {
      auto colon = rest.find(':');
      std::string_view part = rest.substr(0, colon);
      std::int64_t number = 0;
      auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
      bool valid = part.empty() || (error == std::errc() && end == part.data() + part.size());
      if (seen == 3 || !valid) return refuse(fmt::format("invalid array index {}", text));
      if (!part.empty()) *parts[seen] = number;
      if (colon == std::string_view::npos) break;
      rest.remove_prefix(colon + 1);
    }
    node.slice.single = seen == 0;
    if (node.slice.single && !node.slice.start)
      return refuse(fmt::format("invalid array index {}", text));
    return node;
  }

  Result<void> filter() {
    std::size_t begin = at_ + 3;
    std::size_t close = find_close(begin, ")");
    if (close == std::string_view::npos) return refuse("unterminated filter");
    if (close + 1 >= text_.size() || text_[close + 1] != ']')
      return refuse("unclosed array expect ]");
    std::string_view inside = text_.substr(begin, close - begin);
    at_ = close + 2;
    Node node;
    node.kind = NodeKind::kFilter;
    std::size_t op_at = inside.find_first_of("!<>=");
    if (op_at == std::string_view::npos || op_at == 0) {
      MOTH_ASSIGN(Nodes left, nested(inside));
      node.branches.push_back(std::move(left));
    } else {
      std::size_t op_end = inside.find_first_not_of("!<>=", op_at);
      if (op_end == std::string_view::npos)
        return refuse("a filter's comparison has no right side");
      MOTH_ASSIGN(node.op, to_operator(inside.substr(op_at, op_end - op_at)));
      MOTH_ASSIGN(Nodes left, nested(inside.substr(0, op_at)));
      MOTH_ASSIGN(Nodes right, nested(inside.substr(op_end)));
      node.branches.push_back(std::move(left));
      node.branches.push_back(std::move(right));
    }
    action_.nodes.push_back(std::move(node));
    return {};
  }

  static Result<FilterOperator> to_operator(std::string_view text) {
    if (text == "==") return FilterOperator::kEqual;
    if (text == "!=") return FilterOperator::kNotEqual;
    if (text == "<") return FilterOperator::kLess;
    if (text == "<=") return FilterOperator::kLessEqual;
    if (text == ">") return FilterOperator::kGreater;
    if (text == ">=") return FilterOperator::kGreaterEqual;
    return refuse(fmt::format("unrecognized filter operator {}", text));
  }

  std::string_view text_;
  int nesting_;
  std::size_t at_ = 0;
  Action action_;
};

// The `}` that ends the action which begins at `from`, outside quotes.
std::size_t action_end(std::string_view text, std::size_t from) {
  char quote = 0;
  for (std::size_t i = from; i < text.size(); ++i) {
    char c = text[i];
    if (quote != 0) {
      if (c == '\\') ++i;
      if (c == quote) quote = 0;
    } else if (c == '\\') {
      ++i;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '}') {
      return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

Result<Segments> parse_template(std::string_view text) {
  Segments root;
  // The open ranges: each is the last segment of the list before it.
  std::vector<Segments*> open{&root};
  for (std::size_t at = 0; at < text.size();) {
    std::size_t brace = std::min(text.find('{', at), text.size());
    if (brace > at) {
      Segment segment;
      segment.nodes.push_back(literal(std::string(text.substr(at, brace - at))));
      open.back()->push_back(std::move(segment));
    }
    if (brace == text.size()) break;
    std::size_t end = action_end(text, brace + 1);
    if (end == std::string_view::npos) return refuse("unclosed action");
    MOTH_ASSIGN(Action action, ActionParser(text.substr(brace + 1, end - brace - 1), 0).parse());
    at = end + 1;
    if (action.end) {
      if (open.size() == 1) return refuse("not in range, nothing to end");
      open.pop_back();
      continue;
    }
    if (open.size() > kMaxNesting) return refuse("ranges are nested too deeply");
    Segment segment;
    segment.is_range = action.range;
    segment.nodes = std::move(action.nodes);
    open.back()->push_back(std::move(segment));
    if (action.range) open.push_back(&open.back()->back().body);
  }
  return root;
}

}  // namespace moth::jsonpath
