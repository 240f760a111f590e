#include "daemon/controllers/certificates/certificates_plan.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/time.h"

namespace moth::controllers {
namespace {

constexpr std::chrono::hours kLongestLife{365 * 24};
constexpr std::chrono::seconds kShortestLife{600};
constexpr std::chrono::hours kKeptDecided{1};
constexpr std::chrono::hours kKeptPending{24};

const Json& conditions_of(const Json& csr) {
  static const Json kNone = Json::array();
  const Json* list = find_path(csr, "status", "conditions");
  return list && list->is_array() ? *list : kNone;
}

std::string signer_of(const Json& csr) {
  const Json* spec = find_member(csr, "spec");
  return spec ? string_or(*spec, "signerName") : "";
}

// The usages that are allowed but not needed are digital signature and key encipherment.
std::string usage_problem(const Json& csr, std::string_view needed, std::string_view what) {
  const Json* usages = find_path(csr, "spec", "usages");
  bool found = false;
  if (usages && usages->is_array()) {
    for (const Json& entry : *usages) {
      if (!entry.is_string()) continue;
      const auto& usage = entry.get_ref<const std::string&>();
      if (usage == needed) {
        found = true;
      } else if (usage != "digital signature" && usage != "key encipherment") {
        return fmt::format("invalid usage for {} certificate: {}", what, usage);
      }
    }
  }
  return found ? "" : fmt::format("missing required usage for {} certificate: {}", what, needed);
}

std::string node_problem(const RequestedCertificate& request) {
  if (request.organizations != std::vector<std::string>{"system:nodes"})
    return "subject organization is not system:nodes";
  if (!request.common_name.starts_with("system:node:"))
    return "subject common name does not begin with system:node:";
  return "";
}

std::string kubelet_client_problem(const Json& csr, const RequestedCertificate& request) {
  if (std::string problem = node_problem(request); !problem.empty()) return problem;
  if (!request.dns_names.empty()) return "DNS subjectAltNames are not allowed";
  if (!request.ip_addresses.empty()) return "IP subjectAltNames are not allowed";
  if (request.has_other_names) return "URI and Email subjectAltNames are not allowed";
  return usage_problem(csr, "client auth", "client");
}

std::string kubelet_serving_problem(const Json& csr, const RequestedCertificate& request) {
  if (std::string problem = node_problem(request); !problem.empty()) return problem;
  if (request.dns_names.empty() && request.ip_addresses.empty())
    return "DNS or IP subjectAltName is required";
  if (request.has_other_names) return "URI and Email subjectAltNames are not allowed";
  return usage_problem(csr, "server auth", "serving");
}

std::optional<WallTime> time_of(const Json& condition) {
  for (const char* field : {"lastUpdateTime", "lastTransitionTime"}) {
    auto time = parse_rfc3339(string_or(condition, field));
    if (time) return *time;
  }
  return std::nullopt;
}

}  // namespace

SigningUsages usages_of(const Json& csr) {
  SigningUsages out;
  const Json* usages = find_path(csr, "spec", "usages");
  if (!usages || !usages->is_array()) return out;
  for (const Json& entry : *usages) {
    if (!entry.is_string()) continue;
    const auto& usage = entry.get_ref<const std::string&>();
    out.server = out.server || usage == "server auth";
    out.client = out.client || usage == "client auth";
    out.digital_signature = out.digital_signature || usage == "digital signature";
    out.key_encipherment = out.key_encipherment || usage == "key encipherment";
  }
  return out;
}

bool is_signed_here(const Json& csr) {
  const std::string signer = signer_of(csr);
  return signer == kClientSigner || signer == kKubeletClientSigner ||
         signer == kKubeletServingSigner;
}

std::string refusal(const Json& csr, const RequestedCertificate& request) {
  const std::string signer = signer_of(csr);
  if (signer == kClientSigner) return usage_problem(csr, "client auth", "client");
  if (signer == kKubeletClientSigner) return kubelet_client_problem(csr, request);
  return kubelet_serving_problem(csr, request);
}

AutoApproval auto_approval(const Json& csr, const RequestedCertificate& request) {
  if (signer_of(csr) != kKubeletClientSigner || !kubelet_client_problem(csr, request).empty())
    return AutoApproval::kNone;
  return string_or(csr.at("spec"), "username") == request.common_name ? AutoApproval::kSelf
                                                                      : AutoApproval::kOther;
}

std::chrono::seconds certificate_life(const Json& csr) {
  const Json* wanted = find_path(csr, "spec", "expirationSeconds");
  if (!wanted || !wanted->is_number_integer()) return kLongestLife;
  return std::clamp<std::chrono::seconds>(std::chrono::seconds(wanted->get<std::int64_t>()),
                                          kShortestLife, kLongestLife);
}

bool has_condition(const Json& csr, std::string_view type) {
  return std::any_of(conditions_of(csr).begin(), conditions_of(csr).end(),
                     [&](const Json& entry) { return string_or(entry, "type") == type; });
}

Json condition(std::string_view type, std::string_view reason, std::string_view message,
               WallTime now) {
  return {{"type", type},
          {"status", "True"},
          {"reason", reason},
          {"message", message},
          {"lastUpdateTime", format_rfc3339(now)},
          {"lastTransitionTime", format_rfc3339(now)}};
}

WallTime cleaned_at(const Json& csr, WallTime created, std::optional<WallTime> not_after) {
  WallTime when = WallTime::max();
  bool decided = false;
  for (const Json& entry : conditions_of(csr)) {
    const std::string type = string_or(entry, "type");
    if (type != "Approved" && type != "Denied" && type != "Failed") continue;
    decided = true;
    // Approved alone waits for its certificate, which may be long in coming from another signer.
    if (type == "Approved" && !not_after) continue;
    when = std::min(when, time_of(entry).value_or(created) + kKeptDecided);
  }
  if (!decided) when = created + kKeptPending;
  if (not_after) when = std::min(when, *not_after);
  return when;
}

}  // namespace moth::controllers
