#pragma once
// Values of CEL. Cheap to copy: what is large is shared or refers to the JSON that was bound, which
// must outlive the value. Any thread.
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/cel/type.h"

namespace moth::cel {

class Value;

struct Null {
  bool operator==(const Null&) const = default;
};
// Nanoseconds since 1970 do not reach over CEL's years 1 to 9999.
struct Timestamp {
  std::int64_t seconds = 0;
  std::int32_t nanos = 0;
  auto operator<=>(const Timestamp&) const = default;
};
struct Duration {
  std::int64_t nanos = 0;
  auto operator<=>(const Duration&) const = default;
};
struct Bytes {
  std::shared_ptr<const std::string> data;
};
struct TypeValue {
  std::string name;
  bool operator==(const TypeValue&) const = default;
};
// A JSON object or array with what the schema says about it.
struct JsonView {
  const Json* json = nullptr;
  TypePtr type;
};
struct List {
  std::vector<Value> items;
};
struct Map {
  std::vector<std::pair<Value, Value>> entries;
};
struct Optional {
  std::shared_ptr<const Value> value;  // null: none
};
// Values of Kubernetes' own types (quantity, url, ip, cidr, format).
struct Opaque {
  Kind kind = Kind::kDyn;
  virtual ~Opaque() = default;
  virtual bool equals(const Opaque& other) const = 0;
};

using String = std::shared_ptr<const std::string>;
using ListPtr = std::shared_ptr<const List>;
using MapPtr = std::shared_ptr<const Map>;
using OpaquePtr = std::shared_ptr<const Opaque>;

class Value {
 public:
  using Variant =
      std::variant<Null, bool, std::int64_t, std::uint64_t, double, String, Bytes, ListPtr, MapPtr,
                   JsonView, Timestamp, Duration, TypeValue, Optional, OpaquePtr>;

  Value() = default;
  Value(Variant data) : data_(std::move(data)) {}  // NOLINT: a value is one of these
  static Value text(std::string text);
  static Value list(std::vector<Value> items);
  static Value map(std::vector<std::pair<Value, Value>> entries);
  static Value some(Value value);
  static Value none() { return Variant(Optional{}); }
  // `json` must outlive the value. Text becomes a timestamp, duration or bytes where `type` says
  // so.
  static Value of(const Json& json, const TypePtr& type);

  template <class T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  bool is_null() const { return std::holds_alternative<Null>(data_); }
  // The text of a string value, null otherwise.
  const std::string* string() const;
  const Variant& data() const { return data_; }

  // kDyn never.
  Kind kind() const;
  bool is_list() const { return kind() == Kind::kList; }
  bool is_map() const { return kind() == Kind::kMap || kind() == Kind::kObject; }

  // Lists and maps, whatever they are made of.
  std::size_t size() const;
  Value at(std::size_t index) const;  // of a list; index < size()
  // The keys of a map, or names of the fields that an object has.
  std::vector<Value> keys() const;
  // Null pointer: no such key. By the name in expressions for objects.
  std::unique_ptr<Value> find(const Value& key) const;

  // CEL's equality: across number types by value, else false when the types differ.
  bool equals(const Value& other) const;
  // What type() prints: "int", "string", "list", "map", "null_type", "google.protobuf.Timestamp".
  std::string type_name() const;

 private:
  Variant data_;
};

}  // namespace moth::cel
