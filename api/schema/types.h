#pragma once
// The types of the API as data: which fields an object has, what they hold, how lists and maps
// merge.
//
// A Type is a structure with named fields; a Value is what a place (a field, a list item, a map
// value) holds. Both are small handles, passed by value, into a Table. The built-in table is
// compiled from data/*.schema into read-only memory, so it costs nothing at start; the schema of a
// custom resource is a Table of its own (dynamic.h) and is walked by the same code. A handle is
// valid as long as its table: for ever for the built-in one. Everything here is immutable and may
// be used on any thread.
//
//   if (auto type = schema::find_type("core.v1.PodSpec"))
//     for (schema::Field field : type.fields()) ... field.name(), field.value().kind() ...
//
// Names of types are the package and the Kubernetes name: core.v1.PodSpec, apps.v1.Deployment,
// meta.v1.ObjectMeta (also found as apis.meta.v1.ObjectMeta), rbac.v1.Role, api.resource.Quantity.
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string_view>

namespace moth::schema {

struct Table;  // table.h: the stored form
struct TypeRow;
struct FieldRow;
struct ValueRow;
class Field;
class Type;
class Value;

enum class Kind : std::uint8_t {
  kObject,  // fields by type()
  kArray,   // items by element()
  kMap,     // string keys, values by element()
  kString,
  kBool,
  kInt32,
  kInt64,
  kDouble,
  kBytes,      // base64 text in JSON
  kTime,       // RFC 3339 text, whole seconds
  kMicroTime,  // RFC 3339 text with microseconds
  kQuantity,   // text (or a number in input)
  kIntOrString,
  kDuration,   // Go duration text, "1h2m3s"
  kRawObject,  // an object of any content (RawExtension, FieldsV1)
  kAny,        // any JSON
};

// How the items of a list are identified by server-side apply. Undeclared means kAtomic.
enum class ListType : std::uint8_t { kAtomic, kSet, kMap };
// Whether a map or structure is one unit for server-side apply. Undeclared means kGranular.
enum class MapType : std::uint8_t { kGranular, kAtomic };

// The names of the keys of a list of list type map.
class KeyList {
 public:
  class Iterator {
   public:
    using value_type = std::string_view;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const Table* table, std::uint32_t at) : table_(table), at_(at) {}
    std::string_view operator*() const;
    Iterator& operator++() { return ++at_, *this; }
    Iterator operator++(int) { return {table_, at_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    const Table* table_ = nullptr;
    std::uint32_t at_ = 0;
  };

  KeyList() = default;
  KeyList(const Table* table, std::uint32_t first, std::uint32_t count)
      : table_(table), first_(first), count_(count) {}
  Iterator begin() const { return {table_, first_}; }
  Iterator end() const { return {table_, first_ + count_}; }
  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  std::string_view operator[](std::size_t i) const {
    return *Iterator(table_, first_ + static_cast<std::uint32_t>(i));
  }

 private:
  const Table* table_ = nullptr;
  std::uint32_t first_ = 0, count_ = 0;
};

// What a place holds.
class Value {
 public:
  Value() = default;
  Value(const Table* table, std::uint32_t index) : table_(table), index_(index) {}
  explicit operator bool() const { return table_ != nullptr; }

  Kind kind() const;
  bool is_scalar() const;  // neither object, array, map nor free-form JSON
  // kObject: its structure. Also set for the named scalars (Quantity, Time, IntOrString...), whose
  // structure has no fields; else empty.
  Type type() const;
  // kArray: of its items; kMap: of its values; else empty.
  Value element() const;
  ListType list_type() const;     // kArray
  KeyList list_map_keys() const;  // kArray of list type map: its keys, in their declared order
  // kMap and kObject; for an object the place's own declaration wins over its type's.
  MapType map_type() const;
  // An explicit null is a value of its own and is kept (custom resources only).
  bool nullable() const;
  // kObject: fields that the type does not name are kept (custom resources only; else false).
  bool preserve_unknown_fields() const;
  // kObject: a whole object with apiVersion, kind and metadata (custom resources only).
  bool embedded_resource() const;

