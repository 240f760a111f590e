#include "api/cel/checker.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "api/cel/functions.h"

namespace moth::cel {
namespace {

using Bound = std::map<std::string, TypePtr>;

bool assign(const TypePtr& pattern, const TypePtr& actual, Bound& bound);

// Both as one type: what a parameter stands for.
bool merge(TypePtr& bound, const TypePtr& actual) {
  if (bound->kind == Kind::kDyn || actual->kind == Kind::kDyn) {
    bound = dyn();
    return true;
  }
  if (bound->kind == Kind::kNull || actual->kind == Kind::kNull) {
    if (bound->kind == Kind::kNull) bound = actual;
    return true;
  }
  if (bound->kind != actual->kind) return false;
  Bound none;
  switch (bound->kind) {
    case Kind::kList:
    case Kind::kOptional: {
      TypePtr element = bound->element;
      if (!merge(element, actual->element)) return false;
      bound = bound->kind == Kind::kList ? list_of(element) : optional_of(element);
      return true;
    }
    case Kind::kMap: {
      TypePtr key = bound->key, element = bound->element;
      if (!merge(key, actual->key) || !merge(element, actual->element)) return false;
      bound = map_of(key, element);
      return true;
    }
    default:
      return true;
  }
}

bool assign(const TypePtr& pattern, const TypePtr& actual, Bound& bound) {
  if (pattern->kind == Kind::kParameter) {
    auto [it, fresh] = bound.try_emplace(pattern->name, actual);
    return fresh || merge(it->second, actual);
  }
  if (pattern->kind == Kind::kDyn) return true;
  if (actual->kind == Kind::kDyn) {
    if (pattern->element) assign(pattern->element, dyn(), bound);
    if (pattern->key) assign(pattern->key, dyn(), bound);
    return true;
  }
  if (pattern->kind != actual->kind) return false;
  if (pattern->key && !assign(pattern->key, actual->key, bound)) return false;
  return !pattern->element || assign(pattern->element, actual->element, bound);
}

TypePtr substitute(const TypePtr& pattern, const Bound& bound) {
  switch (pattern->kind) {
    case Kind::kParameter: {
      auto it = bound.find(pattern->name);
      return it == bound.end() ? dyn() : it->second;
    }
    case Kind::kList:
      return list_of(substitute(pattern->element, bound));
    case Kind::kOptional:
      return optional_of(substitute(pattern->element, bound));
    case Kind::kMap:
      return map_of(substitute(pattern->key, bound), substitute(pattern->element, bound));
    default:
      return pattern;
  }
}

bool is_type_name(std::string_view name) {
  static constexpr std::string_view kNames[] = {"bool", "bytes", "double",        "int",
                                                "list", "map",   "null_type",     "string",
                                                "type", "uint",  "optional_type", "dyn"};
  for (std::string_view known : kNames) {
    if (known == name) return true;
  }
  return false;
}

class Checker {
 public:
  Checker(std::string_view expression, const Environment& environment) : expression_(expression) {
    for (const auto& [name, type] : environment.variables) push(name, type);
    environment_size_ = checked_.slots;
  }

  Result<Checked> run(Node& root) {
    MOTH_TRY(check(root));
    return std::move(checked_);
  }

 private:
  struct Variable {
    std::string name;
    TypePtr type;
    int slot;
  };

  int push(const std::string& name, TypePtr type) {
    scope_.push_back({name, std::move(type), checked_.slots});
    return checked_.slots++;
  }

  tl::unexpected<Error> wrong(const Node& node, std::string_view what) const {
    return fail(Error::bad_request(error_text(expression_, node.position, what)));
  }

  Result<TypePtr> check(Node& node) {
    auto type = walk_node(*this, node);
    if (type) node.type = *type;
    return type;
  }

  template <class Walker, class AnyNode>
  friend auto moth::cel::walk_node(Walker& walker, AnyNode& node);

  Result<TypePtr> literal(Node& node) { return simple(node.literal.kind()); }
  Result<TypePtr> has(Node& node) { return select(node); }

