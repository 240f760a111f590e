#include "api/cel/lexer.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <optional>

#include "api/cel/ast.h"
#include "api/machinery/text.h"

namespace moth::cel {
namespace {

bool is_digit(char c) {
  return std::isdigit(static_cast<unsigned char>(c)) != 0;
}
bool is_hex(char c) {
  return std::isxdigit(static_cast<unsigned char>(c)) != 0;
}
bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

constexpr std::array<std::string_view, 26> kPunctuation = {
    "==", "!=", "<=", ">=", "&&", "||", ".?", "[?", "{?", ",?", "+", "-", "*",
    "/",  "%",  "<",  ">",  "!",  "?",  ":",  ".",  ",",  "[",  "]", "(", ")"};

class Lexer {
 public:
  explicit Lexer(std::string_view input) : input_(input) {}

  Result<std::vector<Token>> run() {
    std::vector<Token> tokens;
    for (;;) {
      skip_blank();
      Token token;
      token.position = at_;
      if (at_ >= input_.size()) {
        tokens.push_back(std::move(token));
        return tokens;
      }
      MOTH_TRY(next(token));
      tokens.push_back(std::move(token));
    }
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < input_.size() ? input_[at_ + ahead] : '\0';
  }

  tl::unexpected<Error> wrong(std::size_t position, std::string_view what) const {
    return fail(Error::bad_request(error_text(input_, position, what)));
  }

  void skip_blank() {
    while (at_ < input_.size()) {
      if (std::isspace(static_cast<unsigned char>(peek()))) {
        ++at_;
      } else if (peek() == '/' && peek(1) == '/') {
        while (at_ < input_.size() && peek() != '\n') ++at_;
      } else {
        return;
      }
    }
  }

  Result<> next(Token& token) {
    if (is_digit(peek()) || (peek() == '.' && is_digit(peek(1)))) return number(token);
    if (std::size_t prefix = string_prefix(); prefix != std::string_view::npos) {
      return text(token, prefix);
    }
    if (is_word(peek())) {
      while (is_word(peek())) token.text += input_[at_++];
      token.kind = Token::Kind::kIdent;
      return {};
    }
    if (peek() == '`') return quoted_field(token);
    token.kind = Token::Kind::kPunctuation;
    // `?` marks an optional entry only right after these; after a space it is a ternary's.
    for (std::string_view candidate : kPunctuation) {
      if (candidate == ",?" || candidate == "{?") continue;
      if (input_.substr(at_).starts_with(candidate)) {
        token.text = candidate;
        at_ += candidate.size();
        return {};
      }
    }
    if (peek() == '{' || peek() == '}') {
      token.text = input_[at_++];
      return {};
    }
    return wrong(at_, fmt::format("Syntax error: token recognition error at: '{}'", peek()));
  }

  // A field name in backticks: `a-b`.
  Result<> quoted_field(Token& token) {
    std::size_t end = input_.find('`', at_ + 1);
    if (end == std::string_view::npos)
      return wrong(at_, "Syntax error: token recognition error at: '`'");
    token.kind = Token::Kind::kIdent;
    token.text = input_.substr(at_ + 1, end - at_ - 1);
    at_ = end + 1;
    return {};
  }

  Result<> number(Token& token) {
    token.kind = Token::Kind::kInt;
    if (peek() == '0' && (peek(1) == 'x' || peek(1) == 'X') && is_hex(peek(2))) {
      token.text = "0x";
      at_ += 2;
      while (is_hex(peek())) token.text += input_[at_++];
    } else {
      while (is_digit(peek())) token.text += input_[at_++];
      if (peek() == '.' && is_digit(peek(1))) {
        token.kind = Token::Kind::kDouble;
        token.text += input_[at_++];
        while (is_digit(peek())) token.text += input_[at_++];
      }
      std::size_t sign = peek(1) == '+' || peek(1) == '-' ? 2 : 1;
      if ((peek() == 'e' || peek() == 'E') && is_digit(peek(sign))) {
        token.kind = Token::Kind::kDouble;
        token.text += input_.substr(at_, sign);
        at_ += sign;
        while (is_digit(peek())) token.text += input_[at_++];
      }
    }
    if (token.kind == Token::Kind::kInt && (peek() == 'u' || peek() == 'U')) {
      token.kind = Token::Kind::kUint;
      ++at_;
    }
    if (is_word(peek()))
      return wrong(at_, fmt::format("Syntax error: extraneous input '{}'", peek()));
    return {};
  }

