#include "api/server/admission/pod_security_checks.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "api/resources/edit.h"

namespace moth::server::pod_security {
namespace {

using resources::has;
using resources::items;
using resources::object_of;
using Names = std::vector<std::string>;

std::string quoted(const Names& names) {
  std::string text;
  for (const std::string& name : names)
    text += fmt::format("{}\"{}\"", text.empty() ? "" : ", ", name);
  return text;
}
std::string quoted(const std::set<std::string>& names) {
  return quoted(Names(names.begin(), names.end()));
}

const char* plural(const char* one, const char* many, std::size_t count) {
  return count == 1 ? one : many;
}

std::string containers_text(const Names& names) {
  return fmt::format("{} {}", plural("container", "containers", names.size()), quoted(names));
}

// "pod and container "a"".
std::string setters_text(bool pod, const Names& containers) {
  std::string text = pod ? "pod" : "";
  if (!containers.empty()) text += (pod ? " and " : "") + containers_text(containers);
  return text;
}

template <class Visit>
void each_container(const Json& spec, Visit visit) {
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    for (const Json& container : items(spec, list)) visit(container, string_or(container, "name"));
  }
}

const Json& security(const Json& owner) {
  return object_of(owner, "securityContext");
}

bool is_windows(const Json& spec) {
  return string_or(object_of(spec, "os"), "name") == "windows";
}

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& known, std::string_view value) {
  return std::find(known.begin(), known.end(), value) != known.end();
}

void app_armor(const Subject& subject, std::vector<Violation>& found) {
  std::set<std::string> values;
  auto bad = [&](const Json& owner) {
    std::string type = string_or(object_of(security(owner), "appArmorProfile"), "type");
    if (type.empty() || type == "RuntimeDefault" || type == "Localhost") return false;
    values.insert(type);
    return true;
  };
  bool pod = bad(subject.spec);
  Names containers, annotations;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    if (bad(container)) containers.push_back(name);
  });
  for (const auto& [key, value] : object_of(subject.metadata, "annotations").items()) {
    if (!key.starts_with("container.apparmor.security.beta.kubernetes.io/") || !value.is_string())
      continue;
    const auto& profile = value.get_ref<const std::string&>();
    if (profile.empty() || profile == "runtime/default" || profile.starts_with("localhost/"))
      continue;
    annotations.push_back(fmt::format("{}=\"{}\"", key, profile));
  }
  std::sort(annotations.begin(), annotations.end());
  std::string text;
  std::size_t count = values.size() + annotations.size();
  if (pod || !containers.empty()) {
    text = fmt::format("{} must not set AppArmor profile type to {}", setters_text(pod, containers),
                       quoted(values));
  }
  if (!annotations.empty()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : " and ",
                        plural("annotation", "annotations", annotations.size()),
                        fmt::join(annotations, ", "));
  }
  if (count == 0) return;
  found.push_back(
      {plural("forbidden AppArmor profile", "forbidden AppArmor profiles", count), text});
}

constexpr std::array<std::string_view, 14> kDefaultCapabilities = {
    "AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER",  "FSETID", "KILL",       "MKNOD",
    "NET_BIND_SERVICE", "SETFCAP", "SETGID",       "SETPCAP", "SETUID", "SYS_CHROOT", ""};

void capabilities_baseline(const Subject& subject, std::vector<Violation>& found) {
  Names containers;
  std::set<std::string> values;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    bool bad = false;
    for (const std::string& add :
         resources::strings(object_of(security(container), "capabilities"), "add")) {
      if (one_of(kDefaultCapabilities, add)) continue;
      bad = true;
      values.insert(add);
    }
    if (bad) containers.push_back(name);
  });
  if (containers.empty()) return;
  found.push_back({"non-default capabilities",
                   fmt::format("{} must not include {} in securityContext.capabilities.add",
                               containers_text(containers), quoted(values))});
}

void host_namespaces(const Subject& subject, std::vector<Violation>& found) {
  Names set;
  for (const char* field : {"hostNetwork", "hostPID", "hostIPC"}) {
    if (bool_or(subject.spec, field)) set.push_back(fmt::format("{}=true", field));
  }
  if (!set.empty()) found.push_back({"host namespaces", resources::join(set, ", ")});
}

