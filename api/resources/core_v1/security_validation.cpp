#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/pod_checks.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr std::size_t kSysctlMax = 253;
constexpr std::string_view kSysctlRegex =
    "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

// What differs between the messages of the two kinds of profile.
struct ProfileKind {
  const char* key;
  const char* title;
};
constexpr ProfileKind kSeccomp = {"seccompProfile", "seccomp"};
constexpr ProfileKind kAppArmor = {"appArmorProfile", "AppArmor"};

void check_profile(FieldErrors& errors, const Json& owner, const ProfileKind& kind,
                   const FieldPath& owner_path) {
  const Json* profile = member(owner, kind.key);
  if (!profile) return;
  FieldPath path = owner_path.child(kind.key);
  std::string type = string_or(*profile, "type");
  if (type.empty()) {
    errors.push_back(FieldError::required(
        path.child("type"), fmt::format("type is required when {} is set", kind.key)));
  } else {
    check_supported(errors, *profile, "type", path, {"Localhost", "RuntimeDefault", "Unconfined"});
  }
  const Json* localhost = member(*profile, "localhostProfile");
  FieldPath at = path.child("localhostProfile");
  if (type == "Localhost") {
    if (!localhost || string_or(*profile, "localhostProfile").empty()) {
      errors.push_back(FieldError::required(
          at, fmt::format("must be set when {} type is Localhost", kind.title)));
    } else if (kind.key == kSeccomp.key) {
      check_descending_path(errors, string_or(*profile, "localhostProfile"), at);
    }
  } else if (localhost) {
    errors.push_back(FieldError::invalid(
        at, *localhost, fmt::format("can only be set when {} type is Localhost", kind.title)));
  }
}

bool is_sysctl_part(std::string_view part) {
  auto edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return !part.empty() && edge(part.front()) && edge(part.back()) &&
         std::all_of(part.begin(), part.end(),
                     [&](char c) { return edge(c) || c == '-' || c == '_'; });
}

bool is_sysctl_name(std::string_view name) {
  if (name.size() > kSysctlMax) return false;
  for (;;) {
    auto separator = name.find_first_of("./");
    if (!is_sysctl_part(name.substr(0, separator))) return false;
    if (separator == std::string_view::npos) return true;
    name.remove_prefix(separator + 1);
  }
}

// With a host namespace the setting would be the host's.
void check_sysctl_scope(FieldErrors& errors, const Json& spec, const std::string& name,
                        const FieldPath& path) {
  std::string dotted = name;
  if (auto first = dotted.find_first_of("./"); first != std::string::npos && dotted[first] == '/') {
    std::replace(dotted.begin(), dotted.end(), '/', '.');
  }
  bool ipc = dotted.starts_with("kernel.shm") || dotted.starts_with("kernel.msg") ||
             dotted == "kernel.sem" || dotted.starts_with("fs.mqueue.");
  if (dotted.starts_with("net.") && bool_or(spec, "hostNetwork")) {
    errors.push_back(FieldError::invalid(path.child("name"), name,
                                         "may not be specified when 'hostNetwork' is true"));
  }
  if (ipc && bool_or(spec, "hostIPC")) {
    errors.push_back(FieldError::invalid(path.child("name"), name,
                                         "may not be specified when 'hostIPC' is true"));
  }
}

void check_sysctls(FieldErrors& errors, const Json& spec, const Json& security,
                   const FieldPath& path) {
  UniqueNames names;
  std::size_t i = 0;
  for (const Json& sysctl : items(security, "sysctls")) {
    FieldPath at = path.index(i++);
    std::string name = string_or(sysctl, "name");
    if (name.empty()) {
      errors.push_back(FieldError::required(at.child("name"), ""));
    } else if (!is_sysctl_name(name)) {
      errors.push_back(
          FieldError::invalid(at.child("name"), name,
                              fmt::format("must have at most {} characters and match regex {}",
                                          kSysctlMax, kSysctlRegex)));
    } else if (names.add(errors, name, at.child("name"))) {
      check_sysctl_scope(errors, spec, name, at);
    }
  }
}

void check_no_escalation(FieldErrors& errors, const Json& context, const FieldPath& path) {
  if (bool_or(context, "allowPrivilegeEscalation", true)) return;
  if (bool_or(context, "privileged")) {
    errors.push_back(FieldError::invalid(
        path, context, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
  }
  for (const std::string& capability : strings(object_of(context, "capabilities"), "add")) {
    if (capability == "CAP_SYS_ADMIN") {
      errors.push_back(FieldError::invalid(path, context,
                                           "cannot set `allowPrivilegeEscalation` to false and "
                                           "`capabilities.Add` CAP_SYS_ADMIN"));
    }
  }
}

}  // namespace

void check_security_context(FieldErrors& errors, const Json& container, bool host_users,
                            const FieldPath& path) {
  const Json* context = member(container, "securityContext");
  if (!context) return;
  check_range(errors, *context, "runAsUser", path, 0, kInt32Max);
  check_range(errors, *context, "runAsGroup", path, 0, kInt32Max);
  check_supported(errors, *context, "procMount", path, {"Default", "Unmasked"});
  if (string_or(*context, "procMount") == "Unmasked" && host_users) {
    errors.push_back(FieldError::invalid(path.child("procMount"), "Unmasked",
                                         "`hostUsers` must be false to use `Unmasked`"));
  }
  check_profile(errors, *context, kSeccomp, path);
  check_no_escalation(errors, *context, path);
  check_profile(errors, *context, kAppArmor, path);
}

void check_pod_security(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  const Json* context = member(spec, "securityContext");
  if (!context) return;
  for (std::string_view key : {"fsGroup", "runAsUser", "runAsGroup"}) {
    check_range(errors, *context, key, path, 0, kInt32Max);
  }
  std::size_t i = 0;
  for (const Json& group : items(*context, "supplementalGroups")) {
    FieldPath at = path.child("supplementalGroups").index(i++);
    if (group.is_number_integer() && (group < 0 || group > kInt32Max)) {
      errors.push_back(FieldError::invalid(
          at, group, fmt::format("must be between 0 and {}, inclusive", kInt32Max)));
    }
  }
  if (bool_or(spec, "shareProcessNamespace") && bool_or(spec, "hostPID")) {
    errors.push_back(
        FieldError::invalid(path.child("shareProcessNamespace"), true,
                            "ShareProcessNamespace and HostPID cannot both be enabled"));
  }
  check_sysctls(errors, spec, *context, path.child("sysctls"));
  check_supported(errors, *context, "fsGroupChangePolicy", path, {"Always", "OnRootMismatch"});
  check_profile(errors, *context, kSeccomp, path);
  check_profile(errors, *context, kAppArmor, path);
  check_supported(errors, *context, "supplementalGroupsPolicy", path, {"Merge", "Strict"});
}

}  // namespace moth::resources
