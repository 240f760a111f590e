#include "runtime/images/service.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/thread_pool.hpp>
#include <cerrno>
#include <map>

#include "api/base/log.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "runtime/images/puller.h"
#include "runtime/os/fs.h"
#include "runtime/os/unique_fd.h"

namespace moth::images {
namespace {

Error with_reason(Error error, std::string_view reason) {
  error.causes.insert(error.causes.begin(), {std::string(reason), error.message, "image"});
  return error;
}

bool holds(const std::vector<Credential>& list, const std::string& fingerprint) {
  return std::any_of(list.begin(), list.end(), [&](const Credential& credential) {
    return credential.fingerprint() == fingerprint;
  });
}

// What the registry knows of this image under the reference's name.
std::vector<std::string> known_digests(const Image& image, const Reference& reference) {
  std::vector<std::string> list;
  std::string prefix = reference.name() + "@";
  for (const std::string& digest : image.digests) {
    if (digest.starts_with(prefix) && !image.local) list.push_back(digest.substr(prefix.size()));
  }
  return list;
}

}  // namespace

std::string_view waiting_reason(const Error& error) {
  for (const Cause& cause : error.causes) {
    for (std::string_view known : {kErrImagePull, kErrImageNeverPull, kInvalidImageName}) {
      if (cause.reason == known) return known;
    }
  }
  return kErrImagePull;
}

// One pull that any number of callers wait for.
struct SharedPull {
  explicit SharedPull(asio::any_io_executor executor) : ended(std::move(executor)) {}
  std::optional<Result<Pulled>> result;
  std::vector<PullProgress> listeners;
  Notifier ended;
};

struct ImageService::State {
  struct Times {
    MonoTime first_seen;
    MonoTime last_used;
  };

  State(ImageServiceOptions settings, Executors& executors, std::shared_ptr<Clock> the_clock,
        std::unique_ptr<Store> images)
      : options(std::move(settings)),
        blocking(executors.blocking()),
        clock(std::move(the_clock)),
        store(std::move(images)),
        snapshots(options.data_dir + "/snapshots"),
        scope(executors.control()),
        registry(std::make_shared<RegistryClient>(executors.io(), executors.blocking(), clock,
                                                  options.registry)),
        builder(*store, options.data_dir + "/build", executors.control(), executors.blocking()),
        puller(*store, registry, scope, clock, executors.blocking(), options) {}

  ImageServiceOptions options;
  asio::any_io_executor blocking;
  std::shared_ptr<Clock> clock;
  std::unique_ptr<Store> store;
  Snapshots snapshots;
  TaskScope scope;
  std::shared_ptr<RegistryClient> registry;
  Builder builder;
  Puller puller;
  std::map<std::string, std::shared_ptr<SharedPull>> pulls;
  std::map<std::string, std::pair<std::string, LayerPin>> rootfs;  // image id and pin, by snapshot
  std::set<std::string> in_use;
  std::map<std::string, Times> times;

