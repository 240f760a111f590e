#include "api/resources/core_v1/pod_printing.h"

#include <fmt/format.h>

#include <map>
#include <optional>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/cells.h"
#include "api/resources/conditions.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

// What the columns Ready, Status and Restarts are made of.
struct Summary {
  std::string status;
  std::size_t total = 0, ready = 0;
  std::int64_t restarts = 0, sidecar_restarts = 0;
  std::optional<WallTime> last_restart, last_sidecar_restart;
  bool initializing = false;
};

const Json* state_of(const Json& status, std::string_view kind) {
  return find_path(status, "state", kind);
}

void note_restart(const Json& status, std::optional<WallTime>& last) {
  const Json* ended = find_path(status, "lastState", "terminated");
  if (!ended) return;
  auto time = parse_rfc3339(string_or(*ended, "finishedAt"));
  if (time && (!last || *last < *time)) last = *time;
}

// `Error`, or `Signal:9` / `ExitCode:2` when there is no reason.
std::string ended_text(const Json& ended) {
  std::string reason = string_or(ended, "reason");
  if (!reason.empty()) return reason;
  if (std::int64_t signal = int_or(ended, "signal")) return fmt::format("Signal:{}", signal);
  return fmt::format("ExitCode:{}", int_or(ended, "exitCode"));
}

std::map<std::string, bool> init_containers(const Json& spec) {
  std::map<std::string, bool> sidecar;
  for (const Json& container : items(spec, "initContainers")) {
    sidecar[string_or(container, "name")] = string_or(container, "restartPolicy") == "Always";
  }
  return sidecar;
}

// True when this init container is done (or, for a sidecar, up) and the next one counts.
bool init_is_over(const Json& status, bool sidecar) {
  if (const Json* ended = state_of(status, "terminated");
      ended && int_or(*ended, "exitCode") == 0) {
    return true;
  }
  return sidecar && bool_or(status, "started");
}

std::string init_text(const Json& status, std::size_t index, std::size_t count) {
  if (const Json* ended = state_of(status, "terminated")) return "Init:" + ended_text(*ended);
  if (const Json* waiting = state_of(status, "waiting")) {
    std::string reason = string_or(*waiting, "reason");
    if (!reason.empty() && reason != "PodInitializing") return "Init:" + reason;
  }
  return fmt::format("Init:{}/{}", index, count);
}

void walk_init(const Json& pod, Summary& summary) {
  const Json& spec = object_of(pod, "spec");
  std::map<std::string, bool> sidecars = init_containers(spec);
  std::size_t index = 0;
  for (const Json& status : items(object_of(pod, "status"), "initContainerStatuses")) {
    bool sidecar = sidecars[string_or(status, "name")];
    summary.restarts += int_or(status, "restartCount");
    note_restart(status, summary.last_restart);
    if (sidecar) {
      summary.sidecar_restarts += int_or(status, "restartCount");
      note_restart(status, summary.last_sidecar_restart);
    }
    if (init_is_over(status, sidecar)) {
      bool up = sidecar && bool_or(status, "started");
      if (up && bool_or(status, "ready")) ++summary.ready;
    } else if (!summary.initializing) {
      summary.status = init_text(status, index, sidecars.size());
      summary.initializing = true;
      break;
    }
    ++index;
  }
}

bool pod_is_ready(const Json& pod) {
  return condition_is_true(pod, "Ready");
}

void walk_containers(const Json& pod, Summary& summary) {
  summary.restarts = summary.sidecar_restarts;
  summary.last_restart = summary.last_sidecar_restart;
  bool running = false;
  std::string error;
  const Json& statuses = items(object_of(pod, "status"), "containerStatuses");
  for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
    const Json& status = *it;
    summary.restarts += int_or(status, "restartCount");
    note_restart(status, summary.last_restart);
    const Json* waiting = state_of(status, "waiting");
    const Json* ended = state_of(status, "terminated");
    if (waiting && !string_or(*waiting, "reason").empty()) {
      summary.status = string_or(*waiting, "reason");
    } else if (ended) {
      summary.status = ended_text(*ended);
      if (int_or(*ended, "exitCode") != 0 || int_or(*ended, "signal") != 0) {
        error = summary.status;
      }
    } else if (bool_or(status, "ready") && state_of(status, "running")) {
      running = true;
      ++summary.ready;
    }
  }
  if (summary.status != "Completed") return;
  if (running && pod_is_ready(pod)) {
    summary.status = "Running";
  } else if (!error.empty()) {
    summary.status = error;
  } else if (running) {
    summary.status = "NotReady";
  }
}

