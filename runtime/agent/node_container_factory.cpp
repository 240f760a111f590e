#include "runtime/agent/node_container_factory.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/machinery/time.h"
#include "api/resources/core_v1/node_view.h"
#include "api/resources/core_v1/service_view.h"
#include "runtime/agent/config/assembly.h"
#include "runtime/agent/config/hostname.h"
#include "runtime/agent/resources/namespaces.h"
#include "runtime/oci/image_user.h"
#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"
#include "runtime/os/proc.h"
#include "runtime/volumes/sub_path.h"

namespace moth::agent {

using client::EventType;
using resources::Container;
using resources::SecurityProfile;
using resources::VolumeMount;

namespace {

constexpr const char* kConfigError = "CreateContainerConfigError";
constexpr const char* kCreateError = "CreateContainerError";

tl::unexpected<FactoryError> failed(const char* reason, std::string message) {
  return tl::unexpected<FactoryError>({reason, std::move(message)});
}

std::string field_path(const Container& container) {
  const char* list = container.kind == Container::Kind::kInit        ? "initContainers"
                     : container.kind == Container::Kind::kEphemeral ? "ephemeralContainers"
                                                                     : "containers";
  return fmt::format("spec.{}{{{}}}", list, container.name);
}

images::PullPolicy pull_policy(resources::PullPolicy policy) {
  switch (policy) {
    case resources::PullPolicy::kAlways:
      return images::PullPolicy::kAlways;
    case resources::PullPolicy::kIfNotPresent:
      return images::PullPolicy::kIfNotPresent;
    case resources::PullPolicy::kNever:
      return images::PullPolicy::kNever;
  }
  return images::PullPolicy::kIfNotPresent;
}

std::string go_millis(Duration duration) {
  return format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(duration));
}

// The name under which the status shows the image: the one that was asked for, in full.
std::string shown_name(const images::Image& image, const std::string& asked) {
  if (auto reference = images::parse_reference(asked)) {
    for (const std::string& candidate : images::local_candidates(*reference)) {
      if (std::binary_search(image.names.begin(), image.names.end(), candidate)) return candidate;
    }
  }
  return image.names.empty() ? image.id : image.names.front();
}

bool missing(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) != 0;
}

}  // namespace

std::string volume_host_path(const Paths& paths, const std::string& pod_uid,
                             const resources::Volume& volume) {
  if (const auto* host = std::get_if<resources::HostPathVolume>(&volume.source)) return host->path;
  return paths.volume(pod_uid, volume.name);
}

// What create() decides before it touches the disk.
struct NodeContainerFactory::Plan {
  struct MountPlan {
    std::size_t index = 0;  // in the container's volume mounts
    std::string source;     // of the whole volume
    bool make_source = false;
    std::string sub_path, target;  // empty: the whole volume
  };
  images::ImagePtr image;
  std::string id, bundle, log_path, log_folder, termination_log, subpaths;
  std::string user, working_dir, hostname, seccomp_file, pid_namespace, shared_memory;
  std::vector<std::string> args, env;
  std::vector<MountPlan> mounts;
};

// What it made there.
struct NodeContainerFactory::Prepared {
  oci::ResolvedUser user;
  std::string seccomp_profile;
  std::vector<std::string> sources;  // of the mounts, in the plan's order
};

namespace {

template <class Plan>
Result<std::string> prepare_mount(const Plan& plan, const Container& container,
                                  const typename Plan::MountPlan& mount) {
  if (missing(mount.source)) {
    if (!mount.make_source) {
      return fail(Error::of(Reason::kNotFound,
                            fmt::format("the folder {} of a volume is missing", mount.source)));
    }
    MOTH_TRY(os::make_dirs(mount.source, 0755));
  }
  if (mount.sub_path.empty()) return mount.source;
  auto bound = volumes::bind_sub_path(mount.source, mount.sub_path, mount.target);
  if (bound) return mount.target;
  Error error = std::move(bound).error();
  error.with_context(
      fmt::format("failed to prepare subPath for volumeMount \"{}\" of container "
                  "\"{}\"",
                  container.volume_mounts[mount.index].name, container.name));
  (void)plan;
  return fail(std::move(error));
}

// The working directory in the image, unless it is there or lies in a volume (then runc makes it).
Result<> make_working_dir(const std::string& rootfs, const std::string& folder) {
  if (folder.empty() || folder == "/") return {};
  MOTH_ASSIGN(const auto root, os::DirFd::open(rootfs));
  auto made = root.make_dirs_in_root(folder, 0755);
  if (made) return {};
  Error error = std::move(made).error();
  error.with_context("working directory");
  return fail(std::move(error));
}

}  // namespace

