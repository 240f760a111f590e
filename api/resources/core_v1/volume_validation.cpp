#include <array>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/quantity.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/claim_rules.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

// In the order in which upstream looks at them.
constexpr std::array kSources = {"emptyDir",
                                 "hostPath",
                                 "gitRepo",
                                 "gcePersistentDisk",
                                 "awsElasticBlockStore",
                                 "secret",
                                 "nfs",
                                 "iscsi",
                                 "glusterfs",
                                 "flocker",
                                 "persistentVolumeClaim",
                                 "rbd",
                                 "cinder",
                                 "cephfs",
                                 "downwardAPI",
                                 "fc",
                                 "flexVolume",
                                 "configMap",
                                 "azureFile",
                                 "vsphereVolume",
                                 "photonPersistentDisk",
                                 "portworxVolume",
                                 "azureDisk",
                                 "storageos",
                                 "projected",
                                 "scaleIO",
                                 "quobyte",
                                 "csi",
                                 "ephemeral",
                                 "image"};

void check_key_to_path(FieldErrors& errors, const Json& item, const FieldPath& path) {
  check_required(errors, item, "key", path);
  if (check_required(errors, item, "path", path)) {
    check_non_reserved_path(errors, string_or(item, "path"), path.child("path"));
  }
  check_mode(errors, item, "mode", path);
}

void check_keys(FieldErrors& errors, const Json& source, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& item : items(source, "items")) {
    check_key_to_path(errors, item, path.child("items").index(i++));
  }
}

