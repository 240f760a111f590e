#pragma once
// A whole API server on loopback over a store in memory, and a client that tests call like a
// function. Time stands still unless the test moves it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "api/base/await_on.h"
#include "api/base/executors.h"
#include "api/base/json.h"
#include "api/http/client.h"
#include "api/http/server.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/service_allocator.h"
#include "api/server/api_server.h"
#include "api/server/auth/bootstrap_policy.h"
#include "api/server/auth/certificate_admission.h"
#include "api/server/auth/rbac_admission.h"
#include "api/server/auth/rbac_index.h"
#include "api/server/core_answers.h"
#include "api/server/pipeline.h"
#include "api/server/reviews.h"
#include "daemon/pki/certificates.h"
#include "daemon/store/memory_backend.h"
#include "daemon/store/store.h"

namespace moth::server {

struct Answer {
  int status = 0;
  http::Headers headers;
  std::string text;
  Json json;

  std::string reason() const { return string_or(json, "reason"); }
  std::string message() const { return string_or(json, "message"); }
  // By JSON pointer; null when there is nothing.
  Json at(const std::string& pointer) const {
    Json::json_pointer where(pointer);
    return json.contains(where) ? json.at(where) : Json(nullptr);
  }
  std::string version() const {
    Json version = at("/metadata/resourceVersion");
    return version.is_string() ? version.get<std::string>() : "";
  }
};

struct LabOptions {
  std::size_t max_list_snapshots = 64;
  std::size_t ring_events = 16384;
  client::NodeApi* node = nullptr;
  std::function<Task<Result<PieceReader>>()> backup{};
  // Roles and bindings count, tokens of service accounts are issued and known, reviews answered.
  bool secured = false;
};

class ServerLab {
 public:
  explicit ServerLab(LabOptions options = {}) {
    control_thread_ = std::thread([this] { executors.run(); });
    http_client.emplace(executors.io(), executors.blocking());
    await(start(options));
    create_namespace("default");
  }
  ~ServerLab() {
    await_void(stop());
    http_client.reset();
    executors.stop();
    control_thread_.join();
  }

  Answer call(std::string method, const std::string& path, std::string body = "",
              std::vector<http::Header> headers = {}) {
    http::ClientRequest request;
    request.method = std::move(method);
    request.url = base + path;
    request.headers.set("Authorization", "Bearer " + token);
    if (!body.empty()) request.headers.set("Content-Type", "application/json");
    for (auto& header : headers) request.headers.set(header.name, header.value);
    request.body = std::move(body);
    Answer answer;
    auto response = on_io(http_client->request(std::move(request)));
    EXPECT_TRUE(response) << (response ? "" : response.error().message);
    if (!response) return answer;
    answer.status = response->status;
    answer.headers = response->headers;
    answer.text = response->whole_body();
    answer.json = Json::parse(answer.text, nullptr, false);
    return answer;
  }
  Answer get(const std::string& path, std::vector<http::Header> headers = {}) {
    return call("GET", path, "", std::move(headers));
  }
  Answer post(const std::string& path, const Json& body) { return call("POST", path, body.dump()); }
  Answer put(const std::string& path, const Json& body) { return call("PUT", path, body.dump()); }
  Answer remove(const std::string& path, const Json& body = nullptr) {
    return call("DELETE", path, body.is_null() ? "" : body.dump());
  }
  Answer patch(const std::string& path, const std::string& type, const Json& body) {
    return call("PATCH", path, body.dump(), {{"Content-Type", "application/" + type}});
  }
  Answer merge(const std::string& path, const Json& body) {
    return patch(path, "merge-patch+json", body);
  }
  void create_namespace(const std::string& name) {
    Answer made = post("/api/v1/namespaces", {{"metadata", {{"name", name}}}});
    EXPECT_EQ(made.status, 201) << made.text;
  }

  // An open watch: next() is its next event.
  class Watch {
   public:
    Watch(ServerLab& lab, http::ResponseStream stream) : lab_(lab), stream_(std::move(stream)) {}
    int status() const { return stream_.status(); }
    // Null at the end of the stream.
    Json next() {
      auto line = lab_.on_io(stream_.read_line());
      EXPECT_TRUE(line) << (line ? "" : line.error().message);
      if (!line || !*line) return nullptr;
      return Json::parse(**line, nullptr, false);
    }
    // "ADDED a", "BOOKMARK".
    std::string next_text() {
      Json event = next();
      if (event.is_null()) return "end";
      const Json* name = find_path(event, "object", "metadata", "name");
      return string_or(event, "type") + (name ? " " + name->get<std::string>() : "");
    }

