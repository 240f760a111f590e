#include "ctl/describe/describe.h"

#include <fmt/format.h>

#include "ctl/commands/all.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

// A name that does not exist may be the beginning of others.
Outcome<std::vector<Json>> by_prefix(Api& api, const ApiResource& resource, const std::string& ns,
                                     const std::string& prefix) {
  MOTH_ASSIGN(Json list, api.list(resource, ns));
  std::vector<Json> found;
  for (Json& item : list["items"]) {
    if (string_or(item["metadata"], "name").starts_with(prefix)) found.push_back(std::move(item));
  }
  return found;
}

Outcome<int> run_describe(Context& context, const Arguments& arguments) {
  if (arguments.words.empty() && arguments.texts("filename").empty()) {
    return refuse(
        "You must specify the type of resource to describe. Use \"moth api-resources\" for "
        "a complete list of supported resources.");
  }
  SelectOptions options = select_options(arguments, arguments.words, true);
  options.all = true;
  options.fetch = arguments.words.empty();
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  std::vector<ObjectInfo> found;
  for (ObjectInfo& info : objects) {
    if (!info.object.empty()) {
      found.push_back(std::move(info));
      continue;
    }
    auto object = api->get(*info.resource, info.ns, info.name);
    if (object) {
      info.object = *std::move(object);
      found.push_back(std::move(info));
      continue;
    }
    if (!object.error().is(Reason::kNotFound)) return fail(object.error());
    MOTH_ASSIGN(auto similar, by_prefix(*api, *info.resource, info.ns, info.name));
    if (similar.empty()) context.report(object.error());
    for (Json& item : similar)
      found.push_back(
          {info.resource, info.ns, string_or(item["metadata"], "name"), std::move(item), ""});
  }
  bool first = true;
  for (const ObjectInfo& info : found) {
    if (!first) context.write_out("\n\n");
    first = false;
    context.write_out(
        describe_object(*api, *info.resource, info.object, arguments.flag("show-events")));
  }
  if (found.empty() && context.exit_code() == 0) {
    MOTH_ASSIGN(std::string ns, context.ns());
    if (options.all_namespaces)
      context.warn("No resources found");
    else
      context.warn("No resources found in {} namespace.", ns);
  }
  return context.exit_code();
}

}  // namespace

Command describe_command() {
  return {.name = "describe",
          .group = "Look",
          .summary = "Show details of a specific resource or group of resources",
          .usage = "(-f FILENAME | TYPE [NAME_PREFIX | -l label] | TYPE/NAME)",
          .examples = "moth describe pod web-0\nmoth describe deploy/web\nmoth describe nodes",
          .flags = join_flags(
              {filename_flags("Files that name the objects."),
               {{"all", 0, FlagKind::kBool, "", "", "", true},
                {"all-namespaces", 'A', FlagKind::kBool, "", "The objects of all namespaces."},
                {"chunk-size", 0, FlagKind::kInteger, "500", "Taken for compatibility."},
                {"field-selector", 0, FlagKind::kText, "", "", "", true},
                {"selector", 'l', FlagKind::kText, "", "Objects with these labels."},
                {"show-events", 0, FlagKind::kBool, "true", "With the events about the object."}}}),
          .words = Words::kResourceNames,
          .run = run_describe};
}

}  // namespace moth::ctl
