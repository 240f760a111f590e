#pragma once
// Config: every setting of mothd, from the command line and from a file with the same names. The
// command line wins. Value type.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/base/result.h"

namespace moth {

struct Config {
  std::string instance = "default";
  std::string data_dir = "/var/lib/moth";
  std::string run_dir;  // empty: /run/moth/INSTANCE
  std::string listen = "127.0.0.1:6443";
  std::vector<std::string> advertise;  // further names and addresses in the certificate
  std::string pod_cidr = "10.42.0.0/16";
  std::string service_cidr = "10.43.0.0/16";
  std::string node_port_range = "30000-32767";
  std::string cluster_domain = "cluster.local";
  std::string oci_runtime = "runc";
  std::string node_name;  // empty: the host's name
  std::string token_auth_file;
  std::vector<std::string> disabled_admission_plugins;  // upstream's names
  std::string log_level = "info";
  bool without_node = false;
  bool stop_workloads = false;  // stop the containers of the instance and exit

  // DATA_DIR/admin.kubeconfig
  std::string kubeconfig_path() const { return data_dir + "/admin.kubeconfig"; }
  std::string effective_run_dir() const {
    return run_dir.empty() ? "/run/moth/" + instance : run_dir;
  }
};

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
};
Result<HostPort> parse_host_port(std::string_view text);
Result<std::pair<int, int>> parse_port_range(std::string_view text);

// What to do after reading the command line: go on, or exit with a code (help, version, an error
// that was printed).
struct ParsedConfig {
  Config config;
  std::optional<int> exit_code;
};
ParsedConfig parse_command_line(int argc, const char* const* argv);

// BadRequest that names the setting and the remedy.
Result<> validate(const Config& config);

}  // namespace moth
