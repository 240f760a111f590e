#pragma once
// What happens to certificate signing requests: which are approved by themselves, which a signer
// accepts, how long certificates hold, and when a request is cleaned away. Pure; any thread.
#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json_fwd.h"

namespace moth::controllers {

inline constexpr const char* kClientSigner = "kubernetes.io/kube-apiserver-client";
inline constexpr const char* kKubeletClientSigner = "kubernetes.io/kube-apiserver-client-kubelet";
inline constexpr const char* kKubeletServingSigner = "kubernetes.io/kubelet-serving";

// What the request's own PKCS#10 part says.
struct RequestedCertificate {
  std::string common_name;
  std::vector<std::string> organizations, dns_names, ip_addresses;
  bool has_other_names = false;
};

struct SigningUsages {
  bool server = false, client = false, digital_signature = false, key_encipherment = false;
};
SigningUsages usages_of(const Json& csr);

bool is_signed_here(const Json& csr);
// Why the signer does not accept it; empty when it does.
std::string refusal(const Json& csr, const RequestedCertificate& request);

enum class AutoApproval { kNone, kSelf, kOther };
// Whether a node asks for its own client certificate, or somebody for a node's: both are approved
// when the requester holds the right to create the subresource selfnodeclient or nodeclient.
AutoApproval auto_approval(const Json& csr, const RequestedCertificate& request);

// A year, or less when expirationSeconds says so; ten minutes at least.
std::chrono::seconds certificate_life(const Json& csr);

bool has_condition(const Json& csr, std::string_view type);
Json condition(std::string_view type, std::string_view reason, std::string_view message,
               WallTime now);

// When the request goes: an hour after it was decided upon, a day when nobody did, or when the
// certificate that it got has run out (`not_after`), whatever comes first.
WallTime cleaned_at(const Json& csr, WallTime created, std::optional<WallTime> not_after);

}  // namespace moth::controllers