void check_downward_item(FieldErrors& errors, const Json& item, const FieldPath& path) {
  if (check_required(errors, item, "path", path)) {
    check_non_reserved_path(errors, string_or(item, "path"), path.child("path"));
  }
  const Json* field = member(item, "fieldRef");
  const Json* resource = member(item, "resourceFieldRef");
  if (field) {
    check_field_ref(errors, *field, path.child("fieldRef"), true);
    if (resource) {
      errors.push_back(FieldError::invalid(
          path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"));
    }
  } else if (resource) {
    check_resource_field_ref(errors, *resource, path.child("resourceFieldRef"), true);
  } else {
    errors.push_back(
        FieldError::required(path, "one of fieldRef and resourceFieldRef is required"));
  }
  check_mode(errors, item, "mode", path);
}

void check_downward(FieldErrors& errors, const Json& source, const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& item : items(source, "items")) {
    check_downward_item(errors, item, path.child("items").index(i++));
  }
}

void check_empty_dir(FieldErrors& errors, const Json& source, const FieldPath& path) {
  const Json* limit = member(source, "sizeLimit");
  auto quantity = limit ? Quantity::from_json(*limit) : Result<Quantity>(Quantity());
  if (quantity && quantity->sign() < 0) {
    errors.push_back(FieldError::forbidden(path.child("sizeLimit"),
                                           "SizeLimit field must be a valid resource quantity"));
  }
}

void check_host_path(FieldErrors& errors, const Json& source, const FieldPath& path) {
  if (check_required(errors, source, "path", path)) {
    check_no_backsteps(errors, string_or(source, "path"), path.child("path"));
  }
  check_supported(errors, source, "type", path,
                  {"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File",
                   "FileOrCreate", "Socket"});
}

void check_nfs(FieldErrors& errors, const Json& source, const FieldPath& path) {
  check_required(errors, source, "server", path);
  check_required(errors, source, "path", path);
  if (!string_or(source, "path").starts_with('/')) {
    errors.push_back(FieldError::invalid(path.child("path"), string_or(source, "path"),
                                         "must be an absolute path"));
  }
}

// Files of one projected volume must not have the same path.
class ProjectedPaths {
 public:
  void add(FieldErrors& errors, const Json& source, const std::string& name,
           const FieldPath& volume) {
    for (const Json& item : items(source, "items")) {
      add_path(errors, string_or(item, "path"), name, volume);
    }
  }
  void add_path(FieldErrors& errors, const std::string& file, const std::string& name,
                const FieldPath& volume) {
    if (file.empty()) return;
    if (seen_.contains(file)) {
      errors.push_back(FieldError::invalid(volume, name, "conflicting duplicate paths"));
      return;
    }
    FieldErrors ignored;
    seen_.add(ignored, file, volume);
  }

 private:
  UniqueNames seen_;
};

void check_token(FieldErrors& errors, const Json& token, const FieldPath& path) {
  constexpr std::int64_t kMinSeconds = 600;
  constexpr std::int64_t kMaxSeconds = std::int64_t{1} << 32;
  std::int64_t seconds = int_or(token, "expirationSeconds", 3600);
  if (seconds < kMinSeconds) {
    errors.push_back(FieldError::invalid(path.child("expirationSeconds"), seconds,
                                         "may not specify a duration less than 10 minutes"));
  }
  if (seconds > kMaxSeconds) {
    errors.push_back(FieldError::invalid(path.child("expirationSeconds"), seconds,
                                         "may not specify a duration larger than 2^32 seconds"));
  }
  if (check_required(errors, token, "path", path)) {
    check_non_reserved_path(errors, string_or(token, "path"), path.child("path"));
  }
}

void check_projection(FieldErrors& errors, const Json& source, const FieldPath& path,
                      const FieldPath& volume, ProjectedPaths& paths) {
  int count = 0;
  for (std::string_view type : {"secret", "configMap"}) {
    const Json* object = member(source, type);
    if (!object) continue;
    ++count;
    check_required(errors, *object, "name", path.child(type));
    check_keys(errors, *object, path.child(type));
    paths.add(errors, *object, string_or(*object, "name"), volume);
  }
  if (const Json* downward = member(source, "downwardAPI")) {
    ++count;
    check_downward(errors, *downward, path.child("downwardAPI"));
    paths.add(errors, *downward, "", volume);
  }
  if (const Json* token = member(source, "serviceAccountToken")) {
    ++count;
    check_token(errors, *token, path.child("serviceAccountToken"));
    paths.add_path(errors, string_or(*token, "path"), "", volume);
  }
  if (has(source, "clusterTrustBundle")) ++count;
  if (has(source, "podCertificate")) ++count;
  if (count > 1) {
    errors.push_back(FieldError::forbidden(path, "may not specify more than 1 volume type"));
  }
}

void check_projected(FieldErrors& errors, const Json& source, const FieldPath& path) {
  check_mode(errors, source, "defaultMode", path);
  ProjectedPaths paths;
  std::size_t i = 0;
  for (const Json& projection : items(source, "sources")) {
    check_projection(errors, projection, path.child("sources").index(i++), path, paths);
  }
}

FieldErrors check_volume(const Json& volume, const FieldPath& path) {
  FieldErrors errors;
  int count = 0;
  for (std::string_view type : kSources) {
    const Json* source = member(volume, type);
    if (!source) continue;
    if (count++ > 0) {
      errors.push_back(
          FieldError::forbidden(path.child(type), "may not specify more than 1 volume type"));
    } else {
      check_volume_source(errors, type, *source, path.child(type));
    }
  }
  if (count == 0) errors.push_back(FieldError::required(path, "must specify a volume type"));
  return errors;
}

bool is_claim(const Json& volume) {
  return has(volume, "persistentVolumeClaim") || has(volume, "ephemeral");
}

bool in_list(const Json& list, std::string_view key, const std::string& value) {
  return !value.empty() && std::any_of(list.begin(), list.end(), [&](const Json& item) {
    return string_or(item, key) == value;
  });
}

bool is_privileged(const Json& container) {
  return bool_or(object_of(container, "securityContext"), "privileged");
}

// Upstream reports what is wrong with these members at the list, not at the element.
void check_mount_modes(FieldErrors& errors, const Json& mount, const Json& container,
                       const FieldPath& list) {
  check_supported(errors, mount, "mountPropagation", list,
                  {"Bidirectional", "HostToContainer", "None"});
  std::string propagation = string_or(mount, "mountPropagation");
  if (propagation == "Bidirectional" && !is_privileged(container)) {
    errors.push_back(FieldError::forbidden(
        list.child("mountPropagation"),
        "Bidirectional mount propagation is available only to privileged containers"));
  }
  check_supported(errors, mount, "recursiveReadOnly", list, {"Disabled", "Enabled", "IfPossible"});
  std::string recursive = string_or(mount, "recursiveReadOnly");
  if (recursive != "Enabled" && recursive != "IfPossible") return;
  FieldPath at = list.child("recursiveReadOnly");
  if (!bool_or(mount, "readOnly")) {
    errors.push_back(FieldError::forbidden(at, "may only be specified when readOnly is true"));
  }
  if (!propagation.empty() && propagation != "None") {
    errors.push_back(FieldError::forbidden(
        at, "may only be specified when mountPropagation is None or not specified"));
  }
}

void check_sub_path(FieldErrors& errors, const Json& mount, const FieldPath& list,
                    const FieldPath& path) {
  std::string sub = string_or(mount, "subPath");
  std::string expression = string_or(mount, "subPathExpr");
  if (!sub.empty()) check_descending_path(errors, sub, list.child("subPath"));
  if (expression.empty()) return;
  if (!sub.empty()) {
    errors.push_back(FieldError::invalid(path.child("subPathExpr"), expression,
                                         "subPathExpr and subPath are mutually exclusive"));
  }
  check_descending_path(errors, expression, list.child("subPathExpr"));
}

void check_devices(FieldErrors& errors, const Json& container, const VolumesByName& volumes,
                   const FieldPath& path) {
  UniqueNames names, paths;
  FieldErrors ignored;
  std::size_t i = 0;
  for (const Json& device : items(container, "volumeDevices")) {
    FieldPath at = path.index(i++);
    std::string name = string_or(device, "name");
    std::string target = string_or(device, "devicePath");
    if (name.empty()) errors.push_back(FieldError::required(at.child("name"), ""));
    if (!names.add(ignored, name, at)) {
      errors.push_back(FieldError::invalid(at.child("name"), name, "must be unique"));
    }
    auto volume = volumes.find(name);
    if (volume == volumes.end()) {
      errors.push_back(FieldError::not_found(at.child("name"), name));
    } else if (!is_claim(*volume->second)) {
      errors.push_back(FieldError::invalid(at.child("name"), name,
                                           "can only use volume source type of "
                                           "PersistentVolumeClaim or Ephemeral for block mode"));
    }
    if (target.empty()) errors.push_back(FieldError::required(at.child("devicePath"), ""));
    if (!paths.add(ignored, target, at)) {
      errors.push_back(FieldError::invalid(at.child("devicePath"), target, "must be unique"));
    }
    FieldErrors backsteps;
    check_no_backsteps(backsteps, target, at);
    if (!backsteps.empty()) {
      errors.push_back(
          FieldError::invalid(at.child("devicePath"), target, "can not contain backsteps ('..')"));
    }
    if (in_list(items(container, "volumeMounts"), "name", name)) {
      errors.push_back(
          FieldError::invalid(at.child("name"), name, "must not already exist in volumeMounts"));
    }
    if (in_list(items(container, "volumeMounts"), "mountPath", target)) {
      errors.push_back(FieldError::invalid(at.child("devicePath"), target,
                                           "must not already exist as a path in volumeMounts"));
    }
  }
}

}  // namespace

