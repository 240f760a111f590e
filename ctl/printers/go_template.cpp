#include "ctl/printers/go_template.h"

#include <fmt/format.h>

#include "ctl/printers/go_template_program.h"

namespace moth::ctl {
namespace go {
namespace {

constexpr std::size_t kMaxOutput = 256u << 20;

// What stands behind a step: go on, or leave the loop around.
enum class Flow { kNext, kBreak, kContinue };

class Runner {
 public:
  Runner(const GoTemplate::Program& program, bool allow_missing)
      : program_(program), allow_missing_(allow_missing) {}

  Result<std::string> run(const Json& data) {
    Value whole{data, false};
    variables_.emplace_back("$", whole);
    MOTH_TRY(walk(program_.nodes, whole));
    return std::move(out_);
  }

 private:
  static tl::unexpected<Error> bad(const std::string& what) {
    return fail(Error::bad_request("template: output: executing \"output\": " + what));
  }

  Result<Flow> walk(const Nodes& nodes, const Value& dot) {
    std::size_t mark = variables_.size();
    Flow flow = Flow::kNext;
    for (const Node& node : nodes) {
      MOTH_ASSIGN(flow, step(node, dot));
      if (flow != Flow::kNext) break;
      if (out_.size() > kMaxOutput) return bad("the output is larger than 256 MiB");
    }
    variables_.resize(mark);
    return flow;
  }

  Result<Flow> step(const Node& node, const Value& dot) {
    switch (node.kind) {
      case Node::Kind::kText:
        out_ += node.text;
        return Flow::kNext;
      case Node::Kind::kBreak:
        return Flow::kBreak;
      case Node::Kind::kContinue:
        return Flow::kContinue;
      case Node::Kind::kTemplate:
        MOTH_TRY(call_template(node, dot));
        return Flow::kNext;
      case Node::Kind::kRange:
        return range(node, dot);
      default:
        break;
    }
    std::size_t mark = variables_.size();
    MOTH_ASSIGN(Value value, evaluate(node.pipeline, dot));
    if (node.kind == Node::Kind::kAction) {
      if (node.pipeline.variables.empty()) out_ += value.missing ? "<no value>" : printed(value);
      return Flow::kNext;
    }
    bool yes = is_true(value);
    const Value& inner = node.kind == Node::Kind::kWith && yes ? value : dot;
    MOTH_ASSIGN(Flow flow, walk(yes ? node.body : node.otherwise, inner));
    variables_.resize(mark);
    return flow;
  }

  Result<void> call_template(const Node& node, const Value& dot) {
    auto found = program_.defined.find(node.text);
    if (found == program_.defined.end())
      return bad(fmt::format("template \"{}\" not defined", node.text));
    if (++depth_ > 200) return bad("exceeded maximum template depth (200)");
    Value inner{nullptr, true};
    if (node.has_pipeline) {
      MOTH_ASSIGN(inner, evaluate(node.pipeline, dot));
    }
    auto outside = std::move(variables_);
    variables_ = {{"$", inner}};
    MOTH_TRY(walk(found->second, inner));
    variables_ = std::move(outside);
    --depth_;
    return {};
  }

  Result<Flow> range(const Node& node, const Value& dot) {
    std::size_t mark = variables_.size();
    Pipeline plain = node.pipeline;
    plain.variables.clear();
    MOTH_ASSIGN(Value over, evaluate(plain, dot));
    Flow flow = Flow::kNext;
    bool any = false;
    auto each = [&](Json key, const Json& element) -> Result<bool> {
      any = true;
      Value value{element, false};
      const auto& names = node.pipeline.variables;
      if (names.size() == 1) variables_.emplace_back(names[0], value);
      if (names.size() == 2) {
        variables_.emplace_back(names[0], Value{std::move(key), false});
        variables_.emplace_back(names[1], value);
      }
      MOTH_ASSIGN(Flow inner, walk(node.body, value));
      variables_.resize(mark);
      return inner != Flow::kBreak;
    };
    bool more = true;
    if (over.json.is_array()) {
      std::int64_t index = 0;
      for (const Json& element : over.json) {
        MOTH_ASSIGN(more, each(index++, element));
        if (!more) break;
      }
    } else if (over.json.is_object()) {
      for (const auto& [key, element] : over.json.items()) {
        MOTH_ASSIGN(more, each(key, element));
        if (!more) break;
      }
    } else if (over.json.is_number_integer()) {
      for (std::int64_t i = 0; i < over.json.get<std::int64_t>() && more; ++i) {
        MOTH_ASSIGN(more, each(i, Json(i)));
      }
    } else if (!over.missing && !over.json.is_null()) {
      return bad(fmt::format("range can't iterate over {}", printed(over)));
    }
    if (!any) {
      MOTH_ASSIGN(flow, walk(node.otherwise, dot));
    }
    variables_.resize(mark);
    return flow;
  }

