// What managedFields cost: 1,000 status updates of a pod of some 3 KB through the pipeline, as the
// node makes them, with and without tracking; and the bytes that they add to the object.
#include <fmt/format.h>
#include <time.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include "api/base/json.h"
#include "api/server/pipeline.h"
#include "daemon/store/memory_backend.h"
#include "daemon/store/store.h"

using namespace moth;

namespace {

constexpr int kUpdates = 1000;

double cpu_seconds() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

Json pod(const std::string& name) {
  Json env = Json::array();
  for (int i = 0; i < 8; ++i) {
    env.push_back({{"name", fmt::format("SETTING_{}", i)}, {"value", "some value of a setting"}});
  }
  Json probe = {{"httpGet", {{"path", "/healthz"}, {"port", 8080}}}, {"periodSeconds", 5}};
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata",
           {{"name", name}, {"labels", {{"app", "web"}, {"pod-template-hash", "5d59d67564"}}}}},
          {"spec",
           {{"nodeName", "node"},
            {"serviceAccountName", "default"},
            {"volumes", {{{"name", "config"}, {"configMap", {{"name", "web"}}}}}},
            {"containers",
             {{{"name", "web"},
               {"image", "registry.example.com/team/web:1.2.3"},
               {"env", env},
               {"ports", {{{"containerPort", 8080}, {"name", "http"}}}},
               {"readinessProbe", probe},
               {"livenessProbe", probe},
               {"resources",
                {{"limits", {{"cpu", "500m"}, {"memory", "256Mi"}}},
                 {"requests", {{"cpu", "100m"}, {"memory", "64Mi"}}}}},
               {"volumeMounts", {{{"name", "config"}, {"mountPath", "/etc/web"}}}}}}}}}};
}

Json status(int round) {
  std::string time = fmt::format("2026-01-01T00:{:02}:{:02}Z", round / 60 % 60, round % 60);
  bool ready = round % 2 == 0;
  Json conditions = Json::array();
  for (const char* type :
       {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"}) {
    conditions.push_back({{"type", type},
                          {"status", ready ? "True" : "False"},
                          {"lastProbeTime", nullptr},
                          {"lastTransitionTime", time}});
  }
  return {{"phase", "Running"},
          {"podIP", "10.42.0.7"},
          {"podIPs", {{{"ip", "10.42.0.7"}}}},
          {"hostIP", "192.0.2.1"},
          {"hostIPs", {{{"ip", "192.0.2.1"}}}},
          {"startTime", "2026-01-01T00:00:00Z"},
          {"qosClass", "Burstable"},
          {"conditions", conditions},
          {"containerStatuses",
           {{{"name", "web"},
             {"image", "registry.example.com/team/web:1.2.3"},
             {"imageID", "registry.example.com/team/web@sha256:0123456789abcdef0123456789abcdef"},
             {"containerID", "moth://0123456789abcdef0123456789abcdef0123456789abcdef"},
             {"ready", ready},
             {"started", true},
             {"restartCount", round},
             {"state", {{"running", {{"startedAt", time}}}}},
             {"lastState", Json::object()}}}}};
}

Task<Result<>> run(asio::io_context& loop) {
  MOTH_CO_ASSIGN(auto registry, resources::make_registry());
  RealClock clock;
  store::StoreOptions options;
  options.registry = registry.get();
  options.control = loop.get_executor();
  options.clock = &clock;
  options.backend = std::make_unique<store::MemoryBackend>(std::make_shared<store::MemoryDisk>());
  MOTH_CO_ASSIGN(auto store, co_await store::Store::open(std::move(options)));
  std::uint64_t seed = 1;
  server::Pipeline pipeline(*registry, *store, clock,
                            [&seed] { return seed += 0x9e3779b97f4a7c15ull; }, {});
  const resources::ResourceDef* pods = registry->find("", "v1", "pods");
  for (bool tracked : {false, true, false, true}) {
    server::RequestContext context;
    context.field_manager = "kubelet";
    std::string name = fmt::format("pod-{}", seed % 1000000);
    MOTH_CO_ASSIGN(auto made,
                   co_await pipeline.create({pods, "default", name, ""}, pod(name), context));
    if (!tracked) {
      Json untracked = made.object->parse();
      untracked["metadata"]["managedFields"] = Json::array({Json::object()});
      MOTH_CO_TRY(
          co_await pipeline.update({pods, "default", name, ""}, std::move(untracked), context));
    }
    double began = cpu_seconds();
    std::size_t bytes = 0;
    for (int i = 0; i < kUpdates; ++i) {
      Json object = *store->get(*pods, "default", name)->dom();
      object["status"] = status(i);
      object["metadata"].erase("resourceVersion");
      MOTH_CO_ASSIGN(auto written, co_await pipeline.update({pods, "default", name, "status"},
                                                            std::move(object), context));
      bytes = written.object->text().size();
    }
    double each = (cpu_seconds() - began) / kUpdates * 1e6;
    fmt::print("{:9}: {:6.1f} us of control's CPU a status update, object of {} bytes\n",
               tracked ? "tracked" : "untracked", each, bytes);
  }
  co_return Result<>{};
}

}  // namespace

int main() {
  asio::io_context loop;
  auto work = asio::make_work_guard(loop);
  bool failed = false;
  asio::co_spawn(loop, run(loop), [&](std::exception_ptr error, Result<> result) {
    failed = error || !result;
    if (!error && !result) fmt::print("{}\n", result.error().message);
    work.reset();
  });
  loop.run();
  return failed ? 1 : 0;
}
