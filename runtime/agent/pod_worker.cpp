#include "runtime/agent/pod_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include "api/base/json.h"
#include "api/base/log.h"
#include "api/machinery/time.h"
#include "runtime/agent/pod_run.h"
#include "runtime/agent/pod_status.h"
#include "runtime/os/fs.h"

namespace moth::agent {

using namespace asio::experimental::awaitable_operators;
using resources::Container;
using State = ContainerRecord::State;

namespace {

// Volume and network preparation: 0.5 s doubling to 122 s (k8s-behaviours 18.2).
constexpr auto kFirstResourceBackoff = std::chrono::milliseconds(500);
constexpr auto kMaxResourceBackoff = std::chrono::seconds(122);

}  // namespace

PodWorker::PodWorker(WorkerServices& services, ObjectPtr pod, PodRecord record, bool adopted,
                     bool rebooted)
    : services_(services),
      record_(std::move(record)),
      adopted_(adopted),
      rebooted_(rebooted),
      changed_(services.executors.control()),
      gone_(services.executors.control()),
      first_report_(services.executors.control()),
      ending_(services.executors.control()),
      save_ended_(services.executors.control()),
      scope_(services.executors.control()) {
  context_.ns = pod->ns();
  context_.name = pod->name();
  context_.uid = pod->uid();
  context_.object = std::move(pod);
  context_.node_name = services.node_name;
  context_.host_ip = services.host_ip;
  context_.cgroup_path =
      cgroups::pod_path(services.instance, cgroup_qos(context_.view().qos()), context_.uid);
  context_.pod_ip = record_.pod_ip;
  if (record_.accepted_at == WallTime{}) record_.accepted_at = services.clock.wall();
}

PodWorker::~PodWorker() = default;

void PodWorker::start() {
  scope_.spawn("pod worker", run());
}

void PodWorker::update(ObjectPtr pod) {
  if (!pod) {
    object_gone_ = true;
  } else if (pod->uid() == context_.uid) {
    context_.object = std::move(pod);
  }
  // A shorter grace period also holds for kills that are under way.
  auto grace = context_.object->meta().deletion_grace_seconds;
  if (object_gone_) grace = 1;
  if (grace && (object_gone_ || context_.object->meta().deletion_time)) {
    MonoTime latest =
        services_.clock.mono() + std::chrono::seconds(std::max<std::int64_t>(1, *grace));
    for (auto& [name, run] : runs_) run->shorten(latest);
  }
  changed();
}

void PodWorker::refresh() {
  refresh_wanted_ = true;
  changed();
}

void PodWorker::fail(std::string reason, std::string message) {
  record_.failed_reason = std::move(reason);
  record_.failed_message = std::move(message);
  changed();
}

Task<void> PodWorker::wait_gone() {
  while (!gone()) co_await gone_.wait();
}

Task<void> PodWorker::wait_reported() {
  while (!first_report_done_) co_await first_report_.wait();
}

Task<void> PodWorker::detach() {
  detached_ = true;
  scope_.cancel();
  co_await scope_.join();
  // Nothing adds runs any more; their probes have tasks of their own.
  for (auto& [name, run] : runs_) {
    if (run->prober) co_await run->prober->stop();
  }
  co_await save();
}

std::shared_ptr<shim::Container> PodWorker::running(const std::string& container) const {
  auto it = runs_.find(container);
  if (it == runs_.end()) return nullptr;
  return {it->second, it->second->handle.get()};
}

void PodWorker::event(client::EventType type, std::string_view reason, std::string message,
                      std::string_view path) {
  services_.events.record(*context_.object, type, reason, std::move(message), path);
}

const Container* PodWorker::find_container(const std::string& name) const {
  return context_.view().spec().find_container(name);
}

std::string PodWorker::field_path(const Container& container) const {
  const char* list = container.kind == Container::Kind::kInit        ? "initContainers"
                     : container.kind == Container::Kind::kEphemeral ? "ephemeralContainers"
                                                                     : "containers";
  return fmt::format("spec.{}{{{}}}", list, container.name);
}

Task<void> PodWorker::save() {
  while (saving_) co_await save_ended_.wait();
  if (gone() || forgetting_) co_return;
  std::string text = to_checkpoint(record_, context_.ns, context_.name, context_.uid).dump();
  if (text == saved_) co_return;
  saving_ = true;
  // Not synced: a checkpoint is for a restart of the daemon. After a power loss nothing runs
  // anyway.
  auto written = co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    MOTH_TRY(os::make_dirs(services_.paths.pod(context_.uid), 0750));
    return os::write_file_atomic(services_.paths.checkpoint(context_.uid), text, 0600, false);
  });
  saving_ = false;
  save_ended_.notify();
  if (written) {
    saved_ = std::move(text);
  } else {
    log::error("pod checkpoint not written", log::field("pod", context_.key()),
               log::field("error", written.error().message));
  }
}