void host_path(const Subject& subject, std::vector<Violation>& found) {
  Names volumes;
  for (const Json& volume : items(subject.spec, "volumes")) {
    if (has(volume, "hostPath")) volumes.push_back(string_or(volume, "name"));
  }
  if (volumes.empty()) return;
  found.push_back(
      {"hostPath volumes",
       fmt::format("{} {}", plural("volume", "volumes", volumes.size()), quoted(volumes))});
}

void host_ports(const Subject& subject, std::vector<Violation>& found) {
  Names containers;
  std::set<std::string> ports;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    bool bad = false;
    for (const Json& port : items(container, "ports")) {
      if (std::int64_t number = int_or(port, "hostPort"); number != 0) {
        bad = true;
        ports.insert(std::to_string(number));
      }
    }
    if (bad) containers.push_back(name);
  });
  if (containers.empty()) return;
  found.push_back({"hostPort", fmt::format("{} {} {} {}", containers_text(containers),
                                           plural("uses", "use", containers.size()),
                                           plural("hostPort", "hostPorts", ports.size()),
                                           fmt::join(ports, ", "))});
}

void host_probes(const Subject& subject, std::vector<Violation>& found) {
  if (!subject.since(34)) return;
  std::set<std::string> containers, hosts;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    auto look = [&](const Json& handler) {
      for (const char* kind : {"httpGet", "tcpSocket"}) {
        std::string host = string_or(object_of(handler, kind), "host");
        if (host.empty()) continue;
        containers.insert(name);
        hosts.insert(host);
      }
    };
    for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"})
      look(object_of(container, probe));
    const Json& lifecycle = object_of(container, "lifecycle");
    for (const char* hook : {"postStart", "preStop"}) look(object_of(lifecycle, hook));
  });
  if (containers.empty()) return;
  Names names(containers.begin(), containers.end());
  found.push_back(
      {"probe or lifecycle host",
       fmt::format("{} {} {} {}", containers_text(names), plural("uses", "use", names.size()),
                   plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.size()),
                   quoted(hosts))});
}

void privileged(const Subject& subject, std::vector<Violation>& found) {
  Names containers;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    if (bool_or(security(container), "privileged")) containers.push_back(name);
  });
  if (containers.empty()) return;
  found.push_back({"privileged",
                   containers_text(containers) + " must not set securityContext.privileged=true"});
}

void proc_mount(const Subject& subject, std::vector<Violation>& found) {
  Names containers;
  std::set<std::string> values;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    std::string value = string_or(security(container), "procMount", "Default");
    if (value == "Default") return;
    containers.push_back(name);
    values.insert(value);
  });
  if (containers.empty()) return;
  found.push_back({"procMount", fmt::format("{} must not set securityContext.procMount to {}",
                                            containers_text(containers), quoted(values))});
}

void se_linux(const Subject& subject, std::vector<Violation>& found) {
  static constexpr std::array<std::string_view, 4> kTypes = {"", "container_t", "container_init_t",
                                                             "container_kvm_t"};
  std::set<std::string> types;
  bool user = false, role = false;
  auto bad = [&](const Json& owner) {
    const Json& options = object_of(security(owner), "seLinuxOptions");
    std::string type = string_or(options, "type");
    bool known = one_of(kTypes, type) || (subject.since(31) && type == "container_engine_t");
    if (!known) types.insert(type);
    bool has_user = !string_or(options, "user").empty(),
         has_role = !string_or(options, "role").empty();
    user |= has_user;
    role |= has_role;
    return !known || has_user || has_role;
  };
  bool pod = bad(subject.spec);
  Names containers;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    if (bad(container)) containers.push_back(name);
  });
  if (!pod && containers.empty()) return;
  Names what;
  if (!types.empty())
    what.push_back(fmt::format("{} {}", plural("type", "types", types.size()), quoted(types)));
  if (user) what.emplace_back("user may not be set");
  if (role) what.emplace_back("role may not be set");
  found.push_back(
      {"seLinuxOptions", fmt::format("{} set forbidden securityContext.seLinuxOptions: {}",
                                     setters_text(pod, containers), resources::join(what, "; "))});
}

std::string seccomp_type(const Json& owner) {
  return string_or(object_of(security(owner), "seccompProfile"), "type");
}