  Result<Value> evaluate(const Pipeline& pipeline, const Value& dot) {
    std::optional<Value> previous;
    for (const Command& command : pipeline.commands) {
      MOTH_ASSIGN(Value value, run_command(command, dot, previous));
      previous = std::move(value);
    }
    for (const std::string& name : pipeline.variables) {
      if (!pipeline.assigns) {
        variables_.emplace_back(name, *previous);
        continue;
      }
      Value* variable = find_variable(name);
      if (!variable) return bad(fmt::format("undefined variable \"{}\"", name));
      *variable = *previous;
    }
    return *std::move(previous);
  }

  Value* find_variable(const std::string& name) {
    for (auto entry = variables_.rbegin(); entry != variables_.rend(); ++entry)
      if (entry->first == name) return &entry->second;
    return nullptr;
  }

  Result<Value> run_command(const Command& command, const Value& dot,
                            const std::optional<Value>& previous) {
    const Operand& first = command.words[0];
    if (first.kind == Operand::Kind::kFunction) return call(command, dot, previous);
    if (command.words.size() > 1 || previous) {
      if (first.kind == Operand::Kind::kNil) return bad("nil is not a command");
      return bad("can't give an argument to a value that is no function");
    }
    if (first.kind == Operand::Kind::kNil) return bad("nil is not a command");
    return operand(first, dot);
  }

  Result<Value> call(const Command& command, const Value& dot,
                     const std::optional<Value>& previous) {
    const std::string& name = command.words[0].name;
    std::vector<Value> arguments;
    // and, or stop at the first argument that decides.
    bool short_circuit = name == "and" || name == "or";
    for (std::size_t i = 1; i < command.words.size(); ++i) {
      MOTH_ASSIGN(Value value, operand(command.words[i], dot));
      arguments.push_back(std::move(value));
      if (short_circuit && is_true(arguments.back()) == (name == "or")) return arguments.back();
    }
    if (previous) arguments.push_back(*previous);
    return call_function(name, arguments);
  }

  Result<Value> operand(const Operand& word, const Value& dot) {
    Value value;
    switch (word.kind) {
      case Operand::Kind::kLiteral:
        value.json = word.literal;
        break;
      case Operand::Kind::kNil:
        break;
      case Operand::Kind::kDot:
        value = dot;
        break;
      case Operand::Kind::kVariable: {
        Value* found = find_variable(word.name);
        if (!found) return bad(fmt::format("undefined variable \"{}\"", word.name));
        value = *found;
        break;
      }
      case Operand::Kind::kFunction: {
        MOTH_ASSIGN(value, call_function(word.name, {}));
        break;
      }
      case Operand::Kind::kPipeline: {
        MOTH_ASSIGN(value, evaluate(*word.pipeline, dot));
        break;
      }
    }
    for (const std::string& field : word.fields) MOTH_TRY(descend(value, field));
    return value;
  }

  Result<void> descend(Value& value, const std::string& field) const {
    if (value.missing || value.json.is_null()) {
      if (!allow_missing_) return bad(fmt::format("nil data; no entry for key \"{}\"", field));
      value = {nullptr, true};
      return {};
    }
    if (!value.json.is_object())
      return bad(fmt::format("can't evaluate field {} in type interface {{}}", field));
    auto found = value.json.find(field);
    if (found == value.json.end()) {
      if (!allow_missing_) return bad(fmt::format("map has no entry for key \"{}\"", field));
      value = {nullptr, true};
      return {};
    }
    Json inner = *found;
    value.json = std::move(inner);
    return {};
  }

  const GoTemplate::Program& program_;
  bool allow_missing_;
  std::vector<std::pair<std::string, Value>> variables_;
  std::string out_;
  int depth_ = 0;
};

}  // namespace
}  // namespace go

Result<std::string> GoTemplate::render(const Json& data, bool allow_missing_keys) const {
  return go::Runner(*program_, allow_missing_keys).run(data);
}

}  // namespace moth::ctl
