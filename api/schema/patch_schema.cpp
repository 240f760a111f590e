#include "api/schema/patch_schema.h"

#include "api/schema/table.h"

namespace moth::schema {

class PatchSchemas::Adapter final : public PatchSchema {
 public:
  void set(const PatchSchemas* schemas, Type type) {
    schemas_ = schemas;
    type_ = type;
  }

  PatchField field(std::string_view name) const override {
    PatchField result;
    Field field = type_.field(name);
    if (!field) return result;
    if (field.patch_merge()) result.list = PatchField::List::kMerge;
    result.merge_key = field.patch_merge_key();
    result.retain_keys = field.patch_retain_keys();
    result.replace = field.patch_replace();
    Value value = field.value();
    if (value.kind() == Kind::kArray) value = value.element();
    if (value.kind() == Kind::kObject) result.child = schemas_->of(value.type());
    return result;
  }

 private:
  const PatchSchemas* schemas_ = nullptr;
  Type type_;
};

PatchSchemas::PatchSchemas() : adapters_(std::make_unique<Adapter[]>(type_count())) {
  for (std::size_t i = 0; i < type_count(); ++i) adapters_[i].set(this, type_at(i));
}
PatchSchemas::~PatchSchemas() = default;

const PatchSchema* PatchSchemas::of(Type type) const {
  return type && type.table() == &kBuiltinTable ? &adapters_[type.index()] : nullptr;
}

}  // namespace moth::schema
