#pragma once
// CEL, Google's Common Expression Language, as Kubernetes uses it: rules of custom resources
// (x-kubernetes-validations) and conditions of webhooks and policies.
//
//   cel::Environment environment;
//   environment.variables = {{"object", cel::any_object()}, {"oldObject", cel::any_object()}};
//   MOTH_ASSIGN(auto program, cel::Program::compile("object.spec.replicas <= 5", environment,
//                                                   cel::simple(cel::Kind::kBool)));
//   cel::Budget budget;
//   Result<bool> verdict = program.evaluate_bool({{"object", cel::Value::of(json, type)}}, budget);
//
// What is there: all of the language but user-defined messages; the standard library, macros,
// optional values, string functions, Kubernetes' lists, regex, url, ip, cidr, quantity and format
// libraries, sets, versions, comprehensions of two variables, cel.bind. What is not there (the
// authorizer) is refused when compiled, by name; never ignored.
//
// Everything is bounded: the length and depth of expressions, the work of an evaluation (Budget).
// Immutable after compile; any thread.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"
#include "api/cel/type.h"
#include "api/cel/value.h"

namespace moth::cel {

struct Environment {
  std::vector<std::pair<std::string, TypePtr>> variables;
};

// Units of work as upstream counts them, roughly one for each step.
inline constexpr std::uint64_t kMaxCostPerExpression = 1'000'000;
inline constexpr std::uint64_t kMaxCostPerRequest = 10'000'000;

// What several evaluations for one request may cost together.
struct Budget {
  std::uint64_t left = kMaxCostPerRequest;
  bool exhausted = false;  // an evaluation ended for that reason
};

// Values by the names of the environment's variables. A variable that is not bound is an error when
// it is used.
using Bindings = std::vector<std::pair<std::string, Value>>;

class Program {
 public:
  // `wanted`: the type of the result; dyn allows every type. BadRequest with cel-go's text
  // ("ERROR: <input>:1:6: undefined field 'x'\n | self.x\n | .....^").
  static Result<Program> compile(std::string_view expression, const Environment& environment,
                                 const TypePtr& wanted);
  Program(const Program&);
  Program& operator=(const Program&);
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  // BadRequest with the reason ("no such key: x", "divide by zero").
  Result<Value> evaluate(const Bindings& bindings, Budget& budget) const;
  Result<bool> evaluate_bool(const Bindings& bindings, Budget& budget) const;
  Result<std::string> evaluate_string(const Bindings& bindings, Budget& budget) const;

  // Whether the expression refers to the variable.
  bool uses(std::string_view variable) const;
  const TypePtr& result_type() const;

  struct Parts;

 private:
  explicit Program(std::shared_ptr<const Parts> parts);
  std::shared_ptr<const Parts> parts_;
};

}  // namespace moth::cel