void seccomp_baseline(const Subject& subject, std::vector<Violation>& found) {
  std::set<std::string> values;
  auto bad = [&](const Json& owner) {
    std::string type = seccomp_type(owner);
    if (type != "Unconfined") return false;
    values.insert(type);
    return true;
  };
  bool pod = bad(subject.spec);
  Names containers;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    if (bad(container)) containers.push_back(name);
  });
  if (!pod && containers.empty()) return;
  found.push_back(
      {"seccompProfile", fmt::format("{} must not set securityContext.seccompProfile.type to {}",
                                     setters_text(pod, containers), quoted(values))});
}

void sysctls(const Subject& subject, std::vector<Violation>& found) {
  static constexpr std::pair<std::string_view, int> kSafe[] = {
      {"kernel.shm_rmid_forced", 0},
      {"net.ipv4.ip_local_port_range", 0},
      {"net.ipv4.tcp_syncookies", 0},
      {"net.ipv4.ping_group_range", 0},
      {"net.ipv4.ip_unprivileged_port_start", 0},
      {"net.ipv4.ip_local_reserved_ports", 27},
      {"net.ipv4.tcp_keepalive_time", 29},
      {"net.ipv4.tcp_fin_timeout", 29},
      {"net.ipv4.tcp_keepalive_intvl", 29},
      {"net.ipv4.tcp_keepalive_probes", 29},
      {"net.ipv4.tcp_rmem", 32},
      {"net.ipv4.tcp_wmem", 32}};
  Names bad;
  for (const Json& sysctl : items(security(subject.spec), "sysctls")) {
    std::string name = string_or(sysctl, "name");
    bool safe = std::any_of(std::begin(kSafe), std::end(kSafe), [&](const auto& known) {
      return known.first == name && subject.since(known.second);
    });
    if (!safe) bad.push_back(name);
  }
  if (!bad.empty()) found.push_back({"forbidden sysctls", resources::join(bad, ", ")});
}

void windows_host_process(const Subject& subject, std::vector<Violation>& found) {
  auto bad = [](const Json& owner) {
    return bool_or(object_of(security(owner), "windowsOptions"), "hostProcess");
  };
  bool pod = bad(subject.spec);
  Names containers;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    if (bad(container)) containers.push_back(name);
  });
  if (!pod && containers.empty()) return;
  found.push_back(
      {"hostProcess", setters_text(pod, containers) +
                          " must not set securityContext.windowsOptions.hostProcess=true"});
}

void privilege_escalation(const Subject& subject, std::vector<Violation>& found) {
  if (!subject.since(8) || (subject.since(25) && is_windows(subject.spec))) return;
  Names containers;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    if (bool_or(security(container), "allowPrivilegeEscalation", true)) containers.push_back(name);
  });
  if (containers.empty()) return;
  found.push_back(
      {"allowPrivilegeEscalation != false",
       containers_text(containers) + " must set securityContext.allowPrivilegeEscalation=false"});
}

void capabilities_restricted(const Subject& subject, std::vector<Violation>& found) {
  if (subject.since(25) && is_windows(subject.spec)) return;
  Names not_dropping, adding;
  std::set<std::string> added;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    const Json& capabilities = object_of(security(container), "capabilities");
    Names drop = resources::strings(capabilities, "drop");
    if (std::find(drop.begin(), drop.end(), "ALL") == drop.end()) not_dropping.push_back(name);
    bool bad = false;
    for (const std::string& add : resources::strings(capabilities, "add")) {
      if (add == "NET_BIND_SERVICE") continue;
      bad = true;
      added.insert(add);
    }
    if (bad) adding.push_back(name);
  });
  Names texts;
  if (!not_dropping.empty()) {
    texts.push_back(containers_text(not_dropping) +
                    " must set securityContext.capabilities.drop=[\"ALL\"]");
  }
  if (!adding.empty()) {
    texts.push_back(fmt::format("{} must not include {} in securityContext.capabilities.add",
                                containers_text(adding), quoted(added)));
  }
  if (!texts.empty()) found.push_back({"unrestricted capabilities", resources::join(texts, "; ")});
}

void restricted_volumes(const Subject& subject, std::vector<Violation>& found) {
  static constexpr std::array<std::string_view, 9> kAllowed = {
      "configMap", "csi",    "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
      "projected", "secret", "image"};
  Names volumes;
  std::set<std::string> types;
  for (const Json& volume : items(subject.spec, "volumes")) {
    for (const auto& [key, value] : volume.items()) {
      if (key == "name" || value.is_null() || one_of(kAllowed, key)) continue;
      volumes.push_back(string_or(volume, "name"));
      types.insert(key);
      break;
    }
  }
  if (volumes.empty()) return;
  found.push_back(
      {"restricted volume types",
       fmt::format("{} {} {} {} {}", plural("volume", "volumes", volumes.size()), quoted(volumes),
                   plural("uses", "use", volumes.size()),
                   plural("restricted volume type", "restricted volume types", types.size()),
                   quoted(types))});
}

