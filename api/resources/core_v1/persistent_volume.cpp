#include <fmt/format.h>

#include <array>
#include <cctype>

#include "api/base/json.h"
#include "api/machinery/quantity.h"
#include "api/machinery/time.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/claim_rules.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/json_diff.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr const char* kClassAnnotation = "volume.beta.kubernetes.io/storage-class";

// In the order in which upstream looks at them.
constexpr std::array kSources = {"hostPath",
                                 "gcePersistentDisk",
                                 "awsElasticBlockStore",
                                 "glusterfs",
                                 "flocker",
                                 "nfs",
                                 "rbd",
                                 "quobyte",
                                 "cephfs",
                                 "iscsi",
                                 "cinder",
                                 "fc",
                                 "flexVolume",
                                 "azureFile",
                                 "vsphereVolume",
                                 "photonPersistentDisk",
                                 "portworxVolume",
                                 "azureDisk",
                                 "scaleIO",
                                 "local",
                                 "storageos",
                                 "csi"};

// Members that a source cannot be without; those of the kinds that are checked further follow.
struct Needed {
  std::string_view source;
  std::array<const char*, 2> members;
};
constexpr std::array kNeeded = {Needed{"gcePersistentDisk", {"pdName", nullptr}},
                                Needed{"awsElasticBlockStore", {"volumeID", nullptr}},
                                Needed{"glusterfs", {"endpoints", "path"}},
                                Needed{"quobyte", {"registry", "volume"}},
                                Needed{"rbd", {"monitors", "image"}},
                                Needed{"cephfs", {"monitors", nullptr}},
                                Needed{"iscsi", {"targetPortal", "iqn"}},
                                Needed{"cinder", {"volumeID", nullptr}},
                                Needed{"flexVolume", {"driver", nullptr}},
                                Needed{"azureFile", {"shareName", nullptr}},
                                Needed{"vsphereVolume", {"volumePath", nullptr}},
                                Needed{"photonPersistentDisk", {"pdID", nullptr}},
                                Needed{"portworxVolume", {"volumeID", nullptr}},
                                Needed{"azureDisk", {"diskName", "diskURI"}},
                                Needed{"scaleIO", {"gateway", "system"}},
                                Needed{"storageos", {"volumeName", nullptr}}};

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_text(spec, "persistentVolumeReclaimPolicy", "Retain");
  default_text(spec, "volumeMode", "Filesystem");
  round_resource_list(member(spec, "capacity"));
  if (Json* host_path = member(spec, "hostPath")) default_to(*host_path, "type", "");
}

void prepare_create(Json& object) {
  Json& status = object["status"] = Json::object();
  status["phase"] = "Pending";
  std::string created = string_or(object_of(object, "metadata"), "creationTimestamp");
  if (!created.empty()) status["lastPhaseTransitionTime"] = std::move(created);
}

// A phase that changes gets the time of the change, unless the writer names one.
void take_status(Json& object, const Json& wanted, WallTime now) {
  const Json old = object_of(object, "status");
  Json status = object_of(wanted, "status");
  const Json* before = member(old, "lastPhaseTransitionTime");
  const Json* given = member(status, "lastPhaseTransitionTime");
  if (string_or(status, "phase") != string_or(old, "phase")) {
    if (!given || (before && *before == *given)) {
      status["lastPhaseTransitionTime"] = format_rfc3339(now);
    }
  } else if (before && !given) {
    status["lastPhaseTransitionTime"] = *before;
  }
  object["status"] = std::move(status);
  for (const char* field : {"labels", "annotations"}) {
    if (const Json* value = find_path(wanted, "metadata", field)) {
      object["metadata"][field] = *value;
    }
  }
}

void check_capacity(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  FieldPath at = path.child("capacity");
  const Json& given = object_of(spec, "capacity");
  if (given.empty()) errors.push_back(FieldError::required(at, ""));
  if (!given.contains("storage") || given.size() > 1) {
    errors.push_back(FieldError::not_supported(at, given, {"storage"}));
  }
  for (const auto& [name, quantity] : parse_resource_list(&given)) {
    if (quantity.sign() < 0) {
      errors.push_back(
          FieldError::invalid(at.key(name), quantity.value(), "must be a valid resource quantity"));
    }
    if (quantity.sign() <= 0) {
      errors.push_back(
          FieldError::invalid(at.key(name), quantity.to_string(), "must be greater than zero"));
    }
  }
}

