#include "daemon/application.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "api/base/await_on.h"
#include "api/base/build_info.h"
#include "api/base/log.h"
#include "api/base/metrics.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/base/version.h"
#include "api/client/event_recorder.h"
#include "api/http/server.h"
#include "api/http/tls.h"
#include "api/machinery/names.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/service_allocator.h"
#include "api/server/api_server.h"
#include "api/server/core_answers.h"
#include "api/server/webhooks/conversion.h"
#include "api/server/webhooks/policies.h"
#include "api/server/webhooks/webhooks.h"
#include "daemon/bootstrap.h"
#include "daemon/control_plane.h"
#include "daemon/controllers/customresourcedefinition/customresourcedefinition_controller.h"
#include "daemon/directories.h"
#include "daemon/housekeeping.h"
#include "daemon/local_client.h"
#include "daemon/node_stack.h"
#include "daemon/pki/pki.h"
#include "daemon/rbac_bootstrap.h"
#include "daemon/security.h"
#include "daemon/store/store.h"
#include "runtime/os/fs.h"

namespace moth {
namespace {

Result<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return fail(Error::from_errno(errno, "open " + path));
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<server::Authenticator> make_authenticator(const Config& config) {
  if (config.token_auth_file.empty()) return server::Authenticator({});
  auto text = read_text(config.token_auth_file);
  if (!text) return fail(text.error().with_context("--token-auth-file"));
  MOTH_ASSIGN(auto tokens, server::parse_token_file(*text));
  return server::Authenticator(std::move(tokens));
}

// History for watchers, per resource: some thousand changes of pods.
constexpr std::size_t kWatchRingBytes = 2u << 20;

bool is_loopback(const std::string& host) {
  return host == "::1" || host.starts_with("127.") || host == "localhost";
}

}  // namespace

struct Application::Impl {
  explicit Impl(Config the_config)
      : config(std::move(the_config)),
        scope(executors.control()),
        stop_wanted(executors.control()) {}

  Task<Result<>> start();
  Task<void> stop();
  Task<void> main();
  Result<> claim_instance();
  Task<Result<>> start_pipeline();
  Task<Result<>> start_control_plane();
  Task<Result<>> start_api();
  Task<Result<>> start_security();
  Task<Result<>> listen_for_pods(http::TlsContextPtr tls);
  Result<pki::PkiOptions> pki_options() const;
  // Why the store is not well, "" when it is.
  std::string store_failure() const { return store->failure() ? store->failure()->message : ""; }
  Task<Result<pki::Pki>> make_pki();
  Task<Result<server::PieceReader>> backup();

  Config config;
  RealClock clock;
  metrics::Registry metrics;
  Executors executors;
  TaskScope scope;
  Notifier stop_wanted;
  HostPort address;
  std::atomic<bool> ready{false};
  int exit_code = 0;

  int backups = 0;

