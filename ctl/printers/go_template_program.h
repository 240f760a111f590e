#pragma once
// Internal: the parsed form of a Go template.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/base/json.h"
#include "ctl/printers/go_template.h"

namespace moth::ctl::go {

struct Pipeline;

// One word of a command.
struct Operand {
  enum class Kind { kLiteral, kNil, kDot, kVariable, kFunction, kPipeline };
  Kind kind = Kind::kDot;
  Json literal;
  std::string name;                    // of a variable ("$", "$x") or function
  std::shared_ptr<Pipeline> pipeline;  // in parentheses
  std::vector<std::string> fields;     // .a.b behind it
};

struct Command {
  std::vector<Operand> words;
};

struct Pipeline {
  std::vector<std::string> variables;  // $x :=, or $k, $v := in a range
  bool assigns = false;                // = instead of :=
  std::vector<Command> commands;
};

struct Node;
using Nodes = std::vector<Node>;

struct Node {
  enum class Kind { kText, kAction, kIf, kRange, kWith, kTemplate, kBreak, kContinue };
  Kind kind = Kind::kText;
  std::string text;  // text, or the name of a template
  Pipeline pipeline;
  bool has_pipeline = false;
  Nodes body, otherwise;
};

// A value, or nothing at all (a key that is not there), which prints differently from null.
struct Value {
  Json json;
  bool missing = false;
};

// `name` is one of the functions that there are.
bool is_function(std::string_view name);
Result<Value> call_function(const std::string& name, const std::vector<Value>& arguments);
bool is_true(const Value& value);
// As Go prints a value with %v.
std::string printed(const Value& value);

}  // namespace moth::ctl::go

namespace moth::ctl {

struct GoTemplate::Program {
  go::Nodes nodes;
  std::map<std::string, go::Nodes, std::less<>> defined;
};

}  // namespace moth::ctl