NodeContainerFactory::NodeContainerFactory(Executors& executors, Paths paths,
                                           images::ImageService& images,
                                           const client::ObjectReader& reader,
                                           client::EventRecorder& events,
                                           NodeFactoryOptions options)
    : executors_(executors),
      paths_(std::move(paths)),
      images_(images),
      reader_(reader),
      events_(events),
      options_(std::move(options)) {
  if (options_.seccomp_dir.empty()) options_.seccomp_dir = paths_.data_dir() + "/seccomp";
  if (options_.node_memory_bytes == 0) {
    if (auto memory = os::memory_info()) {
      options_.node_memory_bytes = static_cast<std::int64_t>(memory->total);
    }
  }
}

images::Keyring NodeContainerFactory::pull_secrets(const PodContext& pod) {
  images::Keyring keyring;
  std::string unreadable;
  for (const std::string& name : pod.view().spec().image_pull_secrets) {
    const ObjectPtr secret = reader_.get(client::gvr::kSecrets, pod.ns, name);
    bool read = false;
    if (secret) {
      const KeyValues data = key_values(*secret, true, false);
      auto add = [&](const char* key, Result<images::Keyring> (*parse)(std::string_view)) {
        auto value = data.values.find(key);
        if (value == data.values.end()) return;
        if (auto parsed = parse(value->second)) {
          keyring.append(*parsed);
          read = true;
        }
      };
      add(".dockerconfigjson", images::parse_docker_config_json);
      add(".dockercfg", images::parse_docker_cfg);
    }
    if (!read) unreadable += (unreadable.empty() ? "" : ", ") + name;
  }
  if (!unreadable.empty()) {
    events_.record(*pod.object, EventType::kWarning, "FailedToRetrieveImagePullSecret",
                   fmt::format("Unable to retrieve some image pull secrets ({}); attempting to "
                               "pull the image may not succeed.",
                               unreadable));
  }
  return keyring;
}

Task<tl::expected<PulledImage, FactoryError>> NodeContainerFactory::pull(
    const PodContext& pod, const Container& container) {
  const ObjectPtr object = pod.object;
  const std::string path = field_path(container);
  const std::string asked = container.image;
  auto event = [&](std::string_view reason, std::string message) {
    events_.record(*object, EventType::kNormal, reason, std::move(message), path);
  };
  // Only the service knows whether a pull comes; where it is certain the event comes before it.
  const images::ImagePtr present = images_.find(asked);
  bool announced = false;
  auto announce = [&] {
    if (!std::exchange(announced, true))
      event("Pulling", fmt::format("Pulling image \"{}\"", asked));
  };
  const bool certain =
      !present || (container.pull_policy == resources::PullPolicy::kAlways && !present->local);
  if (certain && container.pull_policy != resources::PullPolicy::kNever &&
      images::parse_reference(asked)) {
    announce();
  }
  auto ensured =
      co_await images_.ensure(asked, pull_policy(container.pull_policy), pull_secrets(pod));
  if (!ensured) {
    co_return tl::unexpected<FactoryError>(
        {std::string(images::waiting_reason(ensured.error())), ensured.error().message});
  }
  const images::Image& image = *ensured->image;
  if (ensured->pulled) {
    announce();
    event("Pulled", fmt::format("Successfully pulled image \"{}\" in {} ({} including waiting). "
                                "Image size: {} bytes.",
                                asked, go_millis(ensured->pull_time),
                                go_millis(ensured->waiting_time), image.size_bytes));
  } else {
    event("Pulled", fmt::format("Container image \"{}\" already present on machine and can be "
                                "accessed by the pod",
                                asked));
  }
  PulledImage out;
  out.image_name = shown_name(image, asked);
  out.image_id = image.image_id();
  out.local_id = image.id;
  out.pulled = ensured->pulled;
  out.pull_time = ensured->pull_time;
  out.waiting_time = ensured->waiting_time;
  out.size_bytes = image.size_bytes;
  co_return out;
}

