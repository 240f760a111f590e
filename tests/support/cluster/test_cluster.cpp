#include "tests/support/cluster/test_cluster.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "api/base/log.h"
#include "api/client/event_recorder.h"
#include "api/machinery/time.h"
#include "api/machinery/yaml.h"
#include "api/server/admission/builtin.h"
#include "api/server/admission/service_allocator.h"
#include "api/server/pipeline.h"
#include "daemon/local_client.h"
#include "daemon/store/memory_backend.h"
#include "daemon/store/store.h"
#include "scheduler/scheduler.h"

namespace moth::test {

namespace {

constexpr auto kRealLimit = std::chrono::seconds(20);
// A controller that never comes to rest is a bug and not a slow test.
constexpr int kMaxRounds = 20'000;

[[noreturn]] void give_up(const std::string& why) {
  ADD_FAILURE() << why;
  std::abort();
}

}  // namespace

struct TestCluster::Impl {
  explicit Impl(ClusterOptions the_options)
      : options(std::move(the_options)), work(context.get_executor()) {}

  asio::any_io_executor executor() { return context.get_executor(); }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    std::exception_ptr thrown;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr error, T value) {
      thrown = error;
      if (!error) result.emplace(std::move(value));
    });
    auto deadline = std::chrono::steady_clock::now() + kRealLimit;
    while (!result && !thrown && std::chrono::steady_clock::now() < deadline) {
      context.run_one_for(std::chrono::milliseconds(50));
    }
    if (thrown) std::rethrow_exception(thrown);
    if (!result) give_up("a task did not end in time");
    return std::move(*result);
  }
  void run_void(Task<void> task) { (void)run(with_result(std::move(task))); }
  static Task<bool> with_result(Task<void> task) {
    co_await std::move(task);
    co_return true;
  }

  void open();
  void make_namespace(const std::string& name);
  void make_node();
  bool idle() const {
    return std::all_of(runners.begin(), runners.end(),
                       [](const auto& runner) { return runner->queue().idle(); });
  }

  ClusterOptions options;
  FakeClock clock;
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work;
  std::unique_ptr<resources::Registry> registry;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<server::Pipeline> pipeline;
  std::unique_ptr<LocalReader> reader;
  std::unique_ptr<LocalClient> client;
  std::unique_ptr<client::ClientEventRecorder> events;
  std::vector<std::unique_ptr<controllers::ControllerRunner>> runners;
  controllers::ControllerRunner* node = nullptr;
  std::unique_ptr<scheduler::Scheduler> scheduler;
  std::shared_ptr<BehaviourOf> behaviour = std::make_shared<BehaviourOf>();
};

void TestCluster::Impl::open() {
  auto made = resources::make_registry();
  if (!made) give_up(made.error().message);
  registry = std::move(*made);
  store::StoreOptions store_options;
  store_options.registry = registry.get();
  store_options.control = executor();
  store_options.clock = &clock;
  store_options.backend =
      std::make_unique<store::MemoryBackend>(std::make_shared<store::MemoryDisk>());
  auto opened = run(store::Store::open(std::move(store_options)));
  if (!opened) give_up(opened.error().message);
  store = std::move(*opened);

  server::AdmissionOptions admission_options;
  auto services = server::make_service_allocator(*store, *registry, {});
  if (!services) give_up(services.error().message);
  admission_options.more.push_back(std::move(*services));
  auto admission = server::make_admission(*store, *registry, clock, std::move(admission_options));
  if (!admission) give_up(admission.error().message);
  pipeline = std::make_unique<server::Pipeline>(*registry, *store, clock, seeded_random(1),
                                                std::move(*admission));
  reader = std::make_unique<LocalReader>(*registry, *store);
  client = std::make_unique<LocalClient>(*pipeline, "system:test");
  events = std::make_unique<client::ClientEventRecorder>(
      executor(), clock, *client, seeded_random(2), client::EventSource{"test-cluster", ""});
}

