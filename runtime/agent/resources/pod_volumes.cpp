#include "runtime/agent/resources/pod_volumes.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/log.h"
#include "api/resources/core_v1/node_view.h"
#include "runtime/agent/resources/cgroup.h"
#include "runtime/agent/resources/pod_tokens.h"
#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"
#include "runtime/volumes/atomic_writer.h"
#include "runtime/volumes/empty_dir.h"
#include "runtime/volumes/host_path.h"

namespace moth::agent {

using resources::Volume;

namespace {

constexpr mode_t kOpenMode = 0777;

Error setup_failed(const std::string& volume, const Error& why) {
  Error error = why;
  error.message =
      fmt::format("MountVolume.SetUp failed for volume \"{}\" : {}", volume, why.message);
  return error;
}

struct TypeName {
  std::string operator()(const resources::ClaimVolume& claim) const {
    return claim.ephemeral ? "ephemeral" : "persistentVolumeClaim";
  }
  std::string operator()(const resources::ImageVolume&) const { return "image"; }
  std::string operator()(const resources::NfsVolume&) const { return "nfs"; }
  std::string operator()(const resources::OtherVolume& other) const { return other.type; }
  template <class Known>
  std::string operator()(const Known&) const {
    return "";
  }
};

std::optional<std::uint32_t> fs_group(const PodContext& pod) {
  const auto& group = pod.view().spec().security.fs_group;
  return group ? std::optional(static_cast<std::uint32_t>(*group)) : std::nullopt;
}

// The least of its own limit, the pod's memory and what the node gives to pods.
std::uint64_t memory_size(const resources::EmptyDirVolume& source, const PodContext& pod,
                          const resources::ResourceList& node_allocatable) {
  std::int64_t size = resources::amount(node_allocatable, "memory").value();
  auto lower = [&](std::int64_t limit) {
    if (limit > 0) size = size > 0 ? std::min(size, limit) : limit;
  };
  lower(pod_sums(*pod.object).memory_limit.value_or(0));
  lower(source.size_limit_bytes.value_or(0));
  return static_cast<std::uint64_t>(std::max<std::int64_t>(size, 0));
}

volumes::EmptyDir empty_dir_of(const resources::EmptyDirVolume& source, const PodContext& pod,
                               const resources::ResourceList& node_allocatable) {
  volumes::EmptyDir out;
  out.medium = source.medium;
  out.fs_group = fs_group(pod);
  if (source.medium == "Memory") {
    out.size_bytes = memory_size(source, pod, node_allocatable);
  } else {
    out.size_bytes = static_cast<std::uint64_t>(source.size_limit_bytes.value_or(0));
  }
  return out;
}

}  // namespace

resources::ResourceList PodVolumes::node_allocatable() const {
  const ObjectPtr node = services_.reader.get(client::gvr::kNodes, "", services_.node_name);
  return node ? node->view<resources::NodeView>().allocatable : resources::ResourceList{};
}

VolumePlugin* PodVolumes::plugin_for(const Volume& volume) const {
  for (VolumePlugin* plugin : services_.plugins) {
    if (plugin->handles(volume)) return plugin;
  }
  return nullptr;
}

Task<Result<>> PodVolumes::prepare(PodContext& pod) {
  const ObjectPtr object = pod.object;  // keeps the list while this waits
  written_[pod.uid];
  Result<> first;
  for (const Volume& volume : object->view<resources::PodView>().spec().volumes) {
    auto made = co_await setup(pod, volume);
    if (!made && first) first = fail(setup_failed(volume.name, made.error()));
  }
  co_return first;
}

Task<Result<>> PodVolumes::setup(PodContext& pod, Volume volume) {
  const std::string path = services_.paths.volume(pod.uid, volume.name);
  if (VolumePlugin* plugin = plugin_for(volume)) {
    auto folder = co_await call_on(services_.executors.blocking(),
                                   [&] { return os::make_dirs(path, kOpenMode); });
    if (!folder) co_return folder;
    co_return co_await plugin->setup(pod, volume, path);
  }
  if (const auto* host = std::get_if<resources::HostPathVolume>(&volume.source)) {
    co_return co_await call_on(services_.executors.blocking(),
                               [&] { return volumes::check_host_path(host->path, host->type); });
  }
  if (const auto* empty = std::get_if<resources::EmptyDirVolume>(&volume.source)) {
    const volumes::EmptyDir spec = empty_dir_of(*empty, pod, node_allocatable());
    co_return co_await call_on(services_.executors.blocking(),
                               [&] { return volumes::setup_empty_dir(path, spec); });
  }
  if (!is_payload_volume(volume)) {
    co_return fail(
        Error::of(Reason::kInvalid, fmt::format("volumes of type {} are not supported by this node",
                                                std::visit(TypeName{}, volume.source))));
  }
  co_return co_await write(pod, std::move(volume));
}

// The tokens that the volume's sources name, in their order.
Task<Result<std::vector<std::string>>> PodVolumes::tokens_for(PodContext& pod, Volume volume) {
  std::vector<std::string> texts;
  const auto* projected = std::get_if<resources::ProjectedVolume>(&volume.source);
  if (!projected || !services_.tokens) co_return texts;
  for (const auto& source : projected->sources) {
    const auto* wish = std::get_if<resources::ServiceAccountTokenSource>(&source);
    if (!wish) continue;
    MOTH_CO_ASSIGN(std::string token, co_await services_.tokens->get(pod, *wish));
    texts.push_back(std::move(token));
  }
  co_return texts;
}

Task<Result<>> PodVolumes::write(PodContext& pod, Volume volume) {
  const std::string uid = pod.uid, path = services_.paths.volume(uid, volume.name);
  auto tokens = co_await tokens_for(pod, volume);
  const resources::ResourceList allocatable = node_allocatable();
  PayloadInput input{pod, services_.reader, allocatable, services_.tokens};
  if (tokens) input.token_texts = &*tokens;
  std::string fingerprint = payload_fingerprint(input, volume);
  auto payload =
      tokens ? volume_payload(input, volume) : Result<volumes::Payload>(fail(tokens.error()));
  // ConfigMaps may lie on the disk; what may be secret only in memory.
  const bool on_disk = std::holds_alternative<resources::ConfigMapVolume>(volume.source);
  const volumes::AtomicWriteOptions options{fs_group(pod), services_.clock.wall()};
  auto done = co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    if (!payload) {
      // A running pod keeps what it has when a source was deleted.
      if (os::exists(path + "/..data")) return {};
      return fail(payload.error());
    }
    MOTH_TRY(on_disk ? volumes::setup_empty_dir(path, {}) : volumes::setup_memory_dir(path));
    auto changed = volumes::write_atomically(path, *payload, options);
    if (!changed) return fail(std::move(changed).error());
    return {};
  });
  auto pod_written = written_.find(uid);
  if (done && pod_written != written_.end()) {
    pod_written->second[volume.name] = std::move(fingerprint);
  }
  co_return done;
}

