#include <fmt/format.h>

#include <algorithm>

#include "ctl/commands/all.h"
#include "ctl/objects/selection.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

bool wanted(const ApiResource& resource, const Arguments& arguments) {
  if (arguments.given("api-group") && resource.group != arguments.text("api-group")) return false;
  if (arguments.given("namespaced") && resource.namespaced != arguments.flag("namespaced"))
    return false;
  for (const std::string& verb : arguments.texts("verbs"))
    if (!resource.has_verb(verb)) return false;
  const auto& categories = arguments.texts("categories");
  return std::all_of(categories.begin(), categories.end(), [&](const std::string& category) {
    return std::find(resource.categories.begin(), resource.categories.end(), category) !=
           resource.categories.end();
  });
}

Outcome<int> run_api_resources(Context& context, const Arguments& arguments) {
  const std::string& form = arguments.text("output");
  if (!form.empty() && form != "wide" && form != "name")
    return refuse(fmt::format("--output {} is not available", form));
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const client::RestMapper* mapper, api->mapper());
  std::vector<const ApiResource*> resources;
  for (const ApiResource* resource : mapper->preferred())
    if (wanted(*resource, arguments) && !resource->verbs.empty()) resources.push_back(resource);
  const std::string& by = arguments.text("sort-by");
  std::stable_sort(resources.begin(), resources.end(),
                   [&](const ApiResource* a, const ApiResource* b) {
                     if (by == "name") return a->plural < b->plural;
                     if (by == "kind") return a->kind < b->kind;
                     return std::tie(a->group, a->plural) < std::tie(b->group, b->plural);
                   });
  if (form == "name") {
    for (const ApiResource* resource : resources)
      context.print("{}\n", resource->qualified_plural());
    return 0;
  }
  std::string text;
  if (!arguments.flag("no-headers")) {
    text = "NAME\tSHORTNAMES\tAPIVERSION\tNAMESPACED\tKIND";
    text += form == "wide" ? "\tVERBS\tCATEGORIES\n" : "\n";
  }
  for (const ApiResource* resource : resources) {
    text +=
        fmt::format("{}\t{}\t{}\t{}\t{}", resource->plural, fmt::join(resource->short_names, ","),
                    resource->api_version(), resource->namespaced, resource->kind);
    if (form == "wide") {
      text += fmt::format("\t{}\t{}", fmt::join(resource->verbs, ","),
                          fmt::join(resource->categories, ","));
    }
    text += '\n';
  }
  context.write_out(align_columns(text, kTableRules));
  return 0;
}

Outcome<int> run_api_versions(Context& context, const Arguments&) {
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(const client::RestMapper* mapper, api->mapper());
  std::vector<std::string> versions = mapper->group_versions();
  std::sort(versions.begin(), versions.end());
  for (const std::string& version : versions) context.print("{}\n", version);
  return 0;
}

}  // namespace

Command api_resources_command() {
  return {
      .name = "api-resources",
      .group = "Other",
      .summary = "Print the supported API resources on the server",
      .flags = {{"api-group", 0, FlagKind::kText, "", "Only of this group."},
                {"cached", 0, FlagKind::kBool, "", "Taken for compatibility."},
                {"categories", 0, FlagKind::kList, "", "Only with these categories."},
                {"namespaced", 0, FlagKind::kBool, "", "Only namespaced ones; =false: the others."},
                {"no-headers", 0, FlagKind::kBool, "", "Do not print headers."},
                {"output", 'o', FlagKind::kText, "", "wide or name."},
                {"show-managed-fields", 0, FlagKind::kBool, "", "Taken for compatibility."},
                {"sort-by", 0, FlagKind::kText, "", "name or kind."},
                {"verbs", 0, FlagKind::kList, "", "Only with these verbs."}},
      .run = run_api_resources};
}

Command api_versions_command() {
  return {.name = "api-versions",
          .group = "Other",
          .summary = "Print the supported API versions on the server",
          .run = run_api_versions};
}

}  // namespace moth::ctl
