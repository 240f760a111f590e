#include "api/resources/core_v1/container_parse.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

Handler parse_http_get(const Json& json) {
  Handler out;
  out.kind = Handler::Kind::kHttpGet;
  out.host = string_or(json, "host");
  out.path = string_or(json, "path", "/");
  out.scheme = string_or(json, "scheme", "HTTP");
  out.port = int_or_string(json, "port", {});
  for (const Json& header : items(json, "httpHeaders")) {
    out.http_headers.emplace_back(string_or(header, "name"), string_or(header, "value"));
  }
  return out;
}

Handler parse_handler(const Json& json) {
  Handler out;
  if (const Json* exec = member(json, "exec")) {
    out.kind = Handler::Kind::kExec;
    out.command = strings(*exec, "command");
  } else if (const Json* http = member(json, "httpGet")) {
    out = parse_http_get(*http);
  } else if (const Json* tcp = member(json, "tcpSocket")) {
    out.kind = Handler::Kind::kTcpSocket;
    out.host = string_or(*tcp, "host");
    out.port = int_or_string(*tcp, "port", {});
  } else if (const Json* grpc = member(json, "grpc")) {
    out.kind = Handler::Kind::kGrpc;
    out.port = int_or_string(*grpc, "port", {});
    out.grpc_service = string_or(*grpc, "service");
  } else if (const Json* sleep = member(json, "sleep")) {
    out.kind = Handler::Kind::kSleep;
    out.sleep = seconds_or(*sleep, "seconds", 0);
  }
  return out;
}

std::optional<Handler> optional_handler(const Json& owner, std::string_view key) {
  const Json* found = member(owner, key);
  return found ? std::optional(parse_handler(*found)) : std::nullopt;
}

std::optional<Probe> parse_probe(const Json& container, std::string_view key) {
  const Json* json = member(container, key);
  if (!json) return std::nullopt;
  Probe out;
  out.handler = parse_handler(*json);
  out.initial_delay = seconds_or(*json, "initialDelaySeconds", 0);
  out.timeout = seconds_or(*json, "timeoutSeconds", 1);
  out.period = seconds_or(*json, "periodSeconds", 10);
  out.success_threshold = int32_or(*json, "successThreshold", 1);
  out.failure_threshold = int32_or(*json, "failureThreshold", 3);
  out.termination_grace = optional_seconds(*json, "terminationGracePeriodSeconds");
  return out;
}

EnvVar parse_env(const Json& json) {
  using Source = EnvVar::Source;
  EnvVar out;
  out.name = string_or(json, "name");
  out.value = string_or(json, "value");
  const Json& from = object_of(json, "valueFrom");
  auto key_ref = [&](const Json& ref, Source source) {
    out.source = source;
    out.ref_name = string_or(ref, "name");
    out.key = string_or(ref, "key");
    out.optional = bool_or(ref, "optional");
  };
  if (const Json* config = member(from, "configMapKeyRef")) {
    key_ref(*config, Source::kConfigMapKey);
  } else if (const Json* secret = member(from, "secretKeyRef")) {
    key_ref(*secret, Source::kSecretKey);
  } else if (const Json* file = member(from, "fileKeyRef")) {
    key_ref(*file, Source::kFileKey);
    out.ref_name = string_or(*file, "volumeName");
    out.path = string_or(*file, "path");
  } else if (const Json* field = member(from, "fieldRef")) {
    out.source = Source::kField;
    out.field_path = string_or(*field, "fieldPath");
  } else if (const Json* resource = member(from, "resourceFieldRef")) {
    out.source = Source::kResourceField;
    out.container_name = string_or(*resource, "containerName");
    out.resource = string_or(*resource, "resource");
    out.divisor = Quantity::parse_or_zero(string_or(*resource, "divisor", "0"));
  }
  return out;
}

EnvFrom parse_env_from(const Json& json) {
  EnvFrom out;
  out.prefix = string_or(json, "prefix");
  out.secret = has(json, "secretRef");
  const Json& ref = object_of(json, out.secret ? "secretRef" : "configMapRef");
  out.ref_name = string_or(ref, "name");
  out.optional = bool_or(ref, "optional");
  return out;
}

ContainerPort parse_port(const Json& json) {
  ContainerPort out;
  out.name = string_or(json, "name");
  out.container_port = port_or_zero(json, "containerPort");
  out.host_port = port_or_zero(json, "hostPort");
  out.host_ip = string_or(json, "hostIP");
  out.protocol = parse_protocol(string_or(json, "protocol", "TCP"));
  return out;
}

VolumeMount parse_mount(const Json& json) {
  VolumeMount out;
  out.name = string_or(json, "name");
  out.mount_path = string_or(json, "mountPath");
  out.sub_path = string_or(json, "subPath");
  out.sub_path_expr = string_or(json, "subPathExpr");
  out.read_only = bool_or(json, "readOnly");
  out.recursive_read_only = string_or(json, "recursiveReadOnly");
  std::string propagation = string_or(json, "mountPropagation");
  if (propagation == "HostToContainer") {
    out.propagation = VolumeMount::Propagation::kHostToContainer;
  } else if (propagation == "Bidirectional") {
    out.propagation = VolumeMount::Propagation::kBidirectional;
  }
  return out;
}

