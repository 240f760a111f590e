// The container side of PodWorker: start, watch, kill, recover.
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <csignal>

#include "api/base/log.h"
#include "api/machinery/time.h"
#include "runtime/agent/pod_run.h"
#include "runtime/agent/pod_worker.h"
#include "runtime/os/fs.h"

namespace moth::agent {

using namespace asio::experimental::awaitable_operators;
using resources::Container;
using State = ContainerRecord::State;

namespace {

// Failed pulls and creations: 10 s doubling to 300 s.
constexpr auto kFirstRetry = std::chrono::seconds(10);
constexpr auto kMaxRetry = std::chrono::seconds(300);
// A failed pull shows as ErrImagePull first, then as ImagePullBackOff.
constexpr auto kErrorShown = std::chrono::seconds(2);
// A container that is missing only its ConfigMap or Secret is tried again sooner.
constexpr auto kConfigRetry = std::chrono::seconds(2);
constexpr auto kMinKillGrace = std::chrono::seconds(2);
constexpr std::size_t kMaxTerminationMessage = 4096;
constexpr std::size_t kMaxLogMessage = 2048;
constexpr int kMaxLogMessageLines = 80;

std::string last_lines(std::string text) {
  int lines = 0;
  for (std::size_t i = text.size(); i > 0; --i) {
    if (text[i - 1] == '\n' && i != text.size() && ++lines == kMaxLogMessageLines)
      return text.substr(i);
  }
  return text;
}

// The text of CRI log lines without time and tags.
std::string plain_log(std::string_view lines) {
  std::string out;
  while (!lines.empty()) {
    auto end = lines.find('\n');
    std::string_view line = lines.substr(0, end);
    lines = end == std::string_view::npos ? std::string_view{} : lines.substr(end + 1);
    for (int field = 0; field < 3; ++field) {
      auto space = line.find(' ');
      line = space == std::string_view::npos ? std::string_view{} : line.substr(space + 1);
    }
    out.append(line);
    out += '\n';
  }
  return out;
}

}  // namespace

Task<void> PodWorker::start_container(Container container) {
  // A pod that is to end does not wait for its image.
  auto pulled = co_await (services_.factory.pull(context_, container) || ending());
  ContainerRecord& state = record_.container(container.name);
  if (pulled.index() == 1) {
    state.state = state.last ? State::kExited : State::kWaiting;
    changed();
    co_return;
  }
  auto& image = std::get<0>(pulled);
  if (!image) {
    failed_to_make(container, image.error());
    co_return;
  }
  state.image = image->image_name;
  state.image_id = image->image_id;
  state.local_image_id = image->local_id;
  // The pod may have been asked to end while the image came.
  if (record_.stage != PodStage::kSyncing) {
    state.state = state.last ? State::kExited : State::kWaiting;
    changed();
    co_return;
  }
  state.state = State::kStarting;
  bool launched = co_await launch(container, *image);
  if (launched) state.retry_backoff = {};
  changed();
}

// Completes when the pod is no longer to run.
Task<void> PodWorker::ending() {
  while (record_.stage == PodStage::kSyncing) co_await ending_.wait();
}

Task<bool> PodWorker::launch(const Container& container, const PulledImage& image) {
  ContainerRecord& state = record_.container(container.name);
  int attempt = state.attempt + 1;
  auto request = co_await services_.factory.create(context_, container, image, attempt);
  if (!request) {
    failed_to_make(container, request.error());
    co_return false;
  }
  event(client::EventType::kNormal, "Created", "Created container: " + container.name,
        field_path(container));
  state.attempt = attempt;
  state.definition = definition_of(container);
  co_await save();
  std::string id = request->config.id;
  request->priority = context_.view().spec().priority;
  auto started = co_await services_.runtime.start(std::move(*request));
  if (!started) {
    Termination end;
    end.exit_code = 128;
    end.reason = "StartError";
    end.message = started.error().message;
    end.started_at = end.finished_at = services_.clock.wall();
    end.container_id = id;
    event(client::EventType::kWarning, "Failed", "Error: " + end.message, field_path(container));
    state.previous = std::exchange(state.last, std::move(end));
    state.state = State::kExited;
    Duration wait = next_backoff(state, services_.clock.mono());
    state.not_before = services_.clock.mono() + wait;
    state.waiting_reason = "RunContainerError";
    state.waiting_message = state.last->message;
    co_await remove_run(container.name, attempt, id);
    co_return false;
  }
  begin_run(container, std::move(*started), false);
  co_return true;
}

void PodWorker::begin_run(const Container& container, std::unique_ptr<shim::Container> handle,
                          bool adopted) {
  ContainerRecord& state = record_.container(container.name);
  state.state = State::kRunning;
  state.started_at = handle->started().started_at;
  state.waiting_reason.clear();
  state.waiting_message.clear();
  state.kill_wanted = false;
  state.killing = false;
  if (!adopted) {
    state.post_start_done = !container.post_start;
    state.startup_passed = !container.startup;
    state.ready = false;
    event(client::EventType::kNormal, "Started", "Started container " + container.name,
          field_path(container));
  }
  auto run = std::make_shared<Run>(services_.executors.control(), std::move(handle), state.attempt);
  runs_[container.name] = run;
  scope_.spawn("container watch", watch_run(container, run, adopted));
}

Task<void> PodWorker::watch_run(Container container, std::shared_ptr<Run> run, bool adopted) {
  ContainerRecord& state = record_.container(container.name);
  bool hooked = true;
  if (!state.post_start_done && container.post_start) {
    auto hook = co_await (
        services_.probers.run_hook(context_, container, *container.post_start, *run->handle) ||
        run->handle->wait());
    if (hook.index() == 0 && !std::get<0>(hook)) {
      const std::string& why = std::get<0>(hook).error().message;
      event(client::EventType::kWarning, "FailedPostStartHook", "PostStartHook failed: " + why,
            field_path(container));
      state.waiting_reason = "PostStartHookError";
      state.waiting_message = why;
      state.kill_wanted = true;
      state.kill_message =
          fmt::format("Container {} failed post start hook, will be restarted", container.name);
      hooked = false;
    }
  }
  if (hooked) {
    state.post_start_done = true;
    if (!container.readiness && !container.startup) state.ready = true;
    run->prober = services_.probers.start(
        context_, container, *run->handle, state.started_at, adopted,
        [this, container, weak = std::weak_ptr<Run>(run)](ProbeVerdict verdict) {
          if (auto alive = weak.lock()) on_verdict(container, alive, verdict);
        });
  }
  changed();
  auto exit = co_await run->handle->wait();
  run->ended = true;
  if (run->prober) {
    co_await run->prober->stop();
    run->prober.reset();
  }
  shim::Exit how;
  if (exit) {
    how = *exit;
  } else {
    log::warning("the end of a container is not known", log::field("pod", context_.key()),
                 log::field("container", container.name),
                 log::field("error", exit.error().message));
    how.unknown = true;
    how.exit_code = 137;
    how.finished_at = services_.clock.wall();
  }
  end_run(container, run, how,
          co_await termination_message(container, run->attempt, how.exit_code));
  run->progress.notify();
  int old_attempt = run->attempt;
  co_await remove_run(container.name, old_attempt,
                      container_id(context_.uid, container.name, old_attempt));
  changed();
}

void PodWorker::end_run(const Container& container, const std::shared_ptr<Run>& run,
                        const shim::Exit& exit, std::string message) {
  ContainerRecord& state = record_.container(container.name);
  Termination end;
  end.exit_code = exit.exit_code;
  end.signal = exit.signal;
  end.started_at = state.started_at;
  end.finished_at = exit.finished_at;
  end.container_id = container_id(context_.uid, container.name, run->attempt);
  end.reason = exit.unknown                                ? "ContainerStatusUnknown"
               : exit.oom_kills > 0 && exit.exit_code != 0 ? "OOMKilled"
               : exit.exit_code == 0                       ? "Completed"
                                                           : "Error";
  end.message = std::move(message);
  state.previous = std::exchange(state.last, std::move(end));
  state.state = State::kExited;
  state.ready = false;
  state.killing = false;
  state.kill_wanted = false;
  if (auto it = runs_.find(container.name); it != runs_.end() && it->second == run) runs_.erase(it);
  const auto& spec = context_.view().spec();
  if (record_.stage != PodStage::kSyncing || !should_restart(spec, container, exit.exit_code))
    return;
  Duration wait = next_backoff(state, services_.clock.mono());
  state.not_before = services_.clock.mono() + wait;
  if (wait == Duration::zero()) return;
  state.waiting_reason = "CrashLoopBackOff";
  std::string who = fmt::format("restarting failed container={} pod={}_{}({})", container.name,
                                context_.name, context_.ns, context_.uid);
  state.waiting_message = fmt::format("back-off {} {}", format_duration(wait), who);
  event(client::EventType::kWarning, "BackOff",
        fmt::format("Back-off restarting failed container {} in pod {}_{}({})", container.name,
                    context_.name, context_.ns, context_.uid),
        field_path(container));
}

Task<std::string> PodWorker::termination_message(const Container& container, int attempt,
                                                 int exit_code) const {
  const Paths& paths = services_.paths;
  std::string file = paths.termination_log(context_.uid, container.name, attempt);
  std::string log = paths.log(context_.ns, context_.name, context_.uid, container.name, attempt);
  bool log_will_do = container.fallback_to_logs_on_error && exit_code != 0;
  co_return co_await call_on(services_.executors.blocking(), [&] {
    auto text = os::read_file(file, 1u << 20);
    std::string message = text ? *text : "";
    if (message.size() > kMaxTerminationMessage) message.resize(kMaxTerminationMessage);
    if (!message.empty() || !log_will_do) return message;
    auto tail = os::read_file_tail(log, 8192);
    if (!tail) return message;
    message = plain_log(*tail);
    if (message.size() > kMaxLogMessage) message = message.substr(message.size() - kMaxLogMessage);
    return last_lines(std::move(message));
  });
}

// Frees what a run held; its log stays until the run after next.
Task<void> PodWorker::remove_run(std::string container, int attempt, std::string id) {
  services_.runtime.remove(id, services_.paths.bundle(context_.uid, container, attempt),
                           cgroups::container_path(context_.cgroup_path, id));
  auto removed = co_await services_.factory.remove(context_, container, attempt);
  if (!removed) {
    log::warning("a root file system is left", log::field("pod", context_.key()),
                 log::field("container", container), log::field("error", removed.error().message));
  }
  if (attempt < 2) co_return;
  std::string old_log =
      services_.paths.log(context_.ns, context_.name, context_.uid, container, attempt - 2);
  std::string old_bundle = services_.paths.bundle(context_.uid, container, attempt - 2);
  co_await run_on(services_.executors.blocking(), [&] {
    (void)os::remove_file(old_log);
    for (int i = 1; i < 10; ++i) (void)os::remove_file(old_log + "." + std::to_string(i));
    (void)os::remove_tree(old_bundle);
  });
}

void PodWorker::failed_to_make(const Container& container, const FactoryError& error) {
  ContainerRecord& state = record_.container(container.name);
  bool image = error.waiting_reason.find("Image") != std::string::npos;
  state.state = state.last ? State::kExited : State::kWaiting;
  state.waiting_reason = error.waiting_reason;
  state.waiting_message = error.message;
  bool config = error.waiting_reason == "CreateContainerConfigError";
  if (config) {
    state.not_before = services_.clock.mono() + kConfigRetry;
  } else {
    state.retry_backoff = state.retry_backoff == Duration::zero()
                              ? Duration(kFirstRetry)
                              : std::min<Duration>(state.retry_backoff * 2, kMaxRetry);
    state.not_before = services_.clock.mono() + state.retry_backoff;
  }
  std::string path = field_path(container);
  if (image) {
    bool pull = error.waiting_reason == "ErrImagePull";
    std::string text =
        pull ? fmt::format("Failed to pull image \"{}\": {}", container.image, error.message)
             : error.message;
    event(client::EventType::kWarning, pull ? "Failed" : error.waiting_reason, text, path);
    event(client::EventType::kWarning, "Failed", "Error: " + error.waiting_reason, path);
    if (pull) {
      scope_.spawn("image back-off",
                   announce_backoff(container.name, "ImagePullBackOff",
                                    fmt::format("Back-off pulling image \"{}\": ErrImagePull: {}",
                                                container.image, error.message)));
    }
  } else {
    event(client::EventType::kWarning, "Failed", "Error: " + error.message, path);
  }
  changed();
}

Task<void> PodWorker::announce_backoff(std::string container, std::string reason,
                                       std::string message) {
  co_await services_.clock.sleep_for(kErrorShown);
  ContainerRecord& state = record_.container(container);
  if (state.busy() || state.running() || state.waiting_reason != "ErrImagePull") co_return;
  state.waiting_reason = reason;
  state.waiting_message = message;
  const Container* spec = find_container(container);
  std::string path = spec ? field_path(*spec) : "";
  event(client::EventType::kNormal, "BackOff",
        fmt::format("Back-off pulling image \"{}\"", spec ? spec->image : ""), path);
  event(client::EventType::kWarning, "Failed", "Error: " + reason, path);
  changed();
}

void PodWorker::on_verdict(const Container& container, const std::shared_ptr<Run>& run,
                           const ProbeVerdict& verdict) {
  if (run->ended) return;
  ContainerRecord& state = record_.container(container.name);
  switch (verdict.kind) {
    case ProbeKind::kReadiness:
      state.ready = verdict.success;
      break;
    case ProbeKind::kStartup:
      if (verdict.success) {
        state.startup_passed = true;
        if (!container.readiness) state.ready = true;
      }
      break;
    case ProbeKind::kLiveness:
      break;
  }
  if (!verdict.success && verdict.kind != ProbeKind::kReadiness && !state.killing) {
    bool startup = verdict.kind == ProbeKind::kStartup;
    state.kill_wanted = true;
    state.kill_grace = (startup ? container.startup : container.liveness)->termination_grace;
    state.kill_message = fmt::format("Container {} failed {} probe, will be restarted",
                                     container.name, startup ? "startup" : "liveness");
  }
  changed();
}

Task<void> PodWorker::kill_container(std::string name, std::chrono::seconds grace,
                                     std::string message) {
  auto it = runs_.find(name);
  const Container* found = find_container(name);
  if (it == runs_.end() || !found) co_return;
  std::shared_ptr<Run> run = it->second;
  const Container container = *found;
  std::string path = field_path(container);
  event(client::EventType::kNormal, "Killing", std::move(message), path);
  Clock& clock = services_.clock;
  run->shorten(clock.mono() + grace);
  if (container.pre_stop && !run->ended) {
    auto hook = co_await (
        services_.probers.run_hook(context_, container, *container.pre_stop, *run->handle) ||
        ended_or_overdue(run));
    if (hook.index() == 0 && !std::get<0>(hook)) {
      event(client::EventType::kWarning, "FailedPreStopHook",
            "PreStopHook failed: " + std::get<0>(hook).error().message, path);
    }
    // What the hook left of the grace period, but never less than two seconds for the signal.
    run->kill_deadline = std::max(run->kill_deadline, clock.mono() + kMinKillGrace);
  }
  if (run->ended) co_return;
  (void)run->handle->signal(
      services_.factory.stop_signal(container, record_.container(name).local_image_id));
  co_await ended_or_overdue(run);
  if (!run->ended) (void)run->handle->signal(SIGKILL);
}

// The deadline may come nearer meanwhile.
Task<void> PodWorker::ended_or_overdue(std::shared_ptr<Run> run) {
  Clock& clock = services_.clock;
  while (!run->ended && clock.mono() < run->kill_deadline) {
    co_await (run->progress.wait() || clock.sleep_until(run->kill_deadline));
  }
}

Task<void> PodWorker::recover() {
  // prepare() finds what is there: it fills the context without disturbing what runs.
  bool living = record_.stage == PodStage::kSyncing || record_.stage == PodStage::kTerminating;
  if (living && record_.resources_ready && !rebooted_) {
    for (PodResource* resource : services_.resources) {
      auto prepared = co_await resource->prepare(context_);
      if (prepared) continue;
      log::warning("a resource of an adopted pod is not whole", log::field("pod", context_.key()),
                   log::field("resource", resource->name()),
                   log::field("error", prepared.error().message));
      record_.resources_ready = false;
      break;
    }
    record_.pod_ip = context_.pod_ip;
  }
  if (rebooted_) record_.resources_ready = false;
  const auto& spec = context_.view().spec();
  for (const auto* list : {&spec.init_containers, &spec.containers, &spec.ephemeral_containers}) {
    for (const Container& container : *list) {
      const ContainerRecord& state = record_.container(container.name);
      if (state.attempt < 0 || (!state.running() && state.state != State::kStarting)) {
        if (state.state == State::kPulling)
          record_.container(container.name).state = State::kWaiting;
        continue;
      }
      std::string id = container_id(context_.uid, container.name, state.attempt);
      std::string bundle = services_.paths.bundle(context_.uid, container.name, state.attempt);
      Result<std::unique_ptr<shim::Container>> handle =
          moth::fail(Error::not_found("containers", id));
      if (!rebooted_) handle = co_await services_.runtime.adopt(id, bundle);
      if (handle) {
        begin_run(container, std::move(*handle), true);
      } else {
        recover_container(container);
      }
    }
  }
}

// The run is gone without a trace.
void PodWorker::recover_container(const Container& container) {
  ContainerRecord& state = record_.container(container.name);
  Termination end;
  end.exit_code = 137;
  end.reason = "ContainerStatusUnknown";
  end.message = "The container could not be located when the node agent started";
  end.started_at = state.started_at;
  end.finished_at = services_.clock.wall();
  end.container_id = container_id(context_.uid, container.name, state.attempt);
  state.previous = std::exchange(state.last, std::move(end));
  state.state = State::kExited;
  state.ready = false;
  state.killing = false;
}

}  // namespace moth::agent
