#pragma once
// ContainerConfig: everything about one container, resolved: no names of images, users or volumes
// are left in it. The agent fills it, build_spec() turns it into config.json. A value.
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cgroups/limits.h"

namespace moth::oci {

struct Mount {
  std::string source;       // host path, or the name of a virtual file system
  std::string destination;  // absolute, in the container
  std::string type = "bind";
  std::vector<std::string> options;  // as mount(8): rbind, ro, rslave, ...
  // Later mounts with the same destination replace the defaults (/dev/shm, /etc/hosts...).
};

struct Device {
  std::string path;       // in the container
  std::string host_path;  // read for type and numbers when they are not given; empty: path
  char type = 0;          // 'c', 'b', 'p'; 0: look at host_path
  std::int64_t major = 0, minor = 0;
  std::optional<std::uint32_t> mode, uid, gid;
  std::string access = "rwm";
};

struct Rlimit {
  std::string type;  // RLIMIT_NOFILE
  std::uint64_t hard = 0, soft = 0;
};

struct Seccomp {
  enum class Kind { kUnconfined, kRuntimeDefault, kLocalhost };
  Kind kind = Kind::kUnconfined;
  std::string profile_json;  // kLocalhost: the OCI linux.seccomp object as text
};

struct Hook {
  std::string path;
  std::vector<std::string> args, env;
  std::optional<int> timeout_seconds;
};

struct ContainerConfig {
  std::string id;
  std::vector<std::string> args;  // at least one
  std::vector<std::string> env;   // NAME=value
  std::string cwd = "/";
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> additional_gids;
  std::optional<std::uint32_t> umask;

  std::string rootfs;  // absolute host path
  bool read_only_rootfs = false;
  std::string rootfs_propagation;  // "", "rslave", "rshared": needed by mounts that propagate
  std::vector<Mount> mounts;       // besides the default ones

  // Paths of namespaces to join; empty: a new one; kHost: the host's.
  static constexpr const char* kHost = "host";
  std::string network_namespace, ipc_namespace, uts_namespace, pid_namespace;
  std::string hostname;  // only with a new uts namespace

  bool privileged = false;
  bool no_new_privs = false;
  // Kubernetes names without CAP_ ("NET_ADMIN"; "ALL" is allowed), over the default set.
  std::vector<std::string> capabilities_add, capabilities_drop;
  Seccomp seccomp;
  std::string apparmor_profile, selinux_label;            // empty: none
  std::vector<std::string> masked_paths, readonly_paths;  // used when default_paths is false
  bool default_paths = true;  // procMount Default; ignored when privileged
  std::map<std::string, std::string> sysctls;
  std::vector<Device> devices;
  // Further rules of the device group ("c 195:* rwm" as major 195, minor -1).
  struct DeviceRule {
    bool allow = true;
    char type = 'a';
    std::int64_t major = -1, minor = -1;
    std::string access = "rwm";
  };
  std::vector<DeviceRule> device_rules;

  int oom_score_adj = 0;
  std::string cgroups_path;  // absolute within the hierarchies, mandatory
  cgroups::Limits limits;
  std::vector<Rlimit> rlimits;
  bool tty = false;

  std::vector<Hook> prestart_hooks, create_container_hooks, start_container_hooks, poststop_hooks;
  std::map<std::string, std::string> annotations;
};

}  // namespace moth::oci
