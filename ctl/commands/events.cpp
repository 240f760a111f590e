#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "api/machinery/time.h"
#include "ctl/commands/all.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"
#include "ctl/printers/table.h"

namespace moth::ctl {
namespace {

std::string first_seen(const Json& event) {
  std::string time = string_or(event, "eventTime");
  return time.empty() ? string_or(event, "firstTimestamp") : time;
}

std::string last_seen(const Json& event) {
  if (const Json* series = find_member(event, "series"); series && series->is_object())
    return string_or(*series, "lastObservedTime");
  std::string time = string_or(event, "lastTimestamp");
  return time.empty() ? first_seen(event) : time;
}

std::string seen_text(const Json& event, WallTime now) {
  if (const Json* series = find_member(event, "series"); series && series->is_object()) {
    return fmt::format("{} (x{} over {})", human_age_since(last_seen(event), now),
                       int_or(*series, "count"), human_age_since(first_seen(event), now));
  }
  if (int_or(event, "count") > 1) {
    return fmt::format("{} (x{} over {})", human_age_since(last_seen(event), now),
                       int_or(event, "count"),
                       human_age_since(string_or(event, "firstTimestamp"), now));
  }
  return human_age_since(first_seen(event), now);
}

Json table_of(const std::vector<Json>& events, bool with_columns) {
  Json columns = Json::array();
  for (const char* name : {"Last Seen", "Type", "Reason", "Object", "Message"})
    columns.push_back({{"name", name}, {"priority", 0}});
  Json rows = Json::array();
  WallTime now = RealClock().wall();
  for (const Json& event : events) {
    const Json object = event.value("involvedObject", Json::object());
    rows.push_back({{"cells",
                     {seen_text(event, now), string_or(event, "type"), string_or(event, "reason"),
                      string_or(object, "kind") + "/" + string_or(object, "name"),
                      string_or(event, "message")}},
                    {"object", event}});
  }
  return {{"kind", "Table"},
          {"columnDefinitions", with_columns ? std::move(columns) : Json()},
          {"rows", std::move(rows)}};
}

struct EventFilter {
  std::set<std::string> types;
  bool wants(const Json& event) const {
    std::string type = string_or(event, "type");
    return types.empty() || types.contains(type);
  }
};

Outcome<std::string> field_selector(Context& context, const Arguments& arguments) {
  const std::string& word = arguments.text("for");
  if (word.empty()) return std::string();
  auto slash = word.find('/');
  if (slash == std::string::npos || slash + 1 == word.size())
    return refuse("--for must be in resource/name form");
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const ApiResource* resource, api->resource(word.substr(0, slash)));
  return fmt::format("involvedObject.kind={},involvedObject.apiVersion={},involvedObject.name={}",
                     resource->kind, resource->api_version(), word.substr(slash + 1));
}

Outcome<int> run_events(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(OutputFormat format,
              parse_output_format(arguments.text("output"), arguments.text("template"),
                                  arguments.flag("allow-missing-template-keys")));
  MOTH_ASSIGN(std::string fields, field_selector(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(const ApiResource* resource, api->resource("events"));
  bool everywhere = arguments.flag("all-namespaces");
  std::string where = everywhere ? "" : ns;
  EventFilter filter;
  for (const std::string& type : arguments.texts("types")) filter.types.insert(type);
  QueryList query;
  if (!fields.empty()) query.emplace_back("fieldSelector", fields);
  MOTH_ASSIGN(Json list, api->list(*resource, where, query));
  std::vector<Json> events;
  for (Json& event : list["items"]) {
    if (filter.wants(event)) events.push_back(std::move(event));
  }
  std::stable_sort(events.begin(), events.end(),
                   [](const Json& a, const Json& b) { return last_seen(a) < last_seen(b); });
  TableOptions options;
  options.headers = !arguments.flag("no-headers");
  options.with_namespace = everywhere;
  options.colours = context.colours();
  TablePrinter table(options);
  auto show = [&](const std::vector<Json>& some, bool with_columns) -> Outcome<> {
    if (format.human()) {
      context.write_out(table.print(table_of(some, with_columns)));
    } else {
      Json whole{{"apiVersion", "v1"},
                 {"kind", "EventList"},
                 {"metadata", Json::object()},
                 {"items", some}};
      if (!arguments.flag("show-managed-fields")) drop_managed_fields(whole);
      MOTH_ASSIGN(std::string text, render(format, whole));
      context.write_out(text);
    }
    context.flush();
    return {};
  };
  if (!events.empty() || !format.human()) MOTH_TRY(show(events, true));
  if (!arguments.flag("watch")) {
    if (events.empty() && format.human()) {
      if (everywhere)
        context.warn("No events found.");
      else
        context.warn("No events found in {} namespace.", ns);
    }
    return 0;
  }
  RestRequest request;
  request.path = resource->path(where);
  request.query = std::move(query);
  request.query.emplace_back("resourceVersion", string_or(list["metadata"], "resourceVersion"));
  request.query.emplace_back("watch", "true");
  std::optional<Failure> failure;
  MOTH_ASSIGN(StreamEnd end, api->lines(std::move(request), [&](std::string_view line) {
    Json event = Json::parse(line, nullptr, false);
    std::string type = string_or(event, "type");
    if ((type != "ADDED" && type != "MODIFIED") || !filter.wants(event["object"])) return true;
    auto shown = show({event["object"]}, table.empty());
    if (!shown) failure = shown.error();
    return shown.has_value();
  }));
  (void)end;
  if (failure) return fail(*failure);
  return 0;
}

}  // namespace

Command events_command() {
  return {.name = "events",
          .group = "Look",
          .summary = "List events",
          .usage = "[--for TYPE/NAME] [--types=Warning]",
          .examples =
              "moth events\nmoth events --for pod/web-0 --watch\nmoth events -A --types=Warning",
          .flags = {{"allow-missing-template-keys", 0, FlagKind::kBool, "true",
                     "Ignore missing fields in a template."},
                    {"all-namespaces", 'A', FlagKind::kBool, "", "Of all namespaces."},
                    {"chunk-size", 0, FlagKind::kInteger, "500", "Taken for compatibility."},
                    {"for", 0, FlagKind::kText, "", "About this object: TYPE/NAME."},
                    {"no-headers", 0, FlagKind::kBool, "", "Do not print headers."},
                    {"output", 'o', FlagKind::kText, "", "json, yaml, name, jsonpath=..."},
                    {"show-managed-fields", 0, FlagKind::kBool, "", "Keep managedFields."},
                    {"template", 0, FlagKind::kText, "", "The template of -o."},
                    {"types", 0, FlagKind::kList, "", "Only these types: Normal, Warning."},
                    {"watch", 'w', FlagKind::kBool, "", "Go on with new ones."}},
          .run = run_events};
}

}  // namespace moth::ctl
