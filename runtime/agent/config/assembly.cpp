#include "runtime/agent/config/assembly.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <set>

#include "api/resources/core_v1/pod_view.h"

namespace moth::agent {

using oci::ContainerConfig;
using resources::Container;
using resources::SecurityProfile;
using resources::VolumeMount;

namespace {

constexpr std::string_view kHugePagesPrefix = "hugepages-";
constexpr std::string_view kNodeCritical = "system-node-critical";

struct SignalName {
  std::string_view name;
  int number;
};
constexpr SignalName kSignals[] = {
    {"HUP", SIGHUP},       {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"ILL", SIGILL},
    {"TRAP", SIGTRAP},     {"ABRT", SIGABRT}, {"IOT", SIGABRT},    {"BUS", SIGBUS},
    {"FPE", SIGFPE},       {"KILL", SIGKILL}, {"USR1", SIGUSR1},   {"SEGV", SIGSEGV},
    {"USR2", SIGUSR2},     {"PIPE", SIGPIPE}, {"ALRM", SIGALRM},   {"TERM", SIGTERM},
    {"STKFLT", SIGSTKFLT}, {"CHLD", SIGCHLD}, {"CLD", SIGCHLD},    {"CONT", SIGCONT},
    {"STOP", SIGSTOP},     {"TSTP", SIGTSTP}, {"TTIN", SIGTTIN},   {"TTOU", SIGTTOU},
    {"URG", SIGURG},       {"XCPU", SIGXCPU}, {"XFSZ", SIGXFSZ},   {"VTALRM", SIGVTALRM},
    {"PROF", SIGPROF},     {"IO", SIGIO},     {"WINCH", SIGWINCH}, {"POLL", SIGPOLL},
    {"PWR", SIGPWR},       {"SYS", SIGSYS},
};

std::optional<int> parse_number(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string clean_path(std::string path) {
  if (path.empty() || path.front() != '/') path.insert(path.begin(), '/');
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

std::ptrdiff_t depth(const std::string& path) {
  return path == "/" ? 0 : std::count(path.begin(), path.end(), '/');
}

// Sysctls are written with dots or with slashes; whichever comes first is the separator.
std::string sysctl_name(std::string name) {
  const std::size_t separator = name.find_first_of("./");
  if (separator == std::string::npos || name[separator] == '.') return name;
  for (char& c : name) c = c == '/' ? '.' : c == '.' ? '/' : c;
  return name;
}

bool is_read_only_source(const resources::Volume& volume) {
  return std::holds_alternative<resources::ConfigMapVolume>(volume.source) ||
         std::holds_alternative<resources::SecretVolume>(volume.source) ||
         std::holds_alternative<resources::DownwardApiVolume>(volume.source) ||
         std::holds_alternative<resources::ProjectedVolume>(volume.source) ||
         std::holds_alternative<resources::ImageVolume>(volume.source);
}

oci::Mount bind_from(std::string source, std::string destination, bool read_only) {
  return {std::move(source),
          clean_path(std::move(destination)),
          "bind",
          {"rbind", "rprivate", read_only ? "ro" : "rw"}};
}

class Assembler {
 public:
  explicit Assembler(const AssemblyInput& input)
      : in_(input), spec_(input.pod.view().spec()), security_(input.container.security) {}

  Result<Assembly> make() {
    ContainerConfig& config = out_.config;
    if (in_.args.empty()) return fail(Error::of(Reason::kInvalid, "no command specified"));
    config.id = in_.id;
    config.args = in_.args;
    config.env = in_.env;
    config.cwd = clean_path(in_.container.working_dir.empty() ? in_.image.working_dir
                                                              : in_.container.working_dir);
    config.tty = in_.container.tty;
    config.rootfs = in_.rootfs;
    config.read_only_rootfs = security_.read_only_root_filesystem;
    user();
    namespaces();
    MOTH_TRY(privileges());
    mounts();
    config.cgroups_path = cgroups::container_path(in_.pod.cgroup_path, in_.id);
    config.limits = container_limits(in_.container, out_.warnings);
    config.oom_score_adj = container_oom_score(in_.pod, in_.container, in_.node_memory_bytes);
    config.annotations = {{"io.kubernetes.pod.name", in_.pod.name},
                          {"io.kubernetes.pod.namespace", in_.pod.ns},
                          {"io.kubernetes.pod.uid", in_.pod.uid},
                          {"io.kubernetes.container.name", in_.container.name}};
    return std::move(out_);
  }

 private:
  void user() {
    ContainerConfig& config = out_.config;
    config.uid = in_.user.uid;
    config.gid = in_.user.gid;
    std::set<std::uint32_t> groups{config.gid};
    if (!spec_.security.strict_supplemental_groups) {
      groups.insert(in_.user.additional_gids.begin(), in_.user.additional_gids.end());
    }
    for (std::int64_t group : spec_.security.supplemental_groups) {
      groups.insert(static_cast<std::uint32_t>(group));
    }
    if (spec_.security.fs_group) {
      groups.insert(static_cast<std::uint32_t>(*spec_.security.fs_group));
    }
    config.additional_gids.assign(groups.begin(), groups.end());
  }

  void namespaces() {
    ContainerConfig& config = out_.config;
    config.network_namespace =
        in_.pod.netns_path.empty() ? ContainerConfig::kHost : in_.pod.netns_path;
    config.ipc_namespace = spec_.host_ipc ? ContainerConfig::kHost : in_.pod.ipc_namespace;
    config.pid_namespace = spec_.host_pid ? ContainerConfig::kHost : in_.pod.pid_namespace;
    if (!in_.pid_namespace.empty()) config.pid_namespace = in_.pid_namespace;
    config.uts_namespace = spec_.host_network ? ContainerConfig::kHost : in_.pod.uts_namespace;
    if (config.uts_namespace.empty()) config.hostname = in_.hostname;
    for (const auto& [name, value] : spec_.security.sysctls) {
      config.sysctls[sysctl_name(name)] = value;
    }
  }

  Result<> privileges() {
    ContainerConfig& config = out_.config;
    config.privileged = security_.privileged;
    config.no_new_privs = security_.allow_privilege_escalation == false && !security_.privileged;
    config.capabilities_add = security_.capabilities_add;
    config.capabilities_drop = security_.capabilities_drop;
    config.default_paths = !security_.unmasked_proc;
    if (security_.app_armor && security_.app_armor->kind == SecurityProfile::Kind::kLocalhost) {
      config.apparmor_profile = security_.app_armor->localhost_profile;
    }
    if (!security_.seccomp || security_.privileged) return {};
    switch (security_.seccomp->kind) {
      case SecurityProfile::Kind::kRuntimeDefault:
        config.seccomp.kind = oci::Seccomp::Kind::kRuntimeDefault;
        break;
      case SecurityProfile::Kind::kLocalhost:
        if (in_.seccomp_profile.empty()) {
          return fail(
              Error::of(Reason::kInvalid, fmt::format("seccomp profile \"{}\" is empty",
                                                      security_.seccomp->localhost_profile)));
        }
        config.seccomp.kind = oci::Seccomp::Kind::kLocalhost;
        config.seccomp.profile_json = in_.seccomp_profile;
        break;
      case SecurityProfile::Kind::kUnconfined:
        break;
    }
    return {};
  }

  bool mounts_itself(std::string_view path) const {
    return std::any_of(in_.mounts.begin(), in_.mounts.end(), [&](const MountSource& source) {
      return clean_path(source.mount->mount_path) == path;
    });
  }

  void mounts() {
    std::vector<oci::Mount>& mounts = out_.config.mounts;
    const bool read_only = security_.read_only_root_filesystem;
    if (!in_.etc.empty()) {
      for (const char* file : {"hosts", "hostname", "resolv.conf"}) {
        const std::string target = fmt::format("/etc/{}", file);
        if (mounts_itself(target)) continue;
        mounts.push_back(bind_from(fmt::format("{}/{}", in_.etc, file), target, read_only));
      }
    }
    const std::string shared_memory = spec_.host_ipc ? "/dev/shm" : in_.shared_memory;
    if (!shared_memory.empty() && !mounts_itself("/dev/shm")) {
      mounts.push_back(bind_from(shared_memory, "/dev/shm", false));
    }
    const std::string& message = in_.container.termination_message_path;
    if (!in_.termination_log.empty() && !message.empty() && !mounts_itself(clean_path(message))) {
      mounts.push_back(bind_from(in_.termination_log, message, false));
    }
    for (const MountSource& source : in_.mounts) mounts.push_back(volume(source));
    // A mount below another one has to come after it.
    std::stable_sort(mounts.begin(), mounts.end(), [](const oci::Mount& a, const oci::Mount& b) {
      return depth(a.destination) < depth(b.destination);
    });
  }

  oci::Mount volume(const MountSource& source) {
    const VolumeMount& mount = *source.mount;
    const resources::Volume* definition = spec_.find_volume(mount.name);
    const bool read_only = mount.read_only || (definition && is_read_only_source(*definition));
    oci::Mount out = bind_from(source.host_path, mount.mount_path, read_only);
    std::string& propagation = out_.config.rootfs_propagation;
    switch (mount.propagation) {
      case VolumeMount::Propagation::kNone:
        break;
      case VolumeMount::Propagation::kHostToContainer:
        out.options[1] = "rslave";
        if (propagation.empty()) propagation = "rslave";
        break;
      case VolumeMount::Propagation::kBidirectional:
        out.options[1] = "rshared";
        propagation = "rshared";
        break;
    }
    const bool recursive = mount.recursive_read_only == "Enabled" ||
                           (mount.recursive_read_only == "IfPossible" &&
                            mount.propagation == VolumeMount::Propagation::kNone);
    if (mount.read_only && recursive) out.options[2] = "rro";
    return out;
  }

  const AssemblyInput& in_;
  const resources::PodSpec& spec_;
  const resources::SecurityContext& security_;
  Assembly out_;
};

}  // namespace

Result<Assembly> assemble_config(const AssemblyInput& input) {
  return Assembler(input).make();
}

std::string user_request(const resources::SecurityContext& security,
                         const std::string& image_user) {
  std::string user = security.run_as_user ? std::to_string(*security.run_as_user) : image_user;
  if (!security.run_as_group) return user;
  user = user.substr(0, user.find(':'));
  return fmt::format("{}:{}", user.empty() ? "0" : user, *security.run_as_group);
}

std::optional<std::string> root_violation(const PodContext& pod, const Container& container,
                                          const std::string& image_user) {
  const auto& security = container.security;
  if (!security.run_as_non_root) return std::nullopt;
  const std::string where =
      fmt::format("(pod: \"{}_{}({})\", container: {})", pod.name, pod.ns, pod.uid, container.name);
  if (security.run_as_user) {
    if (*security.run_as_user != 0) return std::nullopt;
    return "container's runAsUser breaks non-root policy " + where;
  }
  const std::string user = image_user.substr(0, image_user.find(':'));
  if (!oci::is_numeric_user(user)) {
    return fmt::format(
        "container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is "
        "non-root {}",
        user, where);
  }
  if (user.find_first_not_of('0') != std::string::npos) return std::nullopt;
  return "container has runAsNonRoot and image will run as root " + where;
}

std::optional<int> parse_signal(std::string_view name) {
  if (auto number = parse_number(name)) {
    return *number > 0 && *number <= SIGRTMAX ? number : std::nullopt;
  }
  if (name.starts_with("SIG")) name.remove_prefix(3);
  for (const SignalName& known : kSignals) {
    if (known.name == name) return known.number;
  }
  const bool from_end = name.starts_with("RTMAX");
  if (!from_end && !name.starts_with("RTMIN")) return std::nullopt;
  const int base = from_end ? SIGRTMAX : SIGRTMIN;
  name.remove_prefix(5);
  if (name.empty()) return base;
  if (name.front() == '+') name.remove_prefix(1);
  auto offset = parse_number(name);
  if (!offset || base + *offset < SIGRTMIN || base + *offset > SIGRTMAX) return std::nullopt;
  return base + *offset;
}

int container_oom_score(const PodContext& pod, const Container& container,
                        std::int64_t node_memory_bytes) {
  const auto& spec = pod.view().spec();
  const cgroups::Qos qos = cgroup_qos(pod.view().qos());
  const bool critical = spec.priority_class_name == kNodeCritical;
  auto score = [&](const Container& of) {
    return cgroups::oom_score_adj(qos, of.resources.memory_request_bytes(), node_memory_bytes,
                                  critical);
  };
  int own = score(container);
  if (!container.is_sidecar() || spec.containers.empty()) return own;
  // The kernel must not take the sidecar before the containers that need it.
  int highest = score(spec.containers.front());
  for (const Container& app : spec.containers) highest = std::max(highest, score(app));
  return std::min(own, highest);
}

cgroups::Limits container_limits(const Container& container, std::vector<std::string>& warnings) {
  cgroups::Limits limits;
  const auto& asked = container.resources;
  const auto cpu_limit = asked.cpu_limit_milli();
  std::int64_t request = asked.cpu_request_milli();
  if (request == 0 && cpu_limit) request = *cpu_limit;
  limits.cpu_shares = cgroups::shares_of_millicores(request);
  if (cpu_limit && *cpu_limit > 0) {
    limits.cpu_quota_micros = cgroups::quota_of_millicores(*cpu_limit);
  }
  if (auto memory = asked.memory_limit_bytes(); memory && *memory > 0) {
    limits.memory_bytes = std::max(*memory, cgroups::kMinMemoryLimitBytes);
    if (*memory < cgroups::kMinMemoryLimitBytes) {
      warnings.push_back(fmt::format(
          "Memory limit {} of container {} is too small to start it; it runs with 8Mi instead",
          Quantity::from_value(*memory, Quantity::Format::kBinarySI).to_string(), container.name));
    }
  }
  limits.oom_group = true;
  for (const auto& [name, amount] : asked.limits) {
    if (!resources::is_hugepages(name)) continue;
    const auto size = Quantity::parse_or_zero(name.substr(kHugePagesPrefix.size()));
    limits.huge_pages.push_back(
        {cgroups::huge_page_size_name(static_cast<std::uint64_t>(size.value())), amount.value()});
  }
  return limits;
}

}  // namespace moth::agent
