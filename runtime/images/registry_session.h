#pragma once
// What registry.cpp and registry_auth.cpp share: one registry end point and the session with it.
// Internal to runtime/images.
#include <memory>
#include <string>
#include <vector>

#include "api/http/client.h"
#include "runtime/images/registry.h"

namespace moth::images {

// Where requests for one image go.
struct Endpoint {
  std::string base;  // https://registry-1.docker.io
  std::shared_ptr<http::Client> client;
  bool mirror = false;
  bool may_fall_back = false;  // to plain http, when TLS fails (loopback registries)
};

class RegistryClient::Session {
 public:
  Reference reference;
  Endpoint endpoint;
  Credential credential;
  std::string authorization;  // value of the header; empty: none needed so far
};

// CA and client certificate of a registry from its certs.d directory; empty when there is none.
// Blocking.
struct RegistryCertificates {
  std::string ca_pem, certificate_pem, key_pem;
  bool found = false;
};
Result<RegistryCertificates> load_certificates(const std::vector<std::string>& directories,
                                               const std::string& host);

// Answers a 401: sets session.authorization from the challenges, asking the token server where one
// is named. `token_client` reaches hosts other than the registry's.
Task<Result<void>> authorize(RegistryClient::Session& session, std::string www_authenticate,
                             std::shared_ptr<http::Client> token_client);

// The registry's own words in an error body ("manifest unknown"), or "".
std::string registry_message(std::string_view body);

bool is_loopback_registry(std::string_view host);

}  // namespace moth::images
