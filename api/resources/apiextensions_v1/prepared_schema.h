#pragma once
// Schemas of definitions that were judged and made ready ahead of time. A definition of 1.5 MB
// takes a second of unoptimised code; so the server has that done on the blocking executor before
// the write enters the pipeline (warm_up_definition), and what comes after finds it here by its
// text. Bounded to a few schemas that nobody has fetched yet. Any thread.
#include <memory>
#include <string>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/machinery/field_error.h"
#include "api/resources/apiextensions_v1/schema.h"

namespace moth::resources {

using SharedSchema = std::shared_ptr<const Schema>;

// What check_definition_schema() found at `path`, and the schema when that is nothing.
struct JudgedSchema {
  FieldErrors errors;
  SharedSchema schema;
};

// Remembers by the texts of schema and path; computes what is not remembered.
JudgedSchema judge_schema(const Json& schema, const FieldPath& path);
// The schema made ready: the one that was judged, which is then forgotten, or a new one.
Result<SharedSchema> take_schema(const Json& schema);

// Judges the schemas of a definition, or of a patch of one that has all its versions. Any other
// body is none of its business.
void warm_up_definition(const Json& body);

}  // namespace moth::resources
