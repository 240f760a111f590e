// Times of the service table at a given number of services, and of a pod's network, in a network
// namespace of its own. Usage: network_rules_bench [services] [endpoints per service]. Needs root.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

#include "runtime/network/pod_network.h"
#include "runtime/network/services/nft.h"
#include "runtime/network/services/rules.h"

namespace {

using namespace moth;
using namespace moth::network;

constexpr int kRepetitions = 200;

double milliseconds(const std::function<void()>& work) {
  auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
      .count();
}

void report(const char* what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  fmt::print("{:<42} median {:8.3f} ms   p99 {:8.3f} ms   max {:8.3f} ms   n {}\n", what,
             times[times.size() / 2], times[times.size() * 99 / 100], times.back(), times.size());
}

long pss_kilobytes() {
  std::ifstream file("/proc/self/smaps_rollup");
  std::string word;
  long value = 0;
  while (file >> word)
    if (word == "Pss:") {
      file >> value;
      break;
    }
  return value;
}

ServiceSpec service(const RulesConfig& config, int number, int endpoints) {
  ServiceSpec spec;
  spec.id = fmt::format("bench/service-{}", number);
  spec.cluster_ip = Ipv4{config.service_cidr.base.value + 100 + static_cast<std::uint32_t>(number)};
  ServicePortSpec port;
  port.port = 80;
  for (int i = 0; i < endpoints; ++i)
    port.endpoints.push_back(
        {Ipv4{config.pod_cidr.base.value + 2 + static_cast<std::uint32_t>(number * 8 + i)}, 8080});
  spec.ports = {port};
  return spec;
}

Result<> rules_bench(int services, int endpoints) {
  RulesConfig config{"moth_bench", "mbnch", *Cidr::parse("10.128.0.0/12"),
                     *Cidr::parse("10.96.0.0/12"), Ipv4::of(10, 96, 0, 10)};
  RuleSet rules(config);
  auto nft = make_kernel_nft();
  for (int i = 0; i < services; ++i) rules.set(service(config, i, endpoints));
  for (const char* what : {"full load, empty kernel", "full load, taking over"}) {
    MOTH_ASSIGN(ExistingTable existing, nft->inspect(config.table));
    Transaction transaction;
    report((std::string(what) + ": plan").c_str(),
           {milliseconds([&] { transaction = rules.full_load(existing); })});
    Result<> loaded;
    report(what, {milliseconds([&] { loaded = nft->run(transaction.text); })});
    MOTH_TRY(loaded);
  }
  fmt::print("PSS after loading: {} kB\n", pss_kilobytes());
  std::vector<double> plans, changes;
  for (int i = 0; i < kRepetitions; ++i) {
    Transaction transaction;
    plans.push_back(milliseconds([&] {
      rules.set(service(config, i % 7, endpoints - (i / 7) % 2));
      transaction = rules.flush();
    }));
    if (transaction.empty()) continue;
    Result<> done;
    changes.push_back(milliseconds([&] { done = nft->run(transaction.ahead + transaction.text); }));
    MOTH_TRY(done);
  }
  report("one endpoint more or less: plan", plans);
  report("one endpoint more or less: kernel", changes);
  return nft->run(RuleSet::removal(config.table));
}

Result<> pods_bench() {
  NetworkConfig config;
  config.instance = fmt::format("bench-{}", ::getpid());
  config.run_dir = "/run/moth-" + config.instance;
  config.pod_cidr = *Cidr::parse("10.244.0.0/16");
  config.service_cidr = *Cidr::parse("10.96.0.0/16");
  config.dns_address = Ipv4::of(10, 96, 0, 10);
  MOTH_TRY(setup_host_network(config));
  PodNetwork pods(config);
  std::vector<double> attaches, detaches;
  Result<> failed;
  for (int i = 0; i < kRepetitions; ++i) {
    std::string uid = fmt::format("{:08x}-bench-{}", i, i);
    Ipv4 ip{config.pod_cidr.base.value + 10 + static_cast<std::uint32_t>(i)};
    attaches.push_back(milliseconds([&] {
      auto attached = pods.attach(uid, ip);
      if (!attached) failed = fail(std::move(attached).error());
    }));
  }
  for (int i = 0; i < kRepetitions; ++i) {
    std::string uid = fmt::format("{:08x}-bench-{}", i, i);
    Ipv4 ip{config.pod_cidr.base.value + 10 + static_cast<std::uint32_t>(i)};
    detaches.push_back(milliseconds([&] { (void)pods.detach(uid, ip); }));
  }
  report("pod network: attach", attaches);
  report("pod network: detach", detaches);
  MOTH_TRY(NetnsDirectory(config.run_dir).remove_all());
  std::filesystem::remove(config.run_dir);
  return failed;
}

}  // namespace

int main(int argc, char** argv) {
  int services = argc > 1 ? std::atoi(argv[1]) : 5000;
  int endpoints = argc > 2 ? std::atoi(argv[2]) : 3;
  if (services < 10 || services > 100000 || endpoints < 2 || endpoints > 8) {
    fmt::print(stderr, "usage: network_rules_bench [services 10..100000] [endpoints 2..8]\n");
    return 2;
  }
  auto done = run_in_new_netns([&]() -> Result<> {
    MOTH_TRY(rules_bench(services, endpoints));
    return pods_bench();
  });
  if (!done) {
    fmt::print(stderr, "{}\n", done.error().message);
    return 1;
  }
  return 0;
}
