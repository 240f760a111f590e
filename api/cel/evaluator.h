#pragma once
// Walks a checked tree. Any thread.
#include <optional>
#include <vector>

#include "api/cel/ast.h"
#include "api/cel/functions.h"

namespace moth::cel {

// One evaluation: the variables by slot, and what it may cost.
class Evaluator {
 public:
  Evaluator(std::vector<std::optional<Value>> variables, Meter& meter)
      : variables_(std::move(variables)), meter_(meter) {}
  Outcome run(const Node& node);

 private:
  template <class Walker, class AnyNode>
  friend auto walk_node(Walker& walker, AnyNode& node);

  Outcome literal(const Node& node);
  Outcome ident(const Node& node);
  Outcome select(const Node& node);
  Outcome has(const Node& node);
  Outcome index(const Node& node);
  Outcome call(const Node& node);
  Outcome logic(const Node& node);
  Outcome ternary(const Node& node);
  Outcome list(const Node& node);
  Outcome map(const Node& node);
  Outcome comprehension(const Node& node);
  // What a comprehension goes over; `value` is for a second variable.
  struct Item {
    Value key, value;
  };
  Outcome quantified(const Node& node, const std::vector<Item>& items);
  Outcome collected(const Node& node, const std::vector<Item>& items);
  Outcome mapped(const Node& node, const std::vector<Item>& items);
  Outcome opt_map(const Node& node);
  Outcome bind(const Node& node);
  Outcome with(const Node& node, const Item& item, std::size_t body);
  tl::expected<bool, Failure> passes(const Node& node, const Item& item);

  std::vector<std::optional<Value>> variables_;
  Meter& meter_;
};

}  // namespace moth::cel
