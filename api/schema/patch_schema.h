#pragma once
// The built-in types as strategic merge patch wants to see them. Build one and share it: it holds
// an adapter of a few bytes per type. Immutable, any thread.
#include <memory>

#include "api/machinery/patch_strategic.h"
#include "api/schema/types.h"

namespace moth::schema {

class PatchSchemas {
 public:
  PatchSchemas();
  ~PatchSchemas();  // NOLINT(performance-trivially-destructible): Adapter is not known here
  PatchSchemas(const PatchSchemas&) = delete;
  PatchSchemas& operator=(const PatchSchemas&) = delete;

  // Of a built-in type: valid as long as this object. Null for an empty handle and for types of
  // other tables: custom resources have no strategic merge.
  const PatchSchema* of(Type type) const;

 private:
  class Adapter;
  std::unique_ptr<Adapter[]> adapters_;
};

}  // namespace moth::schema
