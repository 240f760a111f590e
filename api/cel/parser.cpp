#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "api/cel/ast.h"
#include "api/cel/lexer.h"

namespace moth::cel {
namespace {

NodePtr make(Op op, std::size_t position, std::string text = "") {
  auto node = std::make_unique<Node>();
  node->op = op;
  node->position = position;
  node->text = std::move(text);
  return node;
}

struct MacroName {
  std::string_view name;
  Macro macro;
  std::size_t least, most;  // arguments
};
// With a variable more where `all` and its like have three arguments.
constexpr std::array<MacroName, 9> kMacros = {
    {{"all", Macro::kAll, 2, 3},
     {"exists", Macro::kExists, 2, 3},
     {"exists_one", Macro::kExistsOne, 2, 3},
     {"existsOne", Macro::kExistsOne, 2, 3},
     {"filter", Macro::kFilter, 2, 2},
     {"map", Macro::kMap, 2, 3},
     {"transformList", Macro::kTransformList, 3, 4},
     {"transformMap", Macro::kTransformMap, 3, 4},
     {"transformMapEntry", Macro::kTransformMapEntry, 3, 4}}};

class Parser {
 public:
  Parser(std::string_view input, std::vector<Token> tokens)
      : input_(input), tokens_(std::move(tokens)) {}

  Result<NodePtr> run() {
    MOTH_ASSIGN(NodePtr root, expression());
    if (peek().kind != Token::Kind::kEnd) return unexpected();
    return root;
  }

 private:
  const Token& peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  bool is(std::string_view punctuation) const {
    return peek().kind == Token::Kind::kPunctuation && peek().text == punctuation;
  }
  bool take(std::string_view punctuation) {
    if (!is(punctuation)) return false;
    ++at_;
    return true;
  }

  tl::unexpected<Error> wrong(std::size_t position, std::string_view what) const {
    return fail(Error::bad_request(error_text(input_, position, what)));
  }
  tl::unexpected<Error> unexpected() const {
    const Token& token = peek();
    if (token.kind == Token::Kind::kEnd) {
      return wrong(token.position,
                   "Syntax error: mismatched input '<EOF>' expecting an expression");
    }
    std::size_t end = std::max(peek(1).position, token.position + 1);
    std::string_view text = input_.substr(token.position, end - token.position);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return wrong(token.position, fmt::format("Syntax error: mismatched input '{}'", text));
  }
  Result<> expect(std::string_view punctuation) {
    if (take(punctuation)) return {};
    return unexpected();
  }

  // `node` with its children; an error when it is nested too deep to be walked.
  Result<NodePtr> finish(NodePtr node) const {
    for (const NodePtr& child : node->children)
      node->height = std::max(node->height, child->height + 1);
    if (node->height > kMaxHeight) {
      return wrong(node->position,
                   fmt::format("expression recursion limit exceeded: {}", kMaxHeight));
    }
    return node;
  }
  template <class... Nodes>
  Result<NodePtr> call(std::size_t position, std::string name, Nodes... children) const {
    NodePtr node = make(Op::kCall, position, std::move(name));
    (node->children.push_back(std::move(children)), ...);
    return finish(std::move(node));
  }

  Result<NodePtr> expression() {
    if (++depth_ > kMaxHeight) {
      return wrong(peek().position,
                   fmt::format("expression recursion limit exceeded: {}", kMaxHeight));
    }
    auto node = ternary();
    --depth_;
    return node;
  }

  Result<NodePtr> ternary() {
    MOTH_ASSIGN(NodePtr condition, logic("||", Op::kOr));
    std::size_t position = peek().position;
    if (!take("?")) return condition;
    NodePtr node = make(Op::kTernary, position);
    node->children.push_back(std::move(condition));
    MOTH_ASSIGN(NodePtr yes, logic("||", Op::kOr));
    MOTH_TRY(expect(":"));
    MOTH_ASSIGN(NodePtr no, expression());
    node->children.push_back(std::move(yes));
    node->children.push_back(std::move(no));
    return finish(std::move(node));
  }

