#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands/all.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"
#include "ctl/printers/output_format.h"
#include "ctl/printers/sorting.h"
#include "ctl/printers/table.h"

namespace moth::ctl {
namespace {

constexpr std::string_view kTableAccept =
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/"
    "json;as=Table;v=v1beta1;g=meta.k8s.io,"
    "application/json";

struct GetJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  std::string ns;  // empty: all namespaces
  OutputFormat format;
  WantedList wanted;
  bool all_namespaces = false;
  bool ignore_not_found = false;
};

QueryList selectors(const GetJob& job) {
  QueryList query;
  if (const std::string& labels = job.arguments.text("selector"); !labels.empty())
    query.emplace_back("labelSelector", labels);
  if (const std::string& fields = job.arguments.text("field-selector"); !fields.empty())
    query.emplace_back("fieldSelector", fields);
  return query;
}

// The Table of one Wanted, all pages in one.
Outcome<Json> fetch_table(const GetJob& job, const Wanted& wanted) {
  std::optional<Json> whole;
  bool sorted = job.arguments.given("sort-by");
  for (std::string more;;) {
    RestRequest request;
    request.accept = job.arguments.flag("server-print") ? kTableAccept : "application/json";
    request.path = wanted.resource->path(job.ns, wanted.name, job.arguments.text("subresource"));
    if (sorted) request.query.emplace_back("includeObject", "Object");
    if (wanted.name.empty()) {
      for (auto& parameter : selectors(job)) request.query.push_back(parameter);
      if (!sorted && job.arguments.integer("chunk-size") > 0)
        request.query.emplace_back("limit", job.arguments.text("chunk-size"));
      if (!more.empty()) request.query.emplace_back("continue", more);
    }
    MOTH_ASSIGN(Json page, job.api.json(std::move(request)));
    const Json* metadata = find_member(page, "metadata");
    more = metadata && wanted.name.empty() ? string_or(*metadata, "continue") : "";
    if (!whole) {
      whole = std::move(page);
    } else {
      const char* member = page.contains("rows") ? "rows" : "items";
      for (Json& row : page[member]) (*whole)[member].push_back(std::move(row));
    }
    if (more.empty()) break;
  }
  return *std::move(whole);
}

TableOptions table_options(const GetJob& job, const ApiResource& resource) {
  TableOptions options;
  options.wide = job.format.kind == OutputKind::kWide;
  options.headers = !job.arguments.flag("no-headers");
  options.with_namespace = job.all_namespaces && resource.namespaced;
  if (job.wanted.several_types || job.arguments.flag("show-kind"))
    options.name_prefix = resource.qualified_kind();
  options.show_labels = job.arguments.flag("show-labels");
  options.label_columns = job.arguments.texts("label-columns");
  options.event_column = job.arguments.flag("output-watch-events");
  options.colours = job.context.colours();
  return options;
}

// A selector that the server does not take is shown with what it was for.
void explain_selector(const GetJob& job, const Wanted& wanted, Failure& failure) {
  const std::string &labels = job.arguments.text("selector"),
                    &fields = job.arguments.text("field-selector");
  if (!failure.is(Reason::kBadRequest) || !wanted.name.empty()) return;
  if (labels.empty() && fields.empty()) return;
  const ApiResource& resource = *wanted.resource;
  failure.error.message = fmt::format(
      "Unable to find \"{}/{}, Resource={}\" that match label selector \"{}\", field selector "
      "\"{}\": {}",
      resource.group, resource.version, resource.plural, labels, fields, failure.error.message);
}

// True when the failure was dealt with.
bool tolerate(GetJob& job, const Failure& failure) {
  if (job.ignore_not_found && failure.is(Reason::kNotFound)) return true;
  if (failure.origin == Failure::Origin::kNetwork) return false;
  job.context.report(failure);
  return true;
}

Outcome<int> print_tables(GetJob& job) {
  bool any = false, failed = false, any_namespaced = false;
  for (std::size_t i = 0; i < job.wanted.items.size();) {
    // Names of one type share a table.
    const ApiResource* resource = job.wanted.items[i].resource;
    any_namespaced = any_namespaced || resource->namespaced;
    std::optional<Json> table;
    for (; i < job.wanted.items.size() && job.wanted.items[i].resource == resource; ++i) {
      auto fetched = fetch_table(job, job.wanted.items[i]);
      if (!fetched) {
        explain_selector(job, job.wanted.items[i], fetched.error());
        if (!tolerate(job, fetched.error())) return fail(fetched.error());
        failed = true;
        continue;
      }
      if (!table || !table->contains("rows")) {
        table = *std::move(fetched);
      } else if (fetched->contains("rows")) {
        for (Json& row : (*fetched)["rows"]) (*table)["rows"].push_back(std::move(row));
      }
    }
    if (!table) continue;
    if (job.arguments.given("sort-by")) {
      for (const char* member : {"rows", "items"})
        if (table->contains(member))
          MOTH_TRY(sort_items((*table)[member], job.arguments.text("sort-by")));
    }
    std::string text = TablePrinter(table_options(job, *resource)).print(*table);
    if (text.empty()) continue;
    if (any && !job.arguments.flag("no-headers")) job.context.write_out("\n");
    any = true;
    job.context.write_out(text);
  }
  if (!any && !failed && !job.ignore_not_found) {
    if (any_namespaced && !job.all_namespaces)
      job.context.warn("No resources found in {} namespace.", job.ns);
    else
      job.context.warn("No resources found");
  }
  return job.context.exit_code();
}

Json list_of(Json items) {
  return {{"apiVersion", "v1"},
          {"kind", "List"},
          {"metadata", {{"resourceVersion", ""}}},
          {"items", std::move(items)}};
}

Outcome<int> print_objects(GetJob& job) {
  Json items = Json::array();
  for (const Wanted& wanted : job.wanted.items) {
    auto fetched = wanted.name.empty() ? job.api.list(*wanted.resource, job.ns, selectors(job))
                                       : job.api.get(*wanted.resource, job.ns, wanted.name,
                                                     job.arguments.text("subresource"));
    if (!fetched) {
      explain_selector(job, wanted, fetched.error());
      if (!tolerate(job, fetched.error())) return fail(fetched.error());
      continue;
    }
    if (wanted.name.empty()) {
      for (Json& item : (*fetched)["items"]) items.push_back(std::move(item));
    } else {
      items.push_back(*std::move(fetched));
    }
  }
  if (job.arguments.given("sort-by")) MOTH_TRY(sort_items(items, job.arguments.text("sort-by")));
  bool single = job.wanted.items.size() == 1 && !job.wanted.items[0].name.empty();
  if (single && items.empty()) return job.context.exit_code();
  Json shown = single ? std::move(items[0]) : list_of(std::move(items));
  if (!job.arguments.flag("show-managed-fields")) drop_managed_fields(shown);
  MOTH_ASSIGN(std::string text, render(job.format, shown, !job.arguments.flag("no-headers")));
  job.context.write_out(text);
  return job.context.exit_code();
}

// What -w prints of one event.
class WatchPrinter {
 public:
  WatchPrinter(GetJob& job, const ApiResource& resource)
      : job_(job), table_(table_options(job, resource)) {}