Summary summarize(const Json& pod) {
  Summary summary;
  const Json& spec = object_of(pod, "spec");
  const Json& status = object_of(pod, "status");
  summary.total = items(spec, "containers").size();
  for (const auto& [name, sidecar] : init_containers(spec)) summary.total += sidecar ? 1 : 0;
  std::string phase = string_or(status, "phase");
  std::string reason = string_or(status, "reason");
  summary.status = reason.empty() ? phase : reason;
  const Json* scheduled = find_condition(pod, "PodScheduled");
  if (scheduled && string_or(*scheduled, "reason") == "SchedulingGated") {
    summary.status = "SchedulingGated";
  }
  walk_init(pod, summary);
  if (!summary.initializing || condition_is_true(pod, "Initialized")) {
    walk_containers(pod, summary);
  }
  if (has(object_of(pod, "metadata"), "deletionTimestamp")) {
    if (reason == "NodeLost") {
      summary.status = "Unknown";
    } else if (phase != "Succeeded" && phase != "Failed") {
      summary.status = "Terminating";
    }
  }
  return summary;
}

std::string restarts_text(const Summary& summary, const RowContext& context) {
  std::string text = std::to_string(summary.restarts);
  if (summary.restarts == 0 || !summary.last_restart) return text;
  return fmt::format("{} ({} ago)", text, human_age(context.now - *summary.last_restart));
}

std::string gates_text(const Json& pod) {
  const Json& gates = items(object_of(pod, "spec"), "readinessGates");
  if (gates.empty()) return "<none>";
  std::size_t held = 0;
  for (const Json& gate : gates) held += condition_is_true(pod, string_or(gate, "conditionType"));
  return fmt::format("{}/{}", held, gates.size());
}

std::string first_ip(const Json& status) {
  const Json& list = items(status, "podIPs");
  return or_none(list.empty() ? "" : string_or(list.front(), "ip"));
}

}  // namespace

std::vector<Column> pod_columns() {
  return columns({column("Name", "Name of the pod, unique in its namespace"),
                  column("Ready", "Containers that are ready, of all that keep running"),
                  column("Status", "Phase, or what keeps the pod from running"),
                  column("Restarts", "Restarts of all containers, and when the last one was"),
                  column("Age", "Time since creation"),
                  column("IP", "Address of the pod", "string", 1),
                  column("Node", "Node that the pod is bound to", "string", 1),
                  column("Nominated Node", "Node on which room is being made", "string", 1),
                  column("Readiness Gates", "Readiness gates that hold, of all", "string", 1)});
}

Json pod_row(const Json& pod, const RowContext& context) {
  Summary summary = summarize(pod);
  const Json& status = object_of(pod, "status");
  return Json::array({name_cell(pod), fmt::format("{}/{}", summary.ready, summary.total),
                      summary.status, restarts_text(summary, context), age_cell(pod, context),
                      first_ip(status), or_none(string_or(object_of(pod, "spec"), "nodeName")),
                      or_none(string_or(status, "nominatedNodeName")), gates_text(pod)});
}

Json pod_row_conditions(const Json& pod) {
  std::string phase = string_or(object_of(pod, "status"), "phase");
  if (phase != "Succeeded" && phase != "Failed") return Json::array();
  return Json::array({{{"type", "Completed"},
                       {"status", "True"},
                       {"reason", phase},
                       {"message", phase == "Succeeded" ? "The pod has completed successfully."
                                                        : "The pod failed."}}});
}

std::string pod_status_text(const Json& pod) {
  return summarize(pod).status;
}

}  // namespace moth::resources
