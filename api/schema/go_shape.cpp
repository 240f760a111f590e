#include "api/schema/go_shape.h"

#include <algorithm>
#include <vector>

#include "api/schema/table.h"

namespace moth::schema {
namespace {

// By the field's index. Fields without a protobuf number of their own count as pointers.
std::vector<bool> find_fields() {
  const Table& table = kBuiltinTable;
  std::vector<bool> there;
  for (std::uint32_t i = 0; i < table.type_count; ++i) {
    const TypeRow& type = table.types[i];
    there.resize(std::max<std::size_t>(there.size(), type.first_field + type.field_count));
    for (std::uint32_t j = 0; j < type.proto_count; ++j) {
      const ProtoRow& proto = table.protos[type.first_proto + j];
      if (proto.flags & (kProtoInline | kProtoPointer)) continue;
      const FieldRow& field = table.fields[proto.target];
      Kind kind = table.values[field.value].kind;
      there.resize(std::max<std::size_t>(there.size(), proto.target + 1));
      there[proto.target] =
          kind == Kind::kObject || (kind == Kind::kArray && (field.flags & kRequired));
    }
  }
  return there;
}

}  // namespace

bool always_there(Type type, std::string_view name) {
  static const std::vector<bool> kThere = find_fields();
  if (!type || type.table() != &kBuiltinTable) return false;
  const Table& table = kBuiltinTable;
  const TypeRow& row = table.types[type.index()];
  const FieldRow* first = table.fields + row.first_field;
  const FieldRow* last = first + row.field_count;
  const FieldRow* found =
      std::lower_bound(first, last, name, [&](const FieldRow& field, std::string_view wanted) {
        return table.text(field.name) < wanted;
      });
  if (found == last || table.text(found->name) != name) return false;
  return kThere[static_cast<std::size_t>(found - table.fields)];
}

}  // namespace moth::schema
