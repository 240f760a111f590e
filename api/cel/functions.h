#pragma once
// The functions and operators of CEL: what they take and what they do. One table, read-only.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "api/cel/cel.h"

namespace moth::cel {

// Why an evaluation has no value. `fatal`: out of budget, which `||` and `&&` do not absorb.
struct Failure {
  std::string message;
  bool fatal = false;
};
using Outcome = tl::expected<Value, Failure>;

inline tl::unexpected<Failure> failure(std::string message) {
  return tl::unexpected<Failure>(Failure{std::move(message), false});
}
tl::unexpected<Failure> no_such_overload();

// What an evaluation has used up.
class Meter {
 public:
  Meter(std::uint64_t limit, Budget& budget) : left_(limit), budget_(budget) {}
  // False when nothing is left.
  bool spend(std::uint64_t cost) {
    if (cost > left_ || cost > budget_.left) {
      budget_.exhausted = true;
      left_ = 0;
      return false;
    }
    left_ -= cost;
    budget_.left -= cost;
    return true;
  }
  static tl::unexpected<Failure> spent() {
    return tl::unexpected<Failure>(
        Failure{"operation cancelled: actual cost limit exceeded", true});
  }

 private:
  std::uint64_t left_;
  Budget& budget_;
};

// Called with as many values as some overload has parameters, the receiver first.
using Implementation = Outcome (*)(std::span<const Value> args, Meter& meter);

struct Overload {
  bool member = false;
  std::vector<TypePtr> parameters;
  TypePtr result;
};
struct Function {
  std::string name;
  std::vector<Overload> overloads;
  Implementation run = nullptr;
};

// Null when there is none.
const Function* find_function(std::string_view name);

// How a table of functions is written: one text of signatures in CEL's own notation, e.g.
// "size(string) int; string.size() int; size(list(A)) int".
struct FunctionRow {
  const char* name;
  const char* signatures;
  Implementation run;
};
std::span<const FunctionRow> operator_rows();
std::span<const FunctionRow> conversion_rows();
std::span<const FunctionRow> string_rows();
std::span<const FunctionRow> list_rows();
std::span<const FunctionRow> time_rows();
std::span<const FunctionRow> kubernetes_rows();

}  // namespace moth::cel