  Task<Result<Ensured>> ensure(std::string text, PullPolicy policy, Keyring secrets,
                               PullProgress progress);
  Task<Result<Pulled>> pull(PullRequest request);
  Task<void> pull_task(std::string key, std::shared_ptr<SharedPull> shared, PullRequest request);
  std::set<std::string> used_images() const;
  void note(const std::string& image_id);
  std::vector<GcCandidate> candidates();
  Result<void> write_archive(const std::vector<ImagePtr>& images, ArchiveFormat format,
                             const std::string& path) const;
};

Result<std::unique_ptr<ImageService>> ImageService::open(ImageServiceOptions options,
                                                         Executors& executors,
                                                         std::shared_ptr<Clock> clock) {
  MOTH_ASSIGN(auto store, Store::open(options.data_dir + "/images"));
  auto state =
      std::make_shared<State>(std::move(options), executors, std::move(clock), std::move(store));
  MOTH_ASSIGN(auto leftovers, state->snapshots.list());
  for (const Snapshot& snapshot : leftovers) {
    state->rootfs[snapshot.id] = {snapshot.image_id, state->store->pin(snapshot.chain_ids)};
  }
  for (const ImagePtr& image : state->store->list()) state->note(image->id);
  return std::unique_ptr<ImageService>(new ImageService(std::move(state)));
}

ImageService::ImageService(std::shared_ptr<State> state) : state_(std::move(state)) {}
ImageService::~ImageService() = default;

void ImageService::State::note(const std::string& image_id) {
  MonoTime now = clock->mono();
  times.try_emplace(image_id, Times{now, now});
}

Task<Result<Ensured>> ImageService::ensure(std::string reference, PullPolicy policy,
                                           Keyring secrets, PullProgress progress) {
  auto state = state_;
  co_return co_await state->ensure(std::move(reference), policy, std::move(secrets),
                                   std::move(progress));
}

Task<Result<Ensured>> ImageService::State::ensure(std::string text, PullPolicy policy,
                                                  Keyring secrets, PullProgress progress) {
  auto parsed = parse_reference(text);
  if (!parsed) {
    Error error = std::move(parsed).error();
    error.message =
        fmt::format("Failed to apply default image tag \"{}\": {}", text, error.message);
    co_return fail(with_reason(std::move(error), kInvalidImageName));
  }
  const Reference reference = std::move(*parsed);
  std::vector<Credential> credentials = secrets.lookup(reference);
  ImagePtr present = store->find(reference);
  if (present) note(present->id);
  if (policy == PullPolicy::kNever) {
    if (present) co_return Ensured{present, false, {}, {}};
    co_return fail(with_reason(
        Error::of(
            Reason::kNotFound,
            fmt::format("Container image \"{}\" is not present with pull policy of Never", text)),
        kErrImageNeverPull));
  }
  if (present) {
    // What was made here cannot be asked for anywhere, whatever the policy.
    bool ours = present->local && (!reference.registry_given || reference.registry == "localhost");
    bool allowed = present->pulled_with.empty() ||
                   std::any_of(present->pulled_with.begin(), present->pulled_with.end(),
                               [&](const std::string& who) { return holds(credentials, who); });
    if (ours || (policy == PullPolicy::kIfNotPresent && allowed)) {
      co_return Ensured{present, false, {}, {}};
    }
  }
  PullRequest request;
  request.reference = reference;
  request.credentials = std::move(credentials);
  Keyring host = co_await call_on(blocking, [] { return load_host_credentials(); });
  request.host_credentials = host.lookup(reference);
  request.credentials.insert(request.credentials.end(), request.host_credentials.begin(),
                             request.host_credentials.end());
  if (present) request.known_digests = known_digests(*present, reference);
  request.progress = std::move(progress);
  MonoTime start = clock->mono();
  auto pulled = co_await pull(std::move(request));
  if (!pulled) co_return fail(with_reason(std::move(pulled).error(), kErrImagePull));
  note(pulled->image->id);
  co_return Ensured{pulled->image, true, pulled->transfer_time, clock->mono() - start};
}

Task<Result<Pulled>> ImageService::State::pull(PullRequest request) {
  std::string key = request.reference.canonical();
  for (const Credential& credential : request.credentials) key += "|" + credential.fingerprint();
  auto& slot = pulls[key];
  PullProgress listener = std::move(request.progress);
  bool first = !slot;
  if (first) slot = std::make_shared<SharedPull>(scope.executor());
  std::shared_ptr<SharedPull> shared = slot;
  if (listener) shared->listeners.push_back(std::move(listener));
  if (first) {
    // The pull runs on by itself when its caller goes: the image will be wanted again.
    scope.spawn("image pull", pull_task(key, shared, std::move(request)));
    if (scope.cancelled()) {
      pulls.erase(key);
      co_return fail(Error::unavailable("the image service is stopping"));
    }
  }
  while (!shared->result) co_await shared->ended.wait();
  co_return *shared->result;
}

Task<void> ImageService::State::pull_task(std::string key, std::shared_ptr<SharedPull> shared,
                                          PullRequest request) {
  struct End {
    State& state;
    const std::string& key;
    SharedPull& shared;
    ~End() {
      if (!shared.result) shared.result = fail(Error::unavailable("the pull was cancelled"));
      shared.listeners.clear();
      state.pulls.erase(key);
      shared.ended.notify();
    }
  } end{*this, key, *shared};
  request.progress = [shared](const LayerProgress& progress) {
    for (const PullProgress& listener : shared->listeners) listener(progress);
  };
  shared->result = co_await puller.pull(std::move(request));
}

std::vector<ImagePtr> ImageService::list() const {
  return state_->store->list();
}

ImagePtr ImageService::find(std::string_view reference_or_id) const {
  return state_->store->find(reference_or_id);
}

Task<Result<ImagePtr>> ImageService::tag(std::string reference_or_id, std::string new_name) {
  auto state = state_;
  auto parsed = parse_reference(new_name);
  if (!parsed) co_return fail(std::move(parsed).error());
  ImagePtr image = state->store->find(reference_or_id);
  if (!image) {
    co_return fail(Error::of(Reason::kNotFound, fmt::format("no such image: {}", reference_or_id)));
  }
  if (!parsed->digest.empty()) {
    co_return fail(Error::bad_request("a name with a digest cannot be given to an image"));
  }
  co_return co_await call_on(state->blocking,
                             [&] { return state->store->tag(image->id, parsed->canonical()); });
}

std::set<std::string> ImageService::State::used_images() const {
  std::set<std::string> used = in_use;
  for (const auto& [id, entry] : rootfs) used.insert(entry.first);
  return used;
}

Task<Result<Removed>> ImageService::remove(std::string reference_or_id, bool force) {
  auto state = state_;
  ImagePtr image = state->store->find(reference_or_id);
  if (!image) {
    co_return fail(Error::of(Reason::kNotFound, fmt::format("no such image: {}", reference_or_id)));
  }
  auto reference = parse_reference(reference_or_id);
  bool by_name = reference && reference->digest.empty() && state->store->find(*reference) == image;
  bool goes = !by_name || image->names.size() <= 1;
  if (goes && !force && state->used_images().contains(image->id)) {
    co_return fail(Error::of(
        Reason::kConflict,
        fmt::format("unable to remove image \"{}\": a container uses it (remove the pod first, or "
                    "force)",
                    reference_or_id)));
  }
  co_return co_await call_on(state->blocking,
                             [&] { return state->store->remove(reference_or_id); });
}

Task<Result<Removed>> ImageService::prune(bool all) {
  auto state = state_;
  std::set<std::string> used = state->used_images();
  co_return co_await call_on(state->blocking, [&] { return state->store->prune(used, all); });
}

Task<Result<std::vector<Loaded>>> ImageService::load(std::unique_ptr<ByteSource> input,
                                                     LoadOptions options) {
  auto state = state_;
  // The input may be a network stream: no thread that others need waits for it.
  asio::thread_pool thread(1);
  auto loaded = co_await call_on(thread.get_executor(), [&]() -> Result<std::vector<Loaded>> {
    auto result = load_archive(*state->store, *input, options);
    input.reset();
    return result;
  });
  if (loaded) {
    for (const Loaded& one : *loaded) state->note(one.image->id);
  }
  co_return loaded;
}

Result<void> ImageService::State::write_archive(const std::vector<ImagePtr>& images,
                                                ArchiveFormat format,
                                                const std::string& path) const {
  std::string partial = path + ".partial";
  os::UniqueFd out(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  if (!out) return fail(Error::from_errno(errno, "create " + partial));
  auto written = save_archive(*store, images, format, [&](std::string_view piece) {
    return os::write_fd(out.get(), piece, partial);
  });
  if (written && ::rename(partial.c_str(), path.c_str()) == 0) return {};
  int code = errno;
  ::unlink(partial.c_str());
  if (!written) return written;
  return fail(Error::from_errno(code, "rename " + partial));
}

Task<Result<void>> ImageService::save(std::vector<std::string> references, ArchiveFormat format,
                                      std::string path) {
  auto state = state_;
  std::vector<ImagePtr> images;
  std::vector<LayerPin> pins;
  for (const std::string& reference : references) {
    ImagePtr image = state->store->find(reference);
    if (!image) {
      co_return fail(Error::of(Reason::kNotFound, fmt::format("no such image: {}", reference)));
    }
    pins.push_back(state->store->pin(image->layers));
    images.push_back(std::move(image));
  }
  co_return co_await call_on(state->blocking,
                             [&] { return state->write_archive(images, format, path); });
}

Task<Result<ImagePtr>> ImageService::build(BuildRequest request, LineSink lines) {
  auto state = state_;
  EnsureBase ensure_base = [state](std::string reference, bool always) -> Task<Result<ImagePtr>> {
    auto one = [](std::shared_ptr<State> self, std::string name,
                  PullPolicy policy) -> Task<Result<ImagePtr>> {
      auto ensured = co_await self->ensure(std::move(name), policy, {}, {});
      if (!ensured) co_return fail(std::move(ensured).error());
      co_return ensured->image;
    };
    return one(state, std::move(reference),
               always ? PullPolicy::kAlways : PullPolicy::kIfNotPresent);
  };
  auto built = co_await state->builder.build(std::move(request), std::move(lines), ensure_base);
  if (built) state->note((*built)->id);
  co_return built;
}

Task<Result<Snapshot>> ImageService::prepare_rootfs(std::string id, ImagePtr image,
                                                    std::vector<std::string> extra_layers,
                                                    bool read_only) {
  auto state = state_;
  SnapshotSpec spec;
  spec.id = id;
  spec.layers = state->store->layer_directories(*image);
  spec.extra_layers = std::move(extra_layers);
  spec.chain_ids = image->layers;
  spec.image_id = image->id;
  spec.read_only = read_only;
  LayerPin pin = state->store->pin(image->layers);
  for (const std::string& chain : image->layers) {
    if (!state->store->layer(chain)) {
      co_return fail(Error::of(Reason::kNotFound,
                               fmt::format("the image {} has been removed", image->image_id())));
    }
  }
  auto prepared = co_await call_on(state->blocking, [&] { return state->snapshots.prepare(spec); });
  if (prepared) {
    state->rootfs[id] = {image->id, std::move(pin)};
    state->times[image->id].last_used = state->clock->mono();
  }
  co_return prepared;
}

Task<Result<void>> ImageService::remove_rootfs(std::string id) {
  auto state = state_;
  auto removed = co_await call_on(state->blocking, [&] { return state->snapshots.remove(id); });
  if (!removed) co_return removed;
  auto entry = state->rootfs.find(id);
  if (entry == state->rootfs.end()) co_return removed;
  std::string image_id = entry->second.first;
  state->rootfs.erase(entry);
  if (auto known = state->times.find(image_id); known != state->times.end()) {
    known->second.last_used = state->clock->mono();
  }
  if (!state->store->find(image_id)) {
    // Its image went first, by force: the layers can follow now.
    auto freed = co_await call_on(state->blocking, [&] { return state->store->prune_layers(); });
    if (!freed) co_return fail(std::move(freed).error());
  }
  co_return removed;
}

Task<Result<std::vector<Snapshot>>> ImageService::list_rootfs() {
  auto state = state_;
  co_return co_await call_on(state->blocking, [&] { return state->snapshots.list(); });
}

const Snapshots& ImageService::snapshots() const {
  return state_->snapshots;
}

void ImageService::set_in_use(std::set<std::string> image_ids) {
  MonoTime now = state_->clock->mono();
  for (const std::string& id : image_ids) {
    state_->note(id);
    state_->times[id].last_used = now;
  }
  // What has just been let go was used until now.
  for (const std::string& id : state_->in_use) {
    if (!image_ids.contains(id)) state_->times[id].last_used = now;
  }
  state_->in_use = std::move(image_ids);
}

std::vector<GcCandidate> ImageService::State::candidates() {
  std::set<std::string> used = used_images();
  std::vector<GcCandidate> list;
  std::map<std::string, Times> kept;
  for (const ImagePtr& image : store->list()) {
    note(image->id);
    const Times& seen = kept[image->id] = times[image->id];
    list.push_back({image->id, image->size_bytes, seen.first_seen, seen.last_used,
                    used.contains(image->id), false});
  }
  times = std::move(kept);
  return list;
}

Task<Result<GcPlan>> ImageService::collect_garbage(bool force) {
  auto state = state_;
  auto usage = co_await call_on(state->blocking,
                                [&] { return os::fs_usage(state->options.data_dir + "/images"); });
  if (!usage) co_return fail(std::move(usage).error());
  GcPlan plan;
  std::vector<GcCandidate> candidates = state->candidates();
  if (force) {
    for (const GcCandidate& candidate : candidates) {
      if (candidate.in_use) continue;
      plan.delete_ids.push_back(candidate.id);
      plan.planned_bytes += candidate.size_bytes;
    }
  } else {
    plan = plan_image_gc(usage->capacity, usage->available, candidates, state->options.gc,
                         state->clock->mono());
  }
  if (force || plan.bytes_to_free > 0) {
    // First what interrupted pulls have left; it was kept so that they need not begin anew.
    auto freed = co_await call_on(state->blocking, [&] { return state->store->prune_layers(); });
    if (!freed) co_return fail(std::move(freed).error());
  }
  for (const std::string& id : plan.delete_ids) {
    if (state->used_images().contains(id)) continue;  // a pod came meanwhile
    auto removed = co_await call_on(state->blocking, [&] { return state->store->remove(id); });
    if (!removed && removed.error().reason != Reason::kNotFound) {
      co_return fail(std::move(removed).error());
    }
    log::info("removed an unused image", log::field("image", id));
  }
  co_return plan;
}

Task<void> ImageService::stop() {
  auto state = state_;
  state->scope.cancel();
  co_await state->scope.join();
}

}  // namespace moth::images
