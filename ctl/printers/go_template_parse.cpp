#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>

#include "ctl/printers/go_template_program.h"

namespace moth::ctl {
namespace go {
namespace {

struct Token {
  enum class Kind { kWord, kField, kVariable, kLiteral, kSymbol, kSpace, kEnd };
  Kind kind = Kind::kEnd;
  std::string text;
  Json literal;
};

bool is_name(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80);
}

// The words of one action.
class Lexer {
 public:
  Lexer(std::string_view text, int line) : text_(text), line_(line) {}

  Result<std::vector<Token>> run() {
    std::vector<Token> tokens;
    while (at_ < text_.size()) {
      MOTH_ASSIGN(Token token, next());
      bool space = token.kind == Token::Kind::kSpace;
      if (space && (tokens.empty() || tokens.back().kind == Token::Kind::kSpace)) continue;
      tokens.push_back(std::move(token));
    }
    if (!tokens.empty() && tokens.back().kind == Token::Kind::kSpace) tokens.pop_back();
    tokens.push_back({});
    return tokens;
  }

 private:
  tl::unexpected<Error> bad(std::string_view what) const {
    return fail(Error::bad_request(fmt::format("template: output:{}: {}", line_, what)));
  }

  std::string name() {
    std::size_t from = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    return std::string(text_.substr(from, at_ - from));
  }

  Result<Token> next() {
    char c = text_[at_];
    if (std::isspace(static_cast<unsigned char>(c))) {
      ++at_;
      return Token{Token::Kind::kSpace, " ", {}};
    }
    if (c == '"' || c == '`' || c == '\'') return quoted(c);
    bool sign = (c == '-' || c == '+') && at_ + 1 < text_.size() &&
                std::isdigit(static_cast<unsigned char>(text_[at_ + 1]));
    if (std::isdigit(static_cast<unsigned char>(c)) || sign) return number();
    if (c == '.') {
      ++at_;
      return Token{Token::Kind::kField, name(), {}};
    }
    if (c == '$') {
      ++at_;
      return Token{Token::Kind::kVariable, "$" + name(), {}};
    }
    if (is_name(c)) {
      std::string word = name();
      if (word == "true" || word == "false")
        return Token{Token::Kind::kLiteral, word, Json(word == "true")};
      return Token{Token::Kind::kWord, word, {}};
    }
    if (c == ':' && text_.substr(at_, 2) == ":=") {
      at_ += 2;
      return Token{Token::Kind::kSymbol, ":=", {}};
    }
    if (std::string_view("|(),=").find(c) != std::string_view::npos) {
      ++at_;
      return Token{Token::Kind::kSymbol, std::string(1, c), {}};
    }
    return bad(fmt::format("unexpected \"{}\" in command", c));
  }

  Result<Token> quoted(char quote) {
    std::string text;
    for (++at_; at_ < text_.size() && text_[at_] != quote; ++at_) {
      char c = text_[at_];
      if (c != '\\' || quote == '`' || at_ + 1 >= text_.size()) {
        text += c;
        continue;
      }
      switch (text_[++at_]) {
        case 'n':
          text += '\n';
          break;
        case 't':
          text += '\t';
          break;
        case 'r':
          text += '\r';
          break;
        case 'x': {
          unsigned byte = 0;
          std::string_view digits = text_.substr(at_ + 1, 2);
          std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
          text += static_cast<char>(byte);
          at_ += digits.size();
          break;
        }
        default:
          text += text_[at_];
      }
    }
    if (at_ >= text_.size()) return bad("unterminated quoted string");
    ++at_;
    if (quote != '\'') return Token{Token::Kind::kLiteral, text, Json(text)};
    return Token{
        Token::Kind::kLiteral, text,
        Json(static_cast<std::int64_t>(static_cast<unsigned char>(text.empty() ? 0 : text[0])))};
  }