  // Long chains of one operator are one node, so that they are not deep.
  Result<NodePtr> logic(std::string_view symbol, Op op) {
    auto part = [&]() { return op == Op::kOr ? logic("&&", Op::kAnd) : relation(); };
    MOTH_ASSIGN(NodePtr first, part());
    if (!is(symbol)) return first;
    NodePtr node = make(op, peek().position);
    node->children.push_back(std::move(first));
    while (take(symbol)) {
      MOTH_ASSIGN(NodePtr next, part());
      node->children.push_back(std::move(next));
    }
    return finish(std::move(node));
  }

  Result<NodePtr> relation() {
    MOTH_ASSIGN(NodePtr left, sum());
    for (;;) {
      std::size_t position = peek().position;
      bool in = peek().kind == Token::Kind::kIdent && peek().text == "in";
      static constexpr std::array<std::string_view, 6> kSymbols = {
          "==", "!=", "<=", ">=", "<", ">"};
      bool symbol = std::any_of(kSymbols.begin(), kSymbols.end(),
                                [&](std::string_view candidate) { return is(candidate); });
      if (!in && !symbol) return left;
      std::string name = in ? "@in" : "_" + peek().text + "_";
      ++at_;
      MOTH_ASSIGN(NodePtr right, sum());
      MOTH_ASSIGN(left, call(position, std::move(name), std::move(left), std::move(right)));
    }
  }

  Result<NodePtr> sum() {
    MOTH_ASSIGN(NodePtr left, product());
    while (is("+") || is("-")) {
      std::size_t position = peek().position;
      std::string name = "_" + tokens_[at_++].text + "_";
      MOTH_ASSIGN(NodePtr right, product());
      MOTH_ASSIGN(left, call(position, std::move(name), std::move(left), std::move(right)));
    }
    return left;
  }

  Result<NodePtr> product() {
    MOTH_ASSIGN(NodePtr left, unary());
    while (is("*") || is("/") || is("%")) {
      std::size_t position = peek().position;
      std::string name = "_" + tokens_[at_++].text + "_";
      MOTH_ASSIGN(NodePtr right, unary());
      MOTH_ASSIGN(left, call(position, std::move(name), std::move(left), std::move(right)));
    }
    return left;
  }

  Result<NodePtr> unary() {
    std::size_t position = peek().position;
    if (!is("!") && !is("-")) return member();
    std::string symbol = tokens_[at_++].text;
    bool number = peek().kind == Token::Kind::kInt || peek().kind == Token::Kind::kDouble;
    if (symbol == "-" && number) {
      negative_ = true;
      return member();
    }
    if (++depth_ > kMaxHeight) return wrong(position, "expression recursion limit exceeded");
    MOTH_ASSIGN(NodePtr operand, unary());
    --depth_;
    return call(position, symbol == "!" ? "!_" : "-_", std::move(operand));
  }

  Result<NodePtr> member() {
    MOTH_ASSIGN(NodePtr node, primary());
    for (;;) {
      std::size_t position = peek().position;
      if (is(".") || is(".?")) {
        bool optional = is(".?");
        ++at_;
        if (peek().kind != Token::Kind::kIdent) return unexpected();
        std::string name = tokens_[at_++].text;
        if (!optional && is("(")) {
          MOTH_ASSIGN(node, method(std::move(node), std::move(name)));
          continue;
        }
        NodePtr select = make(Op::kSelect, position, std::move(name));
        select->optional = optional;
        select->children.push_back(std::move(node));
        MOTH_ASSIGN(node, finish(std::move(select)));
      } else if (is("[") || is("[?")) {
        NodePtr index = make(Op::kIndex, position);
        index->optional = is("[?");
        ++at_;
        MOTH_ASSIGN(NodePtr key, expression());
        MOTH_TRY(expect("]"));
        index->children.push_back(std::move(node));
        index->children.push_back(std::move(key));
        MOTH_ASSIGN(node, finish(std::move(index)));
      } else if (is("{") && (node->op == Op::kIdent || node->op == Op::kSelect)) {
        return wrong(position, "messages cannot be made in expressions");
      } else {
        return node;
      }
    }
  }

