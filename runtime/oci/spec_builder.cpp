#include "runtime/oci/spec_builder.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "api/base/json.h"
#include "runtime/oci/capabilities.h"
#include "runtime/oci/seccomp.h"

namespace moth::oci {

namespace {

Error invalid(std::string_view member, std::string_view problem) {
  return Error::of(Reason::kInvalid, fmt::format("container config: {}: {}", member, problem));
}

bool absolute(std::string_view path) {
  return !path.empty() && path.front() == '/';
}

Result<void> check(const ContainerConfig& config) {
  if (config.args.empty() || config.args.front().empty()) {
    return fail(invalid("args", "no command: neither the container nor its image has one"));
  }
  if (!absolute(config.cgroups_path)) {
    // Without it the runtime would put the container into the daemon's own group.
    return fail(invalid("cgroups_path", "must be an absolute path"));
  }
  if (!absolute(config.rootfs)) return fail(invalid("rootfs", "must be an absolute path"));
  if (!absolute(config.cwd)) return fail(invalid("cwd", "must be an absolute path"));
  for (const Mount& mount : config.mounts) {
    if (!absolute(mount.destination)) {
      return fail(invalid(
          "mounts", fmt::format("destination \"{}\" must be an absolute path", mount.destination)));
    }
  }
  for (const Device& device : config.devices) {
    if (device.type == 0) {
      return fail(
          invalid("devices", fmt::format("{}: type and numbers are not known yet", device.path)));
    }
  }
  const auto& bytes = config.limits.memory_bytes;
  if (bytes && *bytes >= 0 && *bytes < cgroups::kMinMemoryLimitBytes) {
    return fail(invalid("limits", fmt::format("a memory limit of {} bytes is too small to start a "
                                              "container: at least {} (8Mi) are needed",
                                              *bytes, cgroups::kMinMemoryLimitBytes)));
  }
  return {};
}

Json capabilities_json(const std::vector<std::string>& names) {
  // No inheritable and no ambient ones, as Kubernetes has it: a user that is not root gets none.
  return Json{{"bounding", names}, {"effective", names}, {"permitted", names}};
}

Json process_json(const ContainerConfig& config, const HostFacts& host,
                  const std::vector<std::string>& capabilities) {
  Json user = {{"uid", config.uid}, {"gid", config.gid}};
  if (!config.additional_gids.empty()) user["additionalGids"] = config.additional_gids;
  if (config.umask) user["umask"] = *config.umask;
  Json process = {{"terminal", config.tty},
                  {"user", std::move(user)},
                  {"args", config.args},
                  {"env", config.env},
                  {"cwd", config.cwd},
                  {"capabilities", capabilities_json(capabilities)},
                  {"noNewPrivileges", config.no_new_privs},
                  {"oomScoreAdj", std::max(config.oom_score_adj, host.oom_score_adj_floor)}};
  for (const Rlimit& limit : config.rlimits) {
    process["rlimits"].push_back(
        {{"type", limit.type}, {"hard", limit.hard}, {"soft", limit.soft}});
  }
  if (host.apparmor && !config.apparmor_profile.empty()) {
    process["apparmorProfile"] = config.apparmor_profile;
  }
  if (host.selinux && !config.selinux_label.empty()) process["selinuxLabel"] = config.selinux_label;
  return process;
}

Json mount_json(const Mount& mount) {
  Json json = {{"destination", mount.destination}, {"type", mount.type}, {"source", mount.source}};
  if (!mount.options.empty()) json["options"] = mount.options;
  return json;
}

std::vector<Mount> default_mounts(const ContainerConfig& config) {
  const char* access = config.privileged ? "rw" : "ro";
  const bool host_ipc = config.ipc_namespace == ContainerConfig::kHost;
  std::vector<Mount> mounts = {
      {"proc", "/proc", "proc", {"nosuid", "noexec", "nodev"}},
      {"tmpfs", "/dev", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"devpts",
       "/dev/pts",
       "devpts",
       {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {"sysfs", "/sys", "sysfs", {"nosuid", "noexec", "nodev", access}},
      {"cgroup", "/sys/fs/cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", access}}};
  // In the host's IPC namespace this shows the host's queues, also where nobody has mounted them.
  mounts.push_back({"mqueue", "/dev/mqueue", "mqueue", {"nosuid", "noexec", "nodev"}});
  if (host_ipc) {
    mounts.push_back({"/dev/shm", "/dev/shm", "bind", {"rbind", "nosuid", "noexec", "nodev"}});
  } else {
    mounts.push_back(
        {"shm", "/dev/shm", "tmpfs", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}});
  }
  return mounts;
}

Json mounts_json(const ContainerConfig& config) {
  std::vector<Mount> mounts = default_mounts(config);
  for (const Mount& mount : config.mounts) {
    std::erase_if(mounts, [&](const Mount& m) { return m.destination == mount.destination; });
  }
  mounts.insert(mounts.end(), config.mounts.begin(), config.mounts.end());
  // Parents before what lies in them; what came in order within one depth stays so.
  const auto depth = [](const Mount& mount) {
    return std::count(mount.destination.begin(), mount.destination.end(), '/') -
           (mount.destination.size() == 1 ? 1 : 0);
  };
  std::stable_sort(mounts.begin(), mounts.end(),
                   [&](const Mount& a, const Mount& b) { return depth(a) < depth(b); });
  Json list = Json::array();
  for (const Mount& mount : mounts) list.push_back(mount_json(mount));
  return list;
}

Json namespaces_json(const ContainerConfig& config, const HostFacts& host) {
  Json list = Json::array({Json{{"type", "mount"}}});
  const auto add = [&](const char* type, const std::string& path) {
    if (path == ContainerConfig::kHost) return;
    Json entry = {{"type", type}};
    if (!path.empty()) entry["path"] = path;
    list.push_back(std::move(entry));
  };
  add("network", config.network_namespace);
  add("ipc", config.ipc_namespace);
  add("uts", config.uts_namespace);
  add("pid", config.pid_namespace);
  if (host.cgroup_namespace && !config.privileged) list.push_back({{"type", "cgroup"}});
  return list;
}

Json device_rules_json(const ContainerConfig& config) {
  if (config.privileged) return Json::array({Json{{"allow", true}, {"access", "rwm"}}});
  // The runtime adds null, zero, full, random, urandom, tty, ptmx and the pseudo terminals.
  Json rules = Json::array({Json{{"allow", false}, {"access", "rwm"}}});
  for (const Device& device : config.devices) {
    rules.push_back({{"allow", true},
                     {"type", std::string(1, device.type)},
                     {"major", device.major},
                     {"minor", device.minor},
                     {"access", device.access}});
  }
  for (const ContainerConfig::DeviceRule& rule : config.device_rules) {
    Json json = {{"allow", rule.allow}, {"access", rule.access}};
    if (rule.type != 'a') json["type"] = std::string(1, rule.type);
    if (rule.major >= 0) json["major"] = rule.major;
    if (rule.minor >= 0) json["minor"] = rule.minor;
    rules.push_back(std::move(json));
  }
  return rules;
}

Json devices_json(const ContainerConfig& config) {
  Json list = Json::array();
  for (const Device& device : config.devices) {
    Json json = {{"path", device.path}, {"type", std::string(1, device.type)}};
    if (device.type != 'p') {
      json["major"] = device.major;
      json["minor"] = device.minor;
    }
    if (device.mode) json["fileMode"] = *device.mode;
    if (device.uid) json["uid"] = *device.uid;
    if (device.gid) json["gid"] = *device.gid;
    list.push_back(std::move(json));
  }
  return list;
}

Json cpu_json(const cgroups::Limits& limits) {
  Json cpu = Json::object();
  if (limits.cpu_shares) cpu["shares"] = *limits.cpu_shares;
  if (limits.cpu_quota_micros) {
    cpu["quota"] = *limits.cpu_quota_micros;
    cpu["period"] = cgroups::kCpuPeriodMicros;
  }
  if (limits.cpuset_cpus) cpu["cpus"] = *limits.cpuset_cpus;
  if (limits.cpuset_mems) cpu["mems"] = *limits.cpuset_mems;
  return cpu;
}

Json resources_json(const ContainerConfig& config, const HostFacts& host) {
  const cgroups::Limits& limits = config.limits;
  Json resources = {{"devices", device_rules_json(config)}};
  if (Json cpu = cpu_json(limits); !cpu.empty()) resources["cpu"] = std::move(cpu);
  if (limits.memory_bytes) {
    resources["memory"]["limit"] = *limits.memory_bytes;
    // Memory and swap together: no swap beyond the limit.
    if (host.swap_accounting) resources["memory"]["swap"] = *limits.memory_bytes;
  }
  if (limits.pids) resources["pids"]["limit"] = *limits.pids;
  for (const cgroups::Limits::HugePages& pages : limits.huge_pages) {
    resources["hugepageLimits"].push_back({{"pageSize", pages.size}, {"limit", pages.bytes}});
  }
  if (!host.cgroup_v2_only) return resources;
  Json unified = Json::object();
  if (limits.oom_group) unified["memory.oom.group"] = *limits.oom_group ? "1" : "0";
  if (limits.memory_low_bytes) unified["memory.low"] = std::to_string(*limits.memory_low_bytes);
  if (limits.memory_high_bytes && *limits.memory_high_bytes >= 0) {
    unified["memory.high"] = std::to_string(*limits.memory_high_bytes);
  }
  if (!unified.empty()) resources["unified"] = std::move(unified);
  return resources;
}

Result<Json> seccomp_json(const ContainerConfig& config, const HostFacts& host,
                          const std::vector<std::string>& capabilities) {
  if (config.privileged) return Json();
  switch (config.seccomp.kind) {
    case Seccomp::Kind::kUnconfined:
      return Json();
    case Seccomp::Kind::kRuntimeDefault:
      return default_seccomp(capability_mask(capabilities), host.architecture);
    case Seccomp::Kind::kLocalhost:
      break;
  }
  Json profile = Json::parse(config.seccomp.profile_json, nullptr, false);
  if (!profile.is_object()) return fail(invalid("seccomp", "the profile is no JSON object"));
  return profile;
}

Result<Json> linux_json(const ContainerConfig& config, const HostFacts& host,
                        const std::vector<std::string>& capabilities) {
  Json linux_part = {{"namespaces", namespaces_json(config, host)},
                     {"cgroupsPath", config.cgroups_path},
                     {"resources", resources_json(config, host)}};
  if (!config.devices.empty()) linux_part["devices"] = devices_json(config);
  if (!config.sysctls.empty()) linux_part["sysctl"] = config.sysctls;
  if (!config.rootfs_propagation.empty()) {
    linux_part["rootfsPropagation"] = config.rootfs_propagation;
  }
  MOTH_ASSIGN(Json seccomp, seccomp_json(config, host, capabilities));
  if (!seccomp.is_null()) linux_part["seccomp"] = std::move(seccomp);
  if (!config.privileged) {
    linux_part["maskedPaths"] = config.default_paths ? default_masked_paths() : config.masked_paths;
    linux_part["readonlyPaths"] =
        config.default_paths ? default_readonly_paths() : config.readonly_paths;
  }
  if (host.selinux && !config.selinux_label.empty()) {
    linux_part["mountLabel"] = config.selinux_label;
  }
  return linux_part;
}

Json hooks_json(const std::vector<Hook>& hooks) {
  Json list = Json::array();
  for (const Hook& hook : hooks) {
    Json json = {{"path", hook.path}};
    if (!hook.args.empty()) json["args"] = hook.args;
    if (!hook.env.empty()) json["env"] = hook.env;
    if (hook.timeout_seconds) json["timeout"] = *hook.timeout_seconds;
    list.push_back(std::move(json));
  }
  return list;
}

void add_hooks(const ContainerConfig& config, Json& spec) {
  const auto add = [&](const char* name, const std::vector<Hook>& hooks) {
    if (!hooks.empty()) spec["hooks"][name] = hooks_json(hooks);
  };
  add("prestart", config.prestart_hooks);
  add("createContainer", config.create_container_hooks);
  add("startContainer", config.start_container_hooks);
  add("poststop", config.poststop_hooks);
}

}  // namespace

const std::vector<std::string>& default_capabilities() {
  static const std::vector<std::string> names = {
      "CHOWN",   "DAC_OVERRIDE", "FSETID",           "FOWNER",
      "MKNOD",   "NET_RAW",      "SETGID",           "SETUID",
      "SETFCAP", "SETPCAP",      "NET_BIND_SERVICE", "SYS_CHROOT",
      "KILL",    "AUDIT_WRITE"};
  return names;
}

const std::vector<std::string>& default_masked_paths() {
  static const std::vector<std::string> paths = {
      "/proc/acpi",       "/proc/asound",      "/proc/interrupts",
      "/proc/kcore",      "/proc/keys",        "/proc/latency_stats",
      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug",
      "/proc/scsi",       "/sys/firmware",     "/sys/devices/virtual/powercap"};
  return paths;
}

const std::vector<std::string>& default_readonly_paths() {
  static const std::vector<std::string> paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                                 "/proc/sysrq-trigger"};
  return paths;
}

