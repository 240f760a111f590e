#include "daemon/node_stack.h"

#include <fmt/format.h>
#include <unistd.h>

#include "api/base/await_on.h"
#include "api/base/json.h"
#include "api/base/log.h"
#include "api/base/version.h"
#include "api/client/event_recorder.h"
#include "daemon/local_client.h"
#include "runtime/agent/node_agent.h"
#include "runtime/agent/node_container_factory.h"
#include "runtime/agent/node_status.h"
#include "runtime/agent/pod_manager.h"
#include "runtime/agent/probes/node_prober.h"
#include "runtime/agent/references.h"
#include "runtime/agent/resources/networking.h"
#include "runtime/agent/resources/pod_resources.h"
#include "runtime/agent/resources/pod_tokens.h"
#include "runtime/agent/service_sync.h"
#include "runtime/agent/usage_sampler.h"
#include "runtime/network/host_network.h"
#include "runtime/network/ipam.h"
#include "runtime/network/pod_network.h"
#include "runtime/network/resolv_conf.h"
#include "runtime/oci/driver.h"
#include "runtime/os/fs.h"
#include "runtime/os/kernel_features.h"
#include "runtime/os/proc.h"

namespace moth {
namespace {

// The cluster's DNS server has the tenth address of the service range, as in most clusters.
constexpr std::uint32_t kDnsAddressNumber = 10;

Result<network::NetworkConfig> network_config(const Config& config) {
  network::NetworkConfig net;
  net.instance = config.instance;
  net.run_dir = config.effective_run_dir();
  auto pods = network::Cidr::parse(config.pod_cidr);
  if (!pods) return fail(pods.error().with_context("--pod-cidr"));
  auto services = network::Cidr::parse(config.service_cidr);
  if (!services) return fail(services.error().with_context("--service-cidr"));
  net.pod_cidr = *pods;
  net.service_cidr = *services;
  net.dns_address = {net.service_cidr.base.value + kDnsAddressNumber};
  net.node_ip = network::detect_node_ip();
  net.domain = config.cluster_domain;
  MOTH_TRY(network::validate(net));
  return net;
}

std::string shim_path() {
  // Beside the daemon itself.
  std::string self(4096, '\0');
  ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
  self.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  std::string beside = self.substr(0, self.rfind('/') + 1) + "moth-shim";
  return os::exists(beside) ? beside : "moth-shim";
}

class RealNodeStack final : public NodeStack {
 public:
  RealNodeStack(const Config& config, Executors& executors, Clock& clock,
                network::NetworkConfig net, os::KernelFeatures features,
                std::unique_ptr<cgroups::Manager> groups)
      : config_(config),
        executors_(executors),
        clock_(clock),
        net_(std::move(net)),
        features_(features),
        paths_(config.data_dir, config.effective_run_dir()),
        groups_(std::move(groups)),
        network_(net_),
        ipam_(net_.pod_cidr) {
    name_ = config.node_name.empty() ? os::host_name() : config.node_name;
    host_ip_ = net_.node_ip ? net_.node_ip->text() : "127.0.0.1";
  }

  Task<Result<>> start(server::Pipeline& pipeline, LocalReader& reader) override;
  Task<Result<>> start_services() override;
  client::NodeApi* api() override { return agent_.get(); }
  std::string inner_address() const override { return net_.dns_address.text(); }
  std::string host_address() const override { return host_ip_; }
  Task<void> detach() override;
  Task<Result<>> stop_workloads() override;

 private:
  Task<Result<>> open_runtime();
  Task<Result<>> register_node();
  Task<Result<bool>> note_boot();
  void follow_references();
  Task<Result<>> remove_strangers();
  Task<Result<>> remove_stray_networks();
  Task<void> collect_images();

  Config config_;
  Executors& executors_;
  Clock& clock_;
  network::NetworkConfig net_;
  os::KernelFeatures features_;
  agent::Paths paths_;
  std::unique_ptr<cgroups::Manager> groups_;
  network::PodNetwork network_;
  network::Ipam ipam_;
  std::string name_, host_ip_;

