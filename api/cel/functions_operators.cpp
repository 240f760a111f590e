// Operators, equality, order, `in`, size, type, optional values.
#include <cmath>
#include <limits>

#include "api/cel/convert.h"
#include "api/cel/functions.h"

namespace moth::cel {
namespace {

using Args = std::span<const Value>;

// What looking at so many bytes costs.
std::uint64_t text_cost(std::size_t bytes) {
  return bytes / 10 + 1;
}

Outcome not_op(Args args, Meter&) {
  const bool* truth = args[0].as<bool>();
  return truth ? Outcome(Value::Variant(!*truth)) : no_such_overload();
}

Outcome negate(Args args, Meter&) {
  if (const auto* number = args[0].as<std::int64_t>()) {
    if (*number == std::numeric_limits<std::int64_t>::min()) return failure("integer overflow");
    return Value::Variant(-*number);
  }
  if (const auto* number = args[0].as<double>()) return Value::Variant(-*number);
  return no_such_overload();
}

// A measure of how much of two values is compared, bounded.
std::uint64_t compare_cost(const Value& a, const Value& b) {
  if (a.string() && b.string()) return text_cost(std::min(a.string()->size(), b.string()->size()));
  return std::min<std::uint64_t>(a.size(), b.size()) + 1;
}

Outcome equal(Args args, Meter& meter) {
  if (!meter.spend(compare_cost(args[0], args[1]))) return Meter::spent();
  return Value::Variant(args[0].equals(args[1]));
}
Outcome different(Args args, Meter& meter) {
  if (!meter.spend(compare_cost(args[0], args[1]))) return Meter::spent();
  return Value::Variant(!args[0].equals(args[1]));
}

template <class Judge>
Outcome ordered(Args args, Judge judge) {
  if (args[0].kind() == Kind::kQuantity) return no_such_overload();
  auto order = compare(args[0], args[1]);
  return order ? Outcome(Value::Variant(judge(*order))) : no_such_overload();
}
Outcome less(Args args, Meter&) {
  return ordered(args, [](auto order) { return order < 0; });
}
Outcome less_equal(Args args, Meter&) {
  return ordered(args, [](auto order) { return order <= 0; });
}
Outcome greater(Args args, Meter&) {
  return ordered(args, [](auto order) { return order > 0; });
}
Outcome greater_equal(Args args, Meter&) {
  return ordered(args, [](auto order) { return order >= 0; });
}

// The builtins of the compiler know every overflow.
enum class Sum { kAdd, kSubtract, kMultiply };

template <class T>
bool overflows(Sum sum, T a, T b, T& out) {
  switch (sum) {
    case Sum::kAdd:
      return __builtin_add_overflow(a, b, &out);
    case Sum::kSubtract:
      return __builtin_sub_overflow(a, b, &out);
    case Sum::kMultiply:
      return __builtin_mul_overflow(a, b, &out);
  }
  return true;
}

// Empty when the values are not numbers of one type.
std::optional<Outcome> arithmetic(Sum sum, Args args) {
  const auto* a = args[0].as<std::int64_t>();
  const auto* b = args[1].as<std::int64_t>();
  if (a && b) {
    std::int64_t out = 0;
    if (overflows(sum, *a, *b, out)) return failure("integer overflow");
    return Value(Value::Variant(out));
  }
  const auto* c = args[0].as<std::uint64_t>();
  const auto* d = args[1].as<std::uint64_t>();
  if (c && d) {
    std::uint64_t out = 0;
    if (overflows(sum, *c, *d, out)) return failure("unsigned integer overflow");
    return Value(Value::Variant(out));
  }
  const auto* e = args[0].as<double>();
  const auto* f = args[1].as<double>();
  if (!e || !f) return std::nullopt;
  return Value(Value::Variant(sum == Sum::kAdd        ? *e + *f
                              : sum == Sum::kSubtract ? *e - *f
                                                      : *e * *f));
}

Outcome moved(const Timestamp& time, std::int64_t nanos) {
  std::int64_t seconds = 0;
  std::int64_t more = time.nanos + nanos % 1'000'000'000;
  if (overflows(Sum::kAdd, time.seconds, nanos / 1'000'000'000, seconds))
    return failure("timestamp overflow");
  if (more < 0) {
    more += 1'000'000'000;
    --seconds;
  } else if (more >= 1'000'000'000) {
    more -= 1'000'000'000;
    ++seconds;
  }
  return Value(Value::Variant(Timestamp{seconds, static_cast<std::int32_t>(more)}));
}

Outcome add(Args args, Meter& meter) {
  if (auto sum = arithmetic(Sum::kAdd, args)) return *sum;
  if (args[0].string() && args[1].string()) {
    std::size_t size = args[0].string()->size() + args[1].string()->size();
    if (!meter.spend(text_cost(size))) return Meter::spent();
    return Value::text(*args[0].string() + *args[1].string());
  }
  if (args[0].is_list() && args[1].is_list()) {
    if (!meter.spend(args[0].size() + args[1].size() + 1)) return Meter::spent();
    std::vector<Value> items;
    for (const Value& list : args) {
      for (std::size_t i = 0; i < list.size(); ++i) items.push_back(list.at(i));
    }
    return Value::list(std::move(items));
  }
  const auto* left = args[0].as<Duration>();
  const auto* right = args[1].as<Duration>();
  if (left && right) {
    std::int64_t out = 0;
    if (overflows(Sum::kAdd, left->nanos, right->nanos, out)) return failure("duration overflow");
    return Value(Value::Variant(Duration{out}));
  }
  if (const auto* time = args[0].as<Timestamp>(); time && right) return moved(*time, right->nanos);
  if (const auto* time = args[1].as<Timestamp>(); time && left) return moved(*time, left->nanos);
  const auto* a = args[0].as<Bytes>();
  const auto* b = args[1].as<Bytes>();
  if (a && b) {
    if (!meter.spend(text_cost(a->data->size() + b->data->size()))) return Meter::spent();
    return Value(Value::Variant(Bytes{std::make_shared<const std::string>(*a->data + *b->data)}));
  }
  return no_such_overload();
}

Outcome subtract(Args args, Meter&) {
  if (auto difference = arithmetic(Sum::kSubtract, args)) return *difference;
  const auto* right = args[1].as<Duration>();
  if (const auto* left = args[0].as<Duration>(); left && right) {
    std::int64_t out = 0;
    if (overflows(Sum::kSubtract, left->nanos, right->nanos, out))
      return failure("duration overflow");
    return Value(Value::Variant(Duration{out}));
  }
  const auto* time = args[0].as<Timestamp>();
  if (!time) return no_such_overload();
  if (right) return moved(*time, -right->nanos);
  if (const auto* other = args[1].as<Timestamp>()) {
    std::int64_t seconds = 0, nanos = 0;
    if (overflows(Sum::kSubtract, time->seconds, other->seconds, seconds) ||
        overflows(Sum::kMultiply, seconds, std::int64_t{1'000'000'000}, nanos))
      return failure("duration overflow");
    return Value(Value::Variant(Duration{nanos + time->nanos - other->nanos}));
  }
  return no_such_overload();
}

Outcome multiply(Args args, Meter&) {
  auto product = arithmetic(Sum::kMultiply, args);
  return product ? *product : no_such_overload();
}

Outcome divide(Args args, Meter&) {
  const auto* a = args[0].as<std::int64_t>();
  const auto* b = args[1].as<std::int64_t>();
  if (a && b) {
    if (*b == 0) return failure("division by zero");
    if (*b == -1 && *a == std::numeric_limits<std::int64_t>::min())
      return failure("integer overflow");
    return Value::Variant(*a / *b);
  }
  const auto* c = args[0].as<std::uint64_t>();
  const auto* d = args[1].as<std::uint64_t>();
  if (c && d) return *d == 0 ? failure("division by zero") : Outcome(Value::Variant(*c / *d));
  const auto* e = args[0].as<double>();
  const auto* f = args[1].as<double>();
  return e && f ? Outcome(Value::Variant(*e / *f)) : no_such_overload();
}

Outcome modulo(Args args, Meter&) {
  const auto* a = args[0].as<std::int64_t>();
  const auto* b = args[1].as<std::int64_t>();
  if (a && b) {
    if (*b == 0) return failure("modulus by zero");
    return Value::Variant(*b == -1 ? std::int64_t{0} : *a % *b);
  }
  const auto* c = args[0].as<std::uint64_t>();
  const auto* d = args[1].as<std::uint64_t>();
  if (!c || !d) return no_such_overload();
  return *d == 0 ? failure("modulus by zero") : Outcome(Value::Variant(*c % *d));
}

Outcome in(Args args, Meter& meter) {
  const Value& holder = args[1];
  if (holder.is_map()) return Value::Variant(holder.find(args[0]) != nullptr);
  if (!holder.is_list()) return no_such_overload();
  if (!meter.spend(holder.size() + 1)) return Meter::spent();
  for (std::size_t i = 0; i < holder.size(); ++i) {
    if (holder.at(i).equals(args[0])) return Value::Variant(true);
  }
  return Value::Variant(false);
}

Outcome size(Args args, Meter& meter) {
  const Value& value = args[0];
  std::size_t size = value.size();
  if (const std::string* text = value.string()) {
    if (!meter.spend(text_cost(text->size()))) return Meter::spent();
    size = decode_utf8(*text).size();
  } else if (const auto* bytes = value.as<Bytes>()) {
    size = bytes->data->size();
  } else if (!value.is_list() && !value.is_map()) {
    return no_such_overload();
  }
  return Value::Variant(static_cast<std::int64_t>(size));
}

Outcome optional_some(Args args, Meter&) {
  return Value::some(args[0]);
}
Outcome optional_none(Args, Meter&) {
  return Value::none();
}
Outcome optional_non_zero(Args args, Meter&) {
  const Value& value = args[0];
  bool zero = value.is_null() || (value.string() && value.string()->empty()) ||
              ((value.is_list() || value.is_map()) && value.size() == 0);
  if (auto order = compare_numbers(value, Value::Variant(std::int64_t{0})))
    zero = *order == std::partial_ordering::equivalent;
  if (const bool* truth = value.as<bool>()) zero = !*truth;
  return zero ? Value::none() : Value::some(value);
}
Outcome has_value(Args args, Meter&) {
  const auto* optional = args[0].as<Optional>();
  return optional ? Outcome(Value::Variant(optional->value != nullptr)) : no_such_overload();
}
Outcome value_of(Args args, Meter&) {
  const auto* optional = args[0].as<Optional>();
  if (!optional) return no_such_overload();
  if (!optional->value) return failure("optional.none() dereference");
  return *optional->value;
}
Outcome or_value(Args args, Meter&) {
  const auto* optional = args[0].as<Optional>();
  if (!optional) return no_such_overload();
  return optional->value ? *optional->value : args[1];
}
Outcome or_else(Args args, Meter&) {
  const auto* optional = args[0].as<Optional>();
  if (!optional) return no_such_overload();
  return optional->value ? args[0] : args[1];
}

// `<` and its like compare numbers of every type.
constexpr const char* kOrdered =
    "(bool,bool) bool; (int,int) bool; (int,uint) bool; (int,double) bool; (uint,int) bool;"
    "(uint,uint) bool; (uint,double) bool; (double,int) bool; (double,uint) bool;"
    "(double,double) bool; (string,string) bool; (bytes,bytes) bool; (time,time) bool;"
    "(duration,duration) bool";

}  // namespace

std::span<const FunctionRow> operator_rows() {
  static constexpr FunctionRow kRows[] = {
      {"!_", "(bool) bool", not_op},
      {"-_", "(int) int; (double) double", negate},
      {"_==_", "(A,A) bool", equal},
      {"_!=_", "(A,A) bool", different},
      {"_<_", kOrdered, less},
      {"_<=_", kOrdered, less_equal},
      {"_>_", kOrdered, greater},
      {"_>=_", kOrdered, greater_equal},
      {"_+_",
       "(int,int) int; (uint,uint) uint; (double,double) double; (string,string) string;"
       "(bytes,bytes) bytes; (list(A),list(A)) list(A); (time,duration) time; (duration,time) time;"
       "(duration,duration) duration",
       add},
      {"_-_",
       "(int,int) int; (uint,uint) uint; (double,double) double; (time,time) duration;"
       "(time,duration) time; (duration,duration) duration",
       subtract},
      {"_*_", "(int,int) int; (uint,uint) uint; (double,double) double", multiply},
      {"_/_", "(int,int) int; (uint,uint) uint; (double,double) double", divide},
      {"_%_", "(int,int) int; (uint,uint) uint", modulo},
      {"@in", "(A,list(A)) bool; (A,map(A,B)) bool", in},
      {"size",
       "(string) int; (bytes) int; (list(A)) int; (map(A,B)) int; string.() int; bytes.() int;"
       "list(A).() int; map(A,B).() int",
       size},
      {"optional.of", "(A) optional(A)", optional_some},
      {"optional.none", "() optional(dyn)", optional_none},
      {"optional.ofNonZeroValue", "(A) optional(A)", optional_non_zero},
      {"hasValue", "optional(A).() bool", has_value},
      {"value", "optional(A).() A", value_of},
      {"orValue", "optional(A).(A) A", or_value},
      {"or", "optional(A).(optional(A)) optional(A)", or_else},
  };
  return kRows;
}

}  // namespace moth::cel
