#include "runtime/agent/pod_record.h"

#include <fmt/format.h>

#include "api/base/json.h"

namespace moth::agent {
namespace {

using State = ContainerRecord::State;

std::int64_t nanos(WallTime time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

WallTime wall(const Json& object, const char* key) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::nanoseconds(int_or(object, key))));
}

Json termination_json(const Termination& end) {
  return {{"exitCode", end.exit_code},
          {"signal", end.signal},
          {"reason", end.reason},
          {"message", end.message},
          {"startedAt", nanos(end.started_at)},
          {"finishedAt", nanos(end.finished_at)},
          {"containerID", end.container_id}};
}

std::optional<Termination> read_termination(const Json& object, const char* key) {
  const Json* json = find_member(object, key);
  if (!json || !json->is_object()) return std::nullopt;
  Termination end;
  end.exit_code = static_cast<int>(int_or(*json, "exitCode"));
  end.signal = static_cast<int>(int_or(*json, "signal"));
  end.reason = string_or(*json, "reason");
  end.message = string_or(*json, "message");
  end.started_at = wall(*json, "startedAt");
  end.finished_at = wall(*json, "finishedAt");
  end.container_id = string_or(*json, "containerID");
  return end;
}

Json container_json(const ContainerRecord& record) {
  Json json = {{"state", static_cast<int>(record.state)},
               {"attempt", record.attempt},
               {"waitingReason", record.waiting_reason},
               {"waitingMessage", record.waiting_message},
               {"image", record.image},
               {"imageID", record.image_id},
               {"localImageID", record.local_image_id},
               {"definition", record.definition},
               {"startedAt", nanos(record.started_at)},
               {"postStartDone", record.post_start_done},
               {"startupPassed", record.startup_passed},
               {"ready", record.ready},
               {"killMessage", record.kill_message},
               {"killWanted", record.kill_wanted}};
  if (record.last) json["last"] = termination_json(*record.last);
  if (record.previous) json["previous"] = termination_json(*record.previous);
  return json;
}

// An enumerator by number, within those that there are.
template <class Enum>
Result<Enum> read_enum(const Json& json, const char* key, Enum last) {
  std::int64_t number = int_or(json, key);
  if (number < 0 || number > static_cast<std::int64_t>(last)) {
    return fail(
        Error::internal(fmt::format("a pod checkpoint with the unknown {} {}", key, number)));
  }
  return static_cast<Enum>(number);
}

Result<ContainerRecord> read_container(const Json& json) {
  ContainerRecord record;
  MOTH_ASSIGN(record.state, read_enum(json, "state", State::kExited));
  record.attempt = static_cast<int>(int_or(json, "attempt", -1));
  record.waiting_reason = string_or(json, "waitingReason");
  record.waiting_message = string_or(json, "waitingMessage");
  record.image = string_or(json, "image");
  record.image_id = string_or(json, "imageID");
  record.local_image_id = string_or(json, "localImageID");
  record.definition = string_or(json, "definition");
  record.started_at = wall(json, "startedAt");
  record.post_start_done = bool_or(json, "postStartDone");
  record.startup_passed = bool_or(json, "startupPassed");
  record.ready = bool_or(json, "ready");
  record.kill_message = string_or(json, "killMessage");
  record.kill_wanted = bool_or(json, "killWanted");
  record.last = read_termination(json, "last");
  record.previous = read_termination(json, "previous");
  return record;
}

}  // namespace

Json to_checkpoint(const PodRecord& record, const std::string& ns, const std::string& name,
                   const std::string& uid) {
  Json containers = Json::object();
  for (const auto& [container, state] : record.containers)
    containers[container] = container_json(state);
  return {{"version", 1},
          {"namespace", ns},
          {"name", name},
          {"uid", uid},
          {"stage", static_cast<int>(record.stage)},
          {"acceptedAt", nanos(record.accepted_at)},
          {"resourcesReady", record.resources_ready},
          {"podIP", record.pod_ip},
          {"failedReason", record.failed_reason},
          {"failedMessage", record.failed_message},
          {"deletionRequested", nanos(record.deletion_requested)},
          {"containers", std::move(containers)}};
}

Result<PodRecord> from_checkpoint(const Json& checkpoint) {
  if (int_or(checkpoint, "version") != 1)
    return fail(Error::internal("a pod checkpoint of an unknown version"));
  PodRecord record;
  MOTH_ASSIGN(record.stage, read_enum(checkpoint, "stage", PodStage::kGone));
  record.accepted_at = wall(checkpoint, "acceptedAt");
  record.resources_ready = bool_or(checkpoint, "resourcesReady");
  record.pod_ip = string_or(checkpoint, "podIP");
  record.failed_reason = string_or(checkpoint, "failedReason");
  record.failed_message = string_or(checkpoint, "failedMessage");
  record.deletion_requested = wall(checkpoint, "deletionRequested");
  if (const Json* containers = find_member(checkpoint, "containers");
      containers && containers->is_object()) {
    for (const auto& [name, json] : containers->items()) {
      MOTH_ASSIGN(record.containers[name], read_container(json));
    }
  }
  return record;
}

}  // namespace moth::agent
