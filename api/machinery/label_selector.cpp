#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/selectors.h"
#include "api/machinery/text.h"

namespace moth {
namespace {

enum class Token {
  kEnd,
  kIdentifier,
  kComma,
  kNot,
  kOpen,
  kClose,
  kEquals,
  kDoubleEquals,
  kNotEquals,
  kGreater,
  kLess,
  kIn,
  kNotIn,
  kError,
};

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}
bool is_symbol(char c) {
  return std::string_view("=!(),><").find(c) != std::string_view::npos;
}

// Reads tokens with one token of look-ahead.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) { advance(); }

  Token kind() const { return kind_; }
  const std::string& literal() const { return literal_; }
  // `in` and `notin` are plain words where a key or a value is expected.
  Token word_kind() const {
    return kind_ == Token::kIn || kind_ == Token::kNotIn ? Token::kIdentifier : kind_;
  }

  void advance() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
    if (at_ == text_.size()) {
      kind_ = Token::kEnd;
      literal_.clear();
      return;
    }
    std::size_t start = at_;
    bool symbol = is_symbol(text_[at_]);
    if (symbol) {
      read_symbol();
    } else {
      while (at_ < text_.size() && !is_space(text_[at_]) && !is_symbol(text_[at_])) ++at_;
    }
    literal_ = text_.substr(start, at_ - start);
    if (!symbol) {
      kind_ = literal_ == "in"      ? Token::kIn
              : literal_ == "notin" ? Token::kNotIn
                                    : Token::kIdentifier;
    }
  }

 private:
  void read_symbol() {
    char c = text_[at_++];
    bool equals_follows = at_ < text_.size() && text_[at_] == '=';
    switch (c) {
      case '=':
        kind_ = equals_follows ? Token::kDoubleEquals : Token::kEquals;
        break;
      case '!':
        kind_ = equals_follows ? Token::kNotEquals : Token::kNot;
        break;
      case '(':
        kind_ = Token::kOpen;
        return;
      case ')':
        kind_ = Token::kClose;
        return;
      case ',':
        kind_ = Token::kComma;
        return;
      case '>':
        kind_ = Token::kGreater;
        return;
      default:
        kind_ = Token::kLess;
        return;
    }
    if (equals_follows) ++at_;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  Token kind_ = Token::kEnd;
  std::string literal_;
};

tl::unexpected<Error> found(const Lexer& lexer, std::string_view expected) {
  return fail(Error::bad_request(fmt::format(
      "unable to parse requirement: found '{}', expected: {}", lexer.literal(), expected)));
}

