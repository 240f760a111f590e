#include "runtime/agent/probes/node_prober.h"

#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <random>

#include "api/base/log.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"

namespace moth::agent {

using resources::Container;
using resources::Probe;

Threshold::Threshold(ProbeKind kind, const Probe& probe)
    : kind_(kind),
      success_threshold_(probe.success_threshold),
      failure_threshold_(probe.failure_threshold),
      // A container is alive until shown otherwise, and not ready until shown otherwise.
      verdict_(kind == ProbeKind::kLiveness) {}

bool Threshold::take(bool success) {
  run_ = success == last_ && run_ > 0 ? run_ + 1 : 1;
  last_ = success;
  if (run_ < (success ? success_threshold_ : failure_threshold_)) return false;
  bool news = !told_ || verdict_ != success;
  verdict_ = success;
  told_ = true;
  if (!success && kind_ != ProbeKind::kReadiness) {
    // Each further series of failures asks for another kill.
    run_ = 0;
    return true;
  }
  return news;
}

namespace {

// Tries of a probe that could not be carried out at all.
constexpr int kMaxErrors = 3;

std::string_view title(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup:
      return "Startup";
    case ProbeKind::kReadiness:
      return "Readiness";
    case ProbeKind::kLiveness:
      break;
  }
  return "Liveness";
}

std::string field_path(const Container& container) {
  return fmt::format("spec.{}{{{}}}",
                     container.kind == Container::Kind::kInit ? "initContainers" : "containers",
                     container.name);
}

class NodeProber final : public Prober {
 public:
  NodeProber(Executors& executors, Clock& clock, client::EventRecorder& events,
             AttemptRunner& runner, const PodContext& pod, Container container,
             shim::Container& running, WallTime started_at, bool resume_jitter,
             std::function<void(ProbeVerdict)> on_verdict)
      : clock_(clock),
        events_(events),
        runner_(runner),
        pod_(pod),
        container_(std::move(container)),
        running_(running),
        started_at_(started_at),
        resume_jitter_(resume_jitter),
        on_verdict_(std::move(on_verdict)),
        readiness_go_(executors.control()),
        liveness_go_(executors.control()),
        scope_(executors.control()) {
    started_ = !container_.startup;
    if (container_.startup)
      scope_.spawn("startup probe", run(ProbeKind::kStartup, *container_.startup));
    if (container_.readiness)
      scope_.spawn("readiness probe", run(ProbeKind::kReadiness, *container_.readiness));
    if (container_.liveness)
      scope_.spawn("liveness probe", run(ProbeKind::kLiveness, *container_.liveness));
  }

  void terminating() override { terminating_ = true; }

  Task<void> stop() override {
    scope_.cancel();
    co_await scope_.join();
  }

 private:
  Task<void> run(ProbeKind kind, Probe probe) {
    if (resume_jitter_) {
      // After a restart of the daemon the probes of all pods would come at once.
      thread_local std::minstd_rand random{std::random_device{}()};
      auto period = std::chrono::duration_cast<std::chrono::milliseconds>(probe.period).count();
      co_await clock_.sleep_for(std::chrono::milliseconds(
          random() % static_cast<std::uint64_t>(std::max<std::int64_t>(1, period))));
    }
    if (kind != ProbeKind::kStartup) {
      Notifier& go = kind == ProbeKind::kReadiness ? readiness_go_ : liveness_go_;
      while (!started_) co_await go.wait();
    }
    auto since_start = clock_.wall() - started_at_;
    if (since_start < probe.initial_delay) {
      co_await clock_.sleep_for(
          std::chrono::duration_cast<Duration>(probe.initial_delay - since_start));
    }
    Threshold threshold(kind, probe);
    MonoTime next = clock_.mono();
    for (;;) {
      if (terminating_ && kind != ProbeKind::kReadiness) co_return;
      bool ended = co_await try_once(kind, probe, threshold);
      if (ended) co_return;
      next = std::max(next + probe.period, clock_.mono());
      co_await clock_.sleep_until(next);
    }
  }

  // True when this probe has nothing more to do.
  Task<bool> try_once(ProbeKind kind, const Probe& probe, Threshold& threshold) {
    AttemptResult result;
    for (int i = 0; i < kMaxErrors; ++i) {
      result = co_await runner_.run(pod_, container_, probe.handler, running_, probe.timeout);
      if (result.outcome != AttemptResult::Outcome::kError) break;
    }
    if (result.outcome == AttemptResult::Outcome::kError) {
      log::warning("probe errored", log::field("pod", pod_.key()),
                   log::field("container", container_.name), log::field("probe", title(kind)),
                   log::field("error", result.output));
      events_.record(*pod_.object, client::EventType::kWarning, "Unhealthy",
                     fmt::format("{} probe errored and resulted in unknown state: {}", title(kind),
                                 result.output),
                     field_path(container_));
      co_return false;
    }
    bool success = result.outcome == AttemptResult::Outcome::kSuccess;
    if (!success) {
      events_.record(*pod_.object, client::EventType::kWarning, "Unhealthy",
                     fmt::format("{} probe failed: {}", title(kind), result.output),
                     field_path(container_));
    }
    if (!threshold.take(success)) co_return false;
    on_verdict_({kind, success, result.output});
    if (kind != ProbeKind::kStartup || !success) co_return false;
    started_ = true;
    readiness_go_.notify();
    liveness_go_.notify();
    co_return true;
  }

  Clock& clock_;
  client::EventRecorder& events_;
  AttemptRunner& runner_;
  const PodContext& pod_;
  Container container_;
  shim::Container& running_;
  WallTime started_at_;
  bool resume_jitter_;
  std::function<void(ProbeVerdict)> on_verdict_;
  bool started_ = false, terminating_ = false;
  Notifier readiness_go_, liveness_go_;
  TaskScope scope_;
};

class NodeProberFactory final : public ProberFactory {
 public:
  NodeProberFactory(Executors& executors, Clock& clock, client::EventRecorder& events)
      : executors_(executors), clock_(clock), events_(events), runner_(executors) {}

  std::unique_ptr<Prober> start(const PodContext& pod, const Container& container,
                                shim::Container& running, WallTime started_at, bool resume_jitter,
                                std::function<void(ProbeVerdict)> on_verdict) override {
    if (!container.startup && !container.readiness && !container.liveness) return nullptr;
    return std::make_unique<NodeProber>(executors_, clock_, events_, runner_, pod, container,
                                        running, started_at, resume_jitter, std::move(on_verdict));
  }

  Task<Result<>> run_hook(const PodContext& pod, const Container& container,
                          const resources::Handler& handler, shim::Container& running) override {
    // Hooks have no timeout of their own; whoever runs one bounds it.
    auto result = co_await runner_.run(pod, container, handler, running, std::chrono::hours(24));
    if (result.outcome == AttemptResult::Outcome::kSuccess) co_return Result<>{};
    co_return fail(Error::of(Reason::kInternalError, result.output));
  }

 private:
  Executors& executors_;
  Clock& clock_;
  client::EventRecorder& events_;
  AttemptRunner runner_;
};

}  // namespace

std::unique_ptr<ProberFactory> make_prober_factory(Executors& executors, Clock& clock,
                                                   client::EventRecorder& events) {
  return std::make_unique<NodeProberFactory>(executors, clock, events);
}

}  // namespace moth::agent
