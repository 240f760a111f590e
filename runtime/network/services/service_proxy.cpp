#include "runtime/network/services/service_proxy.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "api/base/log.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "runtime/network/netlink/conntrack.h"
#include "runtime/network/services/loopback_listeners.h"
#include "runtime/network/services/nft.h"
#include "runtime/network/services/rules.h"

namespace moth::network {

namespace {

// Far longer than a packet takes from one hook to the next.
constexpr auto kInTransit = std::chrono::seconds(2);

RulesConfig rules_config(const NetworkConfig& config) {
  return {nft_table(config.instance), interface_prefix(config.instance), config.pod_cidr,
          config.service_cidr, config.dns_address};
}

// A UDP client that keeps its port would otherwise be sent to the former endpoint for as long as it
// talks.
Result<> forget_udp(const Transaction& transaction) {
  if (transaction.udp.empty()) return {};
  std::map<Frontend, const std::vector<SocketAddress>*> changed;
  for (const auto& [frontend, endpoints] : transaction.udp) changed[frontend] = &endpoints;
  auto stale = [&](const netlink::Flow& flow) {
    const SocketAddress& to = flow.original_destination;
    auto found = changed.find({to.ip, Protocol::kUdp, to.port});
    if (found == changed.end() && !to.ip.is_loopback())
      found = changed.find({std::nullopt, Protocol::kUdp, to.port});
    if (found == changed.end()) return false;
    for (const SocketAddress& endpoint : *found->second)
      if (endpoint == flow.reply_source) return false;
    return true;
  };
  netlink::FlowFilter filter;
  filter.protocol = Protocol::kUdp;
  filter.matches = stale;
  auto deleted = netlink::delete_flows(filter);
  if (!deleted) return fail(std::move(deleted).error());
  return {};
}

// What only the running transaction touches, on `blocking`; never two at once.
struct Kernel {
  Kernel(const NetworkConfig& config, std::unique_ptr<Nft> given)
      : table(nft_table(config.instance)),
        rules(rules_config(config)),
        nft(given ? std::move(given) : make_kernel_nft()) {}

  std::string table;
  RuleSet rules;
  std::unique_ptr<Nft> nft;
  std::set<std::string> services;
  std::chrono::steady_clock::time_point settled;
  bool unknown = true;    // the kernel's state is not that of `rules`
  bool removing = false;  // the table is to go

  Result<> write(const Transaction& transaction) {
    if (!transaction.ahead.empty()) MOTH_TRY(nft->run(transaction.ahead));
    return nft->run(transaction.text);
  }

  Result<Transaction> load_all() {
    MOTH_ASSIGN(ExistingTable existing, nft->inspect(table));
    if (existing.present && !rules_can_take_over(existing)) existing.layout.clear();
    Transaction transaction = rules.full_load(existing);
    auto loaded = write(transaction);
    if (!loaded && existing.present) {
      // Somebody changed the table by hand: start anew.
      log::warning("the service table could not be taken over and is replaced",
                   log::field("error", loaded.error().message));
      MOTH_TRY(nft->run(RuleSet::removal(table)));
      transaction = rules.full_load({});
      loaded = write(transaction);
    }
    if (!loaded) return fail(std::move(loaded).error());
    unknown = false;
    return transaction;
  }

  Result<Transaction> bring_up_to_date(bool& full) {
    if (std::exchange(removing, false)) {
      unknown = true;
      MOTH_TRY(nft->run(RuleSet::removal(table)));
      return Transaction();
    }
    if (!unknown) {
      if (auto now = std::chrono::steady_clock::now(); now - settled >= kInTransit) {
        rules.settle();
        settled = now;
      }
      Transaction transaction = rules.flush();
      if (transaction.empty()) return transaction;
      auto done = write(transaction);
      if (done) return transaction;
      log::error("a change of the service table failed; loading it as a whole",
                 log::field("error", done.error().message));
      unknown = true;
    }
    full = true;
    return load_all();
  }

  std::vector<LoopbackPort> loopback_ports() const {
    std::vector<LoopbackPort> ports;
    for (const Frontend& frontend : rules.local_frontends())
      ports.push_back({frontend.protocol, frontend.port, rules.endpoints(frontend)});
    return ports;
  }
};

}  // namespace

struct ServiceProxy::Impl : std::enable_shared_from_this<Impl> {
  using Change = std::function<void(Kernel&)>;
  struct Round {
    explicit Round(asio::any_io_executor control) : done(control) {}
    std::vector<Change> changes;
    std::optional<Result<>> result;
    Notifier done;
  };

  Impl(NetworkConfig given, Executors& all, Options options)
      : config(std::move(given)),
        executors(all),
        kernel(config, std::move(options.nft)),
        scope(all.control()),
        next(std::make_shared<Round>(all.control())) {
    if (options.loopback_listeners)
      listeners = std::make_unique<LoopbackListeners>(all.io(), options.max_loopback_connections);
  }

  NetworkConfig config;
  Executors& executors;
  Kernel kernel;
  TaskScope scope;
  std::unique_ptr<LoopbackListeners> listeners;
  std::vector<LoopbackPort> listening;
  std::shared_ptr<Round> next;
  bool running = false;
  bool stopped = false;
  Statistics statistics;