 private:
  const ValueRow& row() const;
  const Table* table_ = nullptr;
  std::uint32_t index_ = 0;
};

// One field of a structure, by its JSON name.
class Field {
 public:
  Field() = default;
  Field(const Table* table, std::uint32_t index) : table_(table), index_(index) {}
  explicit operator bool() const { return table_ != nullptr; }

  std::string_view name() const;
  Value value() const;
  bool required() const;
  // The structural default as JSON text ("\"TCP\"", "0"); empty when there is none. A built-in's
  // default of zero says what the empty value means; it is not written into objects.
  std::string_view default_json() const;
  std::string_view description() const;  // own words; empty for the rarer fields

  // Strategic merge patch. With neither merge nor replace a list is replaced and an object merged.
  bool patch_merge() const;        // list: merge items (by patch_merge_key, or as a set of scalars)
  bool patch_replace() const;      // replaced as a whole although it is an object
  bool patch_retain_keys() const;  // honours $retainKeys
  std::string_view patch_merge_key() const;  // empty: none

  bool operator==(const Field&) const = default;

 private:
  const FieldRow& row() const;
  const Table* table_ = nullptr;
  std::uint32_t index_ = 0;
};

// The fields of a type, sorted by name.
class FieldList {
 public:
  class Iterator {
   public:
    using value_type = Field;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    Iterator(const Table* table, std::uint32_t at) : table_(table), at_(at) {}
    Field operator*() const { return {table_, at_}; }
    Iterator& operator++() { return ++at_, *this; }
    Iterator operator++(int) { return {table_, at_++}; }
    bool operator==(const Iterator&) const = default;

   private:
    const Table* table_ = nullptr;
    std::uint32_t at_ = 0;
  };

  FieldList(const Table* table, std::uint32_t first, std::uint32_t count)
      : table_(table), first_(first), count_(count) {}
  Iterator begin() const { return {table_, first_}; }
  Iterator end() const { return {table_, first_ + count_}; }
  std::size_t size() const { return count_; }
  Field operator[](std::size_t i) const { return {table_, first_ + static_cast<std::uint32_t>(i)}; }

 private:
  const Table* table_;
  std::uint32_t first_, count_;
};

// A structure, or a named scalar (kind() other than kObject, no fields).
class Type {
 public:
  Type() = default;
  Type(const Table* table, std::uint32_t index) : table_(table), index_(index) {}
  explicit operator bool() const { return table_ != nullptr; }

  std::string_view name() const;        // core.v1.PodSpec
  std::string_view short_name() const;  // PodSpec
  std::string_view group() const;       // "" for core, apps, rbac.authorization.k8s.io
  std::string_view version() const;     // v1
  std::string_view description() const;
  Kind kind() const;
  // True for what can stand alone: it has apiVersion and kind.
  bool is_root() const;
  FieldList fields() const;
  // By JSON name; empty when the type has no such field. Binary search.
  Field field(std::string_view name) const;
  MapType map_type() const;
  // The type as the value of a place, for code that walks Values.
  Value value() const;

  bool operator==(const Type&) const = default;

  const Table* table() const { return table_; }
  std::uint32_t index() const { return index_; }

 private:
  const TypeRow& row() const;
  const Table* table_ = nullptr;
  std::uint32_t index_ = 0;
};

// The built-in types.
Type find_type(std::string_view name);
// By group, version and kind: ("apps", "v1", "Deployment"). Empty when unknown.
Type find_type(std::string_view group, std::string_view version, std::string_view kind);
std::size_t type_count();
Type type_at(std::size_t index);  // index < type_count(); sorted by name

// False for the types of custom resources, and for an empty handle.
bool is_builtin(Type type);

std::string_view to_string(Kind kind);

}  // namespace moth::schema