  LocalReader* reader_ = nullptr;
  std::unique_ptr<LocalClient> client_;
  std::unique_ptr<client::ClientEventRecorder> events_;
  std::unique_ptr<oci::Driver> runtime_;
  std::unique_ptr<images::ImageService> images_;
  std::unique_ptr<agent::NodeContainerFactory> factory_;
  std::unique_ptr<agent::ProberFactory> probers_;
  std::unique_ptr<agent::PodTokens> tokens_;
  std::unique_ptr<agent::ResourceServices> resource_services_;
  agent::PodResources resources_;
  std::unique_ptr<agent::WorkerServices> services_;
  std::unique_ptr<agent::PodManager> pods_;
  agent::ReferenceIndex references_;
  std::unique_ptr<agent::UsageSampler> usage_;
  std::unique_ptr<os::FileWatcher> watcher_;
  std::unique_ptr<network::ServiceProxy> proxy_;
  std::unique_ptr<network::dns::DnsServer> dns_;
  std::unique_ptr<agent::ServiceSync> sync_;
  std::unique_ptr<agent::NodeAgent> agent_;
  std::unique_ptr<TaskScope> scope_;
  std::unique_ptr<Notifier> services_ready_;
  bool services_started_ = false;
  bool stopping_workloads_ = false;
};

Task<Result<bool>> RealNodeStack::note_boot() {
  co_return co_await call_on(executors_.blocking(), [&]() -> Result<bool> {
    MOTH_TRY(os::make_dirs(paths_.pods(), 0750));
    MOTH_TRY(os::make_dirs(paths_.logs(), 0755));
    MOTH_TRY(os::make_dirs(paths_.runtime_root(), 0711));
    MOTH_ASSIGN(std::string now, os::boot_id());
    auto before = os::read_file(paths_.boot_id());
    MOTH_TRY(os::write_file_atomic(paths_.boot_id(), now));
    return before && *before != now;
  });
}

Task<Result<>> RealNodeStack::open_runtime() {
  oci::DriverOptions options;
  options.programs = {shim_path(), config_.oci_runtime, paths_.runtime_root()};
  options.host = oci::host_facts(features_, groups_->layout());
  auto driver = oci::Driver::create(executors_, *groups_, std::move(options));
  if (!driver) co_return fail(driver.error().with_context("--oci-runtime"));
  runtime_ = *std::move(driver);
  images::ImageServiceOptions image_options;
  image_options.data_dir = config_.data_dir;
  MOTH_CO_ASSIGN(images_, images::ImageService::open(std::move(image_options), executors_,
                                                     std::make_shared<RealClock>()));
  MOTH_CO_ASSIGN(watcher_, os::FileWatcher::create(executors_.io()));
  co_return Result<>{};
}

Task<Result<>> RealNodeStack::start(server::Pipeline& pipeline, LocalReader& reader) {
  reader_ = &reader;
  scope_ = std::make_unique<TaskScope>(executors_.control());
  services_ready_ = std::make_unique<Notifier>(executors_.control());
  client_ = std::make_unique<LocalClient>(pipeline, "system:node:" + name_);
  events_ = std::make_unique<client::ClientEventRecorder>(executors_.control(), clock_, *client_,
                                                          system_random(),
                                                          client::EventSource{"kubelet", name_});
  MOTH_CO_ASSIGN(bool rebooted, co_await note_boot());
  MOTH_CO_TRY(co_await open_runtime());
  MOTH_CO_TRY(
      co_await call_on(executors_.blocking(), [&] { return network::setup_host_network(net_); }));

  agent::NodeFactoryOptions factory;
  factory.node_name = name_;
  factory.node_hostname = os::host_name();
  factory.cluster_domain = config_.cluster_domain;
  factory_ = std::make_unique<agent::NodeContainerFactory>(executors_, paths_, *images_, reader,
                                                           *events_, factory);
  probers_ = agent::make_prober_factory(executors_, clock_, *events_);
  proxy_ = std::make_unique<network::ServiceProxy>(net_, executors_);
  resource_services_ =
      std::make_unique<agent::ResourceServices>(agent::ResourceServices{executors_,
                                                                        clock_,
                                                                        paths_,
                                                                        reader,
                                                                        *events_,
                                                                        *groups_,
                                                                        network_,
                                                                        ipam_,
                                                                        *runtime_,
                                                                        config_.instance,
                                                                        name_,
                                                                        os::host_name(),
                                                                        config_.cluster_domain,
                                                                        net_.dns_address.text(),
                                                                        {}});
  tokens_ = std::make_unique<agent::PodTokens>(
      executors_.control(), clock_, *client_,
      [this](const std::set<std::string>& uids) { pods_->refresh(uids); });
  resource_services_->tokens = tokens_.get();
  resources_ = agent::make_pod_resources(*resource_services_);
  services_ = std::make_unique<agent::WorkerServices>(
      agent::WorkerServices{executors_, clock_, paths_, *client_, *events_, *runtime_, *factory_,
                            *probers_, resources_.pointers(),
                            [this](std::string ip) -> Task<Result<>> {
                              auto address = network::Ipv4::parse(ip);
                              if (!address || stopping_workloads_) co_return Result<>{};
                              while (!services_started_ && !stopping_workloads_)
                                co_await services_ready_->wait();
                              if (stopping_workloads_) co_return Result<>{};
                              co_return co_await proxy_->withdraw(*address);
                            },
                            [this](std::string ip) -> Task<Result<>> {
                              auto address = network::Ipv4::parse(ip);
                              if (!address || !services_started_) co_return Result<>{};
                              co_return co_await proxy_->readmit(*address);
                            },
                            [this](const std::string& uid, const std::string& ip) {
                              resources_.networking->reserve(uid, ip);
                            },
                            config_.instance, name_, host_ip_});
  pods_ = std::make_unique<agent::PodManager>(*services_, reader);
  factory_->process_namespace_of = [this](const std::string& uid, const std::string& container) {
    agent::PodWorker* worker = pods_->find(uid);
    auto running = worker ? worker->running(container) : nullptr;
    return running ? fmt::format("/proc/{}/ns/pid", running->started().pid) : std::string();
  };
  usage_ = std::make_unique<agent::UsageSampler>(executors_, clock_, *groups_, *pods_, name_);
  agent_ =
      std::make_unique<agent::NodeAgent>(executors_, paths_, *pods_, *images_, *usage_, *watcher_);
  MOTH_CO_TRY(co_await register_node());
  follow_references();
  MOTH_CO_TRY(co_await remove_strangers());
  MOTH_CO_TRY(co_await remove_stray_networks());
  MOTH_CO_TRY(co_await pods_->start(rebooted));
  usage_->start();
  tokens_->start();
  scope_->spawn("image garbage collection", collect_images());
  co_return Result<>{};
}

Task<Result<>> RealNodeStack::start_services() {
  network::dns::ZoneConfig zone;
  zone.domain = config_.cluster_domain;
  zone.reverse = {net_.service_cidr, net_.pod_cidr};
  zone.dns_address = net_.dns_address;
  network::dns::ServerOptions options;
  options.listen = {net_.dns_address, 53};
  auto host =
      co_await call_on(executors_.blocking(), [] { return network::read_host_resolv_conf(); });
  options.upstreams = network::dns::upstreams_from(host.nameservers, net_.dns_address);
  dns_ = std::make_unique<network::dns::DnsServer>(executors_.io(), zone, options);
  sync_ = std::make_unique<agent::ServiceSync>(executors_.control(), *reader_, *proxy_, dns_.get(),
                                               name_);
  MOTH_CO_TRY(co_await sync_->start());
  services_started_ = true;
  services_ready_->notify();
  auto listening = dns_->start();
  if (!listening) co_return fail(listening.error().with_context("cluster DNS"));
  co_return Result<>{};
}

Task<Result<>> RealNodeStack::register_node() {
  auto facts = co_await call_on(executors_.blocking(),
                                [&] { return agent::gather_node_facts(config_.data_dir); });
  facts.name = name_;
  facts.internal_ip = host_ip_;
  facts.pod_cidr = config_.pod_cidr;
  facts.version = kKubernetesVersion;
  facts.runtime_version = runtime_->version();
  auto space = facts.runtime_version.find(' ');
  if (space != std::string::npos) facts.runtime_version.replace(space, 1, "://");
  for (const auto& image : images_->list())
    facts.images.push_back({image->names, image->size_bytes});
  ObjectPtr existing = reader_->get(client::gvr::kNodes, "", name_);
  Json node = agent::build_node(facts, existing ? existing->parse() : Json(nullptr), clock_.wall());
  Json status = node["status"];
  node["metadata"].erase("resourceVersion");
  auto written = existing ? co_await client_->update(client::gvr::kNodes, "", name_, node, {})
                          : co_await client_->create(client::gvr::kNodes, "", node, {}, "");
  if (!written) co_return fail(written.error().with_context("register node " + name_));
  client::WriteOptions options;
  options.subresource = "status";
  Json updated = (*written)->parse();
  updated["status"] = std::move(status);
  updated["metadata"].erase("resourceVersion");
  auto reported =
      co_await client_->update(client::gvr::kNodes, "", name_, std::move(updated), options);
  if (!reported) co_return fail(reported.error().with_context("report node " + name_));
  co_return Result<>{};
}

// Pods are refreshed when a ConfigMap or Secret changes that they use.
void RealNodeStack::follow_references() {
  auto note_pod = [this](const client::ObjectReader::Change& change) {
    const Object& pod = change.any();
    if (!change.object) {
      references_.erase(pod.uid());
      return;
    }
    const auto& view = pod.view<resources::PodView>();
    if (view.node_name() == name_) references_.set(pod.uid(), pod.ns(), view.spec());
  };
  for (const ObjectPtr& pod : reader_->list(client::gvr::kPods, "")) note_pod({pod, nullptr});
  reader_->subscribe(client::gvr::kPods, note_pod);
  reader_->subscribe(client::gvr::kConfigMaps, [this](const client::ObjectReader::Change& change) {
    pods_->refresh(references_.users_of_config_map(change.any().ns(), change.any().name()));
  });
  reader_->subscribe(client::gvr::kSecrets, [this](const client::ObjectReader::Change& change) {
    pods_->refresh(references_.users_of_secret(change.any().ns(), change.any().name()));
  });
}

// A daemon that was killed between making a root file system and noting it leaves one that nobody
// knows.
Task<Result<>> RealNodeStack::remove_strangers() {
  auto known = co_await call_on(executors_.blocking(), [this] {
    std::set<std::string> ids;
    auto entries = os::list_dir(paths_.pods());
    if (!entries) return ids;
    for (const auto& entry : *entries) {
      auto text = os::read_file(paths_.checkpoint(entry.name));
      auto record = text ? agent::from_checkpoint(Json::parse(*text, nullptr, false))
                         : Result<agent::PodRecord>(agent::PodRecord{});
      if (!record) continue;
      for (const auto& [name, state] : record->containers) {
        if (state.attempt >= 0) ids.insert(agent::container_id(entry.name, name, state.attempt));
      }
    }
    return ids;
  });
  MOTH_CO_ASSIGN(auto snapshots, co_await images_->list_rootfs());
  for (const images::Snapshot& snapshot : snapshots) {
    if (known.contains(snapshot.id)) continue;
    log::info("removing a root file system that no container uses", log::field("id", snapshot.id));
    auto removed = co_await images_->remove_rootfs(snapshot.id);
    if (!removed)
      log::warning("a root file system is left", log::field("error", removed.error().message));
  }
  co_return Result<>{};
}

// Likewise links and namespaces of pods that this instance no longer knows.
Task<Result<>> RealNodeStack::remove_stray_networks() {
  auto removed = co_await call_on(executors_.blocking(), [this]() -> Result<std::size_t> {
    std::set<std::string> known;
    MOTH_ASSIGN(auto entries, os::list_dir(paths_.pods()));
    for (const auto& entry : entries) known.insert(entry.name);
    return network_.sweep(known);
  });
  if (!removed) co_return fail(removed.error().with_context("networks of former pods"));
  if (*removed > 0)
    log::info("removed what was left of the networks of former pods",
              log::field("count", std::to_string(*removed)));
  co_return Result<>{};
}

Task<void> RealNodeStack::collect_images() {
  for (;;) {
    co_await clock_.sleep_for(std::chrono::seconds(300));
    std::set<std::string> used;
    for (agent::PodWorker* worker : pods_->workers()) {
      for (const auto& [name, record] : worker->record().containers)
        used.insert(record.local_image_id);
    }
    images_->set_in_use(std::move(used));
    auto plan = co_await images_->collect_garbage();
    if (!plan)
      log::warning("image garbage collection failed", log::field("error", plan.error().message));
  }
}

Task<void> RealNodeStack::detach() {
  if (scope_) {
    scope_->cancel();
    co_await scope_->join();
  }
  if (sync_) co_await sync_->stop();
  if (usage_) co_await usage_->stop();
  if (tokens_) co_await tokens_->stop();
  if (pods_) co_await pods_->detach();
  if (dns_) co_await await_on(executors_.io(), dns_->stop());
  if (proxy_) co_await proxy_->stop();
  if (images_) co_await images_->stop();
  if (runtime_) co_await runtime_->stop();
  if (events_) co_await events_->stop();
  // The watcher and what is in it belong to io.
  if (watcher_) co_await call_on(executors_.io(), [this] { watcher_.reset(); });
}

Task<Result<>> RealNodeStack::stop_workloads() {
  stopping_workloads_ = true;
  services_ready_->notify();
  co_await pods_->stop_all();
  co_await runtime_->removed();
  MOTH_CO_TRY(co_await proxy_->remove());
  co_return co_await call_on(executors_.blocking(), [this]() -> Result<> {
    MOTH_TRY(network::NetnsDirectory(net_.run_dir).remove_all());
    // The kernel is still at it in the background, or waits for a connection to time out.
    MOTH_TRY(network_.sweep({}));
    MOTH_TRY(network::remove_host_network(net_));
    MOTH_TRY(groups_->remove(cgroups::root_path(config_.instance)));
    return os::remove_tree(paths_.run_dir());
  });
}

}  // namespace

Result<std::unique_ptr<NodeStack>> make_node_stack(const Config& config, Executors& executors,
                                                   Clock& clock, metrics::Registry&) {
  os::KernelFeatures features = os::detect_kernel_features();
  if (auto problems = features.problems(); !problems.empty()) {
    return fail(Error::unavailable(fmt::format(
        "this machine cannot run containers: {} (a control plane alone: --without-node)",
        fmt::join(problems, "; "))));
  }
  MOTH_ASSIGN(auto net, network_config(config));
  MOTH_ASSIGN(auto groups, cgroups::make_manager());
  return std::make_unique<RealNodeStack>(config, executors, clock, std::move(net), features,
                                         std::move(groups));
}

}  // namespace moth
