#include "api/base/json.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/storage_v1/rows.h"
#include "api/resources/storage_v1/storage_checks.h"

namespace moth::resources {
namespace {

constexpr std::size_t kMaxMetadataBytes = 256u << 10;
constexpr std::size_t kMaxErrorBytes = 1024;
constexpr const char* kOneSource =
    "must specify exactly one of inlineVolumeSpec and persistentVolumeName";

void check_source(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json& source = object_of(spec, "source");
  const Json* name = member(source, "persistentVolumeName");
  bool in_line = has(source, "inlineVolumeSpec");
  if (!name && !in_line) {
    errors.push_back(FieldError::required(path, kOneSource));
  } else if (name && in_line) {
    errors.push_back(FieldError::forbidden(path, kOneSource));
  } else if (name && name->is_string() && name->get_ref<const std::string&>().empty()) {
    errors.push_back(FieldError::required(path.child("persistentVolumeName"),
                                          "must specify non empty persistentVolumeName"));
  }
}

void check_volume_error(FieldErrors& errors, const Json& status, const char* key,
                        const FieldPath& path) {
  const Json* error = member(status, key);
  if (error && string_or(*error, "message").size() > kMaxErrorBytes) {
    errors.push_back(FieldError::too_long(path.child(key, "message"), kMaxErrorBytes));
  }
}

void check_status(FieldErrors& errors, const Json& object) {
  const Json& status = object_of(object, "status");
  FieldPath path("status");
  std::size_t total = 0;
  for (const auto& [key, value] : object_of(status, "attachmentMetadata").items()) {
    if (key.empty()) {
      errors.push_back(
          FieldError::invalid(path.child("attachmentMetadata"), key, "field can not be empty."));
    }
    total += key.size() + (value.is_string() ? value.get_ref<const std::string&>().size() : 0);
  }
  if (total > kMaxMetadataBytes) {
    errors.push_back(FieldError::too_long(path.child("attachmentMetadata"), kMaxMetadataBytes));
  }
  check_volume_error(errors, status, "attachError", path);
  check_volume_error(errors, status, "detachError", path);
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  const Json& spec = object_of(object, "spec");
  FieldPath path("spec");
  std::string attacher = string_or(spec, "attacher");
  check_driver_name(errors, attacher, path.child("attacher"));
  check_source(errors, spec, path.child("source"));
  std::string node = string_or(spec, "nodeName");
  add_invalid(errors, path.child("nodeName"), node, check_dns1123_subdomain(node));
  check_name(errors, object_of(spec, "source"), "persistentVolumeName", path.child("source"),
             check_dns1123_subdomain);
  check_status(errors, object);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_immutable(errors, object, old, "spec", FieldPath());
  return errors;
}

FieldErrors validate_status(const Json& object, const Json&) {
  FieldErrors errors;
  check_status(errors, object);
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  return Json::array({name_cell(object), string_or(spec, "attacher"),
                      string_or(object_of(spec, "source"), "persistentVolumeName"),
                      string_or(spec, "nodeName"), bool_or(object_of(object, "status"), "attached"),
                      age_cell(object, context)});
}

}  // namespace

ResourceDef volume_attachments() {
  ResourceDef row = row_of("storage.k8s.io", "v1", "volumeattachments", "volumeattachment",
                           "VolumeAttachment", "storage.v1.VolumeAttachment");
  row.namespaced = false;
  row.subresources = {own_subresource(row, "status")};
  // Written by an attacher outside of this process, which will not say it twice.
  row.status_durability = Durability::kDurable;
  row.allow_unconditional_update = false;
  row.prepare_create = [](Json& object) { object["status"] = {{"attached", false}}; };
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.columns = columns(
      {column("Name", "Name of the attachment"), column("Attacher", "The CSI driver"),
       column("PV", "The volume to attach"), column("Node", "The node to attach it to"),
       column("Attached", "Whether it is", "boolean"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