SecurityContext parse_security(const Json& json, const PodSecurity& pod) {
  SecurityContext out;
  auto either = [](auto own, auto from_pod) { return own ? own : from_pod; };
  out.run_as_user = either(optional_int(json, "runAsUser"), pod.run_as_user);
  out.run_as_group = either(optional_int(json, "runAsGroup"), pod.run_as_group);
  out.run_as_non_root = bool_or(json, "runAsNonRoot", pod.run_as_non_root);
  out.privileged = bool_or(json, "privileged");
  out.allow_privilege_escalation = optional_bool(json, "allowPrivilegeEscalation");
  out.read_only_root_filesystem = bool_or(json, "readOnlyRootFilesystem");
  const Json& capabilities = object_of(json, "capabilities");
  out.capabilities_add = strings(capabilities, "add");
  out.capabilities_drop = strings(capabilities, "drop");
  out.seccomp = either(parse_profile(json, "seccompProfile"), pod.seccomp);
  out.app_armor = either(parse_profile(json, "appArmorProfile"), pod.app_armor);
  out.unmasked_proc = string_or(json, "procMount") == "Unmasked";
  return out;
}

RestartRule parse_restart_rule(const Json& json) {
  RestartRule out;
  out.restart_all_containers = string_or(json, "action") == "RestartAllContainers";
  const Json& codes = object_of(json, "exitCodes");
  out.not_in = string_or(codes, "operator") == "NotIn";
  for (const Json& code : items(codes, "values")) {
    if (code.is_number_integer()) out.exit_codes.push_back(code.get<std::int32_t>());
  }
  return out;
}

void parse_process(const Json& json, Container& out) {
  out.image = string_or(json, "image");
  out.working_dir = string_or(json, "workingDir");
  out.pull_policy =
      parse_pull_policy(string_or(json, "imagePullPolicy"), PullPolicy::kIfNotPresent);
  out.command = strings(json, "command");
  out.args = strings(json, "args");
  for (const Json& item : items(json, "env")) out.env.push_back(parse_env(item));
  for (const Json& item : items(json, "envFrom")) out.env_from.push_back(parse_env_from(item));
  out.stdin = bool_or(json, "stdin");
  out.stdin_once = bool_or(json, "stdinOnce");
  out.tty = bool_or(json, "tty");
  out.termination_message_path = string_or(json, "terminationMessagePath", "/dev/termination-log");
  out.fallback_to_logs_on_error =
      string_or(json, "terminationMessagePolicy") == "FallbackToLogsOnError";
  const Json& lifecycle = object_of(json, "lifecycle");
  out.post_start = optional_handler(lifecycle, "postStart");
  out.pre_stop = optional_handler(lifecycle, "preStop");
  out.stop_signal = string_or(lifecycle, "stopSignal");
}

}  // namespace

std::optional<SecurityProfile> parse_profile(const Json& owner, std::string_view key) {
  const Json* json = member(owner, key);
  if (!json) return std::nullopt;
  SecurityProfile out;
  std::string type = string_or(*json, "type");
  if (type == "Unconfined") out.kind = SecurityProfile::Kind::kUnconfined;
  if (type == "Localhost") out.kind = SecurityProfile::Kind::kLocalhost;
  out.localhost_profile = string_or(*json, "localhostProfile");
  return out;
}

Container parse_container(const Json& json, Container::Kind kind, const PodSecurity& pod) {
  Container out;
  out.kind = kind;
  out.name = string_or(json, "name");
  parse_process(json, out);
  for (const Json& item : items(json, "ports")) out.ports.push_back(parse_port(item));
  for (const Json& item : items(json, "volumeMounts"))
    out.volume_mounts.push_back(parse_mount(item));
  for (const Json& item : items(json, "volumeDevices")) {
    out.volume_devices.push_back({string_or(item, "name"), string_or(item, "devicePath")});
  }
  const Json& resources = object_of(json, "resources");
  out.resources.requests = parse_resource_list(find_member(resources, "requests"));
  out.resources.limits = parse_resource_list(find_member(resources, "limits"));
  for (const Json& item : items(json, "resizePolicy")) {
    if (string_or(item, "restartPolicy") == "RestartContainer") {
      out.restart_on_resize.push_back(string_or(item, "resourceName"));
    }
  }
  out.liveness = parse_probe(json, "livenessProbe");
  out.readiness = parse_probe(json, "readinessProbe");
  out.startup = parse_probe(json, "startupProbe");
  out.security = parse_security(object_of(json, "securityContext"), pod);
  if (std::string policy = string_or(json, "restartPolicy"); !policy.empty()) {
    out.restart_policy = parse_restart_policy(policy);
  }
  for (const Json& rule : items(json, "restartPolicyRules")) {
    out.restart_rules.push_back(parse_restart_rule(rule));
  }
  out.target_container = string_or(json, "targetContainerName");
  return out;
}

}  // namespace moth::resources
