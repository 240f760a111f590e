#pragma once
// What this machine can do for us, found once at the start, so that what is missing is told then,
// in words, and not as an errno in the first pod.
#include <cstdint>
#include <string>
#include <vector>

namespace moth::os {

struct KernelFeatures {
  bool root = false;
  bool overlay = false;                // overlayfs is known (or its module can be loaded)
  bool new_mount_api = false;          // fsopen and friends
  bool overlay_lowerdir_plus = false;  // fsconfig lowerdir+ (6.5)
  bool pidfd = false;
  bool openat2 = false;
  bool seccomp = false;
  bool netfilter = false;  // nf_tables answers
  bool ip_forwarding = false;
  bool user_namespaces = false;
  bool apparmor = false;
  bool selinux = false;
  // False in some virtual machines and containers: oom_score_adj cannot be lowered and hard limits
  // cannot be raised, so what asks for that is clamped.
  bool sys_resource = false;
  std::uint64_t capability_bounds = 0;  // CapBnd of this process: what containers can get at most
  int oom_score_adj_floor = 0;          // the lowest value that this process may give to another
  bool cgroup_v1 = false, cgroup_v2 = false;  // mounted; both: hybrid

  // One sentence per thing that moth cannot run without, with the remedy; empty: fit.
  std::vector<std::string> problems() const;
};

KernelFeatures detect_kernel_features();

}  // namespace moth::os