  const Variable* find(std::string_view name) const {
    for (auto it = scope_.rbegin(); it != scope_.rend(); ++it) {
      if (it->name == name) return &*it;
    }
    return nullptr;
  }

  Result<TypePtr> ident(Node& node) {
    if (const Variable* variable = find(node.text)) {
      node.slot = variable->slot;
      if (variable->slot < environment_size_) checked_.names.insert(node.text);
      return variable->type;
    }
    if (is_type_name(node.text)) {
      node.op = Op::kLiteral;
      node.literal = Value::Variant(TypeValue{node.text});
      return simple(Kind::kType);
    }
    return wrong(node, fmt::format("undeclared reference to '{}' (in container '')", node.text));
  }

  // The names of well-known types are written as chains of fields.
  static std::string dotted(const Node& node) {
    if (node.op == Op::kIdent) return node.text;
    if (node.op != Op::kSelect) return "";
    std::string before = dotted(*node.children[0]);
    return before.empty() ? "" : before + "." + node.text;
  }

  Result<TypePtr> select(Node& node) {
    if (node.op == Op::kSelect) {
      std::string name = dotted(node);
      if (name == "google.protobuf.Timestamp" || name == "google.protobuf.Duration") {
        node.op = Op::kLiteral;
        node.literal = Value::Variant(TypeValue{name});
        return simple(Kind::kType);
      }
    }
    MOTH_ASSIGN(TypePtr operand, check(*node.children[0]));
    bool optional = operand->kind == Kind::kOptional;
    if (optional) operand = operand->element;
    TypePtr field;
    switch (operand->kind) {
      case Kind::kDyn:
        field = dyn();
        break;
      case Kind::kMap:
        field = operand->element;
        break;
      case Kind::kObject: {
        auto it = operand->fields.find(node.text);
        if (it == operand->fields.end())
          return wrong(node, fmt::format("undefined field '{}'", node.text));
        field = it->second.type;
        break;
      }
      default:
        return wrong(
            node, fmt::format("type '{}' does not support field selection", operand->to_string()));
    }
    if (node.op == Op::kHas) return simple(Kind::kBool);
    return optional || node.optional ? optional_of(field) : field;
  }

  Result<TypePtr> index(Node& node) {
    MOTH_ASSIGN(TypePtr operand, check(*node.children[0]));
    MOTH_ASSIGN(TypePtr key, check(*node.children[1]));
    bool optional = operand->kind == Kind::kOptional;
    TypePtr holder = optional ? operand->element : operand;
    TypePtr element;
    Bound bound;
    bool number = key->kind == Kind::kInt || key->kind == Kind::kUint ||
                  key->kind == Kind::kDouble || key->kind == Kind::kDyn;
    if (holder->kind == Kind::kDyn) {
      element = dyn();
    } else if (holder->kind == Kind::kList && number) {
      element = holder->element;
    } else if (holder->kind == Kind::kMap && assign(holder->key, key, bound)) {
      element = holder->element;
    } else {
      return wrong(node, fmt::format("found no matching overload for '_[_]' applied to '({}, {})'",
                                     operand->to_string(), key->to_string()));
    }
    return optional || node.optional ? optional_of(element) : element;
  }

  Result<TypePtr> call(Node& node) {
    std::vector<TypePtr> given;
    // A function of a namespace (optional.of) reads like a member of a variable.
    if (node.member && node.children[0]->op == Op::kIdent && !find(node.children[0]->text)) {
      std::string whole = node.children[0]->text + "." + node.text;
      if (find_function(whole)) {
        node.text = whole;
        node.member = false;
        node.children.erase(node.children.begin());
      }
    }
    const Function* function = find_function(node.text);
    if (!function) {
      return wrong(node, fmt::format("undeclared reference to '{}' (in container '')", node.text));
    }
    // Lists that are formatted may hold anything.
    bool outer = std::exchange(mixed_, mixed_ || (node.member && node.text == "format"));
    for (NodePtr& child : node.children) {
      MOTH_ASSIGN(TypePtr type, check(*child));
      given.push_back(std::move(type));
    }
    mixed_ = outer;
    TypePtr result;
    for (const Overload& overload : function->overloads) {
      if (overload.member != node.member || overload.parameters.size() != given.size()) continue;
      Bound bound;
      bool fits = true;
      for (std::size_t i = 0; fits && i < given.size(); ++i)
        fits = assign(overload.parameters[i], given[i], bound);
      if (!fits) continue;
      TypePtr type = substitute(overload.result, bound);
      if (!result) {
        result = type;
      } else if (result->to_string() != type->to_string()) {
        result = dyn();  // which one is known when it runs
      }
    }
    if (!result) return wrong(node, no_overload(node, given));
    node.function = function;
    return result;
  }

