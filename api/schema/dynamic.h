#pragma once
// The types of a custom resource, made from the structural schema of its definition, so that
// decoding, pruning, server-side apply and OpenAPI treat them as they treat the built-in ones.
// What the built-in types do not have (patterns, enumerations, bounds, CEL) is not kept here.
#include <memory>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/schema/types.h"

namespace moth::schema {

// Immutable; any thread. Its handles are valid as long as it lives.
class DynamicTypes {
 public:
  ~DynamicTypes();
  DynamicTypes(const DynamicTypes&) = delete;
  DynamicTypes& operator=(const DynamicTypes&) = delete;

  // `schema`: spec.versions[].schema.openAPIV3Schema. Names are upstream's for such types:
  // com.example.v1.Widget for group example.com. Invalid (422) with a cause for what is not
  // structural (a part without type, arrays without items) and for schemas out of bounds.
  static Result<std::unique_ptr<const DynamicTypes>> build(std::string_view group,
                                                           std::string_view version,
                                                           std::string_view kind,
                                                           std::string_view list_kind,
                                                           const Json& schema);

  Type root() const;
  Type list() const;

 private:
  struct Storage;
  explicit DynamicTypes(std::unique_ptr<const Storage> storage);
  std::unique_ptr<const Storage> storage_;
};

}  // namespace moth::schema