Task<void> PodWorker::run() {
  if (adopted_) co_await recover();
  while (!gone()) {
    StepInput input{context_.view(), object_gone_, services_.clock.mono(), services_.clock.wall()};
    Step step = pod_step(input, record_);
    if (!step.failed_reason.empty()) {
      record_.failed_reason = step.failed_reason;
      record_.failed_message = step.failed_message;
    }
    if (step.stage != record_.stage) {
      enter(step.stage);
      if (step.actions.empty()) continue;
    }
    for (const Action& action : step.actions) perform(action);
    std::string version = std::to_string(context_.object->meta().resource_version);
    bool stale = refresh_wanted_ || version != refreshed_for_;
    if (record_.stage == PodStage::kSyncing && record_.resources_ready && stale && !refreshing_) {
      refreshed_for_ = version;
      refresh_wanted_ = false;
      refreshing_ = true;
      scope_.spawn("pod resources refresh", refresh_resources());
    }
    co_await save();
    co_await report();
    if (!first_report_done_) {
      first_report_done_ = true;
      first_report_.notify();
    }
    if (gone()) break;
    if (step.wake) {
      co_await (changed_.wait() || services_.clock.sleep_until(*step.wake));
    } else {
      co_await changed_.wait();
    }
  }
  first_report_done_ = true;
  first_report_.notify();
  gone_.notify();
}

void PodWorker::enter(PodStage stage) {
  record_.stage = stage;
  if (stage != PodStage::kTerminating) return;
  record_.deletion_requested = services_.clock.wall();
  ending_.notify();
  for (auto& [name, run] : runs_) {
    if (run->prober) run->prober->terminating();
  }
}

void PodWorker::perform(const Action& action) {
  switch (action.kind) {
    case Action::Kind::kPrepareResources:
      record_.resources_busy = true;
      scope_.spawn("pod resources", prepare_resources());
      break;
    case Action::Kind::kStart:
      if (const Container* container = find_container(action.container)) {
        record_.container(action.container).state = State::kPulling;
        scope_.spawn("container start", start_container(*container));
      }
      break;
    case Action::Kind::kKill:
      record_.container(action.container).killing = true;
      scope_.spawn("container kill",
                   kill_container(action.container, action.grace, action.message));
      break;
    case Action::Kind::kWithdraw:
      record_.withdrawing = true;
      scope_.spawn("pod withdraw", withdraw());
      break;
    case Action::Kind::kCleanUp:
      record_.cleaning = true;
      scope_.spawn("pod cleanup", clean_up());
      break;
    case Action::Kind::kFinish:
      if (finishing_) break;
      finishing_ = true;
      scope_.spawn("pod finish", finish());
      break;
    case Action::Kind::kForget:
      // finish() forgets by itself when the object goes meanwhile.
      if (finishing_) break;
      finishing_ = true;
      scope_.spawn("pod forget", forget());
      break;
  }
}

Task<void> PodWorker::prepare_resources() {
  if (!context_.view().spec().host_users) {
    // Running it as the host's root would be less than what was asked for.
    record_.resources_busy = false;
    record_.resources_not_before = services_.clock.mono() + kMaxResourceBackoff;
    event(client::EventType::kWarning, "FailedCreatePodSandBox",
          "spec.hostUsers: false is not supported by this node yet: remove it to run in the host's "
          "user namespace");
    changed();
    co_return;
  }
  for (PodResource* resource : services_.resources) {
    auto prepared = co_await resource->prepare(context_);
    record_.pod_ip = context_.pod_ip;
    if (prepared) continue;
    event(client::EventType::kWarning, resource->event_reason(), prepared.error().message);
    record_.resources_backoff =
        record_.resources_backoff == Duration::zero()
            ? Duration(kFirstResourceBackoff)
            : std::min<Duration>(record_.resources_backoff * 2, kMaxResourceBackoff);
    record_.resources_not_before = services_.clock.mono() + record_.resources_backoff;
    record_.resources_busy = false;
    changed();
    co_return;
  }
  record_.resources_busy = false;
  record_.resources_ready = true;
  record_.resources_backoff = {};
  refreshed_for_ = std::to_string(context_.object->meta().resource_version);
  changed();
}

