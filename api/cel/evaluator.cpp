#include "api/cel/evaluator.h"

#include <fmt/format.h>

#include <cmath>

#include "api/cel/convert.h"

namespace moth::cel {
namespace {

// What making a list or map costs [cel-go].
constexpr std::uint64_t kListCost = 10, kMapCost = 30;

std::string key_text(const Value& key) {
  if (key.string()) return *key.string();
  if (const auto* number = key.as<std::int64_t>()) return std::to_string(*number);
  if (const auto* number = key.as<std::uint64_t>()) return std::to_string(*number);
  if (const auto* number = key.as<double>()) return format_double(*number);
  if (const auto* truth = key.as<bool>()) return *truth ? "true" : "false";
  return key.type_name();
}

Outcome no_such_key(const std::string& key) {
  return failure("no such key: " + key);
}

// The member of a map or object; fails when it is not there.
Outcome member_of(const Value& holder, const Value& key) {
  if (!holder.is_map()) return no_such_overload();
  auto found = holder.find(key);
  if (found) return *found;
  return no_such_key(key_text(key));
}

// Where a number points to in a list.
tl::expected<std::size_t, Failure> position_of(const Value& list, const Value& key) {
  const auto* natural = key.as<std::uint64_t>();
  const auto* real = key.as<double>();
  std::int64_t position = -1;
  if (const auto* whole = key.as<std::int64_t>()) {
    position = *whole;
  } else if (natural) {
    if (*natural <= INT64_MAX) position = static_cast<std::int64_t>(*natural);
  } else if (real) {
    bool usable = *real >= 0 && *real < 1e15 && *real == std::floor(*real);
    if (!usable) return failure("unsupported index value");
    position = static_cast<std::int64_t>(*real);
  } else {
    return no_such_overload();
  }
  if (position < 0 || static_cast<std::size_t>(position) >= list.size())
    return failure(fmt::format("index out of bounds: {}", position));
  return static_cast<std::size_t>(position);
}

Outcome element_of(const Value& holder, const Value& key) {
  if (!holder.is_list()) return member_of(holder, key);
  auto position = position_of(holder, key);
  if (!position) return tl::unexpected<Failure>(position.error());
  return holder.at(*position);
}

// A member as an optional value; only absence is none, other failures stay.
Outcome maybe(const Value& holder, const Value& key) {
  if (holder.is_map()) {
    auto found = holder.find(key);
    return found ? Value::some(*found) : Value::none();
  }
  if (!holder.is_list()) return no_such_overload();
  auto position = position_of(holder, key);
  return position ? Value::some(holder.at(*position)) : Value::none();
}

}  // namespace

Outcome Evaluator::run(const Node& node) {
  if (node.op != Op::kLiteral && !meter_.spend(1)) return Meter::spent();
  return walk_node(*this, node);
}

Outcome Evaluator::literal(const Node& node) {
  return node.literal;
}

Outcome Evaluator::ident(const Node& node) {
  const auto& value = variables_[static_cast<std::size_t>(node.slot)];
  if (!value) return failure(fmt::format("no such attribute(s): {}", node.text));
  return *value;
}

Outcome Evaluator::select(const Node& node) {
  Outcome holder = run(*node.children[0]);
  if (!holder) return holder;
  Value key = Value::text(node.text);
  if (const auto* optional = holder->as<Optional>()) {
    return optional->value ? maybe(*optional->value, key) : Outcome(Value::none());
  }
  return node.optional ? maybe(*holder, key) : member_of(*holder, key);
}

Outcome Evaluator::has(const Node& node) {
  Outcome holder = run(*node.children[0]);
  if (!holder) return holder;
  Value value = *holder;
  if (const auto* optional = value.as<Optional>()) {
    if (!optional->value) return Value::Variant(false);
    value = *optional->value;
  }
  if (!value.is_map()) return no_such_overload();
  return Value::Variant(value.find(Value::text(node.text)) != nullptr);
}

Outcome Evaluator::index(const Node& node) {
  Outcome holder = run(*node.children[0]);
  if (!holder) return holder;
  Outcome key = run(*node.children[1]);
  if (!key) return key;
  if (const auto* optional = holder->as<Optional>()) {
    return optional->value ? maybe(*optional->value, *key) : Outcome(Value::none());
  }
  return node.optional ? maybe(*holder, *key) : element_of(*holder, *key);
}

Outcome Evaluator::call(const Node& node) {
  std::vector<Value> args;
  args.reserve(node.children.size());
  for (const NodePtr& child : node.children) {
    Outcome value = run(*child);
    if (!value) return value;
    args.push_back(*std::move(value));
  }
  return node.function->run(args, meter_);
}

// The decisive value wins over errors on either side.
Outcome Evaluator::logic(const Node& node) {
  bool decisive = node.op == Op::kOr;
  std::optional<Failure> trouble;
  for (const NodePtr& child : node.children) {
    Outcome value = run(*child);
    if (!value && value.error().fatal) return value;
    const bool* truth = value ? value->as<bool>() : nullptr;
    if (truth && *truth == decisive) return Value::Variant(decisive);
    if (!truth && !trouble) trouble = value ? Failure{"no such overload", false} : value.error();
  }
  if (trouble) return tl::unexpected<Failure>(*trouble);
  return Value::Variant(!decisive);
}

Outcome Evaluator::ternary(const Node& node) {
  Outcome condition = run(*node.children[0]);
  if (!condition) return condition;
  const bool* truth = condition->as<bool>();
  if (!truth) return no_such_overload();
  return run(*node.children[*truth ? 1 : 2]);
}

Outcome Evaluator::list(const Node& node) {
  if (!meter_.spend(kListCost)) return Meter::spent();
  std::vector<Value> items;
  for (std::size_t i = 0; i < node.children.size(); ++i) {
    Outcome item = run(*node.children[i]);
    if (!item) return item;
    if (node.optionals[i]) {
      const auto* optional = item->as<Optional>();
      if (!optional) return no_such_overload();
      if (optional->value) items.push_back(*optional->value);
    } else {
      items.push_back(*std::move(item));
    }
  }
  return Value::list(std::move(items));
}

Outcome Evaluator::map(const Node& node) {
  if (!meter_.spend(kMapCost)) return Meter::spent();
  std::vector<std::pair<Value, Value>> entries;
  for (std::size_t i = 0; i < node.children.size(); i += 2) {
    Outcome key = run(*node.children[i]);
    if (!key) return key;
    Outcome value = run(*node.children[i + 1]);
    if (!value) return value;
    if (!meter_.spend(entries.size() + 1)) return Meter::spent();
    for (const auto& [known, ignored] : entries) {
      if (known.equals(*key))
        return failure(fmt::format("Failed with repeated key: {}", key_text(*key)));
    }
    if (node.optionals[i / 2]) {
      const auto* optional = value->as<Optional>();
      if (!optional) return no_such_overload();
      if (optional->value) entries.emplace_back(*key, *optional->value);
    } else {
      entries.emplace_back(*key, *value);
    }
  }
  return Value::map(std::move(entries));
}

Outcome Evaluator::with(const Node& node, const Item& item, std::size_t body) {
  if (!meter_.spend(1)) return Meter::spent();
  variables_[static_cast<std::size_t>(node.slot)] = item.key;
  if (node.second_slot >= 0) variables_[static_cast<std::size_t>(node.second_slot)] = item.value;
  return run(*node.children[body]);
}

Outcome Evaluator::comprehension(const Node& node) {
  Outcome range = run(*node.children[0]);
  if (!range) return range;
  bool is_list = range->is_list(), two = node.second_slot >= 0;
  if (!is_list && !range->is_map()) return no_such_overload();
  if (!meter_.spend(range->size())) return Meter::spent();
  std::vector<Item> items;
  if (is_list) {
    for (std::size_t i = 0; i < range->size(); ++i) {
      Value element = range->at(i);
      items.push_back(two ? Item{Value::Variant(static_cast<std::int64_t>(i)), element}
                          : Item{element, Value()});
    }
  } else {
    for (Value& key : range->keys()) {
      std::unique_ptr<Value> element = two ? range->find(key) : nullptr;
      items.push_back({std::move(key), element ? *element : Value()});
    }
  }
  switch (node.macro) {
    case Macro::kAll:
    case Macro::kExists:
    case Macro::kExistsOne:
      return quantified(node, items);
    case Macro::kTransformMap:
    case Macro::kTransformMapEntry:
      return mapped(node, items);
    default:
      return collected(node, items);
  }
}

Outcome Evaluator::quantified(const Node& node, const std::vector<Item>& items) {
  std::optional<Failure> trouble;
  std::size_t found = 0;
  for (const Item& item : items) {
    Outcome verdict = with(node, item, 1);
    if (!verdict && (verdict.error().fatal || node.macro == Macro::kExistsOne)) return verdict;
    const bool* truth = verdict ? verdict->as<bool>() : nullptr;
    if (!truth) {
      if (!trouble) trouble = verdict ? Failure{"no such overload", false} : verdict.error();
      continue;
    }
    if (node.macro == Macro::kAll && !*truth) return Value::Variant(false);
    if (node.macro == Macro::kExists && *truth) return Value::Variant(true);
    if (*truth) ++found;
  }
  if (trouble) return tl::unexpected<Failure>(*trouble);
  if (node.macro == Macro::kExistsOne) return Value::Variant(found == 1);
  return Value::Variant(node.macro == Macro::kAll);
}

// Whether the filter lets an item through; without one, all of them.
tl::expected<bool, Failure> Evaluator::passes(const Node& node, const Item& item) {
  if (node.children.size() < 3 && node.macro != Macro::kFilter) return true;
  Outcome verdict = with(node, item, 1);
  if (!verdict) return tl::unexpected<Failure>(verdict.error());
  const bool* truth = verdict->as<bool>();
  if (!truth) return no_such_overload();
  return *truth;
}

Outcome Evaluator::collected(const Node& node, const std::vector<Item>& items) {
  std::vector<Value> out;
  for (const Item& item : items) {
    auto wanted = passes(node, item);
    if (!wanted) return tl::unexpected<Failure>(wanted.error());
    if (!*wanted) continue;
    if (node.macro == Macro::kFilter) {
      out.push_back(item.key);
      continue;
    }
    Outcome made = with(node, item, node.children.size() - 1);
    if (!made) return made;
    out.push_back(*std::move(made));
  }
  return Value::list(std::move(out));
}

Outcome Evaluator::mapped(const Node& node, const std::vector<Item>& items) {
  std::vector<std::pair<Value, Value>> entries;
  auto add = [&](const Value& key, const Value& value) -> std::optional<Failure> {
    if (!meter_.spend(entries.size() + 1)) return Meter::spent().value();
    for (const auto& [known, ignored] : entries) {
      if (known.equals(key))
        return Failure{fmt::format("insert failed: key {} already exists", key_text(key)), false};
    }
    entries.emplace_back(key, value);
    return std::nullopt;
  };
  for (const Item& item : items) {
    auto wanted = passes(node, item);
    if (!wanted) return tl::unexpected<Failure>(wanted.error());
    if (!*wanted) continue;
    Outcome made = with(node, item, node.children.size() - 1);
    if (!made) return made;
    if (node.macro == Macro::kTransformMap) {
      if (auto trouble = add(item.key, *made)) return tl::unexpected<Failure>(*trouble);
      continue;
    }
    if (!made->is_map()) return no_such_overload();
    for (const Value& key : made->keys()) {
      if (auto trouble = add(key, *made->find(key))) return tl::unexpected<Failure>(*trouble);
    }
  }
  return Value::map(std::move(entries));
}

Outcome Evaluator::opt_map(const Node& node) {
  Outcome operand = run(*node.children[0]);
  if (!operand) return operand;
  const auto* optional = operand->as<Optional>();
  if (!optional) return no_such_overload();
  if (!optional->value) return Value::none();
  Outcome made = with(node, {*optional->value, Value()}, 1);
  if (!made || node.flat) return made;
  return Value::some(*std::move(made));
}

Outcome Evaluator::bind(const Node& node) {
  Outcome bound = run(*node.children[0]);
  if (!bound) return bound;
  return with(node, {*std::move(bound), Value()}, 1);
}

}  // namespace moth::cel
