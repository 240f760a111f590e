#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/resource_v1/device_checks.h"
#include "api/resources/resource_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxDevices = 128;
constexpr std::size_t kMaxAttributes = 32;
constexpr std::size_t kMaxTaints = 16;
constexpr std::size_t kMaxCounterSets = 8;
constexpr const char* kWhere =
    "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";

FieldErrors validate_class(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_device_selectors(errors, spec, path);
  check_count(errors, spec, "config", kMaxDeviceItems, path);
  const Json& configs = items(spec, "config");
  for (std::size_t i = 0; i < configs.size(); ++i) {
    check_device_config(errors, configs[i], path.child("config").index(i));
  }
  check_name(errors, spec, "extendedResourceName", path, check_qualified_name);
  return errors;
}

void check_pool(FieldErrors& errors, const Json& spec) {
  FieldPath path = FieldPath("spec").child("pool");
  const Json& pool = object_of(spec, "pool");
  check_pool_name(errors, string_or(pool, "name"), path.child("name"));
  if (int_or(pool, "resourceSliceCount") <= 0) {
    errors.push_back(FieldError::invalid(path.child("resourceSliceCount"),
                                         int_or(pool, "resourceSliceCount"),
                                         "must be greater than zero"));
  }
  if (int_or(pool, "generation") < 0) {
    errors.push_back(FieldError::invalid(path.child("generation"), int_or(pool, "generation"),
                                         "must be greater than or equal to zero"));
  }
}

void check_place(FieldErrors& errors, const Json& spec) {
  FieldPath path("spec");
  std::size_t given =
      (string_or(spec, "nodeName").empty() ? 0U : 1U) + (has(spec, "nodeSelector") ? 1U : 0U) +
      (bool_or(spec, "allNodes") ? 1U : 0U) + (bool_or(spec, "perDeviceNodeSelection") ? 1U : 0U);
  check_name(errors, spec, "nodeName", path, check_dns1123_subdomain);
  if (given == 0) {
    errors.push_back(FieldError::required(path, kWhere));
  } else if (given > 1) {
    errors.push_back(
        FieldError::invalid(path, nullptr, std::string(kWhere) + ", but multiple fields are set"));
  }
}

void check_attribute(FieldErrors& errors, const Json& attribute, const FieldPath& path) {
  static constexpr std::array kValues = {"int",  "bool",  "string",  "version",
                                         "ints", "bools", "strings", "versions"};
  std::size_t given = 0;
  for (const char* key : kValues) given += has(attribute, key) ? 1U : 0U;
  if (given == 0) {
    errors.push_back(FieldError::required(path, "exactly one value must be specified"));
  } else if (given > 1) {
    errors.push_back(FieldError::invalid(path, attribute, "exactly one value must be specified"));
  }
}

void check_device(FieldErrors& errors, const Json& device, const FieldPath& path) {
  std::string name = string_or(device, "name");
  if (check_required(errors, device, "name", path)) {
    add_invalid(errors, path.child("name"), name, check_dns1123_label(name));
  }
  std::size_t facts = object_of(device, "attributes").size() + object_of(device, "capacity").size();
  if (facts > kMaxAttributes) {
    errors.push_back(FieldError::invalid(
        path, facts, "the total number of attributes and capacities must not exceed 32"));
  }
  for (const auto& [key, attribute] : object_of(device, "attributes").items()) {
    check_attribute(errors, attribute, path.child("attributes").key(key));
  }
  check_count(errors, device, "taints", kMaxTaints, path);
  const Json& taints = items(device, "taints");
  for (std::size_t i = 0; i < taints.size(); ++i) {
    FieldPath at = path.child("taints").index(i);
    if (check_required(errors, taints[i], "key", at)) {
      check_name(errors, taints[i], "key", at, check_qualified_name);
    }
    check_name(errors, taints[i], "value", at, check_label_value);
    check_supported(errors, taints[i], "effect", at, {"NoExecute", "NoSchedule", "None"}, true);
  }
}

FieldErrors validate_slice(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  check_device_driver(errors, string_or(spec, "driver"), path.child("driver"));
  check_pool(errors, spec);
  check_place(errors, spec);
  check_count(errors, spec, "devices", kMaxDevices, path);
  const Json& devices = items(spec, "devices");
  UniqueNames names;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    FieldPath at = path.child("devices").index(i);
    check_device(errors, devices[i], at);
    names.add(errors, string_or(devices[i], "name"), at);
  }
  check_count(errors, spec, "sharedCounters", kMaxCounterSets, path);
  return errors;
}

FieldErrors validate_slice_update(const Json& object, const Json& old) {
  FieldErrors errors = validate_slice(object);
  const Json& spec = object_of(object, "spec");
  const Json& before = object_of(old, "spec");
  FieldPath path("spec");
  check_immutable(errors, spec, before, "driver", path);
  check_immutable(errors, object_of(spec, "pool"), object_of(before, "pool"), "name",
                  path.child("pool"));
  check_immutable(errors, spec, before, "nodeName", path);
  return errors;
}

}  // namespace

ResourceDef device_classes() {
  ResourceDef row = row_of("resource.k8s.io", "v1", "deviceclasses", "deviceclass", "DeviceClass",
                           "resource.v1.DeviceClass");
  row.namespaced = false;
  row.has_generation = true;
  row.validate = validate_class;
  row.columns =
      columns({column("Name", "Name of the class"), column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), age_cell(object, context)});
  };
  return row;
}

ResourceDef resource_slices() {
  ResourceDef row = row_of("resource.k8s.io", "v1", "resourceslices", "resourceslice",
                           "ResourceSlice", "resource.v1.ResourceSlice");
  row.namespaced = false;
  row.has_generation = true;
  row.validate = validate_slice;
  row.validate_update = validate_slice_update;
  row.selectable_fields = {"spec.driver", "spec.nodeName"};
  row.field = [](const Json& object, std::string_view path) {
    return string_or(object_of(object, "spec"), path == "spec.driver" ? "driver" : "nodeName");
  };
  row.columns = columns({column("Name", "Name of the slice"),
                         column("Node", "The node that has the devices, if just one"),
                         column("Driver", "The driver that offers them"),
                         column("Pool", "The pool that they belong to"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    const Json& spec = object_of(object, "spec");
    return Json::array({name_cell(object), string_or(spec, "nodeName"), string_or(spec, "driver"),
                        string_or(object_of(spec, "pool"), "name"), age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
