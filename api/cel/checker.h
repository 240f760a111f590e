#pragma once
// The check of an expression by the types of its variables. Pure; any thread.
#include <set>
#include <string>

#include "api/cel/ast.h"

namespace moth::cel {

struct Checked {
  int slots = 0;                // variables in all, the environment's first
  std::set<std::string> names;  // the environment's variables that are used
};

// Fills types, functions and slots into the tree.
Result<Checked> check_expression(std::string_view expression, Node& root,
                                 const Environment& environment);

}  // namespace moth::cel