void run_as_non_root(const Subject& subject, std::vector<Violation>& found) {
  const Json* at_pod = resources::member(security(subject.spec), "runAsNonRoot");
  bool pod_true = at_pod && *at_pod == true, pod_false = at_pod && *at_pod == false;
  Names wrong, silent;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    const Json* value = resources::member(security(container), "runAsNonRoot");
    if (value && *value == false) wrong.push_back(name);
    if (!value && !pod_true) silent.push_back(name);
  });
  // A pod that says false is harmless when every container says true.
  bool pod_wrong = pod_false && !silent.empty();
  if (!pod_wrong && pod_false && wrong.empty()) return;
  if (pod_wrong || !wrong.empty()) {
    found.push_back(
        {"runAsNonRoot != true",
         setters_text(pod_wrong, wrong) + " must not set securityContext.runAsNonRoot=false"});
  } else if (!silent.empty()) {
    found.push_back(
        {"runAsNonRoot != true", fmt::format("pod or {} must set securityContext.runAsNonRoot=true",
                                             containers_text(silent))});
  }
}

void run_as_user(const Subject& subject, std::vector<Violation>& found) {
  if (!subject.since(23)) return;
  auto bad = [](const Json& owner) { return int_or(security(owner), "runAsUser", 1) == 0; };
  bool pod = bad(subject.spec);
  Names containers;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    if (bad(container)) containers.push_back(name);
  });
  if (!pod && containers.empty()) return;
  found.push_back({"runAsUser=0", setters_text(pod, containers) + " must not set runAsUser=0"});
}

void seccomp_restricted(const Subject& subject, std::vector<Violation>& found) {
  if (!subject.since(19) || (subject.since(25) && is_windows(subject.spec))) return;
  auto good = [](const std::string& type) {
    return type == "RuntimeDefault" || type == "Localhost";
  };
  std::string at_pod = seccomp_type(subject.spec);
  bool pod_wrong = !at_pod.empty() && !good(at_pod);
  std::set<std::string> values;
  if (pod_wrong) values.insert(at_pod);
  Names wrong, silent;
  each_container(subject.spec, [&](const Json& container, const std::string& name) {
    std::string type = seccomp_type(container);
    if (type.empty()) {
      if (!good(at_pod)) silent.push_back(name);
    } else if (!good(type)) {
      wrong.push_back(name);
      values.insert(type);
    }
  });
  if (pod_wrong && silent.empty() && wrong.empty()) return;
  if (pod_wrong || !wrong.empty()) {
    found.push_back(
        {"seccompProfile", fmt::format("{} must not set securityContext.seccompProfile.type to {}",
                                       setters_text(pod_wrong, wrong), quoted(values))});
  } else if (!silent.empty()) {
    found.push_back(
        {"seccompProfile", fmt::format("pod or {} must set securityContext.seccompProfile.type to "
                                       "\"RuntimeDefault\" or \"Localhost\"",
                                       containers_text(silent))});
  }
}

}  // namespace

void check_baseline(const Subject& subject, std::vector<Violation>& found) {
  for (auto* check :
       {app_armor, capabilities_baseline, host_namespaces, host_path, host_ports, host_probes,
        privileged, proc_mount, se_linux, seccomp_baseline, sysctls, windows_host_process})
    check(subject, found);
}

void check_restricted(const Subject& subject, std::vector<Violation>& found) {
  bool own_capabilities = subject.since(22), own_seccomp = subject.since(19);
  app_armor(subject, found);
  if (!own_capabilities) capabilities_baseline(subject, found);
  for (auto* check : {host_namespaces, host_ports, host_probes, privileged, proc_mount, se_linux})
    check(subject, found);
  if (!own_seccomp) seccomp_baseline(subject, found);
  for (auto* check : {sysctls, windows_host_process, privilege_escalation}) check(subject, found);
  if (own_capabilities) capabilities_restricted(subject, found);
  for (auto* check : {restricted_volumes, run_as_non_root, run_as_user, seccomp_restricted})
    check(subject, found);
}

}  // namespace moth::server::pod_security