resources::ResourceList NodeContainerFactory::node_allocatable() const {
  const ObjectPtr node = reader_.get(client::gvr::kNodes, "", options_.node_name);
  return node ? node->view<resources::NodeView>().allocatable : resources::ResourceList{};
}

Result<EnvOutput> NodeContainerFactory::environment(const PodContext& pod,
                                                    const Container& container) const {
  std::vector<ObjectPtr> services = reader_.list(client::gvr::kServices, pod.ns);
  if (auto master = reader_.get(client::gvr::kServices, "default", "kubernetes")) {
    services.push_back(std::move(master));
  }
  std::vector<const resources::ServiceView*> views;
  for (const ObjectPtr& service : services) {
    views.push_back(&service->view<resources::ServiceView>());
  }
  std::map<std::pair<bool, std::string>, std::optional<KeyValues>> cache;
  Lookup lookup = [&](bool secret, const std::string& name) -> const KeyValues* {
    auto [at, added] = cache.try_emplace({secret, name});
    if (added) {
      const auto& gvr = secret ? client::gvr::kSecrets : client::gvr::kConfigMaps;
      if (auto object = reader_.get(gvr, pod.ns, name)) {
        at->second = key_values(*object, secret, false);
      }
    }
    return at->second ? &*at->second : nullptr;
  };
  const resources::ResourceList allocatable = node_allocatable();
  return make_environment({pod, container,
                           service_variables(views, pod.ns, pod.view().spec().enable_service_links),
                           lookup, allocatable});
}

tl::expected<NodeContainerFactory::Plan, FactoryError> NodeContainerFactory::plan(
    const PodContext& pod, const Container& container, const PulledImage& image, int attempt) {
  Plan plan;
  plan.image = images_.find(image.local_id);
  if (!plan.image) {
    return failed(kCreateError,
                  fmt::format("image \"{}\" is no longer on this machine", container.image));
  }
  const images::ImageConfig& config = plan.image->config;
  if (auto violation = root_violation(pod, container, config.user)) {
    return failed(kConfigError, std::move(*violation));
  }
  if (!container.volume_devices.empty()) {
    return failed(kConfigError,
                  "volumeDevices are not supported by this node; mount the volume "
                  "with volumeMounts instead");
  }
  auto environment_made = environment(pod, container);
  if (!environment_made) return failed(kConfigError, environment_made.error().message);
  for (std::string& message : environment_made->skipped) {
    events_.record(*pod.object, EventType::kWarning, "InvalidEnvironmentVariableNames",
                   std::move(message), field_path(container));
  }
  const EnvList& env = environment_made->env;
  auto hostname = pod_hostname(pod, options_.node_hostname, options_.cluster_domain);
  if (!hostname) return failed(kConfigError, hostname.error().message);
  plan.hostname = std::move(*hostname);
  plan.id = container_id(pod.uid, container.name, attempt);
  plan.bundle = paths_.bundle(pod.uid, container.name, attempt);
  plan.log_path = paths_.log(pod.ns, pod.name, pod.uid, container.name, attempt);
  plan.log_folder = plan.log_path.substr(0, plan.log_path.rfind('/'));
  plan.termination_log = paths_.termination_log(pod.uid, container.name, attempt);
  plan.subpaths = subpaths_of(pod.uid, container.name, attempt);
  plan.user = user_request(container.security, config.user);
  plan.working_dir = container.working_dir.empty() ? config.working_dir : container.working_dir;
  plan.args = process_arguments(container, config.entrypoint, config.cmd, env);
  plan.env = process_environment(config.env, env, plan.hostname, container.tty);
  const auto& spec = pod.view().spec();
  if (shares_ipc(spec) && !spec.host_ipc) {
    plan.shared_memory = shared_memory_path(paths_, pod.uid);
  }
  if (auto planned = plan_mounts(pod, container, env, plan); !planned) {
    return failed(kConfigError, planned.error().message);
  }
  return plan;
}