  Result<Token> number() {
    std::size_t from = at_++;
    while (at_ < text_.size() && (is_name(text_[at_]) || text_[at_] == '.' ||
                                  ((text_[at_] == '-' || text_[at_] == '+') &&
                                   (text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E'))))
      ++at_;
    std::string text(text_.substr(from, at_ - from));
    char* end = nullptr;
    if (text.find_first_of(".eE") == std::string::npos || text.find('x') != std::string::npos) {
      long long whole = std::strtoll(text.c_str(), &end, 0);
      if (*end == '\0')
        return Token{Token::Kind::kLiteral, text, Json(static_cast<std::int64_t>(whole))};
    }
    double real = std::strtod(text.c_str(), &end);
    if (*end != '\0') return bad(fmt::format("bad number syntax: \"{}\"", text));
    return Token{Token::Kind::kLiteral, text, Json(real)};
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_;
};

class Parser {
 public:
  Parser(std::string_view text, GoTemplate::Program& program) : text_(text), program_(program) {}

  Result<void> run() {
    MOTH_ASSIGN(std::string end, list(program_.nodes));
    if (!end.empty()) return bad(fmt::format("unexpected {{{{{}}}}}", end));
    return {};
  }

 private:
  tl::unexpected<Error> bad(std::string_view what) const {
    int line =
        1 + static_cast<int>(std::count(
                text_.begin(),
                text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())), '\n'));
    return fail(Error::bad_request(fmt::format("template: output:{}: {}", line, what)));
  }

  // Nodes up to {{end}} or {{else ...}}, which is returned; "" at the end of the text.
  Result<std::string> list(Nodes& into) {
    if (++depth_ > 100) return bad("the template is nested too deeply");
    for (;;) {
      text_before_action(into);
      if (at_ >= text_.size()) break;
      MOTH_ASSIGN(auto tokens, action());
      if (tokens.size() == 1) continue;  // a comment
      const std::string word = tokens[0].kind == Token::Kind::kWord ? tokens[0].text : "";
      if (word == "end" || word == "else") {
        pending_ = std::move(tokens);
        --depth_;
        return word;
      }
      MOTH_TRY(statement(word, std::move(tokens), into));
    }
    --depth_;
    return std::string();
  }

  void text_before_action(Nodes& into) {
    auto open = std::min(text_.find("{{", at_), text_.size());
    std::string text(text_.substr(at_, open - at_));
    if (trim_next_) text.erase(0, std::min(text.find_first_not_of(" \t\r\n"), text.size()));
    at_ = open;
    bool trims = text_.substr(at_, 3) == "{{-" && at_ + 3 < text_.size() &&
                 std::isspace(static_cast<unsigned char>(text_[at_ + 3]));
    if (trims) text.erase(text.find_last_not_of(" \t\r\n") + 1);
    if (text.empty()) return;
    Node node;
    node.text = std::move(text);
    into.push_back(std::move(node));
  }

  // The tokens of the action at `at_`, which moves behind it.
  Result<std::vector<Token>> action() {
    std::size_t from = at_ + 2;
    if (text_.substr(from, 1) == "-" && from + 1 < text_.size() &&
        std::isspace(static_cast<unsigned char>(text_[from + 1])))
      ++from;
    std::string_view rest = text_.substr(from);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r\n"), rest.size()));
    std::size_t end = 0;
    if (rest.starts_with("/*")) {
      auto close = text_.find("*/", from);
      if (close == std::string_view::npos) return bad("unclosed comment");
      end = text_.find("}}", close);
      if (end == std::string_view::npos) return bad("comment ends before closing delimiter");
      trim_next_ = text_[end - 1] == '-';
      at_ = end + 2;
      return std::vector<Token>(1);
    }
    end = end_of_action(from);
    if (end >= text_.size()) return bad("unclosed action");
    std::string_view inner = text_.substr(from, end - from);
    trim_next_ = inner.size() >= 2 && inner.back() == '-' &&
                 std::isspace(static_cast<unsigned char>(inner[inner.size() - 2]));
    if (trim_next_) inner.remove_suffix(1);
    int line = 1 + static_cast<int>(std::count(
                       text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(from), '\n'));
    at_ = end + 2;
    MOTH_ASSIGN(auto tokens, Lexer(inner, line).run());
    if (tokens.size() == 1) return bad("missing value for command");
    return tokens;
  }

  // Where the action's }} is, outside of quotes.
  std::size_t end_of_action(std::size_t from) const {
    char quote = 0;
    for (std::size_t i = from; i < text_.size(); ++i) {
      char c = text_[i];
      if (quote != 0) {
        if (c == '\\' && quote != '`')
          ++i;
        else if (c == quote)
          quote = 0;
      } else if (c == '"' || c == '`' || c == '\'') {
        quote = c;
      } else if (text_.substr(i, 2) == "}}") {
        return i;
      }
    }
    return text_.size();
  }

  Result<void> statement(const std::string& word, std::vector<Token> tokens, Nodes& into) {
    tokens_ = std::move(tokens);
    token_ = 0;
    if (word == "if" || word == "range" || word == "with") return block(word, into);
    if (word == "define" || word == "block") return definition(word, into);
    Node node;
    if (word == "break" || word == "continue") {
      node.kind = word == "break" ? Node::Kind::kBreak : Node::Kind::kContinue;
      into.push_back(std::move(node));
      return {};
    }
    node.kind = Node::Kind::kAction;
    if (word == "template") {
      node.kind = Node::Kind::kTemplate;
      ++token_;
      MOTH_ASSIGN(node.text, template_name());
      skip_space();
      node.has_pipeline = tokens_[token_].kind != Token::Kind::kEnd;
      if (!node.has_pipeline) {
        into.push_back(std::move(node));
        return {};
      }
    }
    MOTH_ASSIGN(node.pipeline, pipeline(false, false));
    into.push_back(std::move(node));
    return {};
  }

  Result<std::string> template_name() {
    skip_space();
    const Token& token = tokens_[token_++];
    if (token.kind != Token::Kind::kLiteral || !token.literal.is_string())
      return bad("unexpected word in template clause: a quoted name is expected");
    return token.literal.get<std::string>();
  }

  Result<void> definition(const std::string& word, Nodes& into) {
    ++token_;
    MOTH_ASSIGN(std::string name, template_name());
    Node call;
    if (word == "block") {
      call.kind = Node::Kind::kTemplate;
      call.text = name;
      call.has_pipeline = true;
      MOTH_ASSIGN(call.pipeline, pipeline(false, false));
    }
    Nodes body;
    MOTH_ASSIGN(std::string end, list(body));
    if (end != "end") return bad(end.empty() ? "unexpected EOF" : "unexpected {{else}}");
    program_.defined[name] = std::move(body);
    if (word == "block") into.push_back(std::move(call));
    return {};
  }

  // The rest of if, range and with; an {{else if}} is a nested one.
  Result<void> block(const std::string& word, Nodes& into) {
    Node node;
    node.kind = word == "if"      ? Node::Kind::kIf
                : word == "range" ? Node::Kind::kRange
                                  : Node::Kind::kWith;
    ++token_;
    MOTH_ASSIGN(node.pipeline, pipeline(word == "range", false));
    MOTH_ASSIGN(std::string end, list(node.body));
    if (end == "else") {
      // {{else if ...}}, {{else with ...}}
      std::vector<Token> rest(pending_.begin() + 1, pending_.end());
      if (!rest.empty() && rest[0].kind == Token::Kind::kSpace) rest.erase(rest.begin());
      if (rest[0].kind == Token::Kind::kWord && (rest[0].text == "if" || rest[0].text == "with")) {
        std::string nested = rest[0].text;
        tokens_ = std::move(rest);
        token_ = 0;
        MOTH_TRY(block(nested, node.otherwise));
        into.push_back(std::move(node));
        return {};
      }
      MOTH_ASSIGN(end, list(node.otherwise));
    }
    if (end != "end") return bad(end.empty() ? "unexpected EOF" : "expected end; found {{else}}");
    into.push_back(std::move(node));
    return {};
  }

  void skip_space() {
    if (tokens_[token_].kind == Token::Kind::kSpace) ++token_;
  }

  // $x := ..., $k, $v := ...
  void declaration(Pipeline& into, bool in_range) {
    std::size_t back = token_;
    std::vector<std::string> names;
    skip_space();
    while (tokens_[token_].kind == Token::Kind::kVariable && names.size() < (in_range ? 2u : 1u)) {
      names.push_back(tokens_[token_++].text);
      skip_space();
      if (tokens_[token_].text == "," && in_range) {
        ++token_;
        skip_space();
        continue;
      }
      break;
    }
    const std::string& sign = tokens_[token_].text;
    bool declares = tokens_[token_].kind == Token::Kind::kSymbol && (sign == ":=" || sign == "=");
    if (names.empty() || !declares) {
      token_ = back;
      return;
    }
    into.variables = std::move(names);
    into.assigns = sign == "=";
    ++token_;
  }

  Result<Pipeline> pipeline(bool in_range, bool nested) {
    Pipeline out;
    declaration(out, in_range);
    for (;;) {
      MOTH_ASSIGN(Command command, one_command());
      out.commands.push_back(std::move(command));
      skip_space();
      const Token& token = tokens_[token_];
      if (token.text == "|" && token.kind == Token::Kind::kSymbol) {
        ++token_;
        continue;
      }
      bool closes = token.kind == Token::Kind::kSymbol && token.text == ")";
      if (token.kind == Token::Kind::kEnd && !nested) return out;
      if (closes && nested) {
        ++token_;
        return out;
      }
      if (token.kind == Token::Kind::kEnd) return bad("unclosed left paren");
      return bad(fmt::format("unexpected \"{}\" in operand", token.text));
    }
  }

  Result<Command> one_command() {
    Command command;
    for (;;) {
      skip_space();
      const Token& token = tokens_[token_];
      bool ends = token.kind == Token::Kind::kEnd ||
                  (token.kind == Token::Kind::kSymbol && (token.text == "|" || token.text == ")"));
      if (ends) break;
      MOTH_ASSIGN(Operand operand, one_operand());
      command.words.push_back(std::move(operand));
    }
    if (command.words.empty()) return bad("missing value for command");
    return command;
  }

  Result<Operand> one_operand() {
    Operand operand;
    Token token = tokens_[token_++];
    switch (token.kind) {
      case Token::Kind::kLiteral:
        operand.kind = Operand::Kind::kLiteral;
        operand.literal = std::move(token.literal);
        break;
      case Token::Kind::kField:
        if (!token.text.empty()) operand.fields.push_back(std::move(token.text));
        break;
      case Token::Kind::kVariable:
        operand.kind = Operand::Kind::kVariable;
        operand.name = std::move(token.text);
        break;
      case Token::Kind::kWord:
        if (token.text == "nil") {
          operand.kind = Operand::Kind::kNil;
          break;
        }
        if (!is_function(token.text))
          return bad(fmt::format("function \"{}\" not defined", token.text));
        operand.kind = Operand::Kind::kFunction;
        operand.name = std::move(token.text);
        break;
      case Token::Kind::kSymbol:
        if (token.text == "(") {
          operand.kind = Operand::Kind::kPipeline;
          if (++depth_ > 100) return bad("the template is nested too deeply");
          MOTH_ASSIGN(Pipeline inner, pipeline(false, true));
          --depth_;
          operand.pipeline = std::make_shared<Pipeline>(std::move(inner));
          break;
        }
        [[fallthrough]];
      default:
        return bad(fmt::format("unexpected \"{}\" in command", token.text));
    }
    while (tokens_[token_].kind == Token::Kind::kField && !tokens_[token_].text.empty())
      operand.fields.push_back(tokens_[token_++].text);
    return operand;
  }

  std::string_view text_;
  GoTemplate::Program& program_;
  std::size_t at_ = 0;
  bool trim_next_ = false;
  int depth_ = 0;
  std::vector<Token> tokens_, pending_;
  std::size_t token_ = 0;
};

}  // namespace
}  // namespace go

Result<GoTemplate> GoTemplate::parse(std::string_view text) {
  auto program = std::make_shared<Program>();
  MOTH_TRY(go::Parser(text, *program).run());
  return GoTemplate(std::move(program));
}

}  // namespace moth::ctl
