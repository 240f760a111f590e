#include "api/resources/core_v1/pod_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

PodPhase parse_phase(std::string_view text) {
  if (text == "Running") return PodPhase::kRunning;
  if (text == "Succeeded") return PodPhase::kSucceeded;
  if (text == "Failed") return PodPhase::kFailed;
  return text == "Unknown" ? PodPhase::kUnknown : PodPhase::kPending;
}

QosClass parse_qos(std::string_view text) {
  if (text == "Guaranteed") return QosClass::kGuaranteed;
  return text == "Burstable" ? QosClass::kBurstable : QosClass::kBestEffort;
}

ContainerState parse_state(const Json& json) {
  ContainerState out;
  if (const Json* running = member(json, "running")) {
    out.kind = ContainerState::Kind::kRunning;
    out.started_at = optional_time(*running, "startedAt");
  } else if (const Json* ended = member(json, "terminated")) {
    out.kind = ContainerState::Kind::kTerminated;
    out.reason = string_or(*ended, "reason");
    out.message = string_or(*ended, "message");
    out.started_at = optional_time(*ended, "startedAt");
    out.finished_at = optional_time(*ended, "finishedAt");
    out.exit_code = int32_or(*ended, "exitCode");
    out.signal = int32_or(*ended, "signal");
  } else if (const Json* waiting = member(json, "waiting")) {
    out.kind = ContainerState::Kind::kWaiting;
    out.reason = string_or(*waiting, "reason");
    out.message = string_or(*waiting, "message");
  }
  return out;
}

std::vector<ContainerStatus> parse_statuses(const Json& list) {
  std::vector<ContainerStatus> out;
  for (const Json& json : list) {
    ContainerStatus one;
    one.name = string_or(json, "name");
    one.image = string_or(json, "image");
    one.image_id = string_or(json, "imageID");
    one.container_id = string_or(json, "containerID");
    one.state = parse_state(object_of(json, "state"));
    one.last_state = parse_state(object_of(json, "lastState"));
    one.ready = bool_or(json, "ready");
    one.started = optional_bool(json, "started");
    one.restart_count = int32_or(json, "restartCount");
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace

std::string_view to_string(PodPhase phase) {
  switch (phase) {
    case PodPhase::kPending:
      return "Pending";
    case PodPhase::kRunning:
      return "Running";
    case PodPhase::kSucceeded:
      return "Succeeded";
    case PodPhase::kFailed:
      return "Failed";
    case PodPhase::kUnknown:
      return "Unknown";
  }
  return "";
}

std::string_view to_string(QosClass qos) {
  switch (qos) {
    case QosClass::kGuaranteed:
      return "Guaranteed";
    case QosClass::kBurstable:
      return "Burstable";
    case QosClass::kBestEffort:
      return "BestEffort";
  }
  return "";
}

PodView::PodView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  spec_ = parse_pod_spec(spec, meta_->name);
  const Json& status = object_of(*dom, "status");
  std::string qos = string_or(status, "qosClass");
  qos_ = parse_qos(qos.empty() ? qos_class(spec) : qos);
  phase_ = parse_phase(string_or(status, "phase"));
  reason_ = string_or(status, "reason");
  message_ = string_or(status, "message");
  pod_ip_ = string_or(status, "podIP");
  for (const Json& entry : items(status, "podIPs")) pod_ips_.push_back(string_or(entry, "ip"));
  host_ip_ = string_or(status, "hostIP");
  nominated_node_ = string_or(status, "nominatedNodeName");
  start_time_ = optional_time(status, "startTime");
  conditions_ = parse_conditions(items(status, "conditions"));
  container_statuses_ = parse_statuses(items(status, "containerStatuses"));
  init_statuses_ = parse_statuses(items(status, "initContainerStatuses"));
  ephemeral_statuses_ = parse_statuses(items(status, "ephemeralContainerStatuses"));
}

const Condition* PodView::condition(std::string_view type) const {
  return find_condition(conditions_, type);
}

bool PodView::is_ready() const {
  const Condition* ready = condition("Ready");
  return ready && ready->is_true();
}

std::optional<WallTime> PodView::ready_since() const {
  const Condition* ready = condition("Ready");
  return ready && ready->is_true() ? ready->last_transition : std::nullopt;
}

bool PodView::is_available(std::chrono::seconds min_ready, WallTime now) const {
  if (!is_ready()) return false;
  if (min_ready.count() <= 0) return true;
  auto since = ready_since();
  return since && *since + min_ready <= now;
}

const ContainerStatus* PodView::container_status(std::string_view name) const {
  for (const auto* list : {&container_statuses_, &init_statuses_, &ephemeral_statuses_}) {
    for (const ContainerStatus& one : *list) {
      if (one.name == name) return &one;
    }
  }
  return nullptr;
}

std::int32_t PodView::restart_count() const {
  std::int32_t sum = 0;
  for (const ContainerStatus& one : container_statuses_) sum += one.restart_count;
  for (const ContainerStatus& one : init_statuses_) {
    const Container* container = spec_.find_container(one.name);
    if (container && container->is_sidecar()) sum += one.restart_count;
  }
  return sum;
}

}  // namespace moth::resources
