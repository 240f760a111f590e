#pragma once
// The tree of an expression, and what makes it. Owned by its Program; read-only after the check.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"
#include "api/cel/cel.h"

namespace moth::cel {

struct Function;  // functions.h

enum class Op {
  kLiteral,
  kIdent,          // text
  kSelect,         // children[0].text; optional: .?
  kHas,            // has(children[0].text)
  kIndex,          // children[0][children[1]]; optional: [?]
  kCall,           // text(children...), the receiver first when member
  kOr,             // of all children
  kAnd,            // of all children
  kTernary,        // children[0] ? children[1] : children[2]
  kList,           // of children
  kMap,            // children: key, value, key, value...
  kComprehension,  // macro over children[0], of children[1] and perhaps [2]; `text` is the
                   // variable, `second` the value where `text` is the index or key
  kOptMap,         // children[0].optMap(text, children[1]); flat: optFlatMap
  kBind,           // cel.bind(text, children[0], children[1])
};

enum class Macro {
  kAll,
  kExists,
  kExistsOne,
  kMap,
  kMapFiltered,
  kFilter,
  // Of two variables, perhaps filtered by children[1].
  kTransformList,
  kTransformMap,
  kTransformMapEntry,
};

struct Node {
  Op op = Op::kLiteral;
  std::size_t position = 0;  // in the expression, in bytes
  int height = 1;
  std::string text, second;
  Value literal;
  std::vector<std::unique_ptr<Node>> children;
  bool member = false, optional = false, flat = false;
  // kList, kMap: elements (entries) marked with ?.
  std::vector<bool> optionals;
  Macro macro = Macro::kAll;
  // Set by the check.
  TypePtr type;
  const Function* function = nullptr;
  int slot = -1;  // kIdent, kComprehension, kOptMap, kBind: place of the variable
  int second_slot = -1;
};
using NodePtr = std::unique_ptr<Node>;

// Calls what `walker` has for the operation of the node.
template <class Walker, class AnyNode>
auto walk_node(Walker& walker, AnyNode& node) {
  switch (node.op) {
    case Op::kIdent:
      return walker.ident(node);
    case Op::kSelect:
      return walker.select(node);
    case Op::kHas:
      return walker.has(node);
    case Op::kIndex:
      return walker.index(node);
    case Op::kCall:
      return walker.call(node);
    case Op::kOr:
    case Op::kAnd:
      return walker.logic(node);
    case Op::kTernary:
      return walker.ternary(node);
    case Op::kList:
      return walker.list(node);
    case Op::kMap:
      return walker.map(node);
    case Op::kComprehension:
      return walker.comprehension(node);
    case Op::kOptMap:
      return walker.opt_map(node);
    case Op::kBind:
      return walker.bind(node);
    case Op::kLiteral:
      break;
  }
  return walker.literal(node);
}

inline constexpr std::size_t kMaxExpression = 64 * 1024;
inline constexpr int kMaxHeight = 200;

// "ERROR: <input>:1:5: undefined field 'x'\n | self.x\n | ....^"
std::string error_text(std::string_view expression, std::size_t position, std::string_view what);

Result<NodePtr> parse_expression(std::string_view expression);

}  // namespace moth::cel
