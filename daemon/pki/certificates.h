#pragma once
// X.509 with OpenSSL: EC P-256 keys, a CA, certificates that it signs, and what one needs to know
// about a certificate. Pure but for randomness; any thread. PEM text everywhere.
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"

namespace moth::pki {

struct KeyPair {
  std::string certificate_pem;
  std::string key_pem;  // PKCS#8
};

struct CertificateRequest {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;
  bool server = false;  // extended key usages
  bool client = false;
  bool digital_signature = true;  // key usages
  bool key_encipherment = true;
  std::chrono::seconds lifetime = std::chrono::hours(365 * 24);
};

struct CertificateInfo {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns_names;
  std::vector<std::string> ip_addresses;  // normalised text
  bool has_other_names = false;           // URIs, mail addresses and whatever else names there are
  WallTime not_before, not_after;
  bool is_ca = false;
  std::string serial;       // lower-case hex
  std::string fingerprint;  // SHA-256 of DER, lower-case hex
};

Result<KeyPair> make_ca(const std::string& common_name, std::chrono::hours lifetime, WallTime now);
Result<KeyPair> sign(const KeyPair& ca, const CertificateRequest& request, WallTime now);
// Signs a PKCS#10 request (CertificateSigningRequest objects): subject and key from `csr_pem`,
// usages and life from `request`; SANs are copied from the csr.
Result<std::string> sign_csr(const KeyPair& ca, const std::string& csr_pem,
                             const CertificateRequest& request, WallTime now);
Result<CertificateInfo> inspect(const std::string& certificate_pem);
// Subject and SANs of a PKCS#10 request whose own signature holds.
Result<CertificateInfo> inspect_csr(const std::string& csr_pem);
// Whether `certificate_pem` carries a signature by `ca_pem`'s key and `key_pem` belongs to it.
bool belongs_together(const std::string& certificate_pem, const std::string& key_pem,
                      const std::string& ca_pem);

// A fresh signing key, PKCS#8 PEM. RSA 2048 (RS256 tokens, as upstream's) or EC P-256 (ES256).
enum class SigningKeyType { kRsa2048, kEcP256 };
Result<std::string> make_signing_key(SigningKeyType type);
// SubjectPublicKeyInfo PEM of a private key.
Result<std::string> public_key_of(const std::string& key_pem);

// `bytes` random bytes in lower-case hex.
std::string random_token(std::size_t bytes = 32);

}  // namespace moth::pki