Result<> NodeContainerFactory::plan_mounts(const PodContext& pod, const Container& container,
                                           const EnvList& env, Plan& plan) const {
  for (std::size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const VolumeMount& mount = container.volume_mounts[i];
    const resources::Volume* volume = pod.view().spec().find_volume(mount.name);
    if (!volume) {
      return fail(Error::of(Reason::kInvalid,
                            fmt::format("cannot find volume \"{}\" to mount into container \"{}\"",
                                        mount.name, container.name)));
    }
    Plan::MountPlan out;
    out.index = i;
    out.source = volume_host_path(paths_, pod.uid, *volume);
    // A path without a type need not exist: the folder is made, as container runtimes do.
    const auto* host = std::get_if<resources::HostPathVolume>(&volume->source);
    out.make_source = host && host->type.empty();
    out.sub_path = mount.sub_path;
    if (!mount.sub_path_expr.empty()) {
      MOTH_ASSIGN(out.sub_path, expand_strictly(mount.sub_path_expr, [&](std::string_view name) {
                    return env.find(name);
                  }));
    }
    if (!out.sub_path.empty()) {
      MOTH_TRY(volumes::check_sub_path(out.sub_path));
      out.target = fmt::format("{}/{}", plan.subpaths, i);
    }
    plan.mounts.push_back(std::move(out));
  }
  const auto& seccomp = container.security.seccomp;
  if (seccomp && seccomp->kind == SecurityProfile::Kind::kLocalhost) {
    MOTH_TRY(volumes::check_sub_path(seccomp->localhost_profile));
    plan.seccomp_file = options_.seccomp_dir + "/" + seccomp->localhost_profile;
  }
  if (!container.target_container.empty()) {
    if (process_namespace_of) {
      plan.pid_namespace = process_namespace_of(pod.uid, container.target_container);
    }
    if (plan.pid_namespace.empty()) {
      return fail(Error::of(Reason::kNotFound, fmt::format("target container \"{}\" is not running",
                                                           container.target_container)));
    }
  }
  return {};
}

// Blocking executor.
tl::expected<NodeContainerFactory::Prepared, FactoryError> NodeContainerFactory::prepare_files(
    const Plan& plan, const Container& container, const std::string& rootfs) {
  Prepared out;
  auto files = [&]() -> Result<> {
    MOTH_TRY(os::make_dirs(plan.bundle, 0750));
    MOTH_TRY(os::make_dirs(plan.log_folder, 0750));
    // Any user in the container may write its last words.
    MOTH_TRY(os::write_file(plan.termination_log, "", 0666));
    MOTH_ASSIGN(out.user, oci::resolve_user_in(rootfs, plan.user));
    if (!plan.seccomp_file.empty()) {
      MOTH_ASSIGN(out.seccomp_profile, os::read_file(plan.seccomp_file, 1u << 20));
    }
    return make_working_dir(rootfs, plan.working_dir);
  };
  if (auto made = files(); !made) return failed(kCreateError, made.error().message);
  for (const auto& mount : plan.mounts) {
    auto source = prepare_mount(plan, container, mount);
    if (!source) return failed(kConfigError, source.error().message);
    out.sources.push_back(std::move(*source));
  }
  return out;
}

