// Containers, volumes and pod templates.
#include <algorithm>
#include <vector>

#include "ctl/describe/describe.h"
#include "ctl/describe/writer.h"

namespace moth::ctl {
namespace {

std::string ports_text(const Json& container, const char* member) {
  std::string text;
  const Json* ports = find_member(container, "ports");
  if (!ports || !ports->is_array()) return text;
  for (const Json& port : *ports) {
    std::string name = string_or(port, "name");
    text += fmt::format("{}{}/{}{}", text.empty() ? "" : ", ", int_or(port, member),
                        string_or(port, "protocol", "TCP"),
                        name.empty() ? "" : fmt::format(" ({})", name));
  }
  return text;
}

void write_ports(DescribeWriter& out, const Json& container) {
  auto write = [&](std::string_view title, const std::string& text) {
    bool several = text.find(',') != std::string::npos;
    out.write(2, "{}{}:\t{}\n", title, several ? "s" : "", text.empty() ? "<none>" : text);
  };
  write("Port", ports_text(container, "containerPort"));
  write("Host Port", ports_text(container, "hostPort"));
}

void write_words(DescribeWriter& out, std::string_view title, const Json* words) {
  if (!words || !words->is_array() || words->empty()) return;
  out.write(2, "{}:\n", title);
  for (const Json& word : *words) {
    std::string text = scalar_text(word);
    for (std::size_t from = 0; from <= text.size();) {
      auto end = std::min(text.find('\n', from), text.size());
      out.write(3, "{}\n", text.substr(from, end - from));
      from = end + 1;
    }
  }
}

void write_state(DescribeWriter& out, std::string_view title, const Json* state) {
  const Json* running = state ? find_member(*state, "running") : nullptr;
  const Json* terminated = state ? find_member(*state, "terminated") : nullptr;
  const Json* waiting = state ? find_member(*state, "waiting") : nullptr;
  if (running) {
    out.write(2, "{}:\tRunning\n", title);
    out.write(3, "Started:\t{}\n", long_time(string_or(*running, "startedAt")));
  } else if (terminated) {
    out.write(2, "{}:\tTerminated\n", title);
    if (auto reason = string_or(*terminated, "reason"); !reason.empty())
      out.write(3, "Reason:\t{}\n", reason);
    if (auto message = string_or(*terminated, "message"); !message.empty())
      out.write(3, "Message:\t{}\n", message);
    out.write(3, "Exit Code:\t{}\n", int_or(*terminated, "exitCode"));
    if (auto signal = int_or(*terminated, "signal"); signal > 0)
      out.write(3, "Signal:\t{}\n", signal);
    out.write(3, "Started:\t{}\n", long_time(string_or(*terminated, "startedAt")));
    out.write(3, "Finished:\t{}\n", long_time(string_or(*terminated, "finishedAt")));
  } else {
    out.write(2, "{}:\tWaiting\n", title);
    std::string reason = waiting ? string_or(*waiting, "reason") : "";
    if (!reason.empty()) out.write(3, "Reason:\t{}\n", reason);
    std::string message = waiting ? string_or(*waiting, "message") : "";
    if (!message.empty()) out.write(3, "Message:\t{}\n", message);
  }
}

void write_status(DescribeWriter& out, const Json& status) {
  write_state(out, "State", find_member(status, "state"));
  const Json* last = find_member(status, "lastState");
  if (last && last->contains("terminated")) write_state(out, "Last State", last);
  out.write(2, "Ready:\t{}\n", bool_or(status, "ready") ? "True" : "False");
  out.write(2, "Restart Count:\t{}\n", int_or(status, "restartCount"));
}

void write_resources(DescribeWriter& out, const Json& container) {
  const Json* resources = find_member(container, "resources");
  if (!resources) return;
  for (auto [member, title] : {std::pair("limits", "Limits"), std::pair("requests", "Requests")}) {
    const Json* amounts = find_member(*resources, member);
    if (!amounts || !amounts->is_object() || amounts->empty()) continue;
    out.write(2, "{}:\n", title);
    for (const auto& [name, amount] : amounts->items())
      out.write(3, "{}:\t{}\n", name, scalar_text(amount));
  }
}

std::string probe_text(const Json& probe) {
  std::string attributes =
      fmt::format("delay={}s timeout={}s period={}s #success={} #failure={}",
                  int_or(probe, "initialDelaySeconds"), int_or(probe, "timeoutSeconds"),
                  int_or(probe, "periodSeconds"), int_or(probe, "successThreshold"),
                  int_or(probe, "failureThreshold"));
  auto port = [](const Json& place) {
    const Json* member = find_member(place, "port");
    return member ? scalar_text(*member) : "";
  };
  if (const Json* exec = find_member(probe, "exec")) {
    std::string words;
    for (const Json& word : exec->value("command", Json::array()))
      words += (words.empty() ? "" : " ") + scalar_text(word);
    return fmt::format("exec [{}] {}", words, attributes);
  }
  if (const Json* get = find_member(probe, "httpGet")) {
    std::string scheme = string_or(*get, "scheme", "HTTP");
    std::transform(scheme.begin(), scheme.end(), scheme.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return fmt::format("http-get {}://{}:{}{} {}", scheme, string_or(*get, "host"), port(*get),
                       string_or(*get, "path"), attributes);
  }
  if (const Json* socket = find_member(probe, "tcpSocket"))
    return fmt::format("tcp-socket {}:{} {}", string_or(*socket, "host"), port(*socket),
                       attributes);
  if (const Json* grpc = find_member(probe, "grpc"))
    return fmt::format("grpc <pod>:{} {} {}", port(*grpc), string_or(*grpc, "service"), attributes);
  return "unknown " + attributes;
}

void write_probes(DescribeWriter& out, const Json& container) {
  for (auto [member, title] :
       {std::pair("livenessProbe", "Liveness"), std::pair("readinessProbe", "Readiness"),
        std::pair("startupProbe", "Startup")}) {
    if (const Json* probe = find_member(container, member))
      out.write(2, "{}:\t{}\n", title, probe_text(*probe));
  }
}

void write_env_from(DescribeWriter& out, const Json& container) {
  const Json* sources = find_member(container, "envFrom");
  if (!sources || !sources->is_array() || sources->empty()) return;
  out.write(2, "Environment Variables from:\n");
  for (const Json& source : *sources) {
    const Json* map = find_member(source, "configMapRef");
    const Json* secret = find_member(source, "secretRef");
    const Json* place = map ? map : secret;
    if (!place) continue;
    std::string prefix = string_or(source, "prefix");
    out.write(3, "{}\t{}{}\tOptional: {}\n", string_or(*place, "name"),
              map ? "ConfigMap" : "Secret",
              prefix.empty() ? "" : fmt::format(" with prefix '{}'", prefix),
              bool_or(*place, "optional"));
  }
}

// What a fieldRef gives, where the pod says it.
std::string field_value(const Json* pod, const std::string& path) {
  if (!pod) return "";
  if (path == "metadata.name") return text_at(*pod, "metadata", "name");
  if (path == "metadata.namespace") return text_at(*pod, "metadata", "namespace");
  if (path == "metadata.uid") return text_at(*pod, "metadata", "uid");
  if (path == "status.podIP") return "";
  return "";
}

void write_variable(DescribeWriter& out, const Json& entry, const Json* pod) {
  std::string name = string_or(entry, "name");
  const Json* from = find_member(entry, "valueFrom");
  if (!from) {
    std::string value = string_or(entry, "value");
    for (std::size_t begin = 0; begin <= value.size();) {
      auto end = std::min(value.find('\n', begin), value.size());
      out.write(3, "{}\t{}\n", begin == 0 ? name + ":" : "", value.substr(begin, end - begin));
      begin = end + 1;
    }
  } else if (const Json* field = find_member(*from, "fieldRef")) {
    std::string path = string_or(*field, "fieldPath");
    out.write(3, "{}:\t{} ({}:{})\n", name, field_value(pod, path),
              string_or(*field, "apiVersion", "v1"), path);
  } else if (const Json* resource = find_member(*from, "resourceFieldRef")) {
    out.write(3, "{}:\t ({})\n", name, string_or(*resource, "resource"));
  } else if (const Json* secret = find_member(*from, "secretKeyRef")) {
    out.write(3, "{}:\t<set to the key '{}' in secret '{}'>\tOptional: {}\n", name,
              string_or(*secret, "key"), string_or(*secret, "name"), bool_or(*secret, "optional"));
  } else if (const Json* map = find_member(*from, "configMapKeyRef")) {
    out.write(3, "{}:\t<set to the key '{}' of config map '{}'>\tOptional: {}\n", name,
              string_or(*map, "key"), string_or(*map, "name"), bool_or(*map, "optional"));
  }
}

void write_environment(DescribeWriter& out, const Json& container, const Json* pod) {
  const Json* list = find_member(container, "env");
  bool none = !list || !list->is_array() || list->empty();
  out.write(2, "Environment:{}\n", none ? "\t<none>" : "");
  if (none) return;
  for (const Json& entry : *list) write_variable(out, entry, pod);
}

void write_mounts(DescribeWriter& out, const Json& container) {
  const Json* list = find_member(container, "volumeMounts");
  bool none = !list || !list->is_array() || list->empty();
  out.write(2, "Mounts:{}\n", none ? "\t<none>" : "");
  if (none) return;
  std::vector<Json> mounts(list->begin(), list->end());
  std::stable_sort(mounts.begin(), mounts.end(), [](const Json& a, const Json& b) {
    return string_or(a, "mountPath") < string_or(b, "mountPath");
  });
  for (const Json& mount : mounts) {
    std::string flags = bool_or(mount, "readOnly") ? "ro" : "rw";
    if (std::string path = string_or(mount, "subPath"); !path.empty())
      flags += fmt::format(",path=\"{}\"", path);
    out.write(3, "{} from {} ({})\n", string_or(mount, "mountPath"), string_or(mount, "name"),
              flags);
  }
}

const Json* status_of(const Json* statuses, const std::string& name) {
  if (!statuses || !statuses->is_array()) return nullptr;
  for (const Json& status : *statuses) {
    if (string_or(status, "name") == name) return &status;
  }
  return nullptr;
}

}  // namespace

void write_volume_source(DescribeWriter& out, const Json& volume) {
  auto line = [&](std::string_view key, const std::string& value) {
    out.write(2, "{}:\t{}\n", key, value);
  };
  auto flag = [](const Json& place, const char* key) {
    return std::string(bool_or(place, key) ? "true" : "false");
  };
  if (const Json* host = find_member(volume, "hostPath")) {
    line("Type", "HostPath (bare host directory volume)");
    line("Path", string_or(*host, "path"));
    line("HostPathType", string_or(*host, "type"));
  } else if (const Json* empty = find_member(volume, "emptyDir")) {
    line("Type", "EmptyDir (a temporary directory that shares a pod's lifetime)");
    line("Medium", string_or(*empty, "medium"));
    const Json* limit = find_member(*empty, "sizeLimit");
    line("SizeLimit", limit ? scalar_text(*limit) : "<unset>");
  } else if (const Json* secret = find_member(volume, "secret")) {
    line("Type", "Secret (a volume populated by a Secret)");
    line("SecretName", string_or(*secret, "secretName"));
    line("Optional", flag(*secret, "optional"));
  } else if (const Json* map = find_member(volume, "configMap")) {
    line("Type", "ConfigMap (a volume populated by a ConfigMap)");
    line("Name", string_or(*map, "name"));
    line("Optional", flag(*map, "optional"));
  } else if (const Json* claim = find_member(volume, "persistentVolumeClaim")) {
    line("Type",
         "PersistentVolumeClaim (a reference to a PersistentVolumeClaim in the same namespace)");
    line("ClaimName", string_or(*claim, "claimName"));
    line("ReadOnly", flag(*claim, "readOnly"));
  } else if (const Json* downward = find_member(volume, "downwardAPI")) {
    line("Type", "DownwardAPI (a volume populated by information about the pod)");
    out.write(2, "Items:\n");
    for (const Json& item : downward->value("items", Json::array()))
      out.write(3, "{} -> {}\n", text_at(item, "fieldRef", "fieldPath"), string_or(item, "path"));
  } else if (const Json* projected = find_member(volume, "projected")) {
    line("Type", "Projected (a volume that contains injected data from multiple sources)");
    for (const Json& source : projected->value("sources", Json::array())) {
      if (const Json* part = find_member(source, "secret")) {
        line("SecretName", string_or(*part, "name"));
        line("Optional", flag(*part, "optional"));
      } else if (source.contains("downwardAPI")) {
        line("DownwardAPI", "true");
      } else if (const Json* config = find_member(source, "configMap")) {
        line("ConfigMapName", string_or(*config, "name"));
        line("Optional", flag(*config, "optional"));
      } else if (const Json* token = find_member(source, "serviceAccountToken")) {
        line("TokenExpirationSeconds", std::to_string(int_or(*token, "expirationSeconds")));
      }
    }
  } else if (const Json* nfs = find_member(volume, "nfs")) {
    line("Type", "NFS (an NFS mount that lasts the lifetime of a pod)");
    line("Server", string_or(*nfs, "server"));
    line("Path", string_or(*nfs, "path"));
    line("ReadOnly", flag(*nfs, "readOnly"));
  } else if (const Json* local = find_member(volume, "local")) {
    line("Type", "LocalVolume (a persistent volume backed by local storage on a node)");
    line("Path", string_or(*local, "path"));
  } else if (const Json* csi = find_member(volume, "csi")) {
    line("Type", "CSI (a Container Storage Interface (CSI) volume source)");
    line("Driver", string_or(*csi, "driver"));
    line("FSType", string_or(*csi, "fsType"));
    if (csi->contains("volumeHandle")) line("VolumeHandle", string_or(*csi, "volumeHandle"));
    line("ReadOnly", flag(*csi, "readOnly"));
    line("VolumeAttributes", pairs_text(find_member(*csi, "volumeAttributes")));
  } else if (const Json* ephemeral = find_member(volume, "ephemeral")) {
    line("Type",
         "EphemeralVolume (an inline specification for a volume that gets created and "
         "deleted with the pod)");
    if (const Json* claim_spec = find_path(*ephemeral, "volumeClaimTemplate", "spec"))
      line("StorageClass", string_or(*claim_spec, "storageClassName"));
  } else {
    out.write(1, "<unknown>\n");
  }
}

void write_containers(DescribeWriter& out, std::string_view label, const Json* containers,
                      const Json* statuses, const Json* pod, std::string_view space) {
  bool none = !containers || !containers->is_array() || containers->empty();
  out.write(0, "{}{}:{}\n", space, label, none ? " <none>" : "");
  if (none) return;
  for (const Json& container : *containers) {
    std::string name = string_or(container, "name");
    const Json* status = status_of(statuses, name);
    out.write(1, "{}{}:\n", space.empty() ? "" : " ", name);
    if (status) out.write(2, "Container ID:\t{}\n", string_or(*status, "containerID"));
    out.write(2, "Image:\t{}\n", string_or(container, "image"));
    if (status) out.write(2, "Image ID:\t{}\n", string_or(*status, "imageID"));
    write_ports(out, container);
    write_words(out, "Command", find_member(container, "command"));
    write_words(out, "Args", find_member(container, "args"));
    if (status) write_status(out, *status);
    write_resources(out, container);
    write_probes(out, container);
    write_env_from(out, container);
    write_environment(out, container, pod);
    write_mounts(out, container);
  }
}

void write_volumes(DescribeWriter& out, const Json* volumes, std::string_view space) {
  if (!volumes || !volumes->is_array() || volumes->empty()) {
    out.write(0, "{}Volumes:\t<none>\n", space);
    return;
  }
  out.write(0, "{}Volumes:\n", space);
  for (const Json& volume : *volumes) {
    out.write(1, "{}{}:\n", space.empty() ? "" : " ", string_or(volume, "name"));
    write_volume_source(out, volume);
  }
}

void write_pod_template(DescribeWriter& out, const Json& pod_template) {
  out.write(0, "Pod Template:\n");
  write_labels(out, "Labels", metadata_member(pod_template, "labels"), "  ");
  const Json* annotations = metadata_member(pod_template, "annotations");
  if (annotations && !annotations->empty())
    write_annotations(out, "Annotations", annotations, "  ");
  const Json* spec = find_member(pod_template, "spec");
  if (!spec) return;
  if (std::string account = string_or(*spec, "serviceAccountName"); !account.empty())
    out.write(0, "  Service Account:\t{}\n", account);
  if (const Json* init = find_member(*spec, "initContainers"); init && !init->empty())
    write_containers(out, "Init Containers", init, nullptr, nullptr, "  ");
  write_containers(out, "Containers", find_member(*spec, "containers"), nullptr, nullptr, "  ");
  write_volumes(out, find_member(*spec, "volumes"), "  ");
  if (std::string priority = string_or(*spec, "priorityClassName"); !priority.empty())
    out.write(0, "  Priority Class Name:\t{}\n", priority);
  write_labels(out, "Node-Selectors", find_member(*spec, "nodeSelector"), "  ");
  write_tolerations(out, find_member(*spec, "tolerations"), "  ");
}

std::string describe_pod_template(const Json& pod_template) {
  DescribeWriter out;
  write_pod_template(out, pod_template);
  return out.unaligned();
}

}  // namespace moth::ctl