  static std::string no_overload(const Node& node, const std::vector<TypePtr>& given) {
    std::string receiver, arguments;
    for (std::size_t i = 0; i < given.size(); ++i) {
      if (node.member && i == 0) {
        receiver = given[i]->to_string() + ".";
      } else {
        arguments += (arguments.empty() ? "" : ", ") + given[i]->to_string();
      }
    }
    return fmt::format("found no matching overload for '{}' applied to '{}({})'", node.text,
                       receiver, arguments);
  }

  Result<> want_bool(Node& node, const TypePtr& type, std::string_view where) const {
    if (type->kind == Kind::kBool || type->kind == Kind::kDyn) return {};
    return wrong(node, fmt::format("found no matching overload for '{}' applied to '({})'", where,
                                   type->to_string()));
  }

  Result<TypePtr> logic(Node& node) {
    for (NodePtr& child : node.children) {
      MOTH_ASSIGN(TypePtr type, check(*child));
      if (type->kind == Kind::kBool || type->kind == Kind::kDyn) continue;
      return wrong(node, fmt::format("expected type 'bool' but found '{}'", type->to_string()));
    }
    return simple(Kind::kBool);
  }

  Result<TypePtr> ternary(Node& node) {
    MOTH_ASSIGN(TypePtr condition, check(*node.children[0]));
    MOTH_TRY(want_bool(node, condition, "_?_:_"));
    MOTH_ASSIGN(TypePtr yes, check(*node.children[1]));
    MOTH_ASSIGN(TypePtr no, check(*node.children[2]));
    TypePtr merged = yes;
    if (merge(merged, no)) return merged;
    return wrong(node,
                 fmt::format("found no matching overload for '_?_:_' applied to '(bool, {}, {})'",
                             yes->to_string(), no->to_string()));
  }

  // Elements of one literal have one type.
  Result<> join(TypePtr& joined, const TypePtr& type, const Node& where) const {
    if (!joined) {
      joined = type;
      return {};
    }
    TypePtr merged = joined;
    if (!merge(merged, type)) {
      if (mixed_) {
        joined = dyn();
        return {};
      }
      return wrong(where, fmt::format("expected type '{}' but found '{}'", joined->to_string(),
                                      type->to_string()));
    }
    joined = merged;
    return {};
  }

  Result<TypePtr> element_type(Node& node, bool optional) {
    MOTH_ASSIGN(TypePtr type, check(node));
    if (!optional) return type;
    if (type->kind == Kind::kOptional) return type->element;
    if (type->kind == Kind::kDyn) return type;
    return wrong(
        node, fmt::format("expected type 'optional_type(dyn)' but found '{}'", type->to_string()));
  }

  Result<TypePtr> list(Node& node) {
    TypePtr element;
    for (std::size_t i = 0; i < node.children.size(); ++i) {
      MOTH_ASSIGN(TypePtr type, element_type(*node.children[i], node.optionals[i]));
      MOTH_TRY(join(element, type, *node.children[i]));
    }
    return list_of(element ? element : dyn());
  }

  Result<TypePtr> map(Node& node) {
    TypePtr key, element;
    for (std::size_t i = 0; i < node.children.size(); i += 2) {
      MOTH_ASSIGN(TypePtr key_type, check(*node.children[i]));
      MOTH_TRY(join(key, key_type, *node.children[i]));
      MOTH_ASSIGN(TypePtr type, element_type(*node.children[i + 1], node.optionals[i / 2]));
      MOTH_TRY(join(element, type, *node.children[i + 1]));
    }
    return map_of(key ? key : dyn(), element ? element : dyn());
  }

