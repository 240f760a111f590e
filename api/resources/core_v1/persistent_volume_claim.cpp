#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/quantity.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/claim_rules.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/json_diff.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr const char* kClassAnnotation = "volume.beta.kubernetes.io/storage-class";

std::string class_annotation(const Json& object) {
  return string_or(object_of(object_of(object, "metadata"), "annotations"), kClassAnnotation);
}

Quantity storage_of(const Json& amounts) {
  return amount(parse_resource_list(&amounts), "storage");
}

// Either source names the other one too, as long as that says nothing different.
void mirror_data_source(Json& spec) {
  const Json source = object_of(spec, "dataSource"), ref = object_of(spec, "dataSourceRef");
  if (!source.empty() && ref.empty()) {
    std::string group = string_or(source, "apiGroup"), kind = string_or(source, "kind");
    bool known = (group.empty() && kind == "PersistentVolumeClaim") ||
                 (group == "snapshot.storage.k8s.io" && kind == "VolumeSnapshot");
    if (known) {
      spec["dataSourceRef"] = source;
    } else {
      spec.erase("dataSource");
    }
  } else if (source.empty() && !ref.empty() && string_or(ref, "namespace").empty()) {
    spec["dataSource"] = ref;
  }
}

void prepare_create(Json& object) {
  object["status"] = {{"phase", "Pending"}};
  mirror_data_source(object_at(object, "spec"));
}

FieldErrors validate(const Json& object) {
  return validate_claim_spec(object_of(object, "spec"), FieldPath("spec"));
}

// The new spec with everything that may change set back; `old` gets a name that is bound now.
void undo_allowed(Json& spec, Json& old, bool bound) {
  if (string_or(old, "volumeName").empty() && has(spec, "volumeName")) {
    old["volumeName"] = spec["volumeName"];
  }
  if (!has(old, "storageClassName")) spec.erase("storageClassName");
  if (!bound) return;
  const Json* before = find_path(old, "resources", "requests", "storage");
  if (Json* resources = member(spec, "resources"); resources && before) {
    if (Json* requests = member(*resources, "requests")) (*requests)["storage"] = *before;
  }
  if (!has(spec, "volumeAttributesClassName")) return;
  if (const Json* name = member(old, "volumeAttributesClassName")) {
    spec["volumeAttributesClassName"] = *name;
  } else {
    spec.erase("volumeAttributesClassName");
  }
}

void check_size(FieldErrors& errors, const Json& spec, const Json& old, const Json& status) {
  Quantity now = storage_of(object_of(object_of(spec, "resources"), "requests"));
  Quantity before = storage_of(object_of(object_of(old, "resources"), "requests"));
  if (now >= before || now > storage_of(object_of(status, "capacity"))) return;
  errors.push_back(
      FieldError::forbidden(FieldPath("spec").child("resources", "requests", "storage"),
                            "field can not be less than status.capacity"));
}

FieldErrors validate_update(const Json& object, const Json& old_object) {
  FieldPath path("spec");
  const Json& now = object_of(object, "spec");
  const Json& before = object_of(old_object, "spec");
  const Json& status = object_of(old_object, "status");
  FieldErrors errors = validate(object);
  if (class_annotation(object) != class_annotation(old_object)) {
    errors.push_back(
        FieldError::invalid(FieldPath("metadata").child("annotations", kClassAnnotation),
                            class_annotation(object), "field is immutable"));
  }
  Json spec = now, old = before;
  undo_allowed(spec, old, string_or(object_of(object, "status"), "phase") == "Bound");
  if (spec != old) {
    errors.push_back(FieldError::forbidden(
        path, fmt::format("spec is immutable after creation except resources.requests and "
                          "volumeAttributesClassName for bound claims\n{}",
                          json_diff(old, spec, path))));
  }
  check_size(errors, now, before, status);
  check_immutable(errors, now, before, "volumeMode", FieldPath());
  if (has(before, "volumeAttributesClassName")) {
    FieldPath at = path.child("volumeAttributesClassName");
    if (!has(now, "volumeAttributesClassName")) {
      errors.push_back(FieldError::forbidden(at, "update from non-nil value to nil is forbidden"));
    } else if (string_or(now, "volumeAttributesClassName").empty() &&
               !string_or(before, "volumeAttributesClassName").empty()) {
      errors.push_back(
          FieldError::forbidden(at, "update from non-nil value to an empty string is forbidden"));
    }
  }
  return errors;
}

FieldErrors validate_status(const Json& object, const Json&) {
  FieldErrors errors;
  const Json& status = object_of(object, "status");
  for (const char* key : {"capacity", "allocatedResources"}) {
    for (const auto& [name, quantity] : parse_resource_list(find_member(status, key))) {
      if (quantity.sign() >= 0) continue;
      errors.push_back(FieldError::invalid(FieldPath("status").child(key).key(name),
                                           quantity.value(), "must be a valid resource quantity"));
    }
  }
  return errors;
}

std::vector<std::string> warnings(const Json& object) {
  std::vector<std::string> texts;
  if (!class_annotation(object).empty()) {
    texts.push_back(fmt::format(
        "metadata.annotations[{}]: deprecated since v1.8; use \"storageClassName\" attribute "
        "instead",
        kClassAnnotation));
  }
  const Json& requests = object_of(object_of(object_of(object, "spec"), "resources"), "requests");
  if (Quantity size = storage_of(requests); !size.is_whole()) {
    texts.push_back(
        fmt::format("spec.resources.requests[storage]: fractional byte value \"{}\" is invalid, "
                    "must be an integer",
                    size.to_string()));
  }
  return texts;
}

// Capacity and modes are those of the volume: none before there is one.
Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& status = object_of(object, "status");
  std::string volume = string_or(spec, "volumeName");
  std::string capacity, modes;
  if (!volume.empty()) {
    capacity = storage_of(object_of(status, "capacity")).to_string();
    modes = access_modes_cell(status);
  }
  std::string storage_class = class_annotation(object);
  if (storage_class.empty()) storage_class = string_or(spec, "storageClassName");
  return Json::array({name_cell(object), phase_cell(object), volume, capacity, modes, storage_class,
                      or_unset(spec, "volumeAttributesClassName"), age_cell(object, context),
                      or_unset(spec, "volumeMode")});
}

}  // namespace

ResourceDef persistent_volume_claims() {
  ResourceDef row = row_of("", "v1", "persistentvolumeclaims", "persistentvolumeclaim",
                           "PersistentVolumeClaim", "core.v1.PersistentVolumeClaim");
  row.short_names = {"pvc"};
  row.subresources = {own_subresource(row, "status")};
  // What is bound to what must survive a crash: data hang on it.
  row.status_durability = Durability::kDurable;
  row.set_defaults = set_claim_defaults;
  row.prepare_create = prepare_create;
  row.prepare_update = [](Json& object, const Json&) {
    mirror_data_source(object_at(object, "spec"));
  };
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.warnings = warnings;
  row.columns =
      columns({column("Name", "Name of the claim, unique in its namespace"),
               column("Status", "Pending, Bound, Lost or Terminating"),
               column("Volume", "Volume that is bound"), column("Capacity", "Size of the volume"),
               column("Access Modes", "How it may be mounted"),
               column("StorageClass", "Class that provides the volume"),
               column("VolumeAttributesClass", "Class of the volume's attributes"),
               column("Age", "Time since creation"),
               column("VolumeMode", "Filesystem or Block", "string", 1)});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