Result<std::vector<std::string>> effective_capabilities(const ContainerConfig& config,
                                                        const HostFacts& host) {
  constexpr std::uint64_t kAll = std::numeric_limits<std::uint64_t>::max();
  std::uint64_t mask = config.privileged ? kAll : capability_mask(default_capabilities());
  const auto is_all = [](const std::string& name) { return name == "ALL" || name == "all"; };
  const auto number_of = [&](const std::string& name) -> Result<std::uint64_t> {
    if (is_all(name)) return kAll;
    if (const auto number = capability_number(name)) return std::uint64_t{1} << *number;
    return fail(invalid("capabilities", fmt::format("\"{}\" is no capability", name)));
  };
  // "ALL" on either side first, single names after it: drop ALL, add ONE leaves one.
  for (const bool all_round : {true, false}) {
    for (const std::string& name : config.capabilities_add) {
      MOTH_ASSIGN(const std::uint64_t bits, number_of(name));
      if (is_all(name) == all_round) mask |= bits;
    }
    for (const std::string& name : config.capabilities_drop) {
      MOTH_ASSIGN(const std::uint64_t bits, number_of(name));
      if (is_all(name) == all_round) mask &= ~bits;
    }
  }
  mask &= host.capability_bounds;
  std::vector<std::string> names;
  for (int number = 0; number < capability_count(); ++number) {
    if ((mask >> number & 1) != 0) names.push_back(capability_name(number));
  }
  return names;
}

Result<Json> build_spec(const ContainerConfig& config, const HostFacts& host) {
  MOTH_TRY(check(config));
  MOTH_ASSIGN(const std::vector<std::string> capabilities, effective_capabilities(config, host));
  Json spec = {{"ociVersion", "1.0.2"},
               {"process", process_json(config, host, capabilities)},
               {"root", {{"path", config.rootfs}, {"readonly", config.read_only_rootfs}}},
               {"mounts", mounts_json(config)}};
  MOTH_ASSIGN(spec["linux"], linux_json(config, host, capabilities));
  if (config.uts_namespace.empty() && !config.hostname.empty()) spec["hostname"] = config.hostname;
  if (!config.annotations.empty()) spec["annotations"] = config.annotations;
  add_hooks(config, spec);
  return spec;
}

}  // namespace moth::oci
