// What the store does in a second, on the disk that holds the directory given (or the temporary
// directory): durable creates with 1, 16 and 64 writers, lazy updates, the load of 10,000 objects,
// a list of them, and the fan-out of one change to 1,000 watchers.
//
//   store_bench [directory]
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/clock.h"
#include "api/base/json.h"
#include "daemon/store/store.h"

namespace moth::store {
namespace {

using resources::Durability;

struct Bench {
  std::string dir;
  resources::Registry registry;
  const resources::ResourceDef* pods = nullptr;
  RealClock clock;
  asio::io_context context;
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  std::unique_ptr<Store> store;

  explicit Bench(std::string directory) : dir(std::move(directory)) {
    resources::ResourceDef def;
    def.version = "v1";
    def.resource = "pods";
    def.kind = "Pod";
    pods = *registry.add(std::move(def));
    if (!registry.seal()) std::abort();
  }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    asio::co_spawn(context, std::move(task), [&](std::exception_ptr thrown, T value) {
      if (thrown) std::rethrow_exception(thrown);
      result.emplace(std::move(value));
    });
    while (!result) context.run_one();
    return std::move(*result);
  }

  void open() {
    StoreOptions options;
    options.data_dir = dir;
    options.registry = &registry;
    options.control = context.get_executor();
    options.clock = &clock;
    auto opened = run(Store::open(std::move(options)));
    if (!opened) {
      fmt::print(stderr, "{}\n", opened.error().message);
      std::exit(1);
    }
    store = std::move(*opened);
  }
};

double seconds_since(MonoTime start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// About 3 KB, as a pod with managedFields and status is.
Json make_pod(const std::string& name, int value) {
  Json containers = Json::array();
  for (int i = 0; i < 4; ++i) {
    containers.push_back({{"name", "c" + std::to_string(i)},
                          {"image", "registry.example.com/team/app:1.2.3"},
                          {"env", {{{"name", "A"}, {"value", std::string(200, 'x')}}}},
                          {"resources", {{"limits", {{"cpu", "1"}, {"memory", "1Gi"}}}}}});
  }
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"name", name},
            {"namespace", "default"},
            {"uid", "4d6f7468-0000-0000-0000-000000000000"},
            {"creationTimestamp", "2025-01-02T03:04:05Z"},
            {"labels", {{"app", "web"}, {"tier", "front"}}},
            {"managedFields", {{{"manager", "bench"}, {"fieldsV1", std::string(800, 'f')}}}}}},
          {"spec", {{"containers", containers}, {"value", value}}},
          {"status", {{"phase", "Running"}, {"message", std::string(400, 's')}}}};
}

Task<void> write_some(Bench& bench, std::string prefix, int count, Durability durability,
                      bool create, int& left) {
  for (int i = 0; i < count; ++i) {
    std::string name = prefix + (create ? std::to_string(i) : "");
    ObjectPtr latest = bench.store->latest(*bench.pods, "default", name);
    auto staged =
        latest ? bench.store->stage_update(*bench.pods, make_pod(name, i), latest, durability)
               : bench.store->stage_create(*bench.pods, make_pod(name, i), durability);
    if (!staged || !co_await (*staged)->committed()) std::abort();
  }
  --left;
}

std::uint64_t written_bytes() {
  std::ifstream io("/proc/self/io");
  std::string key;
  std::uint64_t value = 0;
  while (io >> key >> value) {
    if (key == "write_bytes:") return value;
  }
  return 0;
}

void writes(Bench& bench, const char* what, int writers, int each, Durability durability,
            bool create) {
  int left = writers;
  std::uint64_t before = written_bytes();
  MonoTime start = std::chrono::steady_clock::now();
  for (int i = 0; i < writers; ++i) {
    asio::co_spawn(bench.context,
                   write_some(bench, fmt::format("{}-{}-{}-", what, writers, i), each, durability,
                              create, left),
                   asio::detached);
  }
  while (left > 0) bench.context.run_one();
  double seconds = seconds_since(start);
  int total = writers * each;
  fmt::print("{:<16} {:>3} writers: {:>9.0f} /s  {:>6.2f} ms each  {:>6.1f} KB written each\n",
             what, writers, total / seconds, 1e3 * seconds * writers / total,
             static_cast<double>(written_bytes() - before) / 1e3 / total);
}