   private:
    ServerLab& lab_;
    http::ResponseStream stream_;
  };
  Watch watch(const std::string& path, std::vector<http::Header> headers = {}) {
    http::ClientRequest request;
    request.url = base + path;
    request.headers.set("Authorization", "Bearer " + token);
    for (auto& header : headers) request.headers.set(header.name, header.value);
    auto stream = on_io(http_client->open(std::move(request)));
    EXPECT_TRUE(stream) << (stream ? "" : stream.error().message);
    return {*this, std::move(*stream)};
  }

  // Runs a coroutine on the io executor to its end.
  template <class T>
  T on_io(Task<T> task) {
    auto promise = std::make_shared<std::promise<T>>();
    auto future = promise->get_future();
    asio::co_spawn(executors.io(), deliver(std::move(task), promise), [](std::exception_ptr) {});
    if (future.wait_for(std::chrono::seconds(20)) != std::future_status::ready)
      throw std::runtime_error("no answer within 20 s");
    return future.get();
  }

  std::string token = "admin-token";
  std::string base;
  std::uint16_t port = 0;
  FakeClock clock;  // outlives the executors, whose end destroys those that still sleep
  Executors executors{2};
  std::unique_ptr<resources::Registry> registry;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<Pipeline> pipeline;
  std::shared_ptr<Authorizer> authorizer = std::make_shared<Authorizer>();
  std::shared_ptr<ServiceAccountTokens> tokens;
  std::unique_ptr<rbac::RbacIndex> index;
  std::unique_ptr<ApiServer> api;
  std::unique_ptr<http::Server> http;
  std::optional<http::Client> http_client;

 private:
  template <class T>
  static Task<void> deliver(Task<T> task, std::shared_ptr<std::promise<T>> promise) {
    promise->set_value(co_await std::move(task));
  }
  void await(Task<Result<>> task) {
    auto result = asio::co_spawn(executors.control(), std::move(task), asio::use_future).get();
    if (!result) throw std::runtime_error(result.error().message);
  }
  void await_void(Task<void> task) {
    asio::co_spawn(executors.io(), std::move(task), asio::use_future).get();
  }