Task<Result<>> PodVolumes::update(PodContext& pod) {
  const ObjectPtr object = pod.object;
  const std::string uid = pod.uid;
  Result<> first;
  for (const Volume& volume : object->view<resources::PodView>().spec().volumes) {
    if (!is_payload_volume(volume) || plugin_for(volume)) continue;
    auto known = written_.find(uid);
    if (known == written_.end()) break;  // cleaned up meanwhile
    const resources::ResourceList allocatable = node_allocatable();
    const PayloadInput input{pod, services_.reader, allocatable, services_.tokens};
    if (known->second[volume.name] == payload_fingerprint(input, volume)) continue;
    auto problem = source_problem(input, volume);
    auto written = co_await write(pod, volume);
    if (!problem && written) written = fail(std::move(problem).error());
    if (!written && first) first = fail(setup_failed(volume.name, written.error()));
  }
  co_return first;
}

Task<Result<>> PodVolumes::cleanup(PodContext& pod) {
  const ObjectPtr object = pod.object;
  const std::string uid = pod.uid;
  written_.erase(uid);
  if (services_.tokens) services_.tokens->forget(uid);
  for (const Volume& volume : object->view<resources::PodView>().spec().volumes) {
    VolumePlugin* plugin = plugin_for(volume);
    if (!plugin) continue;
    auto torn = co_await plugin->teardown(pod, volume, services_.paths.volume(uid, volume.name));
    if (!torn) {
      torn.error().message = fmt::format("UnmountVolume.TearDown failed for volume \"{}\" : {}",
                                         volume.name, torn.error().message);
      co_return torn;
    }
  }
  const Paths& paths = services_.paths;
  co_return co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    MOTH_TRY(volumes::remove_volume_dir(paths.subpaths(uid)));
    return volumes::remove_volume_dir(paths.volumes(uid));
  });
}

}  // namespace moth::agent
