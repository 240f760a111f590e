// Kubernetes' list functions, and sets.
#include <algorithm>

#include "api/cel/convert.h"
#include "api/cel/functions.h"

namespace moth::cel {

// functions_strings.cpp
Outcome index_of_text(std::span<const Value> args, Meter& meter);
Outcome last_index_of_text(std::span<const Value> args, Meter& meter);

namespace {

using Args = std::span<const Value>;

// The items of a list, paid for.
bool items_of(const Value& list, Meter& meter, std::vector<Value>& items, Outcome& trouble) {
  if (!list.is_list()) {
    trouble = no_such_overload();
    return false;
  }
  if (!meter.spend(list.size() + 1)) {
    trouble = Meter::spent();
    return false;
  }
  for (std::size_t i = 0; i < list.size(); ++i) items.push_back(list.at(i));
  return true;
}

Outcome is_sorted(Args args, Meter& meter) {
  std::vector<Value> items;
  Outcome trouble = Value();
  if (!items_of(args[0], meter, items, trouble)) return trouble;
  for (std::size_t i = 1; i < items.size(); ++i) {
    auto order = compare(items[i - 1], items[i]);
    if (!order) return no_such_overload();
    if (*order > 0) return Value::Variant(false);
  }
  return Value::Variant(true);
}

Outcome sum(Args args, Meter& meter) {
  std::vector<Value> items;
  Outcome trouble = Value();
  if (!items_of(args[0], meter, items, trouble)) return trouble;
  if (items.empty()) return Value::Variant(std::int64_t{0});
  const Function* plus = find_function("_+_");
  Outcome total = items[0];
  for (std::size_t i = 1; i < items.size(); ++i) {
    Value pair[] = {*total, items[i]};
    total = plus->run(pair, meter);
    if (!total) return total;
  }
  return total;
}

Outcome extreme(Args args, Meter& meter, bool greatest) {
  std::vector<Value> items;
  Outcome trouble = Value();
  if (!items_of(args[0], meter, items, trouble)) return trouble;
  if (items.empty())
    return failure(greatest ? "max called on empty list" : "min called on empty list");
  Value best = items[0];
  for (const Value& item : items) {
    auto order = compare(item, best);
    if (!order) return no_such_overload();
    if (greatest ? *order > 0 : *order < 0) best = item;
  }
  return best;
}
Outcome least(Args args, Meter& meter) {
  return extreme(args, meter, false);
}
Outcome greatest(Args args, Meter& meter) {
  return extreme(args, meter, true);
}

Outcome index_of(Args args, Meter& meter) {
  if (args[0].string()) return index_of_text(args, meter);
  std::vector<Value> items;
  Outcome trouble = Value();
  if (!items_of(args[0], meter, items, trouble)) return trouble;
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (items[i].equals(args[1])) return Value::Variant(static_cast<std::int64_t>(i));
  }
  return Value::Variant(std::int64_t{-1});
}

Outcome last_index_of(Args args, Meter& meter) {
  if (args[0].string()) return last_index_of_text(args, meter);
  std::vector<Value> items;
  Outcome trouble = Value();
  if (!items_of(args[0], meter, items, trouble)) return trouble;
  for (std::size_t i = items.size(); i > 0; --i) {
    if (items[i - 1].equals(args[1])) return Value::Variant(static_cast<std::int64_t>(i - 1));
  }
  return Value::Variant(std::int64_t{-1});
}

bool holds(const std::vector<Value>& items, const Value& wanted) {
  return std::any_of(items.begin(), items.end(),
                     [&](const Value& item) { return item.equals(wanted); });
}

// Both lists, and the price of comparing each with each.
struct Pair {
  std::vector<Value> left, right;
};
bool both(Args args, Meter& meter, Pair& pair, Outcome& trouble) {
  if (!items_of(args[0], meter, pair.left, trouble)) return false;
  if (!items_of(args[1], meter, pair.right, trouble)) return false;
  if (meter.spend(pair.left.size() * pair.right.size())) return true;
  trouble = Meter::spent();
  return false;
}
bool includes(const std::vector<Value>& all, const std::vector<Value>& some) {
  return std::all_of(some.begin(), some.end(), [&](const Value& item) { return holds(all, item); });
}

Outcome sets_contains(Args args, Meter& meter) {
  Pair pair;
  Outcome trouble = Value();
  if (!both(args, meter, pair, trouble)) return trouble;
  return Value::Variant(includes(pair.left, pair.right));
}
Outcome sets_equivalent(Args args, Meter& meter) {
  Pair pair;
  Outcome trouble = Value();
  if (!both(args, meter, pair, trouble)) return trouble;
  return Value::Variant(includes(pair.left, pair.right) && includes(pair.right, pair.left));
}
Outcome sets_intersects(Args args, Meter& meter) {
  Pair pair;
  Outcome trouble = Value();
  if (!both(args, meter, pair, trouble)) return trouble;
  return Value::Variant(std::any_of(pair.left.begin(), pair.left.end(),
                                    [&](const Value& item) { return holds(pair.right, item); }));
}

constexpr const char* kComparable =
    "list(int).() int; list(uint).() uint; list(double).() double; list(bool).() bool;"
    "list(string).() string; list(bytes).() bytes; list(time).() time;"
    "list(duration).() duration";
constexpr const char* kSortable =
    "list(int).() bool; list(uint).() bool; list(double).() bool; list(bool).() bool;"
    "list(string).() bool; list(bytes).() bool; list(time).() bool; list(duration).() bool";

}  // namespace

std::span<const FunctionRow> list_rows() {
  static constexpr FunctionRow kRows[] = {
      {"isSorted", kSortable, is_sorted},
      {"sum",
       "list(int).() int; list(uint).() uint; list(double).() double; list(duration).() duration",
       sum},
      {"min", kComparable, least},
      {"max", kComparable, greatest},
      {"indexOf", "list(A).(A) int; string.(string) int; string.(string,int) int", index_of},
      {"lastIndexOf", "list(A).(A) int; string.(string) int; string.(string,int) int",
       last_index_of},
      {"sets.contains", "(list(A),list(A)) bool", sets_contains},
      {"sets.equivalent", "(list(A),list(A)) bool", sets_equivalent},
      {"sets.intersects", "(list(A),list(A)) bool", sets_intersects},
  };
  return kRows;
}

}  // namespace moth::cel
