#include "runtime/agent/pod_status.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/conditions.h"
#include "runtime/agent/pod_step.h"

namespace moth::agent {
namespace {

using resources::Container;
using resources::PodSpec;
using State = ContainerRecord::State;

constexpr std::string_view kScheme = "moth://";

Json terminated_json(const Termination& end) {
  Json json = {{"exitCode", end.exit_code},
               {"reason", end.reason},
               {"startedAt", format_rfc3339(end.started_at)},
               {"finishedAt", format_rfc3339(end.finished_at)},
               {"containerID", std::string(kScheme) + end.container_id}};
  if (end.signal != 0) json["signal"] = end.signal;
  if (!end.message.empty()) json["message"] = end.message;
  return {{"terminated", std::move(json)}};
}

Json waiting_json(const std::string& reason, const std::string& message) {
  Json json = {{"reason", reason}};
  if (!message.empty()) json["message"] = message;
  return {{"waiting", std::move(json)}};
}

class StatusBuilder {
 public:
  explicit StatusBuilder(const StatusInput& input)
      : input_(input), spec_(input.pod.view().spec()), record_(input.record) {}

  Json build() {
    const Json before = input_.pod.object->parse();
    const Json* old = find_member(before, "status");
    Json status = old && old->is_object() ? *old : Json::object();
    initialized_ = initialized(spec_, record_);
    status["containerStatuses"] = statuses(spec_.containers, "ContainerCreating");
    if (!spec_.init_containers.empty())
      status["initContainerStatuses"] = statuses(spec_.init_containers, "PodInitializing");
    if (!spec_.ephemeral_containers.empty()) {
      status["ephemeralContainerStatuses"] =
          statuses(spec_.ephemeral_containers, "ContainerCreating");
    }
    phase_ = phase();
    const Json* known = find_member(status, "phase");
    // An end is final.
    if (known && (*known == "Succeeded" || *known == "Failed")) phase_ = known->get<std::string>();
    status["phase"] = phase_;
    set_or_erase(status, "reason", record_.failed_reason);
    set_or_erase(status, "message", record_.failed_message);
    status["startTime"] = format_rfc3339(record_.accepted_at);
    status["qosClass"] = std::string(to_string(input_.pod.view().qos()));
    addresses(status);
    status["observedGeneration"] = input_.pod.object->meta().generation;
    conditions(status);
    return status;
  }

 private:
  static void set_or_erase(Json& status, const char* field, const std::string& value) {
    if (value.empty()) {
      status.erase(field);
    } else {
      status[field] = value;
    }
  }

  const ContainerRecord* find(const Container& container) const {
    return record_.find(container.name);
  }

  bool ready(const Container& container) const {
    const ContainerRecord* record = find(container);
    return record && record->running() && record->ready && !record->kill_wanted;
  }

  Json state_of(const Container& container, const ContainerRecord& record,
                std::string_view waiting) const {
    if (record.running()) {
      // Until its postStart hook is through, a container is not shown as running.
      if (record.post_start_done)
        return {{"running", {{"startedAt", format_rfc3339(record.started_at)}}}};
      if (!record.waiting_reason.empty())
        return waiting_json(record.waiting_reason, record.waiting_message);
      return waiting_json(std::string(waiting), "");
    }
    bool will_restart = record_.stage == PodStage::kSyncing && record_.failed_reason.empty() &&
                        record.last && should_restart(spec_, container, record.last->exit_code);
    if (record.state == State::kExited && record.last &&
        (!will_restart || record.waiting_reason.empty())) {
      return terminated_json(*record.last);
    }
    if (!record.waiting_reason.empty())
      return waiting_json(record.waiting_reason, record.waiting_message);
    if (record.last && !record.busy()) return terminated_json(*record.last);
    return waiting_json(std::string(waiting), "");
  }

  Json status_of(const Container& container, std::string_view waiting) const {
    static const ContainerRecord kNone;
    const ContainerRecord* found = find(container);
    const ContainerRecord& record = found ? *found : kNone;
    Json json = {{"name", container.name},
                 {"image", record.image.empty() ? container.image : record.image},
                 {"imageID", record.image_id},
                 {"restartCount", std::max(0, record.attempt)},
                 {"ready", ready_flag(container, record)},
                 {"started", is_started(container, record)},
                 {"state", state_of(container, record, waiting)},
                 {"lastState", Json::object()}};
    // The end that `state` does not show.
    bool shows_end = json["state"].contains("terminated");
    const auto& last = shows_end ? record.previous : record.last;
    if (last) json["lastState"] = terminated_json(*last);
    if (record.attempt >= 0) {
      json["containerID"] =
          std::string(kScheme) + (record.running() ? run_id(container, record.attempt)
                                  : record.last    ? record.last->container_id
                                                   : run_id(container, record.attempt));
    }
    return json;
  }

  std::string run_id(const Container& container, int attempt) const {
    return fmt::format("{}_{}_{}", input_.pod.uid, container.name, attempt);
  }

  // Init containers are ready when they are done.
  bool ready_flag(const Container& container, const ContainerRecord& record) const {
    if (container.kind == Container::Kind::kInit && !container.is_sidecar()) {
      return record.state == State::kExited && record.last && record.last->exit_code == 0;
    }
    return ready(container);
  }

