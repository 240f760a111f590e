#pragma once
// What a write does to managedFields, and server-side apply itself. Pure but for the Versions that
// are passed in; any thread that those allow.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/apply/managed_fields.h"
#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/schema/types.h"

namespace moth::apply {

// The versions in which one resource is served, for entries that others made in another version.
class Versions {
 public:
  virtual ~Versions() = default;
  // Empty when the version is not served (any more): its entries are dropped.
  virtual schema::Type type(std::string_view api_version) const = 0;
  virtual Json convert(const Json& object, std::string_view from, std::string_view to) const = 0;
};

struct Job {
  schema::Type type;  // in the version of the request
  Writer writer;
  const Versions* versions = nullptr;
  // Fields that this request cannot change, with all below them (status of a write to the main
  // resource); null: none.
  const Json* ignored = nullptr;
};

// A write that is no apply: `before` becomes `after` (both in the version of the request; `before`
// empty for a create). Fields that differ are the writer's from now on. False when nothing differs
// and `managed` is as it was.
bool track_update(const Job& job, const Json& before, const Json& after, Json& managed);

// Whether `config` fits the type; InternalError with upstream's text when it does not. Only
// job.type and job.writer.api_version are needed.
Result<> check_config(const Job& job, const Json& config);

// The configuration `config`, which check_config() has let pass, of writer.manager applied to
// `live` (without managedFields; an empty object when there is none yet). The result is not
// defaulted yet. Conflict (409) with a cause for each field that belongs to others and would
// change, unless `force`.
Result<Json> apply_config(const Job& job, const Json& live, const Json& config, bool force,
                          Json& managed);

}  // namespace moth::apply