  Outcome<> show(Json object, const std::string& event) {
    if (job_.format.human()) {
      job_.context.write_out(table_.print(object, event));
    } else {
      if (!job_.arguments.flag("show-managed-fields")) drop_managed_fields(object);
      if (job_.arguments.flag("output-watch-events"))
        object = Json{{"type", event}, {"object", std::move(object)}};
      MOTH_ASSIGN(std::string text,
                  render(job_.format, object, first_ && !job_.arguments.flag("no-headers")));
      if (!first_ && job_.format.kind == OutputKind::kYaml) text = "---\n" + text;
      if (job_.format.kind == OutputKind::kJsonPath) text += "\n";
      first_ = false;
      job_.context.write_out(text);
    }
    job_.context.flush();
    return {};
  }

 private:
  GetJob& job_;
  TablePrinter table_;
  bool first_ = true;
};

std::string revision_of(const Json& object) {
  const Json* metadata = find_member(object, "metadata");
  return metadata ? string_or(*metadata, "resourceVersion") : "";
}

// Shows what is there and returns the revision to watch from.
Outcome<std::string> show_present(GetJob& job, const Wanted& wanted, WatchPrinter& printer) {
  bool quiet = job.arguments.flag("watch-only");
  if (job.format.human()) {
    MOTH_ASSIGN(Json table, fetch_table(job, wanted));
    if (!quiet) MOTH_TRY(printer.show(table, "ADDED"));
    return revision_of(table);
  }
  if (!wanted.name.empty()) {
    MOTH_ASSIGN(Json object, job.api.get(*wanted.resource, job.ns, wanted.name));
    std::string revision = revision_of(object);
    if (!quiet) MOTH_TRY(printer.show(std::move(object), "ADDED"));
    return revision;
  }
  MOTH_ASSIGN(Json list, job.api.list(*wanted.resource, job.ns, selectors(job)));
  if (!quiet) {
    for (Json& item : list["items"]) MOTH_TRY(printer.show(std::move(item), "ADDED"));
  }
  return revision_of(list);
}

Outcome<int> watch(GetJob& job) {
  if (job.wanted.items.size() != 1) return refuse("you may only specify a single resource type");
  const Wanted& wanted = job.wanted.items[0];
  WatchPrinter printer(job, *wanted.resource);
  MOTH_ASSIGN(std::string revision, show_present(job, wanted, printer));
  // Servers end a watch after some minutes; it goes on from where it was.
  for (;;) {
    RestRequest request;
    request.accept = job.format.human() ? kTableAccept : "application/json";
    request.path = wanted.resource->path(job.ns);
    request.query = selectors(job);
    if (!wanted.name.empty())
      request.query.emplace_back("fieldSelector", "metadata.name=" + wanted.name);
    request.query.emplace_back("resourceVersion", revision);
    request.query.emplace_back("watch", "true");
    std::optional<Failure> failure;
    MOTH_ASSIGN(StreamEnd end, job.api.lines(std::move(request), [&](std::string_view line) {
      Json event = Json::parse(line, nullptr, false);
      std::string type = string_or(event, "type");
      if (!event.is_object() || !event.contains("object")) return true;
      if (type == "ERROR") {
        failure = Failure(Error::from_status(event["object"]), Failure::Origin::kServer);
        return false;
      }
      if (std::string newer = revision_of(event["object"]); !newer.empty()) revision = newer;
      if (type == "BOOKMARK") return true;
      if (auto shown = printer.show(std::move(event["object"]), type); !shown) {
        failure = shown.error();
        return false;
      }
      return true;
    }));
    if (failure) return fail(*failure);
    if (end == StreamEnd::kStopped) return 0;
  }
}

Outcome<int> get_raw(Context& context, const std::string& path) {
  MOTH_ASSIGN(Api * api, context.api());
  RestRequest request;
  request.path = path;
  request.accept = "application/json, */*";
  MOTH_ASSIGN(std::string text, api->text(std::move(request)));
  context.write_out(text);
  return 0;
}

Outcome<WantedList> wanted_of(Context& context, Api& api, const Arguments& arguments) {
  if (arguments.texts("filename").empty()) return parse_wanted(api, arguments.words);
  SelectOptions options = select_options(arguments, arguments.words, false);
  options.fetch = false;
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  WantedList list;
  for (const ObjectInfo& info : objects) {
    list.several_types =
        list.several_types || (!list.items.empty() && list.items[0].resource != info.resource);
    list.items.push_back({info.resource, info.name});
  }
  return list;
}

Outcome<int> run_get(Context& context, const Arguments& arguments) {
  if (arguments.given("raw")) return get_raw(context, arguments.text("raw"));
  MOTH_ASSIGN(OutputFormat format,
              parse_output_format(arguments.text("output"), arguments.text("template"),
                                  arguments.flag("allow-missing-template-keys")));
  if (arguments.words.empty() && arguments.texts("filename").empty()) {
    context.warn(
        "You must specify the type of resource to get. Use \"moth api-resources\" for a complete "
        "list of supported resources.\n");
    return context.usage_error(
        "Required resource not specified.\nUse \"moth explain <resource>\" for a detailed "
        "description of that resource (e.g. moth explain pods).");
  }
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(WantedList wanted, wanted_of(context, *api, arguments));
  GetJob job{context, arguments, *api, std::move(ns), std::move(format), std::move(wanted)};
  job.all_namespaces = arguments.flag("all-namespaces");
  if (job.all_namespaces) job.ns.clear();
  job.ignore_not_found = arguments.flag("ignore-not-found");
  bool named = std::any_of(job.wanted.items.begin(), job.wanted.items.end(),
                           [](const Wanted& item) { return !item.name.empty(); });
  if (named && job.all_namespaces)
    return refuse("a resource cannot be retrieved by name across all namespaces");
  if (named && !arguments.text("selector").empty())
    return refuse("name cannot be provided when a selector is specified");
  if (arguments.flag("watch") || arguments.flag("watch-only")) return watch(job);
  return job.format.human() ? print_tables(job) : print_objects(job);
}

}  // namespace

