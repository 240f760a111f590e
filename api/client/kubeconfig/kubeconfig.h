#pragma once
// kubeconfig files: reading, merging (KUBECONFIG lists), choosing a context, writing. Synchronous;
// load_* and write_* touch files, the rest is pure.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

struct KubeCluster {
  std::string server;                     // https://host:port
  std::string certificate_authority;      // path, absolute after loading
  std::string certificate_authority_pem;  // decoded certificate-authority-data
  std::string tls_server_name;
  std::string proxy_url;
  bool insecure_skip_tls_verify = false;
  std::string other;  // JSON text of members that are not interpreted here; kept when writing
};

struct KubeUser {
  std::string client_certificate, client_key;          // paths, absolute after loading
  std::string client_certificate_pem, client_key_pem;  // decoded *-data
  std::string token, token_file;
  std::string username, password;
  std::string impersonate, impersonate_uid;
  std::vector<std::string> impersonate_groups;
  std::string exec_command;   // an exec plugin is configured (not supported)
  std::string auth_provider;  // its name, when one is configured (not supported)
  std::string other;          // as above; exec and auth-provider are among it
};

struct KubeContext {
  std::string cluster, user, namespace_;
  std::string other;  // as above
};

struct Kubeconfig {
  std::map<std::string, KubeCluster, std::less<>> clusters;
  std::map<std::string, KubeUser, std::less<>> users;
  std::map<std::string, KubeContext, std::less<>> contexts;
  std::string current_context;
  std::string other;  // as above

  // Reads `document` (a Config object); relative paths are taken from `folder`. Errors name the
  // entry.
  static Result<Kubeconfig> from_json(const Json& document, const std::string& folder);
  Json to_json() const;
  // First one wins, as with KUBECONFIG=a:b.
  void merge(const Kubeconfig& config);
};

// What a client needs in order to connect, files read in.
struct KubeEndpoint {
  std::string context, cluster, user;
  std::string server;      // without a trailing slash
  std::string namespace_;  // of the context, "default" when it has none
  std::string ca_pem;      // empty: the system's trust store
  std::string certificate_pem, key_pem;
  std::string token;
  std::string token_file;  // set when the token came from it: read it again now and then
  std::string username, password;
  std::string tls_server_name;
  std::string proxy_url;
  bool insecure_skip_tls_verify = false;
  std::string impersonate, impersonate_uid;
  std::vector<std::string> impersonate_groups;
  std::vector<std::pair<std::string, std::string>> impersonate_extra;  // key, value
};

// Command line overrides; empty: what the file says.
struct KubeOverrides {
  std::string context, cluster, user, namespace_, server, token;
  std::string certificate_authority, client_certificate, client_key;  // paths
  std::string tls_server_name;
  std::optional<bool> insecure_skip_tls_verify;
};

// The paths to read: `explicit_path` alone when given, else $KUBECONFIG split at ':', else
// ~/.kube/config.
std::vector<std::string> kubeconfig_paths(std::string_view explicit_path);

// Missing files are skipped unless the only one was named explicitly (`required`).
Result<Kubeconfig> load_kubeconfig(const std::vector<std::string>& paths, bool required = false);

// Errors as kubectl's: `context "x" does not exist`, `cluster "x" does not exist`, a clear refusal
// of exec plugins. Without any cluster: `no configuration has been provided`.
Result<KubeEndpoint> resolve_endpoint(const Kubeconfig& config,
                                      const KubeOverrides& overrides = {});

// Atomically, mode 0600; the folder is created with 0700.
Result<void> write_kubeconfig(const Kubeconfig& config, const std::string& path);

// YAML text of the config.
std::string to_yaml_text(const Kubeconfig& config);

}  // namespace moth
