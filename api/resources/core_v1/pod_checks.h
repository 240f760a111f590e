#pragma once
// The pieces of pod validation, one source file per theme. Internal to core_v1.
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"

namespace moth::resources {

// Valid volumes by name.
using VolumesByName = std::map<std::string, const Json*, std::less<>>;

// volume_validation.cpp
VolumesByName check_volumes(FieldErrors& errors, const Json& spec, const FieldPath& path);
// One source of a volume, e.g. hostPath; `path` is its own.
void check_volume_source(FieldErrors& errors, std::string_view type, const Json& source,
                         const FieldPath& path);
void check_mounts(FieldErrors& errors, const Json& container, const VolumesByName& volumes,
                  const FieldPath& path);

// container_validation.cpp
struct ContainerContext {
  const Json* spec = nullptr;
  const VolumesByName* volumes = nullptr;
  std::int64_t grace_seconds = 30;
};
void check_app_containers(FieldErrors& errors, const ContainerContext& context,
                          const FieldPath& path);
void check_init_containers(FieldErrors& errors, const ContainerContext& context,
                           const FieldPath& path);
void check_ephemeral_containers(FieldErrors& errors, const ContainerContext& context,
                                const FieldPath& path);

// env_validation.cpp
void check_env(FieldErrors& errors, const Json& container, const FieldPath& path);
// `volume`: the selector of a downward API volume rather than of an environment variable.
void check_field_ref(FieldErrors& errors, const Json& ref, const FieldPath& path, bool volume);
void check_resource_field_ref(FieldErrors& errors, const Json& ref, const FieldPath& path,
                              bool volume);

// probe_validation.cpp
void check_lifecycle(FieldErrors& errors, const Json& container, const ContainerContext& context,
                     const FieldPath& path);
void check_probes(FieldErrors& errors, const Json& container, const ContainerContext& context,
                  const FieldPath& path);

// security_validation.cpp
void check_security_context(FieldErrors& errors, const Json& container, bool host_users,
                            const FieldPath& path);
void check_pod_security(FieldErrors& errors, const Json& spec, const FieldPath& path);

// scheduling_validation.cpp
void check_affinity(FieldErrors& errors, const Json& affinity, const FieldPath& path);
// spec.nodeAffinity of a PersistentVolume: `required` is a node selector.
void check_volume_node_affinity(FieldErrors& errors, const Json& affinity, const FieldPath& path);
void check_tolerations(FieldErrors& errors, const Json& spec, const FieldPath& path);
void check_topology_spread(FieldErrors& errors, const Json& spec, const FieldPath& path);

}  // namespace moth::resources
