#include "api/resources/core_v1/pod_defaults.h"

#include <limits>

#include "api/machinery/quantity.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

constexpr int kDefaultMode = 0644;
constexpr int kTokenSeconds = 3600;
constexpr int kGraceSeconds = 30;

void set_field_ref_defaults(Json& holder) {
  if (Json* ref = member(holder, "fieldRef")) default_text(*ref, "apiVersion", "v1");
  if (Json* ref = member(holder, "resourceFieldRef")) default_to(*ref, "divisor", "0");
}

void set_handler_defaults(Json& handler) {
  if (Json* http = member(handler, "httpGet")) {
    default_text(*http, "path", "/");
    default_text(*http, "scheme", "HTTP");
  }
  if (Json* grpc = member(handler, "grpc")) default_to(*grpc, "service", "");
}

void set_probe_defaults(Json& container, std::string_view key) {
  Json* probe = member(container, key);
  if (!probe) return;
  default_number(*probe, "timeoutSeconds", 1);
  default_number(*probe, "periodSeconds", 10);
  default_number(*probe, "successThreshold", 1);
  default_number(*probe, "failureThreshold", 3);
  set_handler_defaults(*probe);
}

void set_container_defaults(Json& container) {
  default_text(container, "imagePullPolicy", default_pull_policy(string_or(container, "image")));
  default_text(container, "terminationMessagePath", "/dev/termination-log");
  default_text(container, "terminationMessagePolicy", "File");
  edit_items(container, "ports", [](Json& port) { default_text(port, "protocol", "TCP"); });
  edit_items(container, "env", [](Json& env) {
    if (Json* from = member(env, "valueFrom")) set_field_ref_defaults(*from);
  });
  for (std::string_view probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
    set_probe_defaults(container, probe);
  }
  if (Json* lifecycle = member(container, "lifecycle")) {
    for (std::string_view hook : {"postStart", "preStop"}) {
      if (Json* handler = member(*lifecycle, hook)) set_handler_defaults(*handler);
    }
  }
  Json& resources = object_at(container, "resources");
  round_resource_list(member(resources, "requests"));
  round_resource_list(member(resources, "limits"));
}

void set_projected_defaults(Json& projected) {
  default_to(projected, "defaultMode", kDefaultMode);
  edit_items(projected, "sources", [](Json& source) {
    if (Json* token = member(source, "serviceAccountToken")) {
      default_to(*token, "expirationSeconds", kTokenSeconds);
    }
    if (Json* downward = member(source, "downwardAPI")) {
      edit_items(*downward, "items", set_field_ref_defaults);
    }
  });
}

bool has_source(const Json& volume) {
  for (const auto& [key, value] : volume.items()) {
    if (key != "name" && !value.is_null()) return true;
  }
  return false;
}

void set_volume_defaults(Json& volume) {
  if (!has_source(volume)) volume["emptyDir"] = Json::object();
  for (std::string_view type : {"secret", "configMap", "downwardAPI"}) {
    if (Json* source = member(volume, type)) default_to(*source, "defaultMode", kDefaultMode);
  }
  if (Json* downward = member(volume, "downwardAPI")) {
    edit_items(*downward, "items", set_field_ref_defaults);
  }
  if (Json* projected = member(volume, "projected")) set_projected_defaults(*projected);
  if (Json* host_path = member(volume, "hostPath")) default_to(*host_path, "type", "");
  if (Json* image = member(volume, "image")) {
    default_text(*image, "pullPolicy", default_pull_policy(string_or(*image, "reference")));
  }
  if (Json* ephemeral = member(volume, "ephemeral")) {
    if (Json* claim = member(*ephemeral, "volumeClaimTemplate")) {
      default_text(object_at(*claim, "spec"), "volumeMode", "Filesystem");
    }
  }
}

// Both names are served; serviceAccountName wins.
void mirror_service_account(Json& spec) {
  std::string name = string_or(spec, "serviceAccountName");
  if (name.empty()) name = string_or(spec, "serviceAccount");
  if (name.empty()) return;
  spec["serviceAccountName"] = name;
  spec["serviceAccount"] = name;
}

