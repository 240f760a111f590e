#include "api/schema/dynamic.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/schema/table.h"

namespace moth::schema {

struct DynamicTypes::Storage {
  std::vector<TypeRow> types;
  std::vector<FieldRow> fields;
  std::vector<ValueRow> values;
  std::vector<PackageRow> packages;
  std::vector<Text> keys;
  std::string pool;
  Table table;
  std::uint32_t root = 0, list = 0;

  void close() {
    table.types = types.data();
    table.fields = fields.data();
    table.values = values.data();
    table.packages = packages.data();
    table.keys = keys.data();
    table.pool = pool.data();
    table.type_count = static_cast<std::uint32_t>(types.size());
    table.package_count = static_cast<std::uint32_t>(packages.size());
  }
};

namespace {

constexpr std::size_t kMaxDepth = 64, kMaxValues = 20000, kMaxText = 4 * 1024 * 1024;

// "example.com" -> "com.example".
std::string reversed(std::string_view group) {
  std::string out;
  while (!group.empty()) {
    std::size_t dot = group.rfind('.');
    if (!out.empty()) out += '.';
    out += group.substr(dot == std::string_view::npos ? 0 : dot + 1);
    group = dot == std::string_view::npos ? std::string_view() : group.substr(0, dot);
  }
  return out;
}

template <class Storage>
class Builder {
 public:
  Builder(Storage& storage, std::string_view group, std::string_view version)
      : storage_(storage), prefix_(reversed(group) + "." + std::string(version)) {
    storage_.packages.push_back({text(prefix_), text(group), text(version)});
  }

  Result<> build(std::string_view kind, std::string_view list_kind, const Json& schema) {
    if (string_or(schema, "type") != "object")
      return invalid("openAPIV3Schema", "the schema's type must be object");
    MOTH_ASSIGN(storage_.root,
                structure(std::string(kind), schema, "openAPIV3Schema", Role::kRoot, 0));
    list(list_kind);
    return {};
  }

 private:
  enum class Role { kPlain, kRoot, kEmbedded };

  tl::unexpected<Error> invalid(const std::string& path, std::string what) const {
    Error error = Error::of(Reason::kInvalid, fmt::format("{}: {}", path, what));
    error.causes.push_back({"FieldValueInvalid", std::move(what), path});
    return fail(std::move(error));
  }

  Text text(std::string_view value) {
    Text result{static_cast<std::uint32_t>(storage_.pool.size()),
                static_cast<std::uint32_t>(value.size())};
    storage_.pool += value;
    return result;
  }

  std::uint32_t add(const ValueRow& row) {
    storage_.values.push_back(row);
    return static_cast<std::uint32_t>(storage_.values.size() - 1);
  }

  std::uint32_t builtin(std::string_view name) {
    ValueRow row;
    row.kind = Kind::kObject;
    row.type = find_type(name).index();
    row.flags = kBuiltinType;
    return add(row);
  }

  std::uint32_t plain(Kind kind) {
    ValueRow row;
    row.kind = kind;
    return add(row);
  }

  // A structure's fields must lie side by side, so they are gathered before they are stored.
  Result<std::uint32_t> structure(const std::string& name, const Json& schema,
                                  const std::string& path, Role role, std::size_t depth) {
    std::vector<std::pair<std::string, FieldRow>> fields;
    const Json* properties = find_member(schema, "properties");
    const Json* required = find_member(schema, "required");
    if (properties && properties->is_object()) {
      for (auto& [key, property] : properties->items()) {
        if (role != Role::kPlain && (key == "apiVersion" || key == "kind" || key == "metadata"))
          continue;
        FieldRow field;
        std::string below = path + ".properties[" + key + "]";
        MOTH_ASSIGN(field.value, value(name + "." + key, property, below, depth + 1));
        field.description = text(string_or(property, "description"));
        if (const Json* fallback = find_member(property, "default"))
          field.default_json = text(fallback->dump());
        bool is_required = required && required->is_array() &&
                           std::find(required->begin(), required->end(), key) != required->end();
        field.flags = is_required ? kRequired : 0;
        fields.emplace_back(key, field);
      }
    }
    if (role != Role::kPlain) add_meta(fields, "meta.v1.ObjectMeta");
    return store(name, string_or(schema, "description"), std::move(fields), role == Role::kRoot);
  }

  using Fields = std::vector<std::pair<std::string, FieldRow>>;

  void add_meta(Fields& fields, std::string_view metadata) {
    FieldRow field;
    field.value = plain(Kind::kString);
    fields.emplace_back("apiVersion", field);
    fields.emplace_back("kind", field);
    field.value = builtin(metadata);
    fields.emplace_back("metadata", field);
  }

