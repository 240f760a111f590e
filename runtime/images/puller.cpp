#include "runtime/images/puller.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/thread_pool.hpp>

namespace moth::images {
namespace {

constexpr std::size_t kPipeCapacity = 4 << 20;  // a layer's download may run ahead by this much
constexpr Duration kProgressInterval = std::chrono::milliseconds(100);

}  // namespace

// One image on its way.
struct Puller::Job {
  explicit Job(asio::any_io_executor executor) : changed(std::move(executor)) {}
  PullRequest request;
  RegistryClient::Resolved resolved;
  ImageConfig config;
  std::string config_text;
  std::vector<std::string> chain;
  LayerPin pin;
  std::size_t pending = 0;
  std::optional<Error> error;  // the first one; layers that have not begun do not begin then
  Notifier changed;
  std::vector<MonoTime> reported;
};

struct Puller::Flight {
  explicit Flight(asio::any_io_executor executor) : ended(std::move(executor)) {}
  Notifier ended;
};

Puller::Puller(Store& store, std::shared_ptr<RegistryClient> registry, TaskScope& scope,
               std::shared_ptr<Clock> clock, asio::any_io_executor blocking,
               const ImageServiceOptions& options)
    : store_(store),
      registry_(std::move(registry)),
      scope_(scope),
      clock_(std::move(clock)),
      blocking_(std::move(blocking)),
      platform_(options.platform),
      images_(scope.executor(), options.parallel_images),
      layers_(scope.executor(), options.parallel_layers) {}

Task<Result<Pulled>> Puller::pull(PullRequest request) {
  auto slot = co_await images_.acquire();
  auto job = std::make_shared<Job>(scope_.executor());
  job->request = std::move(request);
  MonoTime start = clock_->mono();
  auto image = co_await fetch(job);
  if (!image) {
    co_return fail(std::move(image.error().with_context(fmt::format(
        "failed to pull and unpack image \"{}\"", job->request.reference.canonical()))));
  }
  co_return Pulled{*image, clock_->mono() - start};
}

Task<Result<ImagePtr>> Puller::fetch(std::shared_ptr<Job> job) {
  const PullRequest& request = job->request;
  auto resolved = co_await registry_->resolve(request.reference, request.credentials, platform_,
                                              request.known_digests);
  if (!resolved) co_return fail(std::move(resolved).error());
  job->resolved = std::move(*resolved);
  if (job->resolved.unchanged) co_return co_await keep_present(job);

  const Manifest& manifest = job->resolved.manifest;
  auto config = co_await registry_->fetch_blob(job->resolved.session, manifest.config);
  if (!config) co_return fail(std::move(config).error());
  job->config_text = std::move(*config);
  auto parsed = parse_image_config(job->config_text);
  if (!parsed) co_return fail(std::move(parsed).error());
  job->config = std::move(*parsed);
  if (job->config.diff_ids.size() != manifest.layers.size()) {
    co_return fail(
        Error::bad_request(fmt::format("mismatched image rootfs and manifest layers: {} and {}",
                                       job->config.diff_ids.size(), manifest.layers.size())));
  }
  job->chain = chain_ids(job->config.diff_ids);
  job->pin = store_.pin(job->chain);
  MOTH_CO_TRY(co_await fetch_layers(job));

  Store::NewImage image;
  image.config = job->config_text;
  const Reference& reference = request.reference;
  if (reference.digest.empty()) image.name = reference.canonical();
  image.repo_digest = reference.name() + "@" + manifest.resolved_digest;
  bool shared = job->resolved.used.anonymous() ||
                std::find(request.host_credentials.begin(), request.host_credentials.end(),
                          job->resolved.used) != request.host_credentials.end();
  if (!shared) image.pulled_with = job->resolved.used.fingerprint();
  co_return co_await call_on(blocking_, [&] { return store_.add_image(image); });
}

// The registry says that what is here is what the reference means.
Task<Result<ImagePtr>> Puller::keep_present(std::shared_ptr<Job> job) {
  const Reference& reference = job->request.reference;
  std::string repo_digest = reference.name() + "@" + job->resolved.manifest.resolved_digest;
  const Credential& used = job->resolved.used;
  co_return co_await call_on(blocking_, [&]() -> Result<ImagePtr> {
    ImagePtr image = store_.find(repo_digest);
    if (!image) return fail(Error::internal(fmt::format("image {} has gone", repo_digest)));
    MOTH_TRY(store_.grant(image->id, used.anonymous() ? "" : used.fingerprint()));
    if (reference.digest.empty()) return store_.tag(image->id, reference.canonical());
    return store_.find(image->id);
  });
}

Task<Result<void>> Puller::fetch_layers(std::shared_ptr<Job> job) {
  std::size_t count = job->chain.size();
  job->reported.resize(count);
  job->pending = count;
  for (std::size_t i = 0; i < count; ++i) {
    report(*job, i, LayerProgress::Phase::kWaiting, 0);
    scope_.spawn("image layer", layer_task(job, i));
  }
  while (job->pending > 0) co_await job->changed.wait();
  if (job->error) co_return fail(*job->error);
  co_return Result<void>();
}

Task<void> Puller::layer_task(std::shared_ptr<Job> job, std::size_t index) {
  // Cancelled or not, the job must learn that this layer has ended.
  struct End {
    std::shared_ptr<Job> job;
    Result<void> result = fail(Error::unavailable("the pull was cancelled"));
    ~End() {
      if (!result && !job->error) job->error = std::move(result).error();
      --job->pending;
      job->changed.notify();
    }
  } end{job};
  end.result = co_await fetch_layer(job, index);
}

Task<Result<void>> Puller::fetch_layer(std::shared_ptr<Job> job, std::size_t index) {
  const std::string chain = job->chain[index];
  while (true) {
    if (job->error) co_return fail(*job->error);
    if (store_.layer(chain)) {
      report(*job, index, LayerProgress::Phase::kPresent,
             job->resolved.manifest.layers[index].size);
      co_return Result<void>();
    }
    auto other = flights_.find(chain);
    if (other == flights_.end()) break;
    std::shared_ptr<Flight> flight = other->second;
    co_await flight->ended.wait();
  }
  struct Landing {
    Puller& puller;
    const std::string& chain;
    std::shared_ptr<Flight> flight;
    ~Landing() {
      puller.flights_.erase(chain);
      flight->ended.notify();
    }
  } landing{*this, chain, std::make_shared<Flight>(scope_.executor())};
  flights_[chain] = landing.flight;
  auto slot = co_await layers_.acquire();
  if (job->error) co_return fail(*job->error);
  co_return co_await unpack_from_registry(job, index);
}

Task<Result<void>> Puller::unpack_from_registry(std::shared_ptr<Job> job, std::size_t index) {
  const Descriptor& descriptor = job->resolved.manifest.layers[index];
  auto begun = co_await call_on(blocking_, [&] { return store_.begin_ingest(); });
  if (!begun) co_return fail(std::move(begun).error());
  std::unique_ptr<Store::Ingest> ingest = std::move(*begun);
  auto pipe = std::make_shared<BytePipe>(scope_.executor(), kPipeCapacity);
  auto reader = pipe->reader();
  report(*job, index, LayerProgress::Phase::kDownloading, 0);
  scope_.spawn("image download",
               registry_->stream_blob(
                   job->resolved.session, descriptor, pipe, [this, job, index](std::uint64_t done) {
                     report(*job, index, LayerProgress::Phase::kDownloading, done);
                   }));
  if (scope_.cancelled()) pipe->fail(Error::unavailable("the pull was cancelled"));
  // Unpacking waits for the network, so it gets a thread of its own instead of a shared one.
  asio::thread_pool thread(1);
  auto unpacked = co_await call_on(thread.get_executor(), [&]() -> Result<void> {
    auto result =
        unpack_verified(*reader, ingest->diff(), descriptor.digest, job->config.diff_ids[index]);
    reader.reset();
    if (!result) {
      ingest.reset();
      return fail(std::move(result).error());
    }
    MOTH_TRY(store_.commit_layer(std::move(ingest), job->chain[index], *result));
    return {};
  });
  if (!unpacked) {
    co_return fail(std::move(unpacked.error().with_context(
        fmt::format("failed to fetch the layer {}", descriptor.digest))));
  }
  report(*job, index, LayerProgress::Phase::kUnpacked, descriptor.size);
  co_return Result<void>();
}

void Puller::report(Job& job, std::size_t index, LayerProgress::Phase phase, std::uint64_t done) {
  if (!job.request.progress) return;
  MonoTime now = clock_->mono();
  bool same_phase = phase == LayerProgress::Phase::kDownloading && done > 0;
  if (same_phase && now - job.reported[index] < kProgressInterval) return;
  job.reported[index] = now;
  const Descriptor& layer = job.resolved.manifest.layers[index];
  job.request.progress({layer.digest, done, layer.size, phase});
}

}  // namespace moth::images