Task<void> watch_one(std::unique_ptr<server::StoreWatch> watch, int rounds,
                     std::vector<double>& latencies, MonoTime& start) {
  for (int round = 0; round < rounds; ++round) {
    auto events = co_await watch->next(MonoTime::max());
    if (!events) co_return;
    latencies.push_back(1e3 * seconds_since(start));
  }
}

void fan_out(Bench& bench, int watchers, int rounds) {
  std::vector<double> latencies;
  MonoTime start;
  for (int i = 0; i < watchers; ++i) {
    auto watch = bench.store->watch(*bench.pods, bench.store->revision());
    asio::co_spawn(bench.context, watch_one(std::move(*watch), rounds, latencies, start),
                   asio::detached);
  }
  bench.context.poll();
  for (int round = 0; round < rounds; ++round) {
    start = std::chrono::steady_clock::now();
    auto latest = bench.store->latest(*bench.pods, "default", "fan");
    auto staged =
        latest ? bench.store->stage_update(*bench.pods, make_pod("fan", round + 1), latest,
                                           Durability::kDurable)
               : bench.store->stage_create(*bench.pods, make_pod("fan", 0), Durability::kDurable);
    if (!staged) std::abort();
    auto expected = static_cast<std::size_t>(watchers * (round + 1));
    while (latencies.size() < expected) bench.context.run_one();
  }
  std::sort(latencies.begin(), latencies.end());
  fmt::print("{:<16} {:>4} watchers, write to delivery: p50 {:.2f} ms, p99 {:.2f} ms\n", "fan-out",
             watchers, latencies[latencies.size() / 2], latencies[latencies.size() * 99 / 100]);
}

void restart(Bench& bench) {
  for (bool clean : {false, true}) {
    if (clean && !bench.run(bench.store->close())) std::abort();
    bench.store.reset();
    MonoTime start = std::chrono::steady_clock::now();
    bench.open();
    fmt::print("{:<16} {} objects after a {}: {:.1f} ms\n", "load", bench.store->count(*bench.pods),
               clean ? "clean stop" : "crash", 1e3 * seconds_since(start));
  }
  MonoTime start = std::chrono::steady_clock::now();
  std::size_t bytes = 0;
  for (const ObjectPtr& object : bench.store->list(*bench.pods, "").objects) {
    bytes += object->text().size();
  }
  fmt::print("{:<16} {} objects, {} bytes: {:.2f} ms\n", "list", bench.store->count(*bench.pods),
             bytes, 1e3 * seconds_since(start));
}

}  // namespace
}  // namespace moth::store

int main(int argc, char** argv) {
  std::string base = argc > 1 ? argv[1] : std::filesystem::temp_directory_path().string();
  std::string dir = fmt::format("{}/moth-store-bench-{}", base, ::getpid());
  {
    using namespace moth::store;  // NOLINT: the program's own namespace
    Bench bench(dir);
    bench.open();
    fmt::print("objects of {} bytes in {}\n", make_pod("x", 0).dump().size(), dir);
    writes(bench, "durable create", 1, 1500, Durability::kDurable, true);
    writes(bench, "durable create", 16, 200, Durability::kDurable, true);
    writes(bench, "durable create", 64, 83, Durability::kDurable, true);
    writes(bench, "durable update", 1, 1500, Durability::kDurable, false);
    writes(bench, "durable update", 64, 100, Durability::kDurable, false);
    writes(bench, "lazy update", 1, 10000, Durability::kLazy, false);
    restart(bench);
    fan_out(bench, 1000, 20);
    if (!bench.run(bench.store->close())) return 1;
    bench.store.reset();
  }
  std::filesystem::remove_all(dir);
  return 0;
}
