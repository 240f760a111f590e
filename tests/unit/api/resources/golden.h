#pragma once
// Golden files of the resource tests: what they have in common.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/resources/registry.h"

namespace moth::resources::testing {

const Registry& registry();
// The row of an object's apiVersion and kind; the test fails when there is none.
const ResourceDef& row_of(const Json& object);
// The one document of a file below testdata.
Json read_yaml(const std::string& name);
// All documents of it.
std::vector<Json> read_documents(const std::string& name);
// Decoded by the schema, as the server does before it sets defaults.
Json decoded(Json object);
// Decoded and defaulted.
Json defaulted(Json object);
// `base` with `set` (JSON pointer: value) and `remove` (list of JSON pointers) of a case applied.
Json edited(Json base, const Json& test_case);
std::vector<std::string> texts(const FieldErrors& errors);
std::vector<std::string> expected_texts(const Json& test_case, const char* key);

}  // namespace moth::resources::testing