Task<void> PodWorker::refresh_resources() {
  for (PodResource* resource : services_.resources) {
    auto updated = co_await resource->update(context_);
    if (!updated)
      event(client::EventType::kWarning, resource->event_reason(), updated.error().message);
  }
  refreshing_ = false;
  changed();
}

Task<void> PodWorker::withdraw() {
  if (!context_.pod_ip.empty() && !context_.netns_path.empty()) {
    auto done = co_await services_.withdraw(context_.pod_ip);
    if (!done) {
      log::warning("a pod could not be taken out of its services",
                   log::field("pod", context_.key()), log::field("error", done.error().message));
    }
  }
  record_.withdrawing = false;
  record_.withdrawn = true;
  changed();
}

Task<void> PodWorker::clean_up() {
  Duration backoff = kFirstResourceBackoff;
  for (;;) {
    Result<> result;
    for (const auto& [name, state] : record_.containers) {
      if (state.attempt < 0) continue;
      auto removed = co_await services_.factory.remove(context_, name, state.attempt);
      if (!removed && result) result = removed;
    }
    for (auto it = services_.resources.rbegin(); it != services_.resources.rend(); ++it) {
      auto cleaned = co_await (*it)->cleanup(context_);
      if (!cleaned && result) result = cleaned;
    }
    if (result) break;
    event(client::EventType::kWarning, "FailedKillPod",
          "error killing pod: " + result.error().message);
    co_await services_.clock.sleep_for(backoff);
    backoff = std::min<Duration>(backoff * 2, kMaxResourceBackoff);
  }
  if (!context_.pod_ip.empty() && context_.pod_ip != context_.host_ip)
    (void)co_await services_.readmit(context_.pod_ip);
  record_.cleaning = false;
  record_.cleaned = true;
  changed();
}

Task<void> PodWorker::finish() {
  // Stays until the object is deleted: a finished pod shows its end.
  while (!object_gone_ && !context_.object->meta().deletion_time) co_await changed_.wait();
  if (!object_gone_) {
    co_await report();
    client::DeleteOptions options;
    options.grace_period_seconds = 0;
    options.precondition_uid = context_.uid;
    auto removed =
        co_await services_.client.remove(client::gvr::kPods, context_.ns, context_.name, options);
    if (removed && *removed) {
      // Finalizers hold it; its removal arrives as an update.
      while (!object_gone_) co_await changed_.wait();
    } else if (!removed && removed.error().reason != Reason::kNotFound &&
               removed.error().reason != Reason::kConflict) {
      log::warning("a finished pod could not be removed", log::field("pod", context_.key()),
                   log::field("error", removed.error().message));
      co_await services_.clock.sleep_for(std::chrono::seconds(1));
      finishing_ = false;
      changed();
      co_return;
    }
  }
  object_gone_ = true;
  co_await forget();
}

Task<void> PodWorker::forget() {
  if (std::exchange(forgetting_, true)) co_return;
  while (saving_) co_await save_ended_.wait();
  std::string pod = services_.paths.pod(context_.uid);
  std::string logs = services_.paths.pod_logs(context_.ns, context_.name, context_.uid);
  co_await services_.runtime.removed();
  auto removed = co_await call_on(services_.executors.blocking(), [&]() -> Result<> {
    MOTH_TRY(os::remove_tree(logs));
    return os::remove_tree(pod);
  });
  if (!removed) {
    log::error("files of a pod are left", log::field("pod", context_.key()),
               log::field("error", removed.error().message));
  }
  record_.stage = PodStage::kGone;
  changed();
  gone_.notify();
}

Task<void> PodWorker::report() {
  if (object_gone_ || detached_) co_return;
  StatusInput input{context_, record_, services_.clock.wall()};
  Json status = build_pod_status(input);
  std::string text = status.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text == reported_) co_return;
  Json object = *context_.object->dom();
  object["status"] = std::move(status);
  object["metadata"].erase("resourceVersion");
  client::WriteOptions options;
  options.subresource = "status";
  auto written = co_await services_.client.update(client::gvr::kPods, context_.ns, context_.name,
                                                  std::move(object), options);
  if (written) {
    reported_ = std::move(text);
  } else if (written.error().reason != Reason::kNotFound) {
    log::warning("pod status not written", log::field("pod", context_.key()),
                 log::field("error", written.error().message));
  }
}

}  // namespace moth::agent