void check_volume_source(FieldErrors& errors, std::string_view type, const Json& source,
                         const FieldPath& path) {
  if (type == "emptyDir") {
    check_empty_dir(errors, source, path);
  } else if (type == "hostPath") {
    check_host_path(errors, source, path);
  } else if (type == "secret" || type == "configMap") {
    check_required(errors, source, type == "secret" ? "secretName" : "name", path);
    check_mode(errors, source, "defaultMode", path);
    check_keys(errors, source, path);
  } else if (type == "nfs") {
    check_nfs(errors, source, path);
  } else if (type == "persistentVolumeClaim") {
    check_required(errors, source, "claimName", path);
  } else if (type == "downwardAPI") {
    check_mode(errors, source, "defaultMode", path);
    check_downward(errors, source, path);
  } else if (type == "projected") {
    check_projected(errors, source, path);
  } else if (type == "csi") {
    check_required(errors, source, "driver", path);
  } else if (type == "ephemeral") {
    if (check_required(errors, source, "volumeClaimTemplate", path)) {
      append(errors, validate_claim_spec(object_of(*member(source, "volumeClaimTemplate"), "spec"),
                                         path.child("volumeClaimTemplate", "spec")));
    }
  } else if (type == "image") {
    check_required(errors, source, "reference", path);
    check_supported(errors, source, "pullPolicy", path, {"Always", "IfNotPresent", "Never"}, true);
  }
}

VolumesByName check_volumes(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  VolumesByName valid;
  std::size_t i = 0;
  for (const Json& volume : items(spec, "volumes")) {
    FieldPath at = path.child("volumes").index(i++);
    FieldErrors found = check_volume(volume, at);
    std::string name = string_or(volume, "name");
    if (check_required(found, volume, "name", at)) {
      check_name(found, volume, "name", at, check_dns1123_label);
    }
    if (valid.contains(name)) found.push_back(FieldError::duplicate(at.child("name"), name));
    if (found.empty()) {
      valid.emplace(name, &volume);
    } else {
      append(errors, std::move(found));
    }
  }
  return valid;
}

void check_mounts(FieldErrors& errors, const Json& container, const VolumesByName& volumes,
                  const FieldPath& path) {
  FieldPath list = path.child("volumeMounts");
  UniqueNames mount_points;
  FieldErrors ignored;
  std::size_t i = 0;
  for (const Json& mount : items(container, "volumeMounts")) {
    FieldPath at = list.index(i++);
    std::string name = string_or(mount, "name");
    std::string target = string_or(mount, "mountPath");
    if (name.empty()) errors.push_back(FieldError::required(at.child("name"), ""));
    if (!volumes.contains(name)) errors.push_back(FieldError::not_found(at.child("name"), name));
    if (target.empty()) errors.push_back(FieldError::required(at.child("mountPath"), ""));
    if (!mount_points.add(ignored, target, at)) {
      errors.push_back(FieldError::invalid(at.child("mountPath"), target, "must be unique"));
    }
    if (in_list(items(container, "volumeDevices"), "name", name)) {
      errors.push_back(
          FieldError::invalid(at.child("name"), name, "must not already exist in volumeDevices"));
    }
    if (in_list(items(container, "volumeDevices"), "devicePath", target)) {
      errors.push_back(FieldError::invalid(at.child("mountPath"), target,
                                           "must not already exist as a path in volumeDevices"));
    }
    check_sub_path(errors, mount, list, at);
    check_mount_modes(errors, mount, container, list);
  }
  check_devices(errors, container, volumes, path.child("volumeDevices"));
}

}  // namespace moth::resources
