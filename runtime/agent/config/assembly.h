#pragma once
// assemble_config: a container's spec, its image and what was prepared for it > the ContainerConfig
// that the OCI layer starts. Pure; control thread (it reads the pod's view).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "api/resources/core_v1/pod_spec.h"
#include "runtime/agent/pod_context.h"
#include "runtime/images/image.h"
#include "runtime/oci/container_config.h"
#include "runtime/oci/image_user.h"

namespace moth::agent {

// Where a mount of the spec comes from on the host.
struct MountSource {
  const resources::VolumeMount* mount = nullptr;
  std::string host_path;
};

struct AssemblyInput {
  const PodContext& pod;
  const resources::Container& container;
  const images::ImageConfig& image;
  std::string id;
  std::string rootfs;
  std::vector<std::string> args, env;
  oci::ResolvedUser user;  // see user_request()
  std::vector<MountSource> mounts;
  std::string etc;              // folder of hosts, hostname, resolv.conf; empty: none of them
  std::string termination_log;  // file; empty: none
  std::string shared_memory;    // folder for /dev/shm; empty: one of the container's own
  std::string hostname;
  std::string pid_namespace;    // of a target container; empty: the pod's
  std::string seccomp_profile;  // text of a localhost profile
  std::int64_t node_memory_bytes = 0;
};

struct Assembly {
  oci::ContainerConfig config;
  std::vector<std::string> warnings;  // for Events
};

Result<Assembly> assemble_config(const AssemblyInput& input);

// The image's user overridden by runAsUser and runAsGroup, for oci::resolve_user.
std::string user_request(const resources::SecurityContext& security, const std::string& image_user);
// Null, or why runAsNonRoot forbids to run it (upstream's texts).
std::optional<std::string> root_violation(const PodContext& pod,
                                          const resources::Container& container,
                                          const std::string& image_user);
// Number of SIGTERM, TERM, 15, SIGRTMIN+3; nullopt when it is none.
std::optional<int> parse_signal(std::string_view name);

int container_oom_score(const PodContext& pod, const resources::Container& container,
                        std::int64_t node_memory_bytes);
cgroups::Limits container_limits(const resources::Container& container,
                                 std::vector<std::string>& warnings);

}  // namespace moth::agent