  Task<Result<>> start(LabOptions wishes) {
    MOTH_CO_ASSIGN(registry, resources::make_registry());
    store::StoreOptions options;
    options.registry = registry.get();
    options.control = executors.control();
    options.clock = &clock;
    options.ring_events = wishes.ring_events;
    options.backend = std::make_unique<store::MemoryBackend>(std::make_shared<store::MemoryDisk>());
    MOTH_CO_ASSIGN(store, co_await store::Store::open(std::move(options)));
    AdmissionOptions steps;
    steps.more.push_back(make_rbac_escalation_check(authorizer));
    steps.more.push_back(make_certificate_admission(
        authorizer, [](const std::string&) -> Result<std::vector<std::string>> {
          return std::vector<std::string>{};
        }));
    MOTH_CO_ASSIGN(auto services,
                   make_service_allocator(*store, *registry, {"10.96.0.0/24", 30000, 30009}));
    steps.more.push_back(std::move(services));
    MOTH_CO_ASSIGN(auto admission, make_admission(*store, *registry, clock, std::move(steps)));
    auto counter = std::make_shared<std::uint64_t>(0);
    pipeline = std::make_unique<Pipeline>(
        *registry, *store, clock, [counter] { return *counter += 0x9e3779b97f4a7c15ull; },
        std::move(admission));
    answer_core_kinds(*pipeline, [] { return std::string(); });
    ApiServerOptions api_options;
    api_options.authorizer = authorizer;
    api_options.version = "v1.36.0+test";
    api_options.authenticator = Authenticator(
        {{"admin-token", {"admin", "1", {"system:masters"}}}, {"user-token", {"jo", "2", {}}}});
    api_options.liveness.push_back({"ping", [] { return std::string(); }});
    api_options.readiness.push_back({"start", [this] { return unready; }});
    api_options.build = {"0123abcd", "dirty", "2024-05-06T07:08:09Z"};
    api_options.backup = wishes.backup;
    api_options.metrics = [] { return std::string("moth_up 1\n"); };
    api_options.max_list_snapshots = wishes.max_list_snapshots;
    if (wishes.secured) {
      MOTH_CO_TRY(secure(api_options.authenticator));
      api_options.tokens = tokens;
      api_options.server_url = "https://lab";
    }
    api = std::make_unique<ApiServer>(executors, *pipeline, wishes.node, std::move(api_options));
    http = std::make_unique<http::Server>(
        executors.io(), [this](http::Exchange& exchange) { return api->handle(exchange); });
    MOTH_CO_ASSIGN(port, http->listen_tcp("127.0.0.1", 0));
    base = fmt::format("http://127.0.0.1:{}", port);
    http->start();
    co_return Result<>{};
  }
  // Over the default roles and bindings, as a daemon has them after its start.
  Result<> secure(const Authenticator& authenticator) {
    BootstrapPolicy policy = bootstrap_policy();
    auto put = [&](const char* resource, std::vector<Json>& objects) -> Result<> {
      const auto& def = *registry->find("rbac.authorization.k8s.io", "v1", resource);
      for (Json& object : objects)
        MOTH_TRY(store->stage_create(def, std::move(object), def.durability));
      return {};
    };
    MOTH_TRY(put("clusterroles", policy.cluster_roles));
    MOTH_TRY(put("clusterrolebindings", policy.cluster_role_bindings));
    index = std::make_unique<rbac::RbacIndex>(
        *store, *registry, [this](std::shared_ptr<const rbac::RbacPolicy> state) {
          authorizer->publish(std::move(state));
        });
    TokenOptions token_options;
    MOTH_ASSIGN(std::string key, pki::make_signing_key(pki::SigningKeyType::kEcP256));
    MOTH_ASSIGN(token_options.key, jwt::PrivateKey::parse(key));
    tokens = std::make_shared<ServiceAccountTokens>(executors, clock, *store, *registry,
                                                    seeded_random(7), std::move(token_options));
    answer_reviews(*pipeline,
                   {authorizer, std::make_shared<const Authenticator>(authenticator), tokens});
    return {};
  }
  Task<void> stop() {
    co_await http->stop(std::chrono::milliseconds(100));
    http.reset();
    co_await await_on(executors.control(), api->stop());
    api.reset();
    co_await call_on(executors.control(), [this] {
      pipeline.reset();
      store.reset();
    });
  }

  std::thread control_thread_;

 public:
  std::string unready;  // what readiness says; set before the server is asked
};

class ServerTest : public ::testing::Test {
 protected:
  static Json config_map(const std::string& name, Json extra = Json::object()) {
    Json map = {{"apiVersion", "v1"},
                {"kind", "ConfigMap"},
                {"metadata", {{"name", name}}},
                {"data", {{"a", "1"}}}};
    map.merge_patch(extra);
    return map;
  }
  static Json pod(const std::string& name, Json extra = Json::object()) {
    Json pod = {{"apiVersion", "v1"},
                {"kind", "Pod"},
                {"metadata", {{"name", name}}},
                {"spec", {{"containers", {{{"name", "c"}, {"image", "nginx"}}}}}}};
    pod.merge_patch(extra);
    return pod;
  }
  static Json service(const std::string& name, Json spec = Json::object()) {
    Json service = {{"apiVersion", "v1"},
                    {"kind", "Service"},
                    {"metadata", {{"name", name}}},
                    {"spec", {{"ports", {{{"port", 80}}}}}}};
    service["spec"].merge_patch(spec);
    return service;
  }
  static Json deployment(const std::string& name, int replicas = 2) {
    Json labels = {{"app", name}};
    return {{"apiVersion", "apps/v1"},
            {"kind", "Deployment"},
            {"metadata", {{"name", name}}},
            {"spec",
             {{"replicas", replicas},
              {"selector", {{"matchLabels", labels}}},
              {"template",
               {{"metadata", {{"labels", labels}}},
                {"spec", {{"containers", {{{"name", "c"}, {"image", "nginx"}}}}}}}}}}};
  }

  static constexpr const char* kMaps = "/api/v1/namespaces/default/configmaps";
  static constexpr const char* kPods = "/api/v1/namespaces/default/pods";
  static constexpr const char* kServices = "/api/v1/namespaces/default/services";
  static constexpr const char* kDeployments = "/apis/apps/v1/namespaces/default/deployments";
  static std::string at(const std::string& list, const std::string& name) {
    return list + "/" + name;
  }
};

}  // namespace moth::server
