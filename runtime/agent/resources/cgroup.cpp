#include "runtime/agent/resources/cgroup.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "runtime/agent/config/assembly.h"
#include "runtime/cgroups/manager.h"

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

struct ContainerLimits {
  std::string name;
  cgroups::Limits limits;
};

// Of each container what a resize can change.
std::vector<ContainerLimits> limits_of_containers(const resources::PodSpec& spec) {
  std::vector<ContainerLimits> all;
  std::vector<std::string> ignored;
  for (const auto* list : {&spec.containers, &spec.init_containers}) {
    for (const resources::Container& container : *list) {
      const cgroups::Limits whole = container_limits(container, ignored);
      cgroups::Limits limits;
      limits.cpu_shares = whole.cpu_shares;
      limits.cpu_quota_micros = whole.cpu_quota_micros;
      limits.memory_bytes = whole.memory_bytes;
      all.push_back({container.name, std::move(limits)});
    }
  }
  return all;
}

std::string text_of(const std::vector<ContainerLimits>& containers) {
  std::string text;
  for (const auto& [name, limits] : containers) {
    text += fmt::format("{} {} {} {}\n", name, limits.cpu_shares.value_or(0),
                        limits.cpu_quota_micros.value_or(0), limits.memory_bytes.value_or(0));
  }
  return text;
}

// Blocking. Groups are named as runs of containers are: UID_NAME_ATTEMPT.
Result<> set_container_limits(cgroups::Manager& manager, const std::string& pod_path,
                              const std::string& uid, const std::vector<ContainerLimits>& wanted) {
  MOTH_ASSIGN(const auto groups, manager.children(pod_path));
  for (const std::string& group : groups) {
    const auto end = group.rfind('_');
    if (!group.starts_with(uid + "_") || end <= uid.size()) continue;
    const std::string name = group.substr(uid.size() + 1, end - uid.size() - 1);
    auto found = std::find_if(wanted.begin(), wanted.end(),
                              [&](const ContainerLimits& one) { return one.name == name; });
    if (found == wanted.end()) continue;
    const std::string path = cgroups::container_path(pod_path, group);
    const auto memory = found->limits.memory_bytes.value_or(0);
    // The kernel would kill the container instead of refusing.
    if (auto reader = manager.usage_reader(path); memory > 0 && reader) {
      auto usage = (*reader)->read_brief();
      if (usage && static_cast<std::int64_t>(usage->working_set_bytes) > memory) {
        return fail(Error::of(
            Reason::kConflict,
            fmt::format("resize of container {}: it uses {} bytes, more than the new limit of {}",
                        name, usage->working_set_bytes, memory)));
      }
    }
    auto set = manager.set_limits(path, found->limits);
    if (!set && set.error().reason != Reason::kNotFound) {
      return fail(set.error().with_context("resize of container " + name));
    }
  }
  return {};
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
  containers_[pod.uid] = text_of(limits_of_containers(pod.view().spec()));
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
  const auto containers = limits_of_containers(pod.view().spec());
  const std::string text = text_of(containers);
  auto known = applied_.find(pod.uid);
  const bool resized = containers_[pod.uid] != text;
  if (known != applied_.end() && same(known->second, sums) && !resized) co_return Result<>{};
  const std::string path = pod.cgroup_path;
  const std::string uid = pod.uid;
  cgroups::Manager& manager = services_.cgroups;
  auto set = co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    const cgroups::Limits limits = cgroups::pod_limits(sums);
    if (!resized) return manager.set_limits(path, limits);
    // A child may not have more than its parent at any moment: to grow, the pod goes first, to
    // shrink, its containers.
    (void)manager.set_limits(path, limits);
    MOTH_TRY(set_container_limits(manager, path, uid, containers));
    return manager.set_limits(path, limits);
  });
  if (!set) co_return set;
  applied_[uid] = sums;
  containers_[uid] = text;
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
  containers_.erase(uid);
  if (burstable_.erase(uid) == 0) co_return Result<>{};
  co_return co_await share_burstable();
}

}  // namespace moth::agent