  Json statuses(const std::vector<Container>& containers, std::string_view waiting) const {
    std::string_view reason = waiting;
    bool app = !containers.empty() && containers.front().kind == Container::Kind::kApp;
    if (app && !spec_.init_containers.empty() && !initialized_) reason = "PodInitializing";
    Json list = Json::array();
    for (const Container& container : containers) list.push_back(status_of(container, reason));
    if (app) {
      std::sort(list.begin(), list.end(),
                [](const Json& a, const Json& b) { return a["name"] < b["name"]; });
    }
    return list;
  }

  std::string phase() const {
    if (!record_.failed_reason.empty()) return "Failed";
    bool ending = record_.stage == PodStage::kTerminated || record_.stage == PodStage::kGone;
    for (const Container& container : spec_.init_containers) {
      const ContainerRecord* record = find(container);
      if (container.is_sidecar()) continue;
      bool failed =
          record && record->state == State::kExited && record->last && record->last->exit_code != 0;
      if (failed && (ending || !should_restart(spec_, container, record->last->exit_code)))
        return "Failed";
    }
    if (!initialized_) return ending ? "Failed" : "Pending";
    int running = 0, waiting = 0, failed = 0;
    for (const Container& container : spec_.containers) {
      const ContainerRecord* record = find(container);
      if (!record || record->attempt < 0) {
        ++waiting;
      } else if (record->running()) {
        ++running;
      } else if (!record->last) {
        ++waiting;
      } else if (!ending && should_restart(spec_, container, record->last->exit_code)) {
        ++running;
      } else if (record->last->exit_code != 0) {
        ++failed;
      }
    }
    if (ending) return failed > 0 || waiting > 0 ? "Failed" : "Succeeded";
    if (waiting > 0) return "Pending";
    if (running > 0) return "Running";
    return failed > 0 ? "Failed" : "Succeeded";
  }

  void addresses(Json& status) const {
    if (!input_.pod.host_ip.empty()) {
      status["hostIP"] = input_.pod.host_ip;
      status["hostIPs"] = Json::array({{{"ip", input_.pod.host_ip}}});
    }
    if (!input_.pod.pod_ip.empty()) {
      status["podIP"] = input_.pod.pod_ip;
      status["podIPs"] = Json::array({{{"ip", input_.pod.pod_ip}}});
    }
  }

  void set(Json& status, const char* type, bool value, const std::string& reason,
           const std::string& message) const {
    resources::ConditionUpdate update{type, value ? "True" : "False", reason, message,
                                      input_.pod.object->meta().generation};
    resources::set_condition(status, update, input_.now);
  }

  static std::string list_names(const char* what, const std::vector<std::string>& names) {
    return fmt::format("containers with {} status: [{}]", what, fmt::join(names, " "));
  }

  void conditions(Json& status) const {
    bool torn_down = record_.stage == PodStage::kTerminated;
    set(status, "PodReadyToStartContainers", record_.resources_ready && !torn_down, "", "");
    bool ended = phase_ == "Succeeded" || phase_ == "Failed";
    std::string end_reason = phase_ == "Succeeded" ? "PodCompleted" : "PodFailed";

    std::vector<std::string> incomplete;
    for (const Container& container : spec_.init_containers) {
      const ContainerRecord* record = find(container);
      bool done = container.is_sidecar() ? record && is_started(container, *record)
                                         : record && record->state == State::kExited &&
                                               record->last && record->last->exit_code == 0;
      if (!done) incomplete.push_back(container.name);
    }
    if (initialized_ || incomplete.empty()) {
      set(status, "Initialized", true, phase_ == "Succeeded" ? "PodCompleted" : "", "");
    } else {
      set(status, "Initialized", false, "ContainersNotInitialized",
          list_names("incomplete", incomplete));
    }

    std::vector<std::string> unready;
    for (const Container& container : spec_.init_containers) {
      if (container.is_sidecar() && !ready(container)) unready.push_back(container.name);
    }
    for (const Container& container : spec_.containers) {
      if (!ready(container)) unready.push_back(container.name);
    }
    bool all_ready = unready.empty() && !ended;
    std::string reason = all_ready ? "" : ended ? end_reason : "ContainersNotReady";
    std::string message = all_ready || ended ? "" : list_names("unready", unready);
    set(status, "ContainersReady", all_ready, reason, message);
    std::string closed = all_ready ? closed_gates(status) : "";
    if (!closed.empty()) {
      set(status, "Ready", false, "ReadinessGatesNotReady", closed);
    } else {
      set(status, "Ready", all_ready, reason, message);
    }
    set(status, "PodScheduled", true, "", "");
  }

  // What holds the readiness gates closed, or nothing.
  std::string closed_gates(const Json& status) const {
    const Json whole = {{"status", status}};
    std::vector<std::string> texts;
    for (const std::string& gate : spec_.readiness_gates) {
      const Json* found = resources::find_condition(whole, gate);
      std::string value = found ? string_or(*found, "status") : "";
      if (!found) {
        texts.push_back(fmt::format(
            "corresponding condition of pod readiness gate \"{}\" does not exist.", gate));
      } else if (value != "True") {
        texts.push_back(fmt::format(
            "the status of pod readiness gate \"{}\" is not \"True\", but {}", gate, value));
      }
    }
    return fmt::format("{}", fmt::join(texts, ", "));
  }

  const StatusInput& input_;
  const PodSpec& spec_;
  const PodRecord& record_;
  bool initialized_ = false;
  std::string phase_;
};

}  // namespace

Json build_pod_status(const StatusInput& input) {
  return StatusBuilder(input).build();
}

}  // namespace moth::agent