void TestCluster::Impl::make_namespace(const std::string& name) {
  Json object = {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", name}}}};
  auto created = run(client->create(client::gvr::kNamespaces, "", std::move(object), {}, ""));
  if (!created) give_up(created.error().message);
}

void TestCluster::Impl::make_node() {
  Json amounts = {{"cpu", options.node_cpu},
                  {"memory", options.node_memory},
                  {"pods", options.node_pods},
                  {"ephemeral-storage", "1Ti"}};
  Json object = {
      {"apiVersion", "v1"},
      {"kind", "Node"},
      {"metadata", {{"name", kNodeName}, {"labels", {{"kubernetes.io/hostname", kNodeName}}}}}};
  auto created = run(client->create(client::gvr::kNodes, "", object, {}, ""));
  if (!created) give_up(created.error().message);
  object = (*created)->parse();
  object["status"] = {{"capacity", amounts},
                      {"allocatable", amounts},
                      {"conditions", Json::array({{{"type", "Ready"},
                                                   {"status", "True"},
                                                   {"reason", "KubeletReady"},
                                                   {"message", "ready"}}})}};
  client::WriteOptions write;
  write.subresource = "status";
  auto ready = run(client->update(client::gvr::kNodes, "", kNodeName, std::move(object), write));
  if (!ready) give_up(ready.error().message);
}

TestCluster::TestCluster(ClusterOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {
  log::set_level(log::Level::kError);
  impl_->open();
  for (const char* name : {"default", "kube-system"}) impl_->make_namespace(name);
  impl_->make_node();
  if (impl_->options.with_node) {
    add([this](controllers::ControllerContext context) {
      return make_fake_node(context, kNodeName, impl_->behaviour);
    });
    impl_->node = impl_->runners.back().get();
  }
}

TestCluster::~TestCluster() {
  for (auto& runner : impl_->runners) impl_->run_void(runner->stop());
  if (impl_->scheduler) impl_->run_void(impl_->scheduler->stop());
  impl_->run_void(impl_->events->stop());
  (void)impl_->run(impl_->store->close());
}

void TestCluster::add(const MakeController& make) {
  controllers::ControllerContext context{impl_->executor(), impl_->clock,   *impl_->reader,
                                         *impl_->reader,    *impl_->client, *impl_->events};
  impl_->runners.push_back(std::make_unique<controllers::ControllerRunner>(
      impl_->executor(), impl_->clock, make(context)));
}

void TestCluster::start() {
  if (impl_->options.with_scheduler) {
    impl_->scheduler = std::make_unique<scheduler::Scheduler>(
        impl_->executor(), impl_->clock, *impl_->reader, *impl_->client, *impl_->events);
    impl_->scheduler->start();
  }
  for (auto& runner : impl_->runners) runner->start();
  settle();
}

ObjectPtr TestCluster::apply(std::string_view yaml) {
  auto documents = parse_yaml_documents(yaml);
  if (!documents) {
    ADD_FAILURE() << documents.error().message;
    return nullptr;
  }
  ObjectPtr last;
  for (YamlDocument& document : *documents) {
    Json& object = document.value;
    Gvk kind = Gvk::of(string_or(object, "apiVersion"), string_or(object, "kind"));
    const resources::ResourceDef* def = impl_->registry->find_kind(kind);
    if (!def) {
      ADD_FAILURE() << "no such kind: " << kind.kind;
      return nullptr;
    }
    std::string name = string_or(object["metadata"], "name");
    std::string ns =
        def->namespaced ? string_or(object["metadata"], "namespace", "default") : std::string();
    auto written = impl_->reader->get(def->gvr(), ns, name)
                       ? impl_->run(impl_->client->patch(def->gvr(), ns, name,
                                                         client::PatchType::kStrategic, object, {}))
                       : impl_->run(impl_->client->create(def->gvr(), ns, object, {}, ""));
    if (!written) {
      ADD_FAILURE() << kind.kind << " " << name << ": " << written.error().message;
      return nullptr;
    }
    last = *written;
  }
  return last;
}

Result<ObjectPtr> TestCluster::create(const Gvr& gvr, const std::string& ns, Json object) {
  return impl_->run(impl_->client->create(gvr, ns, std::move(object), {}, ""));
}

Result<ObjectPtr> TestCluster::patch(const Gvr& gvr, const std::string& ns, const std::string& name,
                                     Json patch, const std::string& subresource) {
  client::WriteOptions options;
  options.subresource = subresource;
  return impl_->run(
      impl_->client->patch(gvr, ns, name, client::PatchType::kMerge, std::move(patch), options));
}

Result<> TestCluster::remove(const Gvr& gvr, const std::string& ns, const std::string& name,
                             client::DeleteOptions options) {
  auto removed = impl_->run(impl_->client->remove(gvr, ns, name, std::move(options)));
  if (!removed) return fail(removed.error());
  return {};
}

Result<> TestCluster::scale(const Gvr& gvr, const std::string& ns, const std::string& name,
                            int replicas) {
  auto scaled = patch(gvr, ns, name, {{"spec", {{"replicas", replicas}}}}, "scale");
  if (!scaled) return fail(scaled.error());
  return {};
}

ObjectPtr TestCluster::get(const Gvr& gvr, const std::string& ns, const std::string& name) const {
  return impl_->reader->get(gvr, ns, name);
}

std::vector<ObjectPtr> TestCluster::list(const Gvr& gvr, const std::string& ns) const {
  return impl_->reader->list(gvr, ns);
}

Json TestCluster::field(const Gvr& gvr, const std::string& ns, const std::string& name,
                        const std::string& pointer) const {
  ObjectPtr object = get(gvr, ns, name);
  if (!object) return nullptr;
  const Json json = object->parse();
  Json::json_pointer where(pointer);
  return json.contains(where) ? json.at(where) : Json(nullptr);
}

std::vector<std::string> TestCluster::events(const std::string& kind,
                                             const std::string& name) const {
  std::vector<std::pair<std::uint64_t, std::string>> found;
  for (const ObjectPtr& event : list(client::gvr::kEvents)) {
    const Json json = event->parse();
    const Json& about = json["involvedObject"];
    if (string_or(about, "kind") != kind || string_or(about, "name") != name) continue;
    found.emplace_back(event->meta().resource_version,
                       string_or(json, "reason") + ": " + string_or(json, "message"));
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> texts;
  for (auto& [revision, text] : found) texts.push_back(std::move(text));
  return texts;
}

void TestCluster::set_behaviour(BehaviourOf behaviour) {
  *impl_->behaviour = std::move(behaviour);
  if (!impl_->node) return;
  for (const ObjectPtr& pod : list(client::gvr::kPods)) {
    impl_->node->queue().add({pod->ns(), pod->name()});
  }
}

// Commits happen on a thread of the store's own. flush() completes behind everything that was
// staged before it, so two rounds in which nothing was published and nobody worked mean that
// nothing is under way.
void TestCluster::settle() {
  int quiet = 0;
  for (int round = 0; quiet < 2; ++round) {
    if (round == kMaxRounds) give_up("the cluster does not come to rest");
    std::uint64_t before = impl_->store->revision();
    auto flushed = impl_->run(impl_->store->flush());
    if (!flushed) give_up(flushed.error().message);
    while (impl_->context.poll() > 0) {
    }
    quiet = impl_->store->revision() == before && impl_->idle() ? quiet + 1 : 0;
  }
}

bool TestCluster::wait_until(const std::function<bool()>& condition, Duration limit) {
  MonoTime end = impl_->clock.mono() + limit;
  settle();
  while (!condition()) {
    MonoTime next = impl_->clock.next_deadline();
    if (next > end) return false;
    impl_->clock.advance(std::max(next - impl_->clock.mono(), Duration::zero()));
    settle();
  }
  return true;
}

void TestCluster::advance(Duration duration) {
  MonoTime end = impl_->clock.mono() + duration;
  settle();
  while (impl_->clock.mono() < end) {
    MonoTime next = std::min(end, impl_->clock.next_deadline());
    impl_->clock.advance(std::max(next - impl_->clock.mono(), Duration::zero()));
    settle();
  }
}

FakeClock& TestCluster::clock() {
  return impl_->clock;
}
client::ObjectReader& TestCluster::reader() {
  return *impl_->reader;
}
resources::Registry& TestCluster::registry() {
  return *impl_->registry;
}
std::uint64_t TestCluster::revision() const {
  return impl_->store->revision();
}
client::ObjectClient& TestCluster::client() {
  return *impl_->client;
}
Result<ObjectPtr> TestCluster::run(Task<Result<ObjectPtr>> task) {
  return impl_->run(std::move(task));
}

}  // namespace moth::test
