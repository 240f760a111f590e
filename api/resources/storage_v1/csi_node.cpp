#include "api/base/json.h"
#include "api/machinery/quantity.h"
#include "api/machinery/selectors.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/storage_v1/rows.h"
#include "api/resources/storage_v1/storage_checks.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxNodeId = 192;

void check_topology_keys(FieldErrors& errors, const Json& driver, const FieldPath& path) {
  UniqueNames keys;
  for (const std::string& key : strings(driver, "topologyKeys")) {
    if (key.empty()) errors.push_back(FieldError::required(path, ""));
    keys.add(errors, key, path);
    add_invalid(errors, path, items(driver, "topologyKeys"), check_qualified_name(key));
  }
}

FieldErrors validate_node(const Json& object) {
  FieldErrors errors;
  const Json& drivers = items(object_of(object, "spec"), "drivers");
  UniqueNames names;
  for (std::size_t i = 0; i < drivers.size(); ++i) {
    FieldPath path = FieldPath("spec").child("drivers").index(i);
    std::string name = string_or(drivers[i], "name");
    check_driver_name(errors, name, path.child("name"));
    if (check_required(errors, drivers[i], "nodeID", path) &&
        string_or(drivers[i], "nodeID").size() > kMaxNodeId) {
      errors.push_back(FieldError::too_long(path.child("nodeID"), kMaxNodeId));
    }
    if (const Json* allocatable = member(drivers[i], "allocatable")) {
      check_non_negative(errors, *allocatable, "count", path.child("allocatable"));
    }
    names.add(errors, name, path.child("name"));
    check_topology_keys(errors, drivers[i], path.child("topologyKeys"));
  }
  return errors;
}

// What a driver can attach changes with time; the rest of its entry does not.
Json without_allocatable(Json driver) {
  driver.erase("allocatable");
  return driver;
}

FieldErrors validate_node_update(const Json& object, const Json& old) {
  FieldErrors errors = validate_node(object);
  for (const Json& before : items(object_of(old, "spec"), "drivers")) {
    for (const Json& now : items(object_of(object, "spec"), "drivers")) {
      if (string_or(before, "name") != string_or(now, "name")) continue;
      if (without_allocatable(before) != without_allocatable(now)) {
        errors.push_back(
            FieldError::invalid(FieldPath("CSINodeDriver"), now, "field is immutable"));
      }
    }
  }
  return errors;
}

void check_amount(FieldErrors& errors, const Json& object, const char* key) {
  const Json* given = member(object, key);
  if (!given) return;
  auto amount = Quantity::from_json(*given);
  if (amount && amount->sign() < 0) {
    errors.push_back(FieldError::invalid(FieldPath(key), amount->to_string(), kNonNegative));
  }
}

FieldErrors validate_capacity(const Json& object) {
  FieldErrors errors;
  if (const Json* topology = member(object, "nodeTopology")) {
    append(errors, validate_label_selector(*topology, FieldPath("nodeTopology")));
  }
  std::string storage_class = string_or(object, "storageClassName");
  add_invalid(errors, FieldPath("storageClassName"), storage_class,
              check_dns1123_subdomain(storage_class));
  check_amount(errors, object, "capacity");
  check_amount(errors, object, "maximumVolumeSize");
  return errors;
}

FieldErrors validate_capacity_update(const Json& object, const Json& old) {
  FieldErrors errors = validate_capacity(object);
  check_immutable(errors, object, old, "nodeTopology", FieldPath());
  check_immutable(errors, object, old, "storageClassName", FieldPath());
  return errors;
}

}  // namespace

ResourceDef csi_nodes() {
  ResourceDef row =
      row_of("storage.k8s.io", "v1", "csinodes", "csinode", "CSINode", "storage.v1.CSINode");
  row.namespaced = false;
  row.allow_unconditional_update = false;
  row.validate = validate_node;
  row.validate_update = validate_node_update;
  row.columns = columns({column("Name", "Name of the node"),
                         column("Drivers", "How many CSI drivers run there", "integer"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), items(object_of(object, "spec"), "drivers").size(),
                        age_cell(object, context)});
  };
  return row;
}

ResourceDef csi_storage_capacities() {
  ResourceDef row = row_of("storage.k8s.io", "v1", "csistoragecapacities", "csistoragecapacity",
                           "CSIStorageCapacity", "storage.v1.CSIStorageCapacity");
  row.allow_unconditional_update = false;
  row.validate = validate_capacity;
  row.validate_update = validate_capacity_update;
  row.columns = columns({column("Name", "Name of the record, unique in its namespace"),
                         column("StorageClassName", "The class that it is about"),
                         column("Capacity", "What can still be provided")});
  row.row = [](const Json& object, const RowContext&) {
    return Json::array({name_cell(object), string_or(object, "storageClassName"),
                        string_or(object, "capacity", "<unset>")});
  };
  return row;
}

}  // namespace moth::resources
