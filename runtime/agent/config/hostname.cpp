#include "runtime/agent/config/hostname.h"

#include <fmt/format.h>

namespace moth::agent {

namespace {

constexpr std::size_t kMaxLabel = 63;

// Cut to a label, which must not end with a separator.
std::string as_label(std::string name) {
  if (name.size() <= kMaxLabel) return name;
  name.resize(kMaxLabel);
  while (!name.empty() && (name.back() == '-' || name.back() == '.')) name.pop_back();
  return name;
}

}  // namespace

Result<std::string> pod_hostname(const PodContext& pod, std::string_view node_hostname,
                                 std::string_view cluster_domain) {
  const auto& spec = pod.view().spec();
  if (!spec.hostname_override.empty()) return spec.hostname_override;
  if (spec.host_network) return std::string(node_hostname);
  std::string name = as_label(spec.hostname.empty() ? pod.name : spec.hostname);
  if (!spec.set_hostname_as_fqdn || spec.subdomain.empty()) return name;
  std::string full = fmt::format("{}.{}.{}.svc.{}", name, spec.subdomain, pod.ns, cluster_domain);
  if (full.size() <= kMaxHostName) return full;
  return fail(Error::of(
      Reason::kInvalid,
      fmt::format("failed to construct FQDN from Pod hostname and cluster domain, FQDN {} is too "
                  "long (64 characters is the max, {} characters requested)",
                  full, full.size())));
}

}  // namespace moth::agent