  std::uint32_t store(const std::string& name, std::string_view description, Fields fields,
                      bool root) {
    std::sort(fields.begin(), fields.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    TypeRow type;
    type.name = text(prefix_ + "." + name);
    type.description = text(description);
    type.root = root;
    type.first_field = static_cast<std::uint32_t>(storage_.fields.size());
    type.field_count = static_cast<std::uint16_t>(fields.size());
    for (auto& [key, field] : fields) {
      field.name = text(key);
      storage_.fields.push_back(field);
    }
    ValueRow row;
    row.kind = Kind::kObject;
    row.type = static_cast<std::uint32_t>(storage_.types.size());
    type.value = add(row);
    storage_.types.push_back(type);
    return row.type;
  }

  Result<std::uint32_t> value(const std::string& name, const Json& schema, const std::string& path,
                              std::size_t depth) {
    if (!schema.is_object()) return invalid(path, "must be an object");
    if (depth > kMaxDepth) return invalid(path, fmt::format("nested deeper than {}", kMaxDepth));
    if (storage_.values.size() > kMaxValues || storage_.pool.size() > kMaxText)
      return invalid(path, "the schema is too large");
    ValueRow row;
    if (bool_or(schema, "nullable")) row.flags |= kNullable;
    bool preserve = bool_or(schema, "x-kubernetes-preserve-unknown-fields");
    if (preserve) row.flags |= kPreserveUnknown;
    std::string type = string_or(schema, "type");
    if (bool_or(schema, "x-kubernetes-int-or-string")) {
      row.kind = Kind::kIntOrString;
    } else if (type == "object") {
      MOTH_TRY(object(row, name, schema, path, depth));
    } else if (type == "array") {
      MOTH_TRY(array(row, name, schema, path, depth));
    } else if (type == "string") {
      row.kind = Kind::kString;
    } else if (type == "boolean") {
      row.kind = Kind::kBool;
    } else if (type == "integer") {
      row.kind = string_or(schema, "format") == "int32" ? Kind::kInt32 : Kind::kInt64;
    } else if (type == "number") {
      row.kind = Kind::kDouble;
    } else if (type.empty() && preserve) {
      row.kind = Kind::kAny;
    } else {
      return invalid(path + ".type", type.empty() ? "Required value: must not be empty"
                                                  : "unknown type \"" + type + "\"");
    }
    return add(row);
  }

  Result<> object(ValueRow& row, const std::string& name, const Json& schema,
                  const std::string& path, std::size_t depth) {
    bool embedded = bool_or(schema, "x-kubernetes-embedded-resource");
    if (embedded) row.flags |= kEmbeddedResource;
    row.map_type = string_or(schema, "x-kubernetes-map-type") == "atomic" ? MapType::kAtomic
                                                                          : MapType::kGranular;
    const Json* more = find_member(schema, "additionalProperties");
    if (more && more->is_object()) {
      row.kind = Kind::kMap;
      MOTH_ASSIGN(row.element,
                  value(name + ".*", *more, path + ".additionalProperties", depth + 1));
      return {};
    }
    if (more && *more == true) {
      row.kind = Kind::kRawObject;
      return {};
    }
    row.kind = Kind::kObject;
    MOTH_ASSIGN(row.type,
                structure(name, schema, path, embedded ? Role::kEmbedded : Role::kPlain, depth));
    return {};
  }

  Result<> array(ValueRow& row, const std::string& name, const Json& schema,
                 const std::string& path, std::size_t depth) {
    const Json* items = find_member(schema, "items");
    if (!items) return invalid(path + ".items", "Required value: must be specified");
    row.kind = Kind::kArray;
    std::string list_type = string_or(schema, "x-kubernetes-list-type");
    row.list_type = list_type == "set"   ? ListType::kSet
                    : list_type == "map" ? ListType::kMap
                                         : ListType::kAtomic;
    const Json* keys = find_member(schema, "x-kubernetes-list-map-keys");
    if (row.list_type == ListType::kMap && keys && keys->is_array()) {
      row.first_key = static_cast<std::uint32_t>(storage_.keys.size());
      row.key_count = static_cast<std::uint32_t>(keys->size());
      for (const Json& key : *keys)
        storage_.keys.push_back(text(key.is_string() ? key.get<std::string>() : ""));
    }
    MOTH_ASSIGN(row.element, value(name + "[]", *items, path + ".items", depth + 1));
    return {};
  }

  void list(std::string_view kind) {
    Fields fields;
    add_meta(fields, "meta.v1.ListMeta");
    ValueRow row;
    row.kind = Kind::kArray;
    row.element = storage_.types[storage_.root].value;
    FieldRow items;
    items.value = add(row);
    items.flags = kRequired;
    fields.emplace_back("items", items);
    storage_.list = store(std::string(kind), {}, std::move(fields), true);
  }

  Storage& storage_;
  std::string prefix_;
};

}  // namespace

DynamicTypes::DynamicTypes(std::unique_ptr<const Storage> storage) : storage_(std::move(storage)) {}
DynamicTypes::~DynamicTypes() = default;

Result<std::unique_ptr<const DynamicTypes>> DynamicTypes::build(std::string_view group,
                                                                std::string_view version,
                                                                std::string_view kind,
                                                                std::string_view list_kind,
                                                                const Json& schema) {
  auto storage = std::make_unique<Storage>();
  Builder<Storage> builder(*storage, group, version);
  MOTH_TRY(builder.build(kind, list_kind, schema));
  storage->close();
  return std::unique_ptr<const DynamicTypes>(new DynamicTypes(std::move(storage)));
}

Type DynamicTypes::root() const {
  return {&storage_->table, storage_->root};
}
Type DynamicTypes::list() const {
  return {&storage_->table, storage_->list};
}

}  // namespace moth::schema