void check_secret_ref(FieldErrors& errors, const Json& source, const char* key,
                      const FieldPath& path) {
  const Json* ref = member(source, key);
  if (!ref) return;
  FieldPath at = path.child(key);
  if (check_required(errors, *ref, "name", at)) {
    check_name(errors, *ref, "name", at, check_dns1123_subdomain);
  }
  if (check_required(errors, *ref, "namespace", at)) {
    check_name(errors, *ref, "namespace", at, check_dns1123_label);
  }
}

void check_csi(FieldErrors& errors, const Json& source, const FieldPath& path) {
  constexpr std::size_t kMaxDriver = 63;
  std::string driver = string_or(source, "driver");
  if (check_required(errors, source, "driver", path)) {
    if (driver.size() > kMaxDriver) {
      errors.push_back(FieldError::too_long(path.child("driver"), kMaxDriver));
    }
    std::string lower = driver;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    add_invalid(errors, path.child("driver"), driver, check_dns1123_subdomain(lower));
  }
  check_required(errors, source, "volumeHandle", path);
  for (const char* key : {"controllerPublishSecretRef", "controllerExpandSecretRef",
                          "nodePublishSecretRef", "nodeExpandSecretRef"}) {
    check_secret_ref(errors, source, key, path);
  }
}

void check_source(FieldErrors& errors, std::string_view type, const Json& spec,
                  const FieldPath& path) {
  const Json& source = *member(spec, type);
  FieldPath at = path.child(type);
  if (type == "hostPath" || type == "nfs") {
    check_volume_source(errors, type, source, at);
  } else if (type == "csi") {
    check_csi(errors, source, at);
  } else if (type == "local") {
    if (check_required(errors, source, "path", at)) {
      check_no_backsteps(errors, string_or(source, "path"), at.child("path"));
    }
    if (!find_path(spec, "nodeAffinity", "required")) {
      errors.push_back(
          FieldError::required(path.child("nodeAffinity"), "Local volume requires node affinity"));
    }
  }
  for (const Needed& needed : kNeeded) {
    if (needed.source != type) continue;
    for (const char* key : needed.members) {
      if (key) check_required(errors, source, key, at);
    }
  }
}

void check_sources(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  int count = 0;
  for (const char* type : kSources) {
    if (!has(spec, type)) continue;
    if (count++ > 0) {
      errors.push_back(
          FieldError::forbidden(path.child(type), "may not specify more than 1 volume type"));
    } else {
      check_source(errors, type, spec, path);
    }
  }
  if (count == 0) errors.push_back(FieldError::required(path, "must specify a volume type"));
}

bool is_root(std::string_view path) {
  return !path.empty() && path.find_first_not_of('/') == std::string_view::npos;
}