  os::UniqueFd instance_lock;
  std::unique_ptr<resources::Registry> registry;
  std::unique_ptr<store::Store> store;
  pki::Pki pki;
  std::unique_ptr<Security> security;  // null while workloads are stopped
  std::unique_ptr<server::RemoteAdmission> webhooks;
  std::unique_ptr<server::Pipeline> pipeline;
  std::unique_ptr<LocalReader> reader;
  std::unique_ptr<LocalClient> client;
  std::unique_ptr<ControlPlane> control_plane;
  std::unique_ptr<NodeStack> node;
  std::unique_ptr<server::ApiServer> api;
  std::unique_ptr<http::Server> http;
};

Application::Application(Config config) : impl_(std::make_unique<Impl>(std::move(config))) {}
Application::~Application() = default;

std::string Application::api_url() const {
  return fmt::format("https://{}:{}", impl_->address.host, impl_->address.port);
}

void Application::request_stop() {
  asio::post(impl_->executors.control(), [this] { impl_->stop_wanted.notify(); });
}

int Application::run() {
  asio::co_spawn(impl_->executors.control(), impl_->main(), [this](std::exception_ptr thrown) {
    if (thrown) {
      try {
        std::rethrow_exception(thrown);
      } catch (const std::exception& error) {
        log::error("the daemon ended with an exception", log::field("what", error.what()));
      }
      impl_->exit_code = 1;
    }
    impl_->executors.stop();
  });
  impl_->executors.run();
  return impl_->exit_code;
}

Task<void> Application::Impl::main() {
  asio::signal_set signals(executors.control(), SIGTERM, SIGINT);
  signals.async_wait([this](const boost::system::error_code& error, int number) {
    if (error) return;
    log::info("stopping", log::field("signal", ::strsignal(number)));
    stop_wanted.notify();
  });
  auto started = co_await start();
  if (!started) {
    log::error("mothd cannot start", log::field("error", started.error().message));
    exit_code = 1;
  } else if (!config.stop_workloads) {
    ready = true;
    log::info("ready", log::field("api", fmt::format("https://{}:{}", address.host, address.port)),
              log::field("kubeconfig", config.kubeconfig_path()),
              log::field("instance", config.instance));
    start_housekeeping(scope, executors, clock, metrics);
    co_await stop_wanted.wait();
  }
  ready = false;
  co_await stop();
  // What a start made that came to nothing. Whatever runs, of this start or of one before, has
  // files there, and its folders stay.
  if (!started && instance_lock) remove_empty_directories(config.effective_run_dir());
}

Task<Result<>> Application::Impl::start() {
  MOTH_CO_ASSIGN(address, parse_host_port(config.listen));
  MOTH_CO_TRY(make_data_dir(config.data_dir));
  MOTH_CO_TRY(claim_instance());
  MOTH_CO_ASSIGN(registry, resources::make_registry());
  MOTH_CO_TRY(co_await start_pipeline());
  if (!config.stop_workloads) MOTH_CO_TRY(co_await start_security());
  if (config.stop_workloads) {
    MOTH_CO_ASSIGN(node, make_node_stack(config, executors, clock, metrics));
    MOTH_CO_TRY(co_await node->start(*pipeline, *reader));
    co_return co_await node->stop_workloads();
  }
  MOTH_CO_TRY(co_await start_control_plane());
  MOTH_CO_TRY(co_await start_api());
  co_return Result<>{};
}

// What a node makes outside its data directory (interfaces, rules, control groups) bears the name
// of its instance: of two daemons with one name each would remove what is the other's.
Result<> Application::Impl::claim_instance() {
  if (config.without_node) return {};
  const std::string directory = config.effective_run_dir();
  if (auto made = os::make_dirs(directory); !made)
    return fail(std::move(made).error().with_context("--run-dir"));
  MOTH_ASSIGN(instance_lock, os::lock_directory(directory));
  if (instance_lock) return {};
  return fail(Error::unavailable(
      fmt::format("another daemon runs the instance {} (it holds {}); stop it, or give this one an "
                  "--instance of its own",
                  config.instance, directory)));
}

Task<Result<>> Application::Impl::start_pipeline() {
  store::StoreOptions options;
  options.data_dir = config.data_dir;
  options.registry = registry.get();
  options.control = executors.control();
  options.clock = &clock;
  options.metrics = &metrics;
  options.ring_bytes = kWatchRingBytes;
  MOTH_CO_ASSIGN(store, co_await store::Store::open(std::move(options)));
  // Behind the store's lock: one daemon at a time touches the keys.
  if (!config.stop_workloads) {
    MOTH_CO_ASSIGN(pki, co_await make_pki());
    security = std::make_unique<Security>(executors, clock, pki, config.cluster_domain);
  }

  MOTH_CO_ASSIGN(auto ports, parse_port_range(config.node_port_range));
  server::ServiceAllocatorOptions allocator{config.service_cidr, ports.first, ports.second};
  server::AdmissionOptions admission_options;
  admission_options.disabled = config.disabled_admission_plugins;
  MOTH_CO_ASSIGN(auto services, server::make_service_allocator(*store, *registry, allocator));
  if (security) admission_options.more = security->admission();
  const auto& off = config.disabled_admission_plugins;
  if (std::find(off.begin(), off.end(), "ValidatingAdmissionPolicy") == off.end())
    admission_options.more.push_back(server::make_validating_policies(*store, *registry));
  admission_options.more.push_back(std::move(services));
  MOTH_CO_ASSIGN(auto admission,
                 server::make_admission(*store, *registry, clock, std::move(admission_options)));
  pipeline = std::make_unique<server::Pipeline>(*registry, *store, clock, system_random(),
                                                std::move(admission));
  auto enabled = [&](std::string_view name) {
    return std::find(off.begin(), off.end(), name) == off.end();
  };
  server::WebhookOptions remote;
  remote.mutating = enabled("MutatingAdmissionWebhook");
  remote.validating = enabled("ValidatingAdmissionWebhook");
  webhooks = server::make_webhooks(executors.control(), executors.io(), executors.blocking(),
                                   *store, *registry, system_random(), remote);
  pipeline->use_remote(*webhooks);
  reader = std::make_unique<LocalReader>(*registry, *store);
  controllers::serve_definitions(*reader, *registry, store->revision());
  client = std::make_unique<LocalClient>(*pipeline, "system:moth");

  co_return Result<>{};
}

Task<Result<>> Application::Impl::start_security() {
  MOTH_CO_ASSIGN(server::Authenticator authenticator, make_authenticator(config));
  MOTH_CO_TRY(security->connect(*pipeline, std::move(authenticator)));
  server::answer_core_kinds(*pipeline, [this] { return store_failure(); });
  MOTH_CO_ASSIGN(std::string service_address, server::cidr_address(config.service_cidr, 1));
  MOTH_CO_TRY(
      co_await bootstrap_cluster(*client, {service_address, address.port ? address.port : 6443}));
  co_return co_await bootstrap_rbac(executors.control(), *reader, *client);
}

Task<Result<>> Application::Impl::start_control_plane() {
  control_plane = std::make_unique<ControlPlane>(executors, clock, *pipeline, *reader);
  control_plane->use_security(security->for_controllers());
  if (!config.without_node) {
    MOTH_CO_ASSIGN(node, make_node_stack(config, executors, clock, metrics));
    MOTH_CO_TRY(co_await node->start(*pipeline, *reader));
    control_plane->use_node(node->api());
  }
  control_plane->start();
  if (node) {
    co_await control_plane->endpoints_settled();
    MOTH_CO_TRY(co_await node->start_services());
  }
  co_return Result<>{};
}

Task<Result<>> Application::Impl::start_api() {
  MOTH_CO_ASSIGN(server::Authenticator authenticator, make_authenticator(config));
  server::ApiServerOptions options;
  options.version = kKubernetesVersion;
  options.build = this_build();
  options.authenticator = std::move(authenticator);
  options.authorizer = security->authorizer();
  options.tokens = security->tokens();
  options.server_url = fmt::format("https://{}:{}", address.host, address.port);
  options.liveness.push_back({"ping", [] { return std::string(); }});
  options.readiness = options.liveness;
  options.readiness.push_back({"store", [this] { return store_failure(); }});
  options.readiness.push_back(
      {"start", [this] { return ready ? std::string() : std::string("still starting"); }});
  options.metrics = [this] { return metrics.expose(); };
  options.backup = [this] { return backup(); };
  options.convert = server::make_converter(executors.io(), executors.blocking(), *store, *registry,
                                           system_random());
  api = std::make_unique<server::ApiServer>(executors, *pipeline, node ? node->api() : nullptr,
                                            std::move(options));

  http::ServerTlsConfig tls;
  tls.certificate_pem = pki.server.certificate_pem;
  tls.key_pem = pki.server.key_pem;
  tls.client_ca_pem = pki.ca.certificate_pem;
  MOTH_CO_ASSIGN(auto context, http::TlsContext::server(tls));
  http::ServerOptions serving;
  serving.stream_body = server::streams_request_body;
  http = std::make_unique<http::Server>(
      executors.io(), [this](http::Exchange& exchange) { return api->handle(exchange); }, serving);
  auto port = http->listen_tcp(address.host, address.port, context, "api");
  if (!port) co_return fail(port.error().with_context(fmt::format("--listen {}", config.listen)));
  if (address.port == 0) {
    // Only now is the port known that the kubeconfig must name.
    address.port = *port;
    MOTH_CO_TRY(co_await make_pki());
  }
  MOTH_CO_TRY(co_await listen_for_pods(context));
  http->start();
  co_return Result<>{};
}

// Pods reach the API under the address of the Service kubernetes, whose endpoint is one of the
// machine's addresses. An API that listens on loopback alone listens on the instance's own address
// besides, which is only known on this machine.
Task<Result<>> Application::Impl::listen_for_pods(http::TlsContextPtr tls) {
  std::string reachable = address.host;
  const bool everywhere = address.host == "0.0.0.0" || address.host == "::";
  if (is_loopback(address.host)) {
    reachable = node ? node->inner_address() : "";
    if (node) {
      auto port = http->listen_tcp(reachable, address.port, std::move(tls), "pods");
      if (!port) {
        co_return fail(port.error().with_context(
            fmt::format("listen for pods on {}:{}", reachable, address.port)));
      }
    }
  } else if (everywhere) {
    reachable = node ? node->host_address() : "";
  }
  if (reachable.empty() || is_loopback(reachable)) co_return Result<>{};
  co_return co_await publish_api_endpoint(*client, reachable, address.port);
}

Result<pki::PkiOptions> Application::Impl::pki_options() const {
  pki::PkiOptions wanted;
  wanted.data_dir = config.data_dir;
  wanted.cluster_domain = config.cluster_domain;
  MOTH_ASSIGN(std::string service_address, server::cidr_address(config.service_cidr, 1));
  wanted.ip_addresses.push_back(service_address);
  if (!is_loopback(address.host) && address.host != "0.0.0.0" && address.host != "::")
    wanted.ip_addresses.push_back(address.host);
  for (const std::string& name : config.advertise) {
    bool is_address = check_ip(name).empty();
    (is_address ? wanted.ip_addresses : wanted.dns_names).push_back(name);
  }
  std::string host = address.host == "0.0.0.0" ? "127.0.0.1"
                     : address.host == "::"    ? "[::1]"
                                               : address.host;
  wanted.server_url = fmt::format("https://{}:{}", host, address.port);
  return wanted;
}

Task<Result<pki::Pki>> Application::Impl::make_pki() {
  MOTH_CO_ASSIGN(const pki::PkiOptions wanted, pki_options());
  co_return co_await call_on(executors.blocking(),
                             [&] { return pki::ensure_pki(wanted, clock.wall()); });
}

// The copy lies in the data directory without a name until the last of its reader is gone.
Task<Result<server::PieceReader>> Application::Impl::backup() {
  const std::string path = fmt::format("{}/backup-{}.db", config.data_dir, ++backups);
  std::error_code ignored;
  std::filesystem::remove(path, ignored);  // of a daemon that was killed meanwhile
  MOTH_CO_TRY(co_await store->backup(path));
  auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  bool opened = file->is_open();
  int code = errno;
  std::filesystem::remove(path, ignored);
  if (!opened) co_return fail(Error::from_errno(code, "open " + path));
  co_return [file]() -> Result<std::string> {
    constexpr std::size_t kPiece = 256 * 1024;
    std::string piece(kPiece, '\0');
    file->read(piece.data(), static_cast<std::streamsize>(piece.size()));
    if (file->bad()) return fail(Error::of(Reason::kInternalError, "the copy cannot be read"));
    piece.resize(static_cast<std::size_t>(file->gcount()));
    return piece;
  };
}

Task<void> Application::Impl::stop() {
  if (http) co_await await_on(executors.io(), http->stop());
  if (api) co_await api->stop();
  if (control_plane) co_await control_plane->stop();
  if (node) co_await node->detach();
  scope.cancel();
  co_await scope.join();
  if (store) {
    if (auto closed = co_await store->close(); !closed) {
      log::error("the store did not close cleanly", log::field("error", closed.error().message));
      exit_code = 1;
    }
  }
}

}  // namespace moth
