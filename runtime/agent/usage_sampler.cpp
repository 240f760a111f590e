#include "runtime/agent/usage_sampler.h"

#include <algorithm>

#include "runtime/os/proc.h"

namespace moth::agent {
namespace {

constexpr auto kPeriod = std::chrono::seconds(10);
// A container shows its first rate soon, so that an autoscaler need not wait a whole period.
constexpr auto kYoungPeriod = std::chrono::seconds(2);

std::int64_t rate(std::uint64_t before, std::uint64_t now, Duration window) {
  auto nanos = std::chrono::duration_cast<std::chrono::nanoseconds>(window).count();
  if (nanos <= 0 || now < before) return 0;
  return static_cast<std::int64_t>(static_cast<double>(now - before) / static_cast<double>(nanos) *
                                   1e9);
}

}  // namespace

struct UsageSampler::Series {
  std::string ns, pod, uid, container, path;
  std::unique_ptr<cgroups::UsageReader> reader;  // used on blocking; the rest on control
  cgroups::Usage last, before;
  MonoTime last_at{}, before_at{};
  WallTime last_wall{};
  int samples = 0;
  bool seen = false;
  bool read_failed = false;
};

// What a worker read, to be noted on control, where pods() may be asked meanwhile.
struct UsageSampler::Reading {
  Series* series;
  cgroups::Usage usage;
  MonoTime at;
  WallTime wall;
};

UsageSampler::UsageSampler(Executors& executors, Clock& clock, cgroups::Manager& groups,
                           PodManager& pods, std::string node_name)
    : executors_(executors),
      clock_(clock),
      groups_(groups),
      manager_(pods),
      node_name_(std::move(node_name)),
      scope_(executors.control()) {}

UsageSampler::~UsageSampler() = default;

void UsageSampler::start() {
  scope_.spawn("usage sampler", run());
}

Task<void> UsageSampler::stop() {
  scope_.cancel();
  co_await scope_.join();
}

Task<void> UsageSampler::run() {
  for (;;) {
    co_await sample();
    bool young = std::any_of(series_.begin(), series_.end(),
                             [](const auto& entry) { return entry.second->samples < 2; });
    co_await clock_.sleep_for(young ? kYoungPeriod : kPeriod);
  }
}

Task<void> UsageSampler::sample() {
  for (auto& [id, series] : series_) series->seen = false;
  for (PodWorker* worker : manager_.workers()) {
    const PodContext& pod = worker->context();
    for (const auto& [name, record] : worker->record().containers) {
      if (!record.running()) continue;
      std::string id = container_id(pod.uid, name, record.attempt);
      auto& series = series_[id];
      if (!series) {
        series = std::make_shared<Series>();
        series->ns = pod.ns;
        series->pod = pod.name;
        series->uid = pod.uid;
        series->container = name;
        series->path = cgroups::container_path(pod.cgroup_path, id);
      }
      series->seen = true;
    }
  }
  std::erase_if(series_, [](const auto& entry) { return !entry.second->seen; });
  std::vector<std::shared_ptr<Series>> wanted;
  // After a first full period young ones alone are read more often.
  MonoTime now = clock_.mono();
  for (auto& [id, series] : series_) {
    if (series->samples < 2 || now - series->last_at >= kPeriod - std::chrono::milliseconds(500))
      wanted.push_back(series);
  }
  std::uint64_t busy = 0;
  std::uint64_t used = 0;
  std::vector<Reading> readings;
  co_await run_on(executors_.blocking(), [&] {
    for (auto& series : wanted) {
      if (!series->reader) {
        auto reader = groups_.usage_reader(series->path);
        if (!reader) continue;
        series->reader = *std::move(reader);
      }
      if (auto usage = series->reader->read_brief())
        readings.push_back({series.get(), *usage, clock_.mono(), clock_.wall()});
    }
    if (auto times = os::cpu_times()) busy = times->busy_ns;
    if (auto memory = os::memory_info()) used = memory->total - memory->available;
  });
  for (Reading& reading : readings) {
    Series& series = *reading.series;
    series.before = std::exchange(series.last, reading.usage);
    series.before_at = std::exchange(series.last_at, reading.at);
    series.last_wall = reading.wall;
    ++series.samples;
  }
  now = clock_.mono();
  if (node_at_ != MonoTime{} && now - node_at_ >= kYoungPeriod / 2) {
    node_ = client::NodeUsage{node_name_, clock_.wall(), now - node_at_,
                              rate(node_busy_ns_, busy, now - node_at_),
                              static_cast<std::int64_t>(used)};
  }
  node_busy_ns_ = busy;
  node_at_ = now;
}

std::vector<client::PodUsage> UsageSampler::pods() const {
  std::map<std::string, client::PodUsage> by_pod;
  for (const auto& [id, series] : series_) {
    if (series->samples < 2) continue;
    client::PodUsage& pod = by_pod[series->uid];
    Duration window = series->last_at - series->before_at;
    pod.ns = series->ns;
    pod.name = series->pod;
    pod.uid = series->uid;
    pod.timestamp = std::max(pod.timestamp, series->last_wall);
    pod.window = std::max(pod.window, window);
    pod.containers.push_back({series->container,
                              rate(series->before.cpu_ns, series->last.cpu_ns, window),
                              static_cast<std::int64_t>(series->last.working_set_bytes)});
  }
  std::vector<client::PodUsage> all;
  for (auto& [uid, pod] : by_pod) all.push_back(std::move(pod));
  return all;
}

}  // namespace moth::agent
