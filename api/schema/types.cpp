#include "api/schema/types.h"

#include <algorithm>
#include <string>

#include "api/schema/table.h"

namespace moth::schema {

namespace {

// The index of the type called package.short_name; kNone when there is none.
std::uint32_t find_index(const Table& table, std::string_view name) {
  const TypeRow* end = table.types + table.type_count;
  const TypeRow* row = std::lower_bound(
      table.types, end, name,
      [&](const TypeRow& a, std::string_view b) { return table.text(a.name) < b; });
  if (row == end || table.text(row->name) != name) return kNone;
  return static_cast<std::uint32_t>(row - table.types);
}

Type find_in_package(const Table& table, std::string_view package, std::string_view kind) {
  std::string name;
  name.reserve(package.size() + 1 + kind.size());
  name.append(package).append(1, '.').append(kind);
  std::uint32_t index = find_index(table, name);
  return index == kNone ? Type() : Type(&table, index);
}

}  // namespace

std::string_view KeyList::Iterator::operator*() const {
  return table_->text(table_->keys[at_]);
}

const ValueRow& Value::row() const {
  return table_->values[index_];
}
Kind Value::kind() const {
  return row().kind;
}
bool Value::is_scalar() const {
  switch (row().kind) {
    case Kind::kObject:
    case Kind::kArray:
    case Kind::kMap:
    case Kind::kRawObject:
    case Kind::kAny:
      return false;
    default:
      return true;
  }
}
Type Value::type() const {
  if (row().type == kNone) return {};
  return {row().flags & kBuiltinType ? &kBuiltinTable : table_, row().type};
}
Value Value::element() const {
  return row().element == kNone ? Value() : Value(table_, row().element);
}
ListType Value::list_type() const {
  return row().list_type;
}
KeyList Value::list_map_keys() const {
  return {table_, row().first_key, row().key_count};
}
MapType Value::map_type() const {
  return row().map_type;
}
bool Value::nullable() const {
  return row().flags & kNullable;
}
bool Value::preserve_unknown_fields() const {
  return row().flags & kPreserveUnknown;
}
bool Value::embedded_resource() const {
  return row().flags & kEmbeddedResource;
}

const FieldRow& Field::row() const {
  return table_->fields[index_];
}
std::string_view Field::name() const {
  return table_->text(row().name);
}
Value Field::value() const {
  return {table_, row().value};
}
bool Field::required() const {
  return row().flags & kRequired;
}
std::string_view Field::default_json() const {
  return table_->text(row().default_json);
}
std::string_view Field::description() const {
  return table_->text(row().description);
}
bool Field::patch_merge() const {
  return row().flags & kPatchMerge;
}
bool Field::patch_replace() const {
  return row().flags & kPatchReplace;
}
bool Field::patch_retain_keys() const {
  return row().flags & kRetainKeys;
}
std::string_view Field::patch_merge_key() const {
  return table_->text(row().merge_key);
}

const TypeRow& Type::row() const {
  return table_->types[index_];
}
std::string_view Type::name() const {
  return table_->text(row().name);
}
std::string_view Type::short_name() const {
  std::string_view full = name();
  return full.substr(full.rfind('.') + 1);
}
std::string_view Type::group() const {
  return table_->text(table_->packages[row().package].group);
}
std::string_view Type::version() const {
  return table_->text(table_->packages[row().package].version);
}
std::string_view Type::description() const {
  return table_->text(row().description);
}
Kind Type::kind() const {
  return row().kind;
}
bool Type::is_root() const {
  return row().root;
}
FieldList Type::fields() const {
  return {table_, row().first_field, row().field_count};
}
MapType Type::map_type() const {
  return row().map_type;
}
Value Type::value() const {
  return {table_, row().value};
}

Field Type::field(std::string_view name) const {
  const FieldRow* begin = table_->fields + row().first_field;
  const FieldRow* end = begin + row().field_count;
  const FieldRow* found = std::lower_bound(
      begin, end, name,
      [&](const FieldRow& a, std::string_view b) { return table_->text(a.name) < b; });
  if (found == end || table_->text(found->name) != name) return {};
  return {table_, static_cast<std::uint32_t>(found - table_->fields)};
}

Type find_type(std::string_view name) {
  // The tables of facts that people work from call the package apis.meta.v1.
  if (name.starts_with("apis.")) name.remove_prefix(5);
  std::uint32_t index = find_index(kBuiltinTable, name);
  return index == kNone ? Type() : Type(&kBuiltinTable, index);
}

Type find_type(std::string_view group, std::string_view version, std::string_view kind) {
  const Table& table = kBuiltinTable;
  for (std::uint32_t i = 0; i < table.package_count; ++i) {
    const PackageRow& package = table.packages[i];
    if (table.text(package.group) != group || table.text(package.version) != version) continue;
    if (Type type = find_in_package(table, table.text(package.name), kind); type && type.is_root())
      return type;
  }
  // Every group has the option kinds and Status of meta.v1 under its own name.
  Type common = find_in_package(table, "meta.v1", kind);
  return common && common.is_root() ? common : Type();
}

std::size_t type_count() {
  return kBuiltinTable.type_count;
}
bool is_builtin(Type type) {
  return type.table() == &kBuiltinTable;
}
Type type_at(std::size_t index) {
  return {&kBuiltinTable, static_cast<std::uint32_t>(index)};
}

std::string_view to_string(Kind kind) {
  switch (kind) {
    case Kind::kObject:
      return "object";
    case Kind::kArray:
      return "array";
    case Kind::kMap:
      return "map";
    case Kind::kString:
      return "string";
    case Kind::kBool:
      return "bool";
    case Kind::kInt32:
      return "int32";
    case Kind::kInt64:
      return "int64";
    case Kind::kDouble:
      return "double";
    case Kind::kBytes:
      return "bytes";
    case Kind::kTime:
      return "time";
    case Kind::kMicroTime:
      return "microtime";
    case Kind::kQuantity:
      return "quantity";
    case Kind::kIntOrString:
      return "int-or-string";
    case Kind::kDuration:
      return "duration";
    case Kind::kRawObject:
      return "raw-object";
    case Kind::kAny:
      return "any";
  }
  return "unknown";
}

}  // namespace moth::schema