Command get_command() {
  return {
      .name = "get",
      .group = "Look",
      .summary = "Display one or many resources",
      .usage = "TYPE[,TYPE...] [NAME | -l label] | TYPE/NAME ...",
      .examples =
          "moth get pods\nmoth get deploy,svc -o wide\nmoth get pod web-0 -o yaml\n"
          "moth get all -A\nmoth get pods -l app=web -w\n"
          "moth get pods -o custom-columns=NAME:.metadata.name,IP:.status.podIP",
      .flags = join_flags(
          {print_flags(),
           filename_flags("Files or directories that name the resources to get."),
           {{"all-namespaces", 'A', FlagKind::kBool, "", "The objects of all namespaces."},
            {"chunk-size", 0, FlagKind::kInteger, "500",
             "Ask for lists in pieces of this size; 0 for all at once."},
            {"field-selector", 0, FlagKind::kText, "",
             "Filter by fields: metadata.name=web,status.phase!=Running."},
            {"ignore-not-found", 0, FlagKind::kBool, "",
             "Succeed when a named object does not exist."},
            {"label-columns", 'L', FlagKind::kList, "",
             "Labels to show as columns, joined by commas."},
            {"no-headers", 0, FlagKind::kBool, "", "Do not print headers."},
            {"output-watch-events", 0, FlagKind::kBool, "",
             "Print the type of each event when watching."},
            {"raw", 0, FlagKind::kText, "", "Path to ask the server for, as it is."},
            {"selector", 'l', FlagKind::kText, "",
             "Filter by labels: a=b, a!=b, a in (b,c), a, !a, joined by commas."},
            {"server-print", 0, FlagKind::kBool, "true",
             "Let the server make the table; =false prints names and ages."},
            {"show-kind", 0, FlagKind::kBool, "", "Print names with their type."},
            {"show-labels", 0, FlagKind::kBool, "", "Print all labels as the last column."},
            {"sort-by", 0, FlagKind::kText, "", "Sort by this field, as a JSONPath."},
            {"subresource", 0, FlagKind::kText, "", "Get this subresource: status or scale."},
            {"watch", 'w', FlagKind::kBool, "", "After listing, watch for changes."},
            {"watch-only", 0, FlagKind::kBool, "", "Watch for changes without listing first."}}}),
      .words = Words::kResources,
      .run = run_get};
}

}  // namespace moth::ctl