  Result<std::vector<NodePtr>> arguments() {
    MOTH_TRY(expect("("));
    std::vector<NodePtr> list;
    if (take(")")) return list;
    do {
      MOTH_ASSIGN(NodePtr next, expression());
      list.push_back(std::move(next));
    } while (take(","));
    MOTH_TRY(expect(")"));
    return list;
  }

  Result<NodePtr> method(NodePtr receiver, std::string name) {
    std::size_t position = peek().position;
    MOTH_ASSIGN(auto given, arguments());
    for (const MacroName& macro : kMacros) {
      if (macro.name == name)
        return comprehension(std::move(receiver), macro, position, std::move(given));
    }
    if (name == "bind" && receiver->op == Op::kIdent && receiver->text == "cel")
      return bind(position, std::move(given));
    if ((name == "optMap" || name == "optFlatMap") && given.size() == 2) {
      if (given[0]->op != Op::kIdent)
        return wrong(given[0]->position, name + "() variable name must be a simple identifier");
      NodePtr node = make(Op::kOptMap, position, given[0]->text);
      node->flat = name == "optFlatMap";
      node->children.push_back(std::move(receiver));
      node->children.push_back(std::move(given[1]));
      return finish(std::move(node));
    }
    NodePtr node = make(Op::kCall, position, std::move(name));
    node->member = true;
    node->children.push_back(std::move(receiver));
    for (NodePtr& argument : given) node->children.push_back(std::move(argument));
    return finish(std::move(node));
  }

  Result<NodePtr> bind(std::size_t position, std::vector<NodePtr> given) {
    if (given.size() != 3) return wrong(position, "wrong number of arguments for macro 'bind'");
    if (given[0]->op != Op::kIdent)
      return wrong(given[0]->position, "cel.bind() variable names must be simple identifiers");
    NodePtr node = make(Op::kBind, position, given[0]->text);
    node->children.push_back(std::move(given[1]));
    node->children.push_back(std::move(given[2]));
    return finish(std::move(node));
  }

  Result<NodePtr> comprehension(NodePtr range, const MacroName& macro, std::size_t position,
                                std::vector<NodePtr> given) {
    if (given.size() < macro.least || given.size() > macro.most) {
      return wrong(position, fmt::format("wrong number of arguments for macro '{}'", macro.name));
    }
    bool filtered_map = macro.macro == Macro::kMap && given.size() == 3;
    std::size_t variables = given.size() > 2 && !filtered_map ? 2 : 1;
    for (std::size_t i = 0; i < variables; ++i) {
      if (given[i]->op != Op::kIdent)
        return wrong(given[i]->position, "argument must be a simple name");
    }
    NodePtr node = make(Op::kComprehension, position, given[0]->text);
    if (variables == 2) node->second = given[1]->text;
    if (node->second == node->text)
      return wrong(given[1]->position, "duplicate variable name: " + node->text);
    node->macro = filtered_map ? Macro::kMapFiltered : macro.macro;
    node->children.push_back(std::move(range));
    for (std::size_t i = variables; i < given.size(); ++i)
      node->children.push_back(std::move(given[i]));
    return finish(std::move(node));
  }

  Result<NodePtr> make_call(std::string name, std::size_t position, std::vector<NodePtr> given) {
    NodePtr node = make(Op::kCall, position, std::move(name));
    node->children = std::move(given);
    return finish(std::move(node));
  }

  Result<NodePtr> primary() {
    const Token token = peek();
    bool negative = std::exchange(negative_, false);
    switch (token.kind) {
      case Token::Kind::kInt:
      case Token::Kind::kUint:
      case Token::Kind::kDouble:
        ++at_;
        return number(token, negative);
      case Token::Kind::kString: {
        ++at_;
        NodePtr node = make(Op::kLiteral, token.position);
        node->literal = Value::text(token.text);
        return node;
      }
      case Token::Kind::kBytes: {
        ++at_;
        NodePtr node = make(Op::kLiteral, token.position);
        node->literal = Value::Variant(Bytes{std::make_shared<const std::string>(token.text)});
        return node;
      }
      case Token::Kind::kIdent:
        ++at_;
        return identifier(token);
      default:
        break;
    }
    if (take("(")) {
      MOTH_ASSIGN(NodePtr inner, expression());
      MOTH_TRY(expect(")"));
      return inner;
    }
    if (is("[") || is("[?")) return list();
    if (is("{")) return map();
    if (take(".") && peek().kind == Token::Kind::kIdent) return primary();
    return unexpected();
  }

