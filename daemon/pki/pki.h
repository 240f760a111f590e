#pragma once
// The instance's own PKI below DATA_DIR/pki: made at the first start, reused afterwards, renewed by
// itself. All functions touch files: call on the blocking executor or before the executors run.
//
//   DATA_DIR/pki/ca.crt ca.key                the CA "moth-ca", 10 years
//                apiserver.crt apiserver.key  the API server's certificate
//                admin.crt admin.key          CN=admin O=system:masters
//                sa.key sa.pub                signs and checks service account tokens
//   DATA_DIR/admin.kubeconfig                 for root, 0600
//
// Keys have mode 0600, certificates 0644; every file is replaced atomically.
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/pki/certificates.h"

namespace moth::pki {

struct PkiOptions {
  std::string data_dir;
  std::vector<std::string> dns_names;  // beside the standard ones, see standard_dns_names()
  std::vector<std::string>
      ip_addresses;  // beside 127.0.0.1 and ::1: the service IP, host addresses
  std::string cluster_domain = "cluster.local";
  std::string server_url = "https://127.0.0.1:6443";  // for admin.kubeconfig
  std::string cluster_name = "moth";                  // names of cluster and context there
  std::chrono::hours ca_lifetime{10 * 365 * 24};
  std::chrono::hours certificate_lifetime{365 * 24};
};

struct Pki {
  KeyPair ca;
  KeyPair server;
  KeyPair admin;
  std::string service_account_key_pem;
  std::string service_account_public_pem;
  std::string admin_kubeconfig_path;
  WallTime renew_at;                  // call ensure_pki again then
  std::vector<std::string> replaced;  // names of the files that were written by this call
};

// localhost, the host's name, kubernetes, kubernetes.default, ...svc, ...svc.<domain>.
std::vector<std::string> standard_dns_names(const std::string& cluster_domain);

// Reads what is there and makes what is missing. A certificate is replaced when less than a third
// of its life is left, a SAN is missing, it does not parse, or the CA or key does not match. The CA
// is replaced only when it is missing or has expired; a broken CA file is an error that names it,
// never overwritten.
Result<Pki> ensure_pki(const PkiOptions& options, WallTime now);

// A client certificate signed by the instance's CA, e.g. for system components or `moth user`.
Result<KeyPair> make_client_certificate(const KeyPair& ca, const std::string& user,
                                        const std::vector<std::string>& groups,
                                        std::chrono::hours lifetime, WallTime now);

// Writes `text` next to `path` and renames it over; fsyncs both. The folder must exist.
Result<void> write_file_atomically(const std::string& path, std::string_view text, unsigned mode);

}  // namespace moth::pki