void check_attributes_class(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  if (!has(spec, "volumeAttributesClassName")) return;
  FieldPath at = path.child("volumeAttributesClassName");
  if (string_or(spec, "volumeAttributesClassName").empty()) {
    errors.push_back(FieldError::required(at, "an empty string is disallowed"));
  } else {
    check_name(errors, spec, "volumeAttributesClassName", path, check_dns1123_subdomain);
  }
  if (!has(spec, "csi")) {
    errors.push_back(FieldError::required(
        path.child("csi"), "has to be specified when using volumeAttributesClassName"));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  check_access_modes(errors, spec, path, "");
  check_capacity(errors, spec, path);
  check_supported(errors, spec, "persistentVolumeReclaimPolicy", path,
                  {"Delete", "Recycle", "Retain"});
  if (const Json* affinity = member(spec, "nodeAffinity")) {
    check_volume_node_affinity(errors, *affinity, path.child("nodeAffinity"));
  }
  check_sources(errors, spec, path);
  if (is_root(string_or(object_of(spec, "hostPath"), "path")) &&
      string_or(spec, "persistentVolumeReclaimPolicy") == "Recycle") {
    errors.push_back(FieldError::forbidden(path.child("persistentVolumeReclaimPolicy"),
                                           "may not be 'recycle' for a hostPath mount of '/'"));
  }
  check_name(errors, spec, "storageClassName", path, check_dns1123_subdomain);
  check_supported(errors, spec, "volumeMode", path, {"Block", "Filesystem"});
  check_attributes_class(errors, spec, path);
  return errors;
}

Json sources_of(const Json& spec) {
  Json out = Json::object();
  for (const char* type : kSources) {
    if (const Json* source = member(spec, type)) out[type] = *source;
  }
  return out;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  const Json& spec = object_of(object, "spec");
  const Json& before = object_of(old, "spec");
  Json sources = sources_of(spec), old_sources = sources_of(before);
  // A secret for growing may be named later.
  if (sources.contains("csi") && old_sources.contains("csi") &&
      !has(old_sources["csi"], "controllerExpandSecretRef")) {
    sources["csi"].erase("controllerExpandSecretRef");
  }
  if (sources != old_sources) {
    errors.push_back(FieldError::forbidden(
        FieldPath("spec").child("persistentvolumesource"),
        fmt::format("spec.persistentvolumesource is immutable after creation\n{}",
                    json_diff(old_sources, sources, FieldPath("spec")))));
  }
  check_immutable(errors, spec, before, "volumeMode", FieldPath());
  if (has(before, "nodeAffinity")) {
    check_immutable(errors, spec, before, "nodeAffinity", FieldPath());
  }
  if (has(before, "volumeAttributesClassName") && !has(spec, "volumeAttributesClassName")) {
    errors.push_back(FieldError::forbidden(FieldPath("spec").child("volumeAttributesClassName"),
                                           "update from non-nil value to nil is forbidden"));
  }
  return errors;
}

std::string class_annotation(const Json& object) {
  return string_or(object_of(object_of(object, "metadata"), "annotations"), kClassAnnotation);
}

std::vector<std::string> warnings(const Json& object) {
  std::vector<std::string> texts;
  if (!class_annotation(object).empty()) {
    texts.push_back(fmt::format(
        "metadata.annotations[{}]: deprecated since v1.8; use \"storageClassName\" attribute "
        "instead",
        kClassAnnotation));
  }
  if (string_or(object_of(object, "spec"), "persistentVolumeReclaimPolicy") == "Recycle") {
    texts.emplace_back(
        "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, "
        "the recommended approach is to use dynamic provisioning.");
  }
  return texts;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  const Json& claim = object_of(spec, "claimRef");
  std::string storage_class = class_annotation(object);
  if (storage_class.empty()) storage_class = string_or(spec, "storageClassName");
  return Json::array(
      {name_cell(object),
       amount(parse_resource_list(find_member(spec, "capacity")), "storage").to_string(),
       access_modes_cell(spec), string_or(spec, "persistentVolumeReclaimPolicy"),
       phase_cell(object),
       claim.empty() ? "" : string_or(claim, "namespace") + "/" + string_or(claim, "name"),
       storage_class, or_unset(spec, "volumeAttributesClassName"),
       string_or(object_of(object, "status"), "reason"), age_cell(object, context),
       or_unset(spec, "volumeMode")});
}

}  // namespace

ResourceDef persistent_volumes() {
  ResourceDef row = row_of("", "v1", "persistentvolumes", "persistentvolume", "PersistentVolume",
                           "core.v1.PersistentVolume");
  row.namespaced = false;
  row.short_names = {"pv"};
  row.subresources = {{"status", row.gvk(), kGet | kUpdate | kPatch, take_status}};
  row.status_durability = Durability::kDurable;
  row.set_defaults = set_defaults;
  row.prepare_create = prepare_create;
  row.validate = validate;
  row.validate_update = validate_update;
  row.warnings = warnings;
  row.columns =
      columns({column("Name", "Name of the volume"), column("Capacity", "Its size"),
               column("Access Modes", "How it may be mounted"),
               column("Reclaim Policy", "What happens when its claim is gone"),
               column("Status", "Pending, Available, Bound, Released or Failed"),
               column("Claim", "Claim that has it, or for which it is kept"),
               column("StorageClass", "Class that it belongs to"),
               column("VolumeAttributesClass", "Class of its attributes"),
               column("Reason", "Why it is in this status"), column("Age", "Time since creation"),
               column("VolumeMode", "Filesystem or Block", "string", 1)});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