  Result<NodePtr> number(const Token& token, bool negative) {
    NodePtr node = make(Op::kLiteral, token.position);
    std::string_view digits = token.text;
    if (token.kind == Token::Kind::kDouble) {
      double value = std::strtod(token.text.c_str(), nullptr);
      node->literal = Value::Variant(negative ? -value : value);
      return node;
    }
    int base = digits.starts_with("0x") ? 16 : 10;
    if (base == 16) digits.remove_prefix(2);
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    bool is_uint = token.kind == Token::Kind::kUint;
    std::uint64_t limit = is_uint    ? UINT64_MAX
                          : negative ? std::uint64_t{1} << 63
                                     : static_cast<std::uint64_t>(INT64_MAX);
    if (error != std::errc{} || end != digits.data() + digits.size() || value > limit)
      return wrong(token.position, is_uint ? "invalid uint literal" : "invalid int literal");
    if (is_uint) {
      node->literal = Value::Variant(value);
    } else {
      node->literal =
          Value::Variant(static_cast<std::int64_t>(negative ? std::uint64_t{0} - value : value));
    }
    return node;
  }

  Result<NodePtr> identifier(const Token& token) {
    NodePtr node = make(Op::kLiteral, token.position);
    if (token.text == "true" || token.text == "false") {
      node->literal = Value::Variant(token.text == "true");
      return node;
    }
    if (token.text == "null") return node;
    static constexpr std::array<std::string_view, 15> kReserved = {
        "as", "break",  "const", "continue", "else",    "for",       "function", "if",
        "in", "import", "let",   "loop",     "package", "namespace", "return"};
    if (std::find(kReserved.begin(), kReserved.end(), token.text) != kReserved.end()) {
      return wrong(token.position, "reserved identifier: " + token.text);
    }
    if (!is("(")) {
      node->op = Op::kIdent;
      node->text = token.text;
      return node;
    }
    std::size_t position = peek().position;
    MOTH_ASSIGN(auto given, arguments());
    if (token.text == "has") {
      if (given.size() != 1 || given[0]->op != Op::kSelect || given[0]->optional)
        return wrong(position, "invalid argument to has() macro");
      given[0]->op = Op::kHas;
      given[0]->position = position;
      return std::move(given[0]);
    }
    return make_call(token.text, position, std::move(given));
  }

  Result<NodePtr> list() {
    NodePtr node = make(Op::kList, peek().position);
    bool optional = is("[?");
    ++at_;
    while (!take("]")) {
      optional = optional || take("?");
      MOTH_ASSIGN(NodePtr item, expression());
      node->children.push_back(std::move(item));
      node->optionals.push_back(std::exchange(optional, false));
      if (!take(",")) {
        MOTH_TRY(expect("]"));
        break;
      }
    }
    return finish(std::move(node));
  }

  Result<NodePtr> map() {
    NodePtr node = make(Op::kMap, peek().position);
    ++at_;
    while (!take("}")) {
      node->optionals.push_back(take("?"));
      MOTH_ASSIGN(NodePtr key, expression());
      MOTH_TRY(expect(":"));
      MOTH_ASSIGN(NodePtr value, expression());
      node->children.push_back(std::move(key));
      node->children.push_back(std::move(value));
      if (!take(",")) {
        MOTH_TRY(expect("}"));
        break;
      }
    }
    return finish(std::move(node));
  }

  std::string_view input_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool negative_ = false;  // the number that comes next
};

}  // namespace

Result<NodePtr> parse_expression(std::string_view expression) {
  if (expression.size() > kMaxExpression) {
    return fail(Error::bad_request(
        fmt::format("expression code point size exceeds limit: size: {}, limit {}",
                    expression.size(), kMaxExpression)));
  }
  MOTH_ASSIGN(auto tokens, split_tokens(expression));
  return Parser(expression, std::move(tokens)).run();
}

}  // namespace moth::cel
