#include <fmt/format.h>

#include "api/cel/ast.h"
#include "api/cel/cel.h"
#include "api/cel/checker.h"
#include "api/cel/evaluator.h"

namespace moth::cel {

struct Program::Parts {
  NodePtr root;
  Checked checked;
  std::vector<std::string> variables;  // by slot
};

Program::Program(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Program::Program(const Program&) = default;
Program& Program::operator=(const Program&) = default;
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

Result<Program> Program::compile(std::string_view expression, const Environment& environment,
                                 const TypePtr& wanted) {
  auto parts = std::make_shared<Parts>();
  MOTH_ASSIGN(parts->root, parse_expression(expression));
  MOTH_ASSIGN(parts->checked, check_expression(expression, *parts->root, environment));
  const TypePtr& type = parts->root->type;
  if (wanted->kind != Kind::kDyn && type->kind != Kind::kDyn && type->kind != wanted->kind) {
    return fail(Error::bad_request(
        fmt::format("cel expression must evaluate to a {}", wanted->to_string())));
  }
  for (const auto& [name, ignored] : environment.variables) parts->variables.push_back(name);
  return Program(std::move(parts));
}

Result<Value> Program::evaluate(const Bindings& bindings, Budget& budget) const {
  std::vector<std::optional<Value>> variables(static_cast<std::size_t>(parts_->checked.slots));
  for (std::size_t slot = 0; slot < parts_->variables.size(); ++slot) {
    for (const auto& [name, value] : bindings) {
      if (name == parts_->variables[slot]) variables[slot] = value;
    }
  }
  Meter meter(kMaxCostPerExpression, budget);
  Outcome outcome = Evaluator(std::move(variables), meter).run(*parts_->root);
  if (!outcome) return fail(Error::bad_request(std::move(outcome).error().message));
  return *std::move(outcome);
}

Result<bool> Program::evaluate_bool(const Bindings& bindings, Budget& budget) const {
  MOTH_ASSIGN(Value value, evaluate(bindings, budget));
  if (const bool* truth = value.as<bool>()) return *truth;
  return fail(Error::bad_request("the expression gave a " + value.type_name() + ", not a bool"));
}

Result<std::string> Program::evaluate_string(const Bindings& bindings, Budget& budget) const {
  MOTH_ASSIGN(Value value, evaluate(bindings, budget));
  if (const std::string* text = value.string()) return *text;
  return fail(Error::bad_request("the expression gave a " + value.type_name() + ", not a string"));
}

bool Program::uses(std::string_view variable) const {
  return parts_->checked.names.contains(std::string(variable));
}

const TypePtr& Program::result_type() const {
  return parts_->root->type;
}

}  // namespace moth::cel