bool parse_integer(std::string_view text, std::int64_t& number) {
  if (text.starts_with('+')) text.remove_prefix(1);
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool is_comparison(SelectorOperator op) {
  return op == SelectorOperator::kGreaterThan || op == SelectorOperator::kLessThan;
}

Result<void> check_requirement(const LabelRequirement& requirement) {
  FieldErrors errors;
  add_invalid(errors, FieldPath("key"), requirement.key, check_qualified_name(requirement.key));
  for (std::size_t i = 0; i < requirement.values.size(); ++i) {
    const std::string& value = requirement.values[i];
    std::int64_t number = 0;
    if (is_comparison(requirement.op) && !parse_integer(value, number)) {
      errors.push_back(
          FieldError::invalid(FieldPath("values").index(i), value,
                              "for 'Gt', 'Lt' operators, the value must be an integer"));
    }
    add_invalid(errors, FieldPath("values").index(i).key(requirement.key), value,
                check_label_value(value));
  }
  if (errors.empty()) return {};
  std::string text = errors.front().to_string();
  if (errors.size() > 1) {
    for (std::size_t i = 1; i < errors.size(); ++i) text += ", " + errors[i].to_string();
    text = "[" + text + "]";
  }
  return fail(Error::bad_request("unable to parse requirement: " + text));
}

Result<std::vector<std::string>> parse_value_set(Lexer& lexer) {
  if (lexer.kind() != Token::kOpen) return found(lexer, "'('");
  lexer.advance();
  std::vector<std::string> values;
  bool expect_value = true;
  for (;;) {
    switch (lexer.word_kind()) {
      case Token::kIdentifier:
        if (!expect_value) return found(lexer, "',' or ')'");
        values.push_back(lexer.literal());
        expect_value = false;
        break;
      case Token::kComma:
        if (expect_value) values.emplace_back();
        expect_value = true;
        break;
      case Token::kClose:
        if (expect_value) values.emplace_back();
        lexer.advance();
        return values;
      default:
        return found(lexer, "',', ')' or identifier");
    }
    lexer.advance();
  }
}

Result<std::vector<std::string>> parse_single_value(Lexer& lexer) {
  if (lexer.kind() == Token::kEnd || lexer.kind() == Token::kComma)
    return std::vector<std::string>{""};
  if (lexer.word_kind() != Token::kIdentifier) return found(lexer, "identifier");
  std::vector<std::string> values{lexer.literal()};
  lexer.advance();
  return values;
}

std::optional<SelectorOperator> to_operator(Token token) {
  switch (token) {
    case Token::kIn:
      return SelectorOperator::kIn;
    case Token::kNotIn:
      return SelectorOperator::kNotIn;
    case Token::kEquals:
    case Token::kDoubleEquals:
      return SelectorOperator::kEquals;
    case Token::kNotEquals:
      return SelectorOperator::kNotEquals;
    case Token::kGreater:
      return SelectorOperator::kGreaterThan;
    case Token::kLess:
      return SelectorOperator::kLessThan;
    default:
      return std::nullopt;
  }
}

void normalize(std::vector<std::string>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

Result<LabelRequirement> parse_requirement(Lexer& lexer) {
  LabelRequirement requirement;
  bool negated = lexer.kind() == Token::kNot;
  if (negated) lexer.advance();
  if (lexer.word_kind() != Token::kIdentifier) return found(lexer, "identifier");
  requirement.key = lexer.literal();
  lexer.advance();
  if (lexer.kind() == Token::kEnd || lexer.kind() == Token::kComma) {
    requirement.op = negated ? SelectorOperator::kDoesNotExist : SelectorOperator::kExists;
  } else {
    if (negated) return found(lexer, "',' or 'end of string'");
    auto op = to_operator(lexer.kind());
    if (!op) return found(lexer, "in, notin, =, ==, !=, gt, lt");
    requirement.op = *op;
    bool set =
        requirement.op == SelectorOperator::kIn || requirement.op == SelectorOperator::kNotIn;
    lexer.advance();
    MOTH_ASSIGN(requirement.values, set ? parse_value_set(lexer) : parse_single_value(lexer));
    normalize(requirement.values);
  }
  MOTH_TRY(check_requirement(requirement));
  return requirement;
}

bool contains(const std::vector<std::string>& sorted, std::string_view value) {
  return std::binary_search(sorted.begin(), sorted.end(), value);
}

bool matches_value(const LabelRequirement& requirement, std::optional<std::string_view> value) {
  switch (requirement.op) {
    case SelectorOperator::kIn:
    case SelectorOperator::kEquals:
      return value && contains(requirement.values, *value);
    case SelectorOperator::kNotIn:
    case SelectorOperator::kNotEquals:
      return !value || !contains(requirement.values, *value);
    case SelectorOperator::kExists:
      return value.has_value();
    case SelectorOperator::kDoesNotExist:
      return !value;
    case SelectorOperator::kGreaterThan:
    case SelectorOperator::kLessThan:
      break;
  }
  std::int64_t have = 0;
  std::int64_t want = 0;
  if (!value || !parse_integer(*value, have) || requirement.values.empty() ||
      !parse_integer(requirement.values.front(), want)) {
    return false;
  }
  return requirement.op == SelectorOperator::kGreaterThan ? have > want : have < want;
}

void sort_requirements(std::vector<LabelRequirement>& requirements) {
  std::stable_sort(requirements.begin(), requirements.end(),
                   [](const auto& a, const auto& b) { return a.key < b.key; });
}

struct OperatorName {
  std::string_view name;
  SelectorOperator op;
  bool has_values;
};

constexpr OperatorName kJsonOperators[] = {
    {"In", SelectorOperator::kIn, true},
    {"NotIn", SelectorOperator::kNotIn, true},
    {"Exists", SelectorOperator::kExists, false},
    {"DoesNotExist", SelectorOperator::kDoesNotExist, false},
};

const OperatorName* find_operator(std::string_view name) {
  for (const OperatorName& candidate : kJsonOperators) {
    if (candidate.name == name) return &candidate;
  }
  return nullptr;
}

const Json& member_or_null(const Json& object, std::string_view key) {
  static const Json kNull;
  const Json* member = find_member(object, key);
  return member ? *member : kNull;
}

void validate_expression(const Json& expression, const FieldPath& path, FieldErrors& errors) {
  std::string key = string_or(expression, "key");
  std::string op = string_or(expression, "operator");
  const Json& values = member_or_null(expression, "values");
  const OperatorName* known = find_operator(op);
  if (!known) {
    errors.push_back(
        FieldError::invalid(path.child("operator"), op, "not a valid selector operator"));
  } else if (known->has_values && values.empty()) {
    errors.push_back(FieldError::required(path.child("values"),
                                          "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (!known->has_values && !values.empty()) {
    errors.push_back(FieldError::forbidden(
        path.child("values"),
        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  }
  add_invalid(errors, path.child("key"), key, check_qualified_name(key));
  if (!values.is_array()) return;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i].is_string()) continue;
    add_invalid(errors, path.child("values").index(i), values[i],
                check_label_value(values[i].get_ref<const std::string&>()));
  }
}

}  // namespace

bool LabelRequirement::matches(const Labels& labels) const {
  auto label = labels.find(key);
  return matches_value(
      *this, label == labels.end() ? std::nullopt : std::optional<std::string_view>(label->second));
}

std::string LabelRequirement::to_string() const {
  std::string first = values.empty() ? "" : values.front();
  switch (op) {
    case SelectorOperator::kEquals:
      return key + "=" + first;
    case SelectorOperator::kNotEquals:
      return key + "!=" + first;
    case SelectorOperator::kGreaterThan:
      return key + ">" + first;
    case SelectorOperator::kLessThan:
      return key + "<" + first;
    case SelectorOperator::kExists:
      return key;
    case SelectorOperator::kDoesNotExist:
      return "!" + key;
    case SelectorOperator::kIn:
      return fmt::format("{} in ({})", key, fmt::join(values, ","));
    case SelectorOperator::kNotIn:
      break;
  }
  return fmt::format("{} notin ({})", key, fmt::join(values, ","));
}

LabelSelector LabelSelector::nothing() {
  LabelSelector selector;
  selector.nothing_ = true;
  return selector;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  LabelSelector selector;
  Lexer lexer(text);
  if (lexer.kind() == Token::kEnd) return selector;
  for (;;) {
    if (lexer.kind() != Token::kNot && lexer.word_kind() != Token::kIdentifier) {
      return found(lexer, selector.requirements_.empty() ? "!, identifier, or 'end of string'"
                                                         : "identifier after ','");
    }
    MOTH_ASSIGN(LabelRequirement requirement, parse_requirement(lexer));
    selector.requirements_.push_back(std::move(requirement));
    if (lexer.kind() == Token::kEnd) break;
    if (lexer.kind() != Token::kComma) return found(lexer, "',' or 'end of string'");
    lexer.advance();
  }
  sort_requirements(selector.requirements_);
  return selector;
}

LabelSelector LabelSelector::from_map(const Labels& labels) {
  LabelSelector selector;
  for (const auto& [key, value] : labels) {
    selector.requirements_.push_back({key, SelectorOperator::kEquals, {value}});
  }
  return selector;
}

LabelSelector LabelSelector::from_requirements(std::vector<LabelRequirement> requirements) {
  LabelSelector selector;
  for (LabelRequirement& requirement : requirements) normalize(requirement.values);
  sort_requirements(requirements);
  selector.requirements_ = std::move(requirements);
  return selector;
}

Result<LabelSelector> LabelSelector::from_json(const Json& json) {
  if (json.is_null()) return nothing();
  if (FieldErrors errors = validate_label_selector(json, FieldPath("selector")); !errors.empty()) {
    return fail(Error::of(Reason::kInvalid, errors.front().to_string()));
  }
  std::vector<LabelRequirement> requirements;
  if (const Json& labels = member_or_null(json, "matchLabels"); labels.is_object()) {
    for (const auto& [key, value] : labels.get_ref<const Json::object_t&>()) {
      if (!value.is_string()) continue;
      requirements.push_back({key, SelectorOperator::kEquals, {value.get<std::string>()}});
    }
  }
  if (const Json& expressions = member_or_null(json, "matchExpressions"); expressions.is_array()) {
    for (const Json& expression : expressions) {
      const OperatorName* op = find_operator(string_or(expression, "operator"));
      LabelRequirement requirement{string_or(expression, "key"), op->op, {}};
      if (const Json& values = member_or_null(expression, "values"); values.is_array()) {
        for (const Json& value : values) {
          if (value.is_string()) requirement.values.push_back(value.get<std::string>());
        }
      }
      requirements.push_back(std::move(requirement));
    }
  }
  return from_requirements(std::move(requirements));
}

bool LabelSelector::matches(const Labels& labels) const {
  return !nothing_ && std::all_of(requirements_.begin(), requirements_.end(),
                                  [&](const auto& each) { return each.matches(labels); });
}

bool LabelSelector::matches_json(const Json& labels) const {
  if (nothing_) return false;
  return std::all_of(requirements_.begin(), requirements_.end(), [&](const auto& each) {
    const Json* label = find_member(labels, each.key);
    std::optional<std::string_view> value;
    if (label && label->is_string()) value = label->get_ref<const std::string&>();
    return matches_value(each, value);
  });
}

std::optional<std::string> LabelSelector::required_value(std::string_view key) const {
  for (const LabelRequirement& each : requirements_) {
    bool exact = each.op == SelectorOperator::kEquals || each.op == SelectorOperator::kIn;
    if (exact && each.key == key && each.values.size() == 1) return each.values.front();
  }
  return std::nullopt;
}

std::string LabelSelector::to_string() const {
  std::string text;
  for (const LabelRequirement& each : requirements_) {
    if (!text.empty()) text += ',';
    text += each.to_string();
  }
  return text;
}

FieldErrors validate_label_selector(const Json& selector, const FieldPath& path) {
  FieldErrors errors;
  if (selector.is_null()) return errors;
  if (const Json& labels = member_or_null(selector, "matchLabels"); labels.is_object()) {
    FieldPath at = path.child("matchLabels");
    for (const auto& [key, value] : labels.get_ref<const Json::object_t&>()) {
      add_invalid(errors, at, key, check_qualified_name(key));
      if (!value.is_string()) continue;
      add_invalid(errors, at, value, check_label_value(value.get_ref<const std::string&>()));
    }
  }
  if (const Json& expressions = member_or_null(selector, "matchExpressions");
      expressions.is_array()) {
    for (std::size_t i = 0; i < expressions.size(); ++i) {
      validate_expression(expressions[i], path.child("matchExpressions").index(i), errors);
    }
  }
  return errors;
}

std::string format_label_selector(const Json& selector) {
  auto parsed = LabelSelector::from_json(selector);
  if (!parsed) return "<error>";
  std::string text = parsed->to_string();
  return text.empty() ? "<none>" : text;
}

}  // namespace moth
