#include "api/cel/functions.h"

#include <array>
#include <cctype>
#include <map>

namespace moth::cel {
namespace {

// Reads the notation of FunctionRow. The tables are ours, so that it needs no errors.
class SignatureReader {
 public:
  explicit SignatureReader(std::string_view text) : text_(text) {}

  std::vector<Overload> run(std::string_view name) {
    std::vector<Overload> overloads;
    while (skip(), at_ < text_.size()) {
      overloads.push_back(overload(name));
      skip();
      if (at_ < text_.size() && text_[at_] == ';') ++at_;
    }
    return overloads;
  }

 private:
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  // "(A, B) R" or "T.(A, B) R": the name itself is not written.
  Overload overload(std::string_view) {
    Overload made;
    skip();
    if (text_[at_] != '(') {
      made.member = true;
      made.parameters.push_back(type());
      take('.');
    }
    take('(');
    while (!take(')')) {
      made.parameters.push_back(type());
      take(',');
    }
    made.result = type();
    return made;
  }

  TypePtr type() {
    skip();
    std::size_t start = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    std::string_view word = text_.substr(start, at_ - start);
    if (word == "list") return list_of(inner());
    if (word == "optional") return optional_of(inner());
    if (word == "map") {
      take('(');
      TypePtr key = type();
      take(',');
      TypePtr element = type();
      take(')');
      return map_of(key, element);
    }
    static const std::map<std::string_view, Kind> kKinds = {
        {"dyn", Kind::kDyn},           {"null", Kind::kNull},    {"bool", Kind::kBool},
        {"int", Kind::kInt},           {"uint", Kind::kUint},    {"double", Kind::kDouble},
        {"string", Kind::kString},     {"bytes", Kind::kBytes},  {"time", Kind::kTimestamp},
        {"duration", Kind::kDuration}, {"type", Kind::kType},    {"quantity", Kind::kQuantity},
        {"url", Kind::kUrl},           {"ip", Kind::kIp},        {"cidr", Kind::kCidr},
        {"format", Kind::kFormat},     {"semver", Kind::kSemver}};
    if (auto it = kKinds.find(word); it != kKinds.end()) return simple(it->second);
    auto parameter = std::make_shared<Type>();
    parameter->kind = Kind::kParameter;
    parameter->name = word;
    return parameter;
  }

  TypePtr inner() {
    take('(');
    TypePtr element = type();
    take(')');
    return element;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::map<std::string, Function, std::less<>> make_table() {
  std::map<std::string, Function, std::less<>> table;
  for (auto rows : {operator_rows(), conversion_rows(), string_rows(), list_rows(), time_rows(),
                    kubernetes_rows()}) {
    for (const FunctionRow& row : rows) {
      table[row.name] = {row.name, SignatureReader(row.signatures).run(row.name), row.run};
    }
  }
  return table;
}

}  // namespace

tl::unexpected<Failure> no_such_overload() {
  return failure("no such overload");
}

const Function* find_function(std::string_view name) {
  static const auto kTable = make_table();
  auto it = kTable.find(name);
  return it == kTable.end() ? nullptr : &it->second;
}

}  // namespace moth::cel