Task<tl::expected<oci::CreateRequest, FactoryError>> NodeContainerFactory::create(
    const PodContext& pod, const Container& container, const PulledImage& image, int attempt) {
  // The worker's context gets newer objects while this waits; one container is made of one.
  const PodContext fixed = pod;
  auto planned = plan(fixed, container, image, attempt);
  if (!planned) co_return tl::unexpected<FactoryError>(std::move(planned).error());
  const Plan& what = *planned;
  auto snapshot = co_await images_.prepare_rootfs(what.id, what.image);
  if (!snapshot) co_return failed(kCreateError, snapshot.error().message);
  auto prepared = co_await call_on(executors_.blocking(),
                                   [&] { return prepare_files(what, container, snapshot->path); });
  if (!prepared) {
    co_await undo(what.id, what.subpaths);
    co_return tl::unexpected<FactoryError>(std::move(prepared).error());
  }
  auto request = assemble(fixed, container, what, *prepared, snapshot->path);
  if (!request) co_await undo(what.id, what.subpaths);
  co_return request;
}

tl::expected<oci::CreateRequest, FactoryError> NodeContainerFactory::assemble(
    const PodContext& pod, const Container& container, const Plan& plan, const Prepared& prepared,
    const std::string& rootfs) {
  AssemblyInput input{pod, container, plan.image->config};
  input.id = plan.id;
  input.rootfs = rootfs;
  input.args = plan.args;
  input.env = plan.env;
  input.user = prepared.user;
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    input.mounts.push_back({&container.volume_mounts[plan.mounts[i].index], prepared.sources[i]});
  }
  input.etc = paths_.etc(pod.uid);
  input.termination_log = plan.termination_log;
  input.shared_memory = plan.shared_memory;
  input.hostname = plan.hostname;
  input.pid_namespace = plan.pid_namespace;
  input.seccomp_profile = prepared.seccomp_profile;
  input.node_memory_bytes = options_.node_memory_bytes;
  auto assembled = assemble_config(input);
  if (!assembled) return failed(kCreateError, assembled.error().message);
  for (std::string& warning : assembled->warnings) {
    events_.record(*pod.object, EventType::kWarning, "LimitAdjusted", std::move(warning),
                   field_path(container));
  }
  oci::CreateRequest request;
  request.config = std::move(assembled->config);
  if (adjust) {
    if (auto adjusted = adjust(pod, container, request.config); !adjusted) {
      return failed(kCreateError, adjusted.error().message);
    }
  }
  request.bundle = plan.bundle;
  request.log_path = plan.log_path;
  request.log_max_bytes = options_.log_max_bytes;
  request.log_max_files = options_.log_max_files;
  request.with_stdin = container.stdin;
  request.stdin_once = container.stdin_once;
  request.priority = pod.view().spec().priority;
  return request;
}

Result<> NodeContainerFactory::drop_subpaths(const std::string& folder) {
  if (!os::exists(folder)) return {};
  MOTH_TRY(os::unmount_below(folder));
  return os::remove_tree(folder);
}

Task<void> NodeContainerFactory::undo(std::string id, std::string subpaths) {
  auto removed = co_await images_.remove_rootfs(id);
  auto dropped = co_await call_on(executors_.blocking(), [&] { return drop_subpaths(subpaths); });
  for (const auto* result : {&removed, &dropped}) {
    if (*result) continue;
    log::warning("what was made for a container could not be removed", log::field("container", id),
                 log::field("error", result->error().message));
  }
}

Task<Result<>> NodeContainerFactory::remove(const PodContext& pod, std::string container,
                                            int attempt) {
  const std::string id = container_id(pod.uid, container, attempt);
  const std::string subpaths = subpaths_of(pod.uid, container, attempt);
  auto removed = co_await images_.remove_rootfs(id);
  auto dropped = co_await call_on(executors_.blocking(), [&] { return drop_subpaths(subpaths); });
  co_return removed ? dropped : removed;
}

std::string NodeContainerFactory::subpaths_of(const std::string& pod_uid,
                                              const std::string& container, int attempt) const {
  return fmt::format("{}/{}/{}", paths_.subpaths(pod_uid), container, attempt);
}

int NodeContainerFactory::stop_signal(const Container& container,
                                      const std::string& local_image_id) const {
  if (auto own = parse_signal(container.stop_signal)) return *own;
  if (const images::ImagePtr image = images_.find(local_image_id)) {
    if (auto wanted = parse_signal(image->config.stop_signal)) return *wanted;
  }
  return SIGTERM;
}

}  // namespace moth::agent
