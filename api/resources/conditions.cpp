#include "api/resources/conditions.h"

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

std::optional<WallTime> time_of(const Json& object, std::string_view key) {
  std::string text = string_or(object, key);
  if (text.empty()) return std::nullopt;
  auto parsed = parse_rfc3339(text);
  return parsed ? std::optional(*parsed) : std::nullopt;
}

const Json* find_in(const Json& list, std::string_view type) {
  for (const Json& entry : list) {
    if (string_or(entry, "type") == type) return &entry;
  }
  return nullptr;
}

// Writes the member, or removes it when `text` is empty. True when it changed.
bool put_text(Json& condition, const std::string& key, const std::string& text) {
  if (string_or(condition, key) == text) return false;
  if (text.empty()) {
    condition.erase(key);
  } else {
    condition[key] = text;
  }
  return true;
}

}  // namespace

std::vector<Condition> parse_conditions(const Json& conditions) {
  std::vector<Condition> out;
  if (!conditions.is_array()) return out;
  for (const Json& entry : conditions) {
    if (!entry.is_object()) continue;
    Condition one;
    one.type = string_or(entry, "type");
    one.status = string_or(entry, "status");
    one.reason = string_or(entry, "reason");
    one.message = string_or(entry, "message");
    one.last_transition = time_of(entry, "lastTransitionTime");
    one.last_update = time_of(entry, "lastUpdateTime");
    one.last_heartbeat = time_of(entry, "lastHeartbeatTime");
    one.observed_generation = int_or(entry, "observedGeneration");
    out.push_back(std::move(one));
  }
  return out;
}

const Condition* find_condition(const std::vector<Condition>& conditions, std::string_view type) {
  for (const Condition& one : conditions) {
    if (one.type == type) return &one;
  }
  return nullptr;
}

const Json* find_condition(const Json& object, std::string_view type) {
  const Json* list = find_path(object, "status", "conditions");
  return list && list->is_array() ? find_in(*list, type) : nullptr;
}

bool condition_is_true(const Json& object, std::string_view type) {
  const Json* found = find_condition(object, type);
  return found && string_or(*found, "status") == "True";
}

bool set_condition(Json& status, const ConditionUpdate& update, WallTime now) {
  using Times = ConditionUpdate::Times;
  if (!status.is_object()) status = Json::object();
  Json& list = status["conditions"];
  if (!list.is_array()) list = Json::array();
  Json* condition = const_cast<Json*>(find_in(list, update.type));
  if (!condition) {
    list.push_back({{"type", update.type}});
    condition = &list.back();
  }
  const std::string time = format_rfc3339(now);
  bool transition = string_or(*condition, "status") != update.status;
  (*condition)["status"] = update.status;
  bool changed = transition;
  changed |= put_text(*condition, "reason", update.reason);
  changed |= put_text(*condition, "message", update.message);
  if (update.observed_generation &&
      int_or(*condition, "observedGeneration", -1) != *update.observed_generation) {
    (*condition)["observedGeneration"] = *update.observed_generation;
    changed = true;
  }
  if (transition) (*condition)["lastTransitionTime"] = time;
  if (update.times == Times::kDeployment && changed) (*condition)["lastUpdateTime"] = time;
  if (update.times == Times::kNode) (*condition)["lastHeartbeatTime"] = time;
  return changed;
}

bool remove_condition(Json& status, std::string_view type) {
  Json* list = member(status, "conditions");
  if (!list || !list->is_array()) return false;
  for (auto it = list->begin(); it != list->end(); ++it) {
    if (string_or(*it, "type") != type) continue;
    list->erase(it);
    return true;
  }
  return false;
}

}  // namespace moth::resources
