#include "ctl/cli/context.h"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "api/base/version.h"
#include "api/machinery/names.h"

namespace moth::ctl {
namespace {

constexpr const char* kDaemonKubeconfig = "/var/lib/moth/admin.kubeconfig";

KubeOverrides overrides_of(const Arguments& arguments) {
  KubeOverrides overrides;
  auto global = [&](std::string_view name) {
    return arguments.own(name) ? std::string() : arguments.text(name);
  };
  overrides.context = global("context");
  overrides.cluster = global("cluster");
  overrides.user = global("user");
  overrides.namespace_ = global("namespace");
  overrides.server = global("server");
  overrides.token = global("token");
  overrides.certificate_authority = global("certificate-authority");
  overrides.client_certificate = global("client-certificate");
  overrides.client_key = global("client-key");
  overrides.tls_server_name = global("tls-server-name");
  if (arguments.given("insecure-skip-tls-verify"))
    overrides.insecure_skip_tls_verify = arguments.flag("insecure-skip-tls-verify");
  return overrides;
}

using ExtraList = std::vector<std::pair<std::string, std::string>>;

Outcome<ExtraList> extra_of(const Arguments& arguments) {
  ExtraList extra;
  for (const std::string& text : arguments.texts("as-user-extra")) {
    auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(fmt::format("--as-user-extra \"{}\": KEY=VALUE is expected", text));
    extra.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return extra;
}

}  // namespace

const std::vector<FlagSpec>& global_flags() {
  static const std::vector<FlagSpec> flags = {
      {"as", 0, FlagKind::kText, "", "Username to impersonate for the operation."},
      {"as-group", 0, FlagKind::kTexts, "", "Group to impersonate; may be given several times."},
      {"as-uid", 0, FlagKind::kText, "", "UID to impersonate for the operation."},
      {"as-user-extra", 0, FlagKind::kTexts, "",
       "Extra of the user to impersonate, KEY=VALUE; may be given several times."},
      {"cache-dir", 0, FlagKind::kText, "", "Taken for compatibility: nothing is cached."},
      {"certificate-authority", 0, FlagKind::kText, "",
       "Path to a certificate of the authority that signed the server's."},
      {"client-certificate", 0, FlagKind::kText, "", "Path to a client certificate."},
      {"client-key", 0, FlagKind::kText, "", "Path to the client certificate's key."},
      {"cluster", 0, FlagKind::kText, "", "Name of the kubeconfig's cluster to use."},
      {"context", 0, FlagKind::kText, "", "Name of the kubeconfig's context to use."},
      {"disable-compression", 0, FlagKind::kBool, "",
       "Taken for compatibility: answers are not compressed."},
      {"help", 'h', FlagKind::kBool, "", "Help for the command.", "", true},
      {"insecure-skip-tls-verify", 0, FlagKind::kBool, "",
       "Do not check the server's certificate. This makes the connection insecure."},
      {"kubeconfig", 0, FlagKind::kText, "",
       "Path to the kubeconfig file. Without it: $KUBECONFIG, then "
       "/var/lib/moth/admin.kubeconfig, then ~/.kube/config."},
      {"kuberc", 0, FlagKind::kText, "", "Taken for compatibility: no kuberc file is read."},
      {"log-flush-frequency", 0, FlagKind::kText, "", "Taken for compatibility."},
      {"match-server-version", 0, FlagKind::kBool, "", "Taken for compatibility."},
      {"namespace", 'n', FlagKind::kText, "", "The namespace of this request."},
      {"password", 0, FlagKind::kText, "", "Password for basic authentication."},
      {"profile", 0, FlagKind::kText, "none", "Taken for compatibility."},
      {"profile-output", 0, FlagKind::kText, "profile.pprof", "Taken for compatibility."},
      {"request-timeout", 0, FlagKind::kDuration, "0",
       "How long to wait for one answer of the server (1s, 2m, 3h). Zero: for ever."},
      {"server", 's', FlagKind::kText, "", "Address and port of the API server."},
      {"tls-server-name", 0, FlagKind::kText, "",
       "Name in the server's certificate, when it is not the host's."},
      {"token", 0, FlagKind::kText, "", "Bearer token for authentication."},
      {"user", 0, FlagKind::kText, "", "Name of the kubeconfig's user to use."},
      {"username", 0, FlagKind::kText, "", "User name for basic authentication."},
      {"v", 'v', FlagKind::kInteger, "0", "From 6 on: show the requests; from 8 on: their bodies."},
      {"vmodule", 0, FlagKind::kText, "", "Taken for compatibility."},
      {"warnings-as-errors", 0, FlagKind::kBool, "",
       "Treat warnings of the server as errors: the exit code is not 0."},
  };
  return flags;
}

Context::Context(Streams streams, const Command& root, const Arguments& arguments, std::string path)
    : streams_(streams), root_(root), arguments_(arguments), path_(std::move(path)) {}
Context::~Context() = default;

void Context::write_out(std::string_view text) {
  streams_.out.write(text.data(), static_cast<std::streamsize>(text.size()));
}

void Context::write_err(std::string_view text) {
  streams_.out.flush();
  streams_.err.write(text.data(), static_cast<std::streamsize>(text.size()));
  streams_.err.flush();
}

void Context::flush() {
  streams_.out.flush();
}

std::string Context::failure_message(const Failure& failure) const {
  return failure_text(failure, server_);
}

void Context::report(const Failure& failure) {
  reported_ = true;
  write_err(failure_message(failure));
}

Outcome<> Context::carry_on(const Failure& failure) {
  if (failure.origin == Failure::Origin::kNetwork) return fail(failure);
  report(failure);
  return {};
}

tl::unexpected<Failure> Context::usage_error(std::string_view message) const {
  return refuse(fmt::format("{}\nSee '{} -h' for help and examples", message, path_));
}

std::string daemon_kubeconfig() {
  const char* environment = std::getenv("KUBECONFIG");
  bool named = environment && *environment;
  return !named && ::access(kDaemonKubeconfig, R_OK) == 0 ? kDaemonKubeconfig : "";
}

std::vector<std::string> Context::kubeconfig_files() const {
  const std::string& given = arguments_.text("kubeconfig");
  if (given.empty()) {
    if (std::string own = daemon_kubeconfig(); !own.empty()) return {own};
  }
  return kubeconfig_paths(given);
}

Outcome<Kubeconfig> Context::kubeconfig() const {
  MOTH_ASSIGN(Kubeconfig config,
              load_kubeconfig(kubeconfig_files(), arguments_.given("kubeconfig")));
  return config;
}

Outcome<Api*> Context::api() {
  if (api_) return api_.get();
  MOTH_ASSIGN(Kubeconfig config, kubeconfig());
  KubeOverrides overrides = overrides_of(arguments_);
  if (config.clusters.empty() && overrides.server.empty()) {
    return refuse(
        "there is no kubeconfig that says where the API server is. Start mothd on this machine "
        "(it writes /var/lib/moth/admin.kubeconfig; reading it takes root's rights), or name a "
        "file with --kubeconfig or $KUBECONFIG");
  }
  MOTH_ASSIGN(KubeEndpoint endpoint, resolve_endpoint(config, overrides));
  if (arguments_.given("as")) {
    endpoint.impersonate = arguments_.text("as");
    endpoint.impersonate_uid = arguments_.text("as-uid");
    endpoint.impersonate_groups = arguments_.texts("as-group");
    MOTH_ASSIGN(endpoint.impersonate_extra, extra_of(arguments_));
  }
  if (arguments_.given("username")) {
    endpoint.username = arguments_.text("username");
    endpoint.password = arguments_.text("password");
    endpoint.token.clear();
    endpoint.token_file.clear();
  }
  server_ = endpoint.server;
  client::RestOptions options;
  options.user_agent = fmt::format("moth/{} (linux) kubectl-compatible", kVersion);
  options.request_timeout = arguments_.duration("request-timeout");
  options.warn = [this](const std::string& text) {
    ++warnings_;
    warn("Warning: {}", text);
  };
  auto level = arguments_.integer("v");
  if (level >= 6) {
    options.trace = [this, level](const std::string& line) {
      if (level >= 8 || !line.starts_with("Request Body: ")) warn("{}", line);
    };
  }
  MOTH_ASSIGN(api_, Api::connect(std::move(endpoint), std::move(options)));
  return api_.get();
}

bool Context::ns_given() const {
  return arguments_.given("namespace");
}

Outcome<std::string> Context::ns() {
  if (!arguments_.text("namespace").empty()) return arguments_.text("namespace");
  MOTH_ASSIGN(Kubeconfig config, kubeconfig());
  auto context = config.contexts.find(arguments_.given("context") ? arguments_.text("context")
                                                                  : config.current_context);
  if (context != config.contexts.end() && !context->second.namespace_.empty())
    return context->second.namespace_;
  return "default";
}

}  // namespace moth::ctl