void request_limits(Json& owner) {
  Json* resources = member(owner, "resources");
  if (!resources) return;
  const Json* limits = member(*resources, "limits");
  if (!limits || !limits->is_object() || limits->empty()) return;
  Json copy = *limits;
  Json& requests = object_at(*resources, "requests");
  for (auto& [name, value] : copy.items()) default_to(requests, name, value);
}

// Requests of the whole pod: what its containers ask for, else its limits.
void default_pod_level_requests(Json& spec) {
  Json* resources = member(spec, "resources");
  if (!resources || !has(*resources, "limits")) return;
  Json without_pod_level = spec;
  without_pod_level.erase("resources");
  without_pod_level.erase("overhead");
  ResourceList containers = pod_requests(without_pod_level);
  Json limits = *member(*resources, "limits");
  Json& requests = object_at(*resources, "requests");
  for (const auto& [name, quantity] : containers) {
    if (name == "cpu" || name == "memory" || is_hugepages(name)) {
      default_to(requests, name, quantity.to_string());
    }
  }
  for (const auto& [name, value] : limits.items()) default_to(requests, name, value);
}

void use_host_ports(Json& container) {
  edit_items(container, "ports",
             [](Json& port) { default_number(port, "hostPort", int_or(port, "containerPort")); });
}

}  // namespace

std::string_view default_pull_policy(std::string_view image) {
  if (image.find('@') != std::string_view::npos) return "IfNotPresent";
  auto slash = image.rfind('/');
  std::string_view last = slash == std::string_view::npos ? image : image.substr(slash + 1);
  auto colon = last.rfind(':');
  std::string_view tag = colon == std::string_view::npos ? "" : last.substr(colon + 1);
  return tag.empty() || tag == "latest" ? "Always" : "IfNotPresent";
}

void round_resource_list(Json* list) {
  if (!list || !list->is_object()) return;
  for (auto& [name, value] : list->items()) {
    auto quantity = Quantity::from_json(value);
    if (!quantity) continue;  // the schema refuses it
    constexpr int kNanosPerMilli = 1'000'000;
    // Amounts beyond 64 bits of thousandths have no fraction to round.
    bool fits = quantity->milli_value() != std::numeric_limits<std::int64_t>::max();
    bool fine = quantity->nanos() % kNanosPerMilli != 0;
    value = fine && fits
                ? Quantity::from_milli(quantity->milli_value(), quantity->format()).to_string()
                : quantity->to_string();
  }
}

void set_pod_spec_defaults(Json& spec) {
  default_text(spec, "dnsPolicy", "ClusterFirst");
  default_text(spec, "restartPolicy", "Always");
  default_to(spec, "securityContext", Json::object());
  default_to(spec, "terminationGracePeriodSeconds", kGraceSeconds);
  default_text(spec, "schedulerName", "default-scheduler");
  mirror_service_account(spec);
  for (std::string_view list : {"containers", "initContainers", "ephemeralContainers"}) {
    edit_items(spec, list, set_container_defaults);
  }
  edit_items(spec, "volumes", set_volume_defaults);
  if (Json* resources = member(spec, "resources")) {
    round_resource_list(member(*resources, "requests"));
    round_resource_list(member(*resources, "limits"));
  }
  round_resource_list(member(spec, "overhead"));
}

void set_pod_template_defaults(Json& pod_template) {
  if (!pod_template.is_object()) return;
  // An older client's `creationTimestamp: null` is no part of a template.
  Json& metadata = object_at(pod_template, "metadata");
  if (auto it = metadata.find("creationTimestamp"); it != metadata.end() && it->is_null()) {
    metadata.erase(it);
  }
  set_pod_spec_defaults(object_at(pod_template, "spec"));
}

void set_pod_defaults(Json& pod) {
  Json& spec = object_at(pod, "spec");
  set_pod_spec_defaults(spec);
  edit_items(spec, "containers", request_limits);
  edit_items(spec, "initContainers", request_limits);
  default_pod_level_requests(spec);
  default_to(spec, "enableServiceLinks", true);
  if (bool_or(spec, "hostNetwork")) {
    edit_items(spec, "containers", use_host_ports);
    edit_items(spec, "initContainers", use_host_ports);
  }
}

}  // namespace moth::resources