  // The length of r, b, rb in front of a quote; npos when no string begins here.
  std::size_t string_prefix() const {
    for (std::size_t length = 0; length <= 2; ++length) {
      char c = peek(length);
      if (c == '"' || c == '\'') return length;
      if (c != 'r' && c != 'R' && c != 'b' && c != 'B') break;
    }
    return std::string_view::npos;
  }

  Result<> text(Token& token, std::size_t prefix) {
    std::size_t start = at_;
    bool raw = false, bytes = false;
    for (std::size_t i = 0; i < prefix; ++i) {
      char c = static_cast<char>(std::tolower(static_cast<unsigned char>(peek(i))));
      (c == 'r' ? raw : bytes) = true;
    }
    at_ += prefix;
    token.kind = bytes ? Token::Kind::kBytes : Token::Kind::kString;
    char quote = peek();
    std::string end(1, quote);
    if (peek(1) == quote && peek(2) == quote) end.assign(3, quote);
    at_ += end.size();
    for (;;) {
      if (at_ >= input_.size() || (end.size() == 1 && peek() == '\n')) {
        return wrong(start, fmt::format("Syntax error: token recognition error at: '{}'",
                                        input_.substr(start, 20)));
      }
      if (input_.substr(at_).starts_with(end)) {
        at_ += end.size();
        return {};
      }
      if (peek() == '\\' && !raw) {
        MOTH_TRY(escape(token.text, bytes));
      } else {
        token.text += input_[at_++];
      }
    }
  }

  Result<> escape(std::string& out, bool bytes) {
    std::size_t start = at_++;
    char c = peek();
    ++at_;
    static constexpr std::string_view kNames = "abfnrtv\\\"'`?";
    static constexpr std::string_view kValues = "\a\b\f\n\r\t\v\\\"'`?";
    if (std::size_t known = kNames.find(c); known != std::string_view::npos) {
      out += kValues[known];
      return {};
    }
    std::size_t digits = c == 'x' || c == 'X' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    unsigned base = 16;
    if (c >= '0' && c <= '3') {
      digits = 3;
      base = 8;
      --at_;
    }
    std::uint32_t code = 0;
    for (std::size_t i = 0; i < digits; ++i, ++at_) {
      char digit = peek();
      bool fits = base == 8 ? digit >= '0' && digit <= '7' : is_hex(digit);
      if (!fits) return wrong(start, "Syntax error: invalid escape sequence");
      code = code * base +
             static_cast<std::uint32_t>(is_digit(digit) ? digit - '0' : (digit | 0x20) - 'a' + 10);
    }
    if (digits == 0 || code > 0x10FFFF)
      return wrong(start, "Syntax error: invalid escape sequence");
    if (bytes && digits <= 3) {
      out += static_cast<char>(code);
    } else {
      utf8_append(code, out);
    }
    return {};
  }

  std::string_view input_;
  std::size_t at_ = 0;
};

}  // namespace

std::string error_text(std::string_view expression, std::size_t position, std::string_view what) {
  position = std::min(position, expression.size());
  std::size_t line_start = expression.rfind('\n', position == 0 ? 0 : position - 1);
  line_start = line_start == std::string_view::npos || position == 0 ? 0 : line_start + 1;
  std::size_t line = 1;
  for (std::size_t i = 0; i < line_start; ++i) line += expression[i] == '\n';
  std::size_t line_end = expression.find('\n', position);
  std::string_view text = expression.substr(
      line_start, (line_end == std::string_view::npos ? expression.size() : line_end) - line_start);
  std::size_t column = position - line_start;
  return fmt::format("ERROR: <input>:{}:{}: {}\n | {}\n | {}^", line, column + 1, what, text,
                     std::string(column, '.'));
}

Result<std::vector<Token>> split_tokens(std::string_view expression) {
  return Lexer(expression).run();
}

}  // namespace moth::cel
