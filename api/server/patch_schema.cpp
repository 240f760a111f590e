#include "api/server/patch_schema.h"

#include <map>
#include <memory>
#include <mutex>

namespace moth::server {
namespace {

class TypePatchSchema final : public PatchSchema {
 public:
  explicit TypePatchSchema(schema::Type type) : type_(type) {}
  PatchField field(std::string_view name) const override;

 private:
  schema::Type type_;
};

// A map of structures: each member is the same.
class MapPatchSchema final : public PatchSchema {
 public:
  explicit MapPatchSchema(const PatchSchema* child) : child_(child) {}
  PatchField field(std::string_view) const override {
    PatchField field;
    field.child = child_;
    return field;
  }

 private:
  const PatchSchema* child_;
};

const PatchSchema* map_schema(const PatchSchema* child) {
  static std::mutex mutex;
  static std::map<const PatchSchema*, std::unique_ptr<MapPatchSchema>> known;
  std::lock_guard lock(mutex);
  auto& slot = known[child];
  if (!slot) slot = std::make_unique<MapPatchSchema>(child);
  return slot.get();
}

const PatchSchema* child_schema(schema::Value value) {
  switch (value.kind()) {
    case schema::Kind::kObject:
      return &patch_schema(value.type());
    case schema::Kind::kArray:
      return value.element().kind() == schema::Kind::kObject ? &patch_schema(value.element().type())
                                                             : nullptr;
    case schema::Kind::kMap:
      return value.element().kind() == schema::Kind::kObject
                 ? map_schema(&patch_schema(value.element().type()))
                 : nullptr;
    default:
      return nullptr;
  }
}

PatchField TypePatchSchema::field(std::string_view name) const {
  PatchField result;
  schema::Field field = type_.field(name);
  if (!field) return result;
  if (field.patch_merge()) {
    result.list = PatchField::List::kMerge;
    result.merge_key = field.patch_merge_key();
  }
  result.retain_keys = field.patch_retain_keys();
  result.replace = field.patch_replace();
  result.child = child_schema(field.value());
  return result;
}

}  // namespace

const PatchSchema& patch_schema(schema::Type type) {
  static std::mutex mutex;
  static std::map<std::pair<const schema::Table*, std::uint32_t>, std::unique_ptr<TypePatchSchema>>
      known;
  std::lock_guard lock(mutex);
  auto& slot = known[{type.table(), type.index()}];
  if (!slot) slot = std::make_unique<TypePatchSchema>(type);
  return *slot;
}

}  // namespace moth::server
