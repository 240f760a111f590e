#include "daemon/controllers/customresourcedefinition/definition_plan.h"

#include <fmt/format.h>

#include <set>

#include "api/base/json.h"
#include "api/resources/conditions.h"

namespace moth::controllers {
namespace {

const Json& names_of(const Json& definition, std::string_view holder, std::string_view key) {
  static const Json kNone = Json::object();
  const Json* names = find_path(definition, holder, key);
  return names && names->is_object() ? *names : kNone;
}

struct Taken {
  std::set<std::string> resources;  // plural, singular, short names
  std::set<std::string> kinds;      // kind, list kind
};

void take(std::set<std::string>& set, const std::string& name) {
  if (!name.empty()) set.insert(name);
}

Taken taken_by(const Json& definition, const std::vector<std::shared_ptr<const Json>>& others) {
  Taken taken;
  std::string group = string_or(definition["spec"], "group");
  for (const auto& other : others) {
    const Json* spec = find_member(*other, "spec");
    if (!spec || string_or(*spec, "group") != group) continue;
    const Json& names = names_of(*other, "status", "acceptedNames");
    take(taken.resources, string_or(names, "plural"));
    take(taken.resources, string_or(names, "singular"));
    take(taken.kinds, string_or(names, "kind"));
    take(taken.kinds, string_or(names, "listKind"));
    if (const Json* list = find_member(names, "shortNames"); list && list->is_array()) {
      for (const Json& name : *list) {
        if (name.is_string()) take(taken.resources, name.get<std::string>());
      }
    }
  }
  return taken;
}

}  // namespace

AcceptedNames accept_names(const Json& definition,
                           const std::vector<std::shared_ptr<const Json>>& others) {
  const Json& wanted = names_of(definition, "spec", "names");
  AcceptedNames result;
  result.names = names_of(definition, "status", "acceptedNames");
  result.reason = "NoConflicts";
  result.message = "no conflicts found";
  Taken taken = taken_by(definition, others);
  auto conflict = [&](const char* reason, std::string message) {
    if (!result.accepted()) return;
    result.reason = reason;
    result.message = std::move(message);
  };
  auto accept = [&](const char* key, const std::set<std::string>& used, const char* reason) {
    std::string name = string_or(wanted, key);
    if (used.contains(name)) {
      conflict(reason, fmt::format("\"{}\" is already in use", name));
    } else {
      result.names[key] = name;
    }
  };
  accept("plural", taken.resources, "PluralConflict");
  accept("singular", taken.resources, "SingularConflict");
  const Json* short_names = find_member(wanted, "shortNames");
  bool free = true;
  for (const Json& name : short_names && short_names->is_array() ? *short_names : Json::array()) {
    if (!name.is_string() || !taken.resources.contains(name.get<std::string>())) continue;
    conflict("ShortNamesConflict",
             fmt::format("\"{}\" is already in use", name.get<std::string>()));
    free = false;
  }
  if (free && short_names) result.names["shortNames"] = *short_names;
  if (free && !short_names) result.names.erase("shortNames");
  accept("kind", taken.kinds, "KindConflict");
  accept("listKind", taken.kinds, "ListKindConflict");
  if (const Json* categories = find_member(wanted, "categories")) {
    result.names["categories"] = *categories;
  } else {
    result.names.erase("categories");
  }
  return result;
}

bool set_established(Json& definition, const AcceptedNames& names, WallTime now) {
  Json& status = definition["status"];
  bool changed = false;
  if (!status.contains("acceptedNames") || status["acceptedNames"] != names.names) {
    status["acceptedNames"] = names.names;
    changed = true;
  }
  bool established = resources::condition_is_true(definition, "Established");
  changed |= resources::set_condition(status,
                                      {"NamesAccepted", names.accepted() ? "True" : "False",
                                       names.reason, names.message, std::nullopt},
                                      now);
  // What was served once goes on being served under its old names.
  if (established) return changed;
  if (names.accepted()) {
    changed |= resources::set_condition(status,
                                        {"Established", "True", "InitialNamesAccepted",
                                         "the initial names have been accepted", std::nullopt},
                                        now);
  } else {
    changed |= resources::set_condition(
        status, {"Established", "False", "NotAccepted", "not all names are accepted", std::nullopt},
        now);
  }
  return changed;
}

bool set_terminating(Json& definition, bool done, WallTime now) {
  resources::ConditionUpdate update{"Terminating", "True", "InstanceDeletionInProgress",
                                    "CustomResource deletion is in progress", std::nullopt};
  if (done) {
    update = {"Terminating", "False", "InstanceDeletionCompleted", "removed all instances",
              std::nullopt};
  }
  return resources::set_condition(definition["status"], update, now);
}

Json slim_definition(const Json& definition) {
  Json slim = {{"spec", Json::object()}, {"status", Json::object()}};
  for (const char* key : {"group", "names"}) {
    if (const Json* member = find_path(definition, "spec", key)) slim["spec"][key] = *member;
  }
  if (const Json* status = find_member(definition, "status"); status && status->is_object())
    slim["status"] = *status;
  return slim;
}

void serve_accepted_names(Json& definition, const Json& accepted) {
  Json names = names_of(accepted, "status", "acceptedNames");
  if (!string_or(names, "plural").empty()) definition["spec"]["names"] = std::move(names);
}

}  // namespace moth::controllers
