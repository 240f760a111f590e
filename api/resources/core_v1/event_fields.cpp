#include "api/resources/core_v1/event_fields.h"

#include <array>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/cells.h"
#include "api/resources/edit.h"

namespace moth::resources {
namespace {

struct Rename {
  const char* core;
  const char* events;
};
// Members that only change their name.
constexpr std::array kRenames = {Rename{"involvedObject", "regarding"},
                                 Rename{"message", "note"},
                                 Rename{"count", "deprecatedCount"},
                                 Rename{"firstTimestamp", "deprecatedFirstTimestamp"},
                                 Rename{"lastTimestamp", "deprecatedLastTimestamp"},
                                 Rename{"source", "deprecatedSource"},
                                 Rename{"reportingComponent", "reportingController"}};

Json renamed(Json event, bool to_core, const char* api_version) {
  event["apiVersion"] = api_version;
  for (const Rename& rename : kRenames) {
    const char* from = to_core ? rename.events : rename.core;
    const char* to = to_core ? rename.core : rename.events;
    auto it = event.find(from);
    if (it == event.end()) continue;
    Json value = std::move(*it);
    event.erase(it);
    event[to] = std::move(value);
  }
  return event;
}

// The value under its core name, in whichever form the event is.
const Json* either(const Json& event, std::string_view core) {
  if (const Json* found = member(event, core)) return found;
  for (const Rename& rename : kRenames) {
    if (core == rename.core) return member(event, rename.events);
  }
  return nullptr;
}

std::string either_text(const Json& event, std::string_view core) {
  const Json* found = either(event, core);
  return found && found->is_string() ? found->get<std::string>() : "";
}

std::string first_seen(const Json& event) {
  std::string first = either_text(event, "firstTimestamp");
  return first.empty() ? string_or(event, "eventTime") : first;
}

std::string last_seen(const Json& event) {
  std::string last = string_or(object_of(event, "series"), "lastObservedTime");
  if (last.empty()) last = either_text(event, "lastTimestamp");
  return last.empty() ? first_seen(event) : last;
}

std::int64_t count_of(const Json& event) {
  if (std::int64_t count = int_or(object_of(event, "series"), "count")) return count;
  const Json* count = either(event, "count");
  return count && count->is_number_integer() && *count > 0 ? count->get<std::int64_t>() : 1;
}

std::string object_cell(const Json& reference) {
  std::string kind = string_or(reference, "kind");
  for (char& c : kind) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  std::string name = string_or(reference, "name");
  return name.empty() ? kind : kind + "/" + name;
}

std::string source_cell(const Json& event) {
  static const Json kNone = Json::object();
  const Json* source = either(event, "source");
  if (!source) source = &kNone;
  std::string component = string_or(*source, "component");
  if (component.empty()) component = either_text(event, "reportingComponent");
  std::string host = string_or(*source, "host");
  if (host.empty()) host = string_or(event, "reportingInstance");
  if (component.empty() || host.empty()) return component.empty() ? host : component;
  return component + ", " + host;
}

}  // namespace

std::vector<Column> event_columns() {
  return columns(
      {column("Last Seen", "Time since it happened last"), column("Type", "Normal or Warning"),
       column("Reason", "Short name of what happened"),
       column("Object", "Kind and name of the object it is about"),
       column("Subobject", "Part of the object it is about", "string", 1),
       column("Source", "Who reported it", "string", 1), column("Message", "What happened"),
       column("First Seen", "Time since it happened first", "string", 1),
       column("Count", "How often it happened", "integer", 1),
       column("Name", "Name of the event, unique in its namespace", "string", 1)});
}

Json event_row(const Json& event, const RowContext& context) {
  static const Json kNone = Json::object();
  const Json* object = either(event, "involvedObject");
  if (!object) object = &kNone;
  std::string message = either_text(event, "message");
  while (!message.empty() && std::isspace(static_cast<unsigned char>(message.back()))) {
    message.pop_back();
  }
  return Json::array({since_cell(last_seen(event), context), string_or(event, "type"),
                      string_or(event, "reason"), object_cell(*object),
                      string_or(*object, "fieldPath"), source_cell(event), message,
                      since_cell(first_seen(event), context), count_of(event), name_cell(event)});
}

std::string event_field(const Json& event, std::string_view path) {
  static const Json kNone = Json::object();
  for (std::string_view prefix : {"involvedObject.", "regarding."}) {
    if (!path.starts_with(prefix)) continue;
    const Json* object = either(event, "involvedObject");
    return string_or(object ? *object : kNone, path.substr(prefix.size()));
  }
  if (path == "reportingComponent" || path == "reportingController") {
    return either_text(event, "reportingComponent");
  }
  if (path == "source") {
    const Json* source = either(event, "source");
    std::string component = string_or(source ? *source : kNone, "component");
    return component.empty() ? either_text(event, "reportingComponent") : component;
  }
  return string_or(event, path);
}

Json event_to_core(const Json& event) {
  return renamed(event, true, "v1");
}

Json event_from_core(const Json& event) {
  return renamed(event, false, "events.k8s.io/v1");
}

}  // namespace moth::resources
