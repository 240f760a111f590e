#pragma once
// Registry credentials: docker's config.json, imagePullSecrets, and which of them fits an image.
// Pure, apart from load_host_credentials.
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"
#include "runtime/images/reference.h"

namespace moth::images {

struct Credential {
  std::string username;
  std::string password;
  std::string identity_token;  // an OAuth2 refresh token, instead of a password
  std::string registry_token;  // a ready bearer token
  bool operator==(const Credential&) const = default;
  bool anonymous() const {
    return username.empty() && password.empty() && identity_token.empty() && registry_token.empty();
  }
  // SHA-256 that tells credentials apart without keeping them.
  std::string fingerprint() const;
};

// Credentials by registry, as written: host[:port][/path], each host label may hold globs.
struct Keyring {
  std::vector<std::pair<std::string, Credential>> entries;

  // Entries that fit, the longest (most specific) key first. Matching is the kubelet's: scheme and
  // /v1/ /v2/ are ignored, globs per host label, equal ports, path by prefix; index.docker.io means
  // docker.io.
  std::vector<Credential> lookup(const Reference& reference) const;
  void append(const Keyring& other);
};

// The value of a Secret of type kubernetes.io/dockerconfigjson (".dockerconfigjson") or of
// ~/.docker/config.json. Entries of credential helpers are ignored.
Result<Keyring> parse_docker_config_json(std::string_view text);
// The value of a Secret of type kubernetes.io/dockercfg (".dockercfg").
Result<Keyring> parse_docker_cfg(std::string_view text);

// $HOME/.docker/config.json, /run/containers/0/auth.json and /etc/moth/registries.json, those that
// exist and parse. Reads files: blocking executor.
Keyring load_host_credentials();

}  // namespace moth::images