  Result<TypePtr> comprehension(Node& node) {
    MOTH_ASSIGN(TypePtr range, check(*node.children[0]));
    TypePtr key = simple(Kind::kInt), element;  // what an index or key is, and what is there
    if (range->kind == Kind::kList) {
      element = range->element;
    } else if (range->kind == Kind::kMap) {
      key = range->key;
      element = range->element;
    } else if (range->kind == Kind::kDyn) {
      key = element = dyn();
    } else {
      return wrong(*node.children[0],
                   fmt::format("expression of type '{}' cannot be range of a comprehension (must "
                               "be list, map, or dynamic)",
                               range->to_string()));
    }
    std::size_t outer = scope_.size();
    // One variable is an element of a list, but a key of a map.
    TypePtr item = range->kind == Kind::kMap ? key : element;
    node.slot = push(node.text, node.second.empty() ? item : key);
    if (!node.second.empty()) node.second_slot = push(node.second, element);
    std::vector<TypePtr> bodies;
    for (std::size_t i = 1; i < node.children.size(); ++i) {
      MOTH_ASSIGN(TypePtr body, check(*node.children[i]));
      bodies.push_back(std::move(body));
    }
    scope_.resize(outer);
    return result_of(node, item, key, bodies);
  }

  Result<TypePtr> result_of(const Node& node, const TypePtr& item, const TypePtr& key,
                            const std::vector<TypePtr>& bodies) {
    bool filters =
        node.macro != Macro::kMap && (node.macro < Macro::kTransformList || bodies.size() == 2);
    if (filters && bodies[0]->kind != Kind::kBool && bodies[0]->kind != Kind::kDyn) {
      return wrong(*node.children[1],
                   fmt::format("expected type 'bool' but found '{}'", bodies[0]->to_string()));
    }
    switch (node.macro) {
      case Macro::kMap:
      case Macro::kMapFiltered:
      case Macro::kTransformList:
        return list_of(bodies.back());
      case Macro::kFilter:
        return list_of(item);
      case Macro::kTransformMap:
        return map_of(key, bodies.back());
      case Macro::kTransformMapEntry: {
        const TypePtr& entry = bodies.back();
        if (entry->kind == Kind::kMap || entry->kind == Kind::kDyn) return entry;
        return wrong(*node.children.back(),
                     fmt::format("expected type 'map' but found '{}'", entry->to_string()));
      }
      default:
        return simple(Kind::kBool);
    }
  }

  Result<TypePtr> bind(Node& node) {
    MOTH_ASSIGN(TypePtr bound, check(*node.children[0]));
    std::size_t outer = scope_.size();
    node.slot = push(node.text, bound);
    auto body = check(*node.children[1]);
    scope_.resize(outer);
    return body;
  }

  Result<TypePtr> opt_map(Node& node) {
    MOTH_ASSIGN(TypePtr operand, check(*node.children[0]));
    if (operand->kind != Kind::kOptional && operand->kind != Kind::kDyn) {
      return wrong(node,
                   fmt::format("found no matching overload for 'optMap' applied to '{}.(dyn)'",
                               operand->to_string()));
    }
    std::size_t outer = scope_.size();
    node.slot = push(node.text, operand->kind == Kind::kDyn ? dyn() : operand->element);
    MOTH_ASSIGN(TypePtr body, check(*node.children[1]));
    scope_.resize(outer);
    return node.flat ? body : optional_of(body);
  }

  std::string_view expression_;
  Checked checked_;
  std::vector<Variable> scope_;
  int environment_size_ = 0;
  bool mixed_ = false;
};

}  // namespace

Result<Checked> check_expression(std::string_view expression, Node& root,
                                 const Environment& environment) {
  return Checker(expression, environment).run(root);
}

}  // namespace moth::cel
