#include "runtime/agent/config/downward.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/machinery/text.h"

namespace moth::agent {

using resources::Container;
using resources::ResourceList;

namespace {

std::string map_text(const Labels& values) {
  std::string text;
  for (const auto& [key, value] : values) {
    if (!text.empty()) text += '\n';
    text += key + "=" + go_quote(value);
  }
  return text;
}

// metadata.labels['key'] > key; nullopt when `path` is not `field` with a subscript.
std::optional<std::string> subscript(std::string_view path, std::string_view field) {
  if (!path.starts_with(field)) return std::nullopt;
  path.remove_prefix(field.size());
  if (path.size() < 4 || !path.starts_with("['") || !path.ends_with("']")) return std::nullopt;
  return std::string(path.substr(2, path.size() - 4));
}

std::string value_or_empty(const Labels& values, const std::string& key) {
  auto found = values.find(key);
  return found == values.end() ? "" : found->second;
}

// Rounded up.
Quantity::Nanos divide(Quantity::Nanos amount, Quantity::Nanos divisor) {
  if (amount <= 0) return 0;
  return (amount + divisor - 1) / divisor;
}

bool has_node_default(std::string_view name) {
  return name == "cpu" || name == "memory" || name == "ephemeral-storage";
}

}  // namespace

Result<std::string> field_value(const PodContext& pod, std::string_view field_path) {
  const Meta& meta = pod.object->meta();
  const auto& spec = pod.view().spec();
  if (field_path == "metadata.name") return meta.name;
  if (field_path == "metadata.namespace") return meta.ns;
  if (field_path == "metadata.uid") return meta.uid;
  if (field_path == "metadata.labels") return map_text(meta.labels);
  if (field_path == "metadata.annotations") return map_text(meta.annotations);
  if (auto key = subscript(field_path, "metadata.labels")) return value_or_empty(meta.labels, *key);
  if (auto key = subscript(field_path, "metadata.annotations")) {
    return value_or_empty(meta.annotations, *key);
  }
  if (field_path == "spec.nodeName") return pod.node_name;
  if (field_path == "spec.serviceAccountName") return spec.service_account_name;
  if (field_path == "status.hostIP" || field_path == "status.hostIPs") return pod.host_ip;
  if (field_path == "status.podIP" || field_path == "status.podIPs") return pod.pod_ip;
  return fail(Error::of(Reason::kInvalid, fmt::format("unsupported fieldPath: {}", field_path)));
}

Result<std::string> resource_value(const resources::PodSpec& spec, const Container* self,
                                   std::string_view container_name, std::string_view resource,
                                   const Quantity& divisor, const ResourceList& node_allocatable) {
  const Container* container = container_name.empty() ? self : spec.find_container(container_name);
  if (!container) {
    return fail(Error::of(Reason::kInvalid, fmt::format("container {} not found", container_name)));
  }
  const std::size_t dot = resource.find('.');
  const std::string_view side = resource.substr(0, dot);
  const std::string_view name =
      dot == std::string_view::npos ? std::string_view{} : resource.substr(dot + 1);
  const bool limits = side == "limits";
  const bool known = has_node_default(name) || resources::is_hugepages(name);
  if ((!limits && side != "requests") || !known) {
    return fail(
        Error::of(Reason::kInvalid, fmt::format("unsupported container resource : {}", resource)));
  }
  const auto& asked = container->resources;
  Quantity amount = resources::amount(limits ? asked.limits : asked.requests, name);
  if (amount.is_zero() && limits && has_node_default(name)) {
    amount = resources::amount(node_allocatable, name);
  }
  if (amount.is_zero() && !limits) amount = resources::amount(asked.limits, name);
  const Quantity by = divisor.sign() > 0 ? divisor : Quantity::from_value(1);
  return fmt::format("{}", static_cast<std::int64_t>(divide(amount.nanos(), by.nanos())));
}

}  // namespace moth::agent
