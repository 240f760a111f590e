#include "runtime/agent/resources/cgroup.h"

#include <algorithm>

#include "api/base/json.h"

namespace moth::agent {

namespace {

constexpr auto kKillPatience = std::chrono::seconds(5);
// A killed task leaves its group some moments after it died; the kernel tells nobody.
constexpr auto kRemovePause = std::chrono::milliseconds(50);
constexpr int kRemoveAttempts = 20;

bool same(const cgroups::PodSums& a, const cgroups::PodSums& b) {
  return a.cpu_request == b.cpu_request && a.cpu_limit == b.cpu_limit &&
         a.memory_limit == b.memory_limit && a.pids == b.pids;
}

bool has_own_limit(const Json& pod, const char* name) {
  const Json* limit = find_path(pod, "spec", "resources", "limits", name);
  return limit != nullptr && !limit->is_null();
}

template <class Has>
bool every_container(const resources::PodSpec& spec, Has has) {
  return std::all_of(spec.containers.begin(), spec.containers.end(), has) &&
         std::all_of(spec.init_containers.begin(), spec.init_containers.end(), has);
}

}  // namespace

cgroups::PodSums pod_sums(const Object& pod) {
  const auto& view = pod.view<resources::PodView>();
  const auto dom = pod.dom();
  cgroups::PodSums sums;
  sums.cpu_request = resources::amount(view.requests(), "cpu").milli_value();
  const bool cpu = has_own_limit(*dom, "cpu") || every_container(view.spec(), [](const auto& c) {
                     return c.resources.cpu_limit_milli().value_or(0) > 0;
                   });
  const bool memory =
      has_own_limit(*dom, "memory") || every_container(view.spec(), [](const auto& c) {
        return c.resources.memory_limit_bytes().value_or(0) > 0;
      });
  if (cpu) sums.cpu_limit = resources::amount(view.limits(), "cpu").milli_value();
  if (memory) {
    // Never less than its containers are raised to.
    const auto containers = static_cast<std::int64_t>(view.spec().containers.size());
    sums.memory_limit = std::max(resources::amount(view.limits(), "memory").value(),
                                 cgroups::kMinMemoryLimitBytes * containers);
  }
  return sums;
}

Task<Result<>> PodCgroup::prepare(PodContext& pod) {
  const cgroups::PodSums sums = pod_sums(*pod.object);
  const cgroups::Qos qos = cgroup_qos(pod.view().qos());
  if (qos == cgroups::Qos::kBurstable) burstable_[pod.uid] = sums.cpu_request;
  applied_[pod.uid] = sums;
  std::int64_t shared = 0;
  for (const auto& [uid, request] : burstable_) shared += request;
  const std::string path = pod.cgroup_path;
  const std::string parent = cgroups::qos_path(services_.instance, qos);
  cgroups::Manager& manager = services_.cgroups;
  auto made = co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    MOTH_TRY(manager.ensure_group(parent, cgroups::qos_limits(qos, shared)));
    return manager.ensure_group(path, cgroups::pod_limits(sums));
  });
  if (!made) made.error().with_context("Failed to create pod sandbox: pod group");
  co_return made;
}

Task<Result<>> PodCgroup::share_burstable() {
  std::int64_t shared = 0;
  for (const auto& [uid, request] : burstable_) shared += request;
  const std::string path = cgroups::qos_path(services_.instance, cgroups::Qos::kBurstable);
  cgroups::Manager& manager = services_.cgroups;
  co_return co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    auto set = manager.set_limits(path, cgroups::qos_limits(cgroups::Qos::kBurstable, shared));
    if (!set && set.error().reason == Reason::kNotFound) return {};
    return set;
  });
}

Task<Result<>> PodCgroup::update(PodContext& pod) {
  const cgroups::PodSums sums = pod_sums(*pod.object);
  auto known = applied_.find(pod.uid);
  if (known != applied_.end() && same(known->second, sums)) co_return Result<>{};
  const std::string path = pod.cgroup_path;
  const std::string uid = pod.uid;
  cgroups::Manager& manager = services_.cgroups;
  auto set = co_await call_on(services_.executors.blocking(),
                              [&] { return manager.set_limits(path, cgroups::pod_limits(sums)); });
  if (!set) co_return set;
  applied_[uid] = sums;
  auto share = burstable_.find(uid);
  if (share == burstable_.end()) co_return Result<>{};
  share->second = sums.cpu_request;
  co_return co_await share_burstable();
}

Task<Result<>> PodCgroup::cleanup(PodContext& pod) {
  const std::string uid = pod.uid, path = pod.cgroup_path;
  cgroups::Manager& manager = services_.cgroups;
  auto remove = [&]() -> Result<> {
    auto killed = manager.kill_all(path, kKillPatience);
    if (!killed && killed.error().reason != Reason::kNotFound) return killed;
    return manager.remove(path);
  };
  Result<> removed;
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    removed = co_await call_on(services_.executors.blocking(), remove);
    if (removed || removed.error().reason == Reason::kTimeout) break;
    co_await services_.clock.sleep_for(kRemovePause);
  }
  if (!removed) co_return removed;
  applied_.erase(uid);
  if (burstable_.erase(uid) == 0) co_return Result<>{};
  co_return co_await share_burstable();
}

}  // namespace moth::agent
