#include "daemon/config.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <iostream>

#include "api/base/log.h"
#include "api/base/version.h"
#include "api/server/admission/builtin.h"

namespace moth {
namespace {

void add_options(CLI::App& app, Config& config) {
  app.add_option("--instance", config.instance,
                 "Name of this instance: several live side by side on one machine");
  app.add_option("--data-dir", config.data_dir,
                 "Directory for everything that must outlive a restart");
  app.add_option("--run-dir", config.run_dir,
                 "Directory for sockets and namespaces (default /run/moth/INSTANCE)");
  app.add_option("--listen", config.listen, "ADDRESS:PORT of the API; port 0 takes a free one");
  app.add_option("--advertise", config.advertise,
                 "Further names and addresses in the API's certificate");
  app.add_option("--pod-cidr", config.pod_cidr, "IPv4 network of the pods");
  app.add_option("--service-cidr", config.service_cidr, "IPv4 network of the services");
  app.add_option("--node-port-range", config.node_port_range,
                 "FIRST-LAST port for NodePort services");
  app.add_option("--cluster-domain", config.cluster_domain, "DNS domain of the cluster");
  app.add_option("--oci-runtime", config.oci_runtime, "runc or crun, or a path to one");
  app.add_option("--node-name", config.node_name, "Name of the node (default: the host's name)");
  app.add_option("--token-auth-file", config.token_auth_file,
                 "File with lines token,user,uid,\"group,...\"");
  app.add_option("--disable-admission-plugins", config.disabled_admission_plugins,
                 "Admission plugins to leave out, by Kubernetes' names (LimitRanger,PodSecurity)")
      ->delimiter(',');
  app.add_option("--log-level", config.log_level, "debug, info, warning or error");
  app.add_flag("--without-node", config.without_node,
               "Control plane alone: no node agent, needs no root");
  app.add_flag("--stop-workloads", config.stop_workloads,
               "Stop every container of the instance, clean up and exit");
}

Error setting(std::string_view name, std::string_view value, std::string_view wanted) {
  return Error::bad_request(fmt::format("--{}: \"{}\" is not {}", name, value, wanted));
}

bool good_instance(std::string_view name) {
  if (name.empty() || name.size() > 20) return false;
  for (char c : name) {
    bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
    if (!good) return false;
  }
  return name.front() != '-' && name.back() != '-';
}

std::optional<int> parse_int(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

ParsedConfig parse_command_line(int argc, const char* const* argv) {
  ParsedConfig parsed;
  CLI::App app{"mothd: Kubernetes for one machine"};
  app.set_version_flag("--version", std::string("mothd ") + std::string(kVersion));
  app.set_config("--config", "", "File with the same settings, one `name=value` a line");
  app.allow_config_extras(CLI::config_extras_mode::error);
  add_options(app, parsed.config);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    // Help and version end with 0 and are no errors; the rest is told as every other failure is.
    if (error.get_exit_code() == 0) {
      parsed.exit_code = app.exit(error);
    } else {
      fmt::print(stderr, "mothd: {}\nRun mothd --help for more information.\n", error.what());
      parsed.exit_code = 2;
    }
    return parsed;
  }
  return parsed;
}

Result<HostPort> parse_host_port(std::string_view text) {
  auto colon = text.rfind(':');
  if (colon == std::string_view::npos)
    return fail(setting("listen", text, "ADDRESS:PORT, e.g. 127.0.0.1:6443"));
  auto port = parse_int(text.substr(colon + 1));
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (!port || *port < 0 || *port > 65535 || host.empty()) {
    return fail(setting("listen", text, "ADDRESS:PORT, e.g. 127.0.0.1:6443"));
  }
  return HostPort{std::string(host), static_cast<std::uint16_t>(*port)};
}

Result<std::pair<int, int>> parse_port_range(std::string_view text) {
  auto dash = text.find('-');
  auto first = parse_int(text.substr(0, dash));
  auto last = dash == std::string_view::npos ? first : parse_int(text.substr(dash + 1));
  if (!first || !last || *first < 1 || *last > 65535 || *first > *last) {
    return fail(setting("node-port-range", text, "FIRST-LAST, e.g. 30000-32767"));
  }
  return std::pair{*first, *last};
}

Result<> validate(const Config& config) {
  if (!good_instance(config.instance)) {
    return fail(setting("instance", config.instance,
                        "1 to 20 of a-z, 0-9 and '-', with a letter or digit at both ends"));
  }
  if (config.data_dir.empty() || config.data_dir.front() != '/') {
    return fail(setting("data-dir", config.data_dir, "an absolute path"));
  }
  if (!log::set_level(config.log_level)) {
    return fail(setting("log-level", config.log_level, "debug, info, warning or error"));
  }
  MOTH_TRY(parse_host_port(config.listen));
  MOTH_TRY(parse_port_range(config.node_port_range));
  MOTH_TRY(server::check_admission_plugins(config.disabled_admission_plugins));
  return {};
}

}  // namespace moth
