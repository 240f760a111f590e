#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/core_v1/data_keys.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  const Json& data = object_of(object, "data");
  const Json& binary = object_of(object, "binaryData");
  std::size_t size = 0;
  for (const auto& [key, value] : data.items()) {
    FieldPath at = FieldPath("data").key(key);
    add_invalid(errors, at, key, check_config_map_key(key));
    if (binary.contains(key)) {
      errors.push_back(FieldError::invalid(at, key, "duplicate of key present in binaryData"));
    }
    if (value.is_string()) size += value.get_ref<const std::string&>().size();
  }
  for (const auto& [key, value] : binary.items()) {
    add_invalid(errors, FieldPath("binaryData").key(key), key, check_config_map_key(key));
    size += decoded_size(value);
  }
  if (size > kMaxDataBytes) errors.push_back(FieldError::too_long(FieldPath("[]"), kMaxDataBytes));
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_immutable_data(errors, object, old, {"data", "binaryData"});
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  std::size_t keys = object_of(object, "data").size() + object_of(object, "binaryData").size();
  return Json::array({name_cell(object), keys, age_cell(object, context)});
}

}  // namespace

ResourceDef config_maps() {
  ResourceDef row = row_of("", "v1", "configmaps", "configmap", "ConfigMap", "core.v1.ConfigMap");
  row.short_names = {"cm"};
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns =
      columns({column("Name", "Name of the config map, unique in its namespace"),
               column("Data", "Number of keys", "integer"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