  static Task<Result<>> commit(std::shared_ptr<Impl> self, Change change);
  static Task<void> work(std::shared_ptr<Impl> self);
  static Task<void> one_round(std::shared_ptr<Impl> self, std::shared_ptr<Round> round);
};

Task<Result<>> ServiceProxy::Impl::commit(std::shared_ptr<Impl> self, Change change) {
  if (self->stopped) co_return fail(Error::unavailable("the service proxy has stopped"));
  std::shared_ptr<Round> round = self->next;
  round->changes.push_back(std::move(change));
  if (!self->running) {
    self->running = true;
    self->scope.spawn("service rules", work(self));
  }
  while (!round->result) co_await round->done.wait();
  // The notifier remembers a single notification, so each waiter passes it on.
  round->done.notify();
  co_return *round->result;
}

Task<void> ServiceProxy::Impl::work(std::shared_ptr<Impl> self) {
  while (!self->next->changes.empty()) {
    std::shared_ptr<Round> round =
        std::exchange(self->next, std::make_shared<Round>(self->executors.control()));
    co_await one_round(self, round);
  }
  self->running = false;
}

Task<void> ServiceProxy::Impl::one_round(std::shared_ptr<Impl> self, std::shared_ptr<Round> round) {
  auto began = std::chrono::steady_clock::now();
  bool full = false;
  std::vector<LoopbackPort> ports;
  std::size_t frontends = 0;
  Result<> result;
  co_await run_on(self->executors.blocking(), [&] {
    Kernel& state = self->kernel;
    for (const Change& change : round->changes) change(state);
    auto done = state.bring_up_to_date(full);
    if (!done) {
      result = fail(std::move(done).error());
      return;
    }
    if (auto forgotten = forget_udp(*done); !forgotten)
      log::warning("UDP connections of former endpoints could not be forgotten",
                   log::field("error", forgotten.error().message));
    frontends = state.rules.frontends();
    if (self->listeners) ports = state.loopback_ports();
  });
  Statistics& statistics = self->statistics;
  ++statistics.transactions;
  if (full) ++statistics.full_loads;
  if (!result) {
    ++statistics.failures;
    log::error("the service table could not be written",
               log::field("error", result.error().message));
  } else {
    statistics.frontends = frontends;
    if (self->listeners && ports != self->listening) {
      self->listening = ports;
      self->listeners->update(std::move(ports));
    }
  }
  statistics.last_milliseconds =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began).count();
  round->result = std::move(result);
  round->done.notify();
}

ServiceProxy::ServiceProxy(NetworkConfig config, Executors& executors)
    : ServiceProxy(std::move(config), executors, Options()) {}

ServiceProxy::ServiceProxy(NetworkConfig config, Executors& executors, Options options)
    : impl_(std::make_shared<Impl>(std::move(config), executors, std::move(options))) {}

ServiceProxy::~ServiceProxy() = default;

Task<Result<>> ServiceProxy::start(std::vector<ServiceSpec> services,
                                   std::vector<HostPortSpec> host_ports) {
  return Impl::commit(
      impl_, [services = std::move(services), host_ports = std::move(host_ports)](Kernel& kernel) {
        for (const ServiceSpec& service : services) {
          kernel.services.insert(service.id);
          kernel.rules.set(service);
        }
        for (const HostPortSpec& ports : host_ports) kernel.rules.set(ports);
      });
}

Task<void> ServiceProxy::stop() {
  auto impl = impl_;
  impl->stopped = true;
  // A transaction that runs is not cut short: its callers wait for it.
  co_await impl->scope.join();
  if (!impl->listeners) co_return;
  co_await asio::co_spawn(impl->executors.io(), impl->listeners->stop(), asio::use_awaitable);
}

Task<Result<>> ServiceProxy::remove() {
  return Impl::commit(impl_, [](Kernel& kernel) {
    kernel.rules.clear();
    kernel.services.clear();
    kernel.removing = true;
  });
}

Task<Result<>> ServiceProxy::set(ServiceSpec service) {
  return Impl::commit(impl_, [service = std::move(service)](Kernel& kernel) {
    kernel.services.insert(service.id);
    kernel.rules.set(service);
  });
}

Task<Result<>> ServiceProxy::set_host_ports(HostPortSpec host_ports) {
  return Impl::commit(impl_, [host_ports = std::move(host_ports)](Kernel& kernel) {
    kernel.rules.set(host_ports);
  });
}

Task<Result<>> ServiceProxy::erase(std::string id) {
  return Impl::commit(impl_, [id = std::move(id)](Kernel& kernel) {
    kernel.services.erase(id);
    kernel.rules.erase(id);
  });
}

Task<Result<>> ServiceProxy::apply(std::vector<ServiceSpec> services) {
  return Impl::commit(impl_, [services = std::move(services)](Kernel& kernel) {
    std::set<std::string> gone = std::exchange(kernel.services, {});
    for (const ServiceSpec& service : services) {
      gone.erase(service.id);
      kernel.services.insert(service.id);
      kernel.rules.set(service);
    }
    for (const std::string& id : gone) kernel.rules.erase(id);
  });
}

Task<Result<>> ServiceProxy::withdraw(Ipv4 endpoint) {
  return Impl::commit(impl_, [endpoint](Kernel& kernel) { kernel.rules.withdraw(endpoint); });
}

Task<Result<>> ServiceProxy::readmit(Ipv4 endpoint) {
  return Impl::commit(impl_, [endpoint](Kernel& kernel) { kernel.rules.readmit(endpoint); });
}

ServiceProxy::Statistics ServiceProxy::statistics() const {
  return impl_->statistics;
}

}  // namespace moth::network
