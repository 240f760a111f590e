#include <fmt/format.h>

#include <algorithm>

#include "api/machinery/jsonpath_program.h"

namespace moth::jsonpath {
namespace {

// How many values one evaluation may visit: a template of nested recursion cannot stall its caller.
constexpr std::size_t kMaxVisited = 5'000'000;

tl::unexpected<Error> refuse(std::string why) {
  return fail(Error::bad_request(std::move(why)));
}

void collect_containers(const Json& value, Values& out) {
  if (!value.is_structured() || value.empty() || out.size() > kMaxVisited) return;
  out.push_back(&value);
  for (const Json& element : value) collect_containers(element, out);
}

// Null when the two cannot be compared.
std::optional<int> compare(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_number_integer() && b.is_number_integer()) return a < b ? -1 : b < a ? 1 : 0;
    double x = a.get<double>();
    double y = b.get<double>();
    return x < y ? -1 : y < x ? 1 : 0;
  }
  if (a.type() != b.type()) return std::nullopt;
  if (a.is_string())
    return a.get_ref<const std::string&>().compare(b.get_ref<const std::string&>());
  if (a.is_boolean()) return static_cast<int>(a.get<bool>()) - static_cast<int>(b.get<bool>());
  return std::nullopt;
}

bool passes(FilterOperator op, int order) {
  switch (op) {
    case FilterOperator::kExists:
      return true;
    case FilterOperator::kEqual:
      return order == 0;
    case FilterOperator::kNotEqual:
      return order != 0;
    case FilterOperator::kLess:
      return order < 0;
    case FilterOperator::kLessEqual:
      return order <= 0;
    case FilterOperator::kGreater:
      return order > 0;
    case FilterOperator::kGreaterEqual:
      return order >= 0;
  }
  return false;
}

// Appends the elements of `list` that the slice names.
Result<void> take_slice(const Slice& slice, const Json& list, Values& out) {
  auto size = static_cast<std::int64_t>(list.size());
  std::int64_t start = slice.start.value_or(0);
  if (start < 0) start += size;
  std::int64_t end = slice.single ? start + 1 : slice.end.value_or(size);
  if (end < 0) end += size;
  if (start == end) return {};
  if (start >= size || start < 0) {
    // All of an empty list is nothing, not a mistake.
    if (size == 0 && !slice.single && !slice.start && !slice.end) return {};
    return refuse(fmt::format("array index out of bounds: index {}, length {}", start, size));
  }
  if (end > size || end < 0) {
    return refuse(fmt::format("array index out of bounds: index {}, length {}", end - 1, size));
  }
  if (start > end) {
    return refuse(fmt::format("starting index {} is greater than ending index {}", start, end));
  }
  std::int64_t step = slice.step.value_or(1);
  if (step <= 0) return refuse("step must be > 0");
  for (std::int64_t i = start; i < end; i += step)
    out.push_back(&list[static_cast<std::size_t>(i)]);
  return {};
}

}  // namespace

Result<std::vector<Values>> Evaluator::run(const Segments& segments, const Json& data) {
  std::vector<Values> results;
  MOTH_TRY(run_segments(segments, {&data}, results));
  return results;
}

Result<void> Evaluator::run_segments(const Segments& segments, const Values& current,
                                     std::vector<Values>& results) {
  for (const Segment& segment : segments) {
    MOTH_ASSIGN(Values values, walk(segment.nodes, current));
    if (!segment.is_range) {
      results.push_back(std::move(values));
      continue;
    }
    for (const Json* value : values) MOTH_TRY(run_segments(segment.body, {value}, results));
  }
  return {};
}

Result<Values> Evaluator::walk(const Nodes& nodes, Values current) {
  for (const Node& node : nodes) {
    MOTH_ASSIGN(current, step(node, current));
    charge(current.size() + 1);
    if (visited_ > kMaxVisited) return refuse("the JSONPath template visits too many values");
  }
  return current;
}

Result<Values> Evaluator::step(const Node& node, const Values& current) {
  Values out;
  switch (node.kind) {
    case NodeKind::kField:
      return field(node, current);
    case NodeKind::kSlice:
      return slice(node, current);
    case NodeKind::kUnion:
      return unite(node, current);
    case NodeKind::kFilter:
      return filter(node, current);
    case NodeKind::kValue:
      out.push_back(&node.value);
      break;
    case NodeKind::kWildcard:
      for (const Json* value : current) {
        if (!value->is_structured()) continue;
        for (const Json& element : *value) out.push_back(&element);
      }
      break;
    case NodeKind::kRecursive:
      for (const Json* value : current) collect_containers(*value, out);
      break;
  }
  return out;
}

Result<Values> Evaluator::field(const Node& node, const Values& current) const {
  Values out;
  for (const Json* value : current) {
    if (const Json* member = find_member(*value, node.name)) out.push_back(member);
  }
  if (out.empty() && !allow_missing_keys_) return refuse(node.name + " is not found");
  return out;
}

Result<Values> Evaluator::slice(const Node& node, const Values& current) {
  Values out;
  for (const Json* value : current) {
    if (value->is_null()) continue;
    if (!value->is_array())
      return refuse(fmt::format("{} is not array or slice", value->type_name()));
    MOTH_TRY(take_slice(node.slice, *value, out));
  }
  return out;
}

Result<Values> Evaluator::unite(const Node& node, const Values& current) {
  Values out;
  for (const Nodes& branch : node.branches) {
    MOTH_ASSIGN(Values values, walk(branch, current));
    out.insert(out.end(), values.begin(), values.end());
  }
  return out;
}

Result<Values> Evaluator::filter(const Node& node, const Values& current) {
  Values out;
  for (const Json* list : current) {
    if (list->is_null()) continue;
    if (!list->is_array()) {
      return refuse(
          fmt::format("{} is not array or slice and cannot be filtered", list->type_name()));
    }
    for (const Json& element : *list) {
      auto left = walk(node.branches[0], {&element});
      if (node.op == FilterOperator::kExists) {
        if (left && !left->empty()) out.push_back(&element);
        continue;
      }
      if (!left) return left;
      MOTH_ASSIGN(Values right, walk(node.branches[1], {&element}));
      if (left->empty() || right.empty()) continue;
      if (left->size() > 1 || right.size() > 1)
        return refuse("can only compare one element at a time");
      auto order = compare(*left->front(), *right.front());
      // Values of different types are different, and in no order.
      bool pass = order ? passes(node.op, *order) : node.op == FilterOperator::kNotEqual;
      if (pass) out.push_back(&element);
    }
  }
  return out;
}

}  // namespace moth::jsonpath
