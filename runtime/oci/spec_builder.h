#pragma once
// build_spec: a pure function from a ContainerConfig to the OCI config.json. Machine facts come in
// by HostFacts, so the result can be compared with golden files.
#include <cstdint>
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "runtime/cgroups/layout.h"
#include "runtime/oci/container_config.h"
#include "runtime/os/kernel_features.h"

namespace moth::oci {

struct HostFacts {
  std::string architecture = "amd64";       // as Go names it
  std::uint64_t capability_bounds = ~0ull;  // a container gets none that the host lacks
  int oom_score_adj_floor = -1000;
  bool cgroup_v2_only = false;  // "unified" settings may be used
  bool apparmor = false, selinux = false;
  bool cgroup_namespace = true;
  bool swap_accounting = true;  // the memory controller counts swap
};
HostFacts host_facts(const os::KernelFeatures& features, const cgroups::Layout& layout);

// Fills type, numbers, mode and owner of devices from their host paths; a folder stands for all
// nodes in it. A privileged container gets every node of /dev. Reads the machine; NotFound names
// the device.
Result<void> resolve_devices(ContainerConfig& config);

// Invalid names the member: no args, no cgroups path, a relative mount, an unknown capability.
Result<Json> build_spec(const ContainerConfig& config, const HostFacts& host);

// Names with CAP_, sorted by number, after add and drop over the default set.
Result<std::vector<std::string>> effective_capabilities(const ContainerConfig& config,
                                                        const HostFacts& host);
const std::vector<std::string>& default_capabilities();  // without CAP_
const std::vector<std::string>& default_masked_paths();
const std::vector<std::string>& default_readonly_paths();

}  // namespace moth::oci
