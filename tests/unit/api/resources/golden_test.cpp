// Golden tables: defaults (input, expected), validation (broken objects, messages), cells of
// tables.
#include <gtest/gtest.h>

#include "api/machinery/time.h"
#include "tests/unit/api/resources/golden.h"

namespace moth::resources::testing {
namespace {

class Defaults : public ::testing::TestWithParam<const char*> {};

// Pairs of documents: as written, and with defaults.
TEST_P(Defaults, FillInWhatIsNotGiven) {
  std::vector<Json> documents = read_documents(GetParam());
  ASSERT_EQ(documents.size() % 2, 0U);
  for (std::size_t i = 0; i < documents.size(); i += 2) {
    Json got = defaulted(documents[i]);
    EXPECT_EQ(got, documents[i + 1])
        << "document " << i << "\n"
        << Json::diff(documents[i + 1], got).dump(1) << "\n(edits from expected to got)";
    Json again = got;
    row_of(again).set_defaults(again);
    EXPECT_EQ(again, got) << "defaults are not idempotent: document " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Defaults,
                         ::testing::Values("defaults_pod.yaml", "defaults_workloads.yaml",
                                           "defaults_services.yaml", "defaults_others.yaml",
                                           "defaults_policies.yaml", "defaults_batch.yaml"));

class Validation : public ::testing::TestWithParam<const char*> {};

// What a write to `name` of the object `base` would be told; `wanted` is what the client sends.
FieldErrors subresource_errors(const ResourceDef& row, const std::string& name, const Json& wanted,
                               const Json& base) {
  const Subresource* sub = row.subresource(name);
  if (!sub) throw std::runtime_error("no subresource " + name);
  Json object = base;
  if (sub->take) {
    sub->take(object, wanted, parse_rfc3339("2025-06-15T12:00:00Z").value());
  } else {
    object[name] = wanted.value(name, Json::object());
  }
  return sub->validate ? sub->validate(object, base) : row.validate_status(object, base);
}

// Documents {base, cases}: each case edits the base and names the errors it gives, in their order.
// With `update: true` the base is the old object, with `subresource: NAME` that is what is written.
// `existing: true`: the base could not be created as it is.
TEST_P(Validation, NamesWhatIsWrong) {
  for (const Json& table : read_documents(GetParam())) {
    const Json base = defaulted(table.at("base"));
    const ResourceDef& row = row_of(base);
    if (!bool_or(table, "existing")) {
      EXPECT_EQ(texts(row.validate(base)), std::vector<std::string>()) << "the base is not valid";
    }
    for (const Json& test_case : table.at("cases")) {
      SCOPED_TRACE(string_or(test_case, "name"));
      Json object = defaulted(edited(table.at("base"), test_case));
      bool update = bool_or(test_case, "update");
      if (update && row.prepare_update) row.prepare_update(object, base);
      std::string sub = string_or(test_case, "subresource");
      FieldErrors errors = !sub.empty() ? subresource_errors(row, sub, object, base)
                           : update && row.validate_update ? row.validate_update(object, base)
                                                           : row.validate(object);
      EXPECT_EQ(texts(errors), expected_texts(test_case, "errors"));
      if (row.warnings && test_case.contains("warnings")) {
        EXPECT_EQ(row.warnings(object), expected_texts(test_case, "warnings"));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Validation,
                         ::testing::Values("validation_pod.yaml", "validation_pod_update.yaml",
                                           "validation_workloads.yaml", "validation_services.yaml",
                                           "validation_others.yaml", "validation_rbac.yaml",
                                           "validation_storage.yaml", "validation_cluster.yaml",
                                           "validation_admission.yaml", "validation_devices.yaml",
                                           "validation_apps.yaml", "validation_batch.yaml",
                                           "validation_claims.yaml", "validation_networking.yaml",
                                           "validation_pod_subresources.yaml",
                                           "validation_quotas.yaml"));

class Cells : public ::testing::TestWithParam<const char*> {};

// Lists of {name, object, cells}; the time is 2025-06-15T12:00:00Z.
TEST_P(Cells, ArePrinted) {
  RowContext context{parse_rfc3339("2025-06-15T12:00:00Z").value()};
  for (const Json& test_case : read_yaml(GetParam())) {
    SCOPED_TRACE(string_or(test_case, "name"));
    const Json object = decoded(test_case.at("object"));
    const ResourceDef& row = row_of(object);
    Json cells = row.row(object, context);
    EXPECT_EQ(cells, test_case.at("cells")) << cells.dump();
    EXPECT_EQ(cells.size(), row.columns.size());
    for (std::size_t i = 0; i < row.columns.size() && i < cells.size(); ++i) {
      if (row.columns[i].type == "integer") EXPECT_TRUE(cells[i].is_number_integer());
      if (row.columns[i].type == "string") EXPECT_TRUE(cells[i].is_string());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, Cells,
                         ::testing::Values("cells_pod.yaml", "cells_others.yaml",
                                           "cells_batch.yaml", "cells_cluster.yaml"));

}  // namespace
}  // namespace moth::resources::testing
