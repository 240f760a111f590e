// apply view-last-applied, set-last-applied, edit-last-applied.
#include <fmt/format.h>

#include "api/machinery/yaml.h"
#include "ctl/commands/apply_job.h"
#include "ctl/commands/text_editor.h"
#include "ctl/objects/last_applied.h"

namespace moth::ctl {
namespace {

Json annotation_patch(const Json& configuration) {
  Json whole = with_last_applied(configuration);
  return {{"metadata",
           {{"annotations",
             {{std::string(kLastApplied),
               whole["metadata"]["annotations"][std::string(kLastApplied)]}}}}}};
}

Outcome<int> run_view(Context& context, const Arguments& arguments) {
  const std::string& form = arguments.text("output");
  if (form != "yaml" && form != "json")
    return refuse(fmt::format(
        "Unexpected -o output mode: {}, the flag 'output' must be one of yaml|json", form));
  SelectOptions options = select_options(arguments, arguments.words, false);
  options.label_selector = arguments.text("selector");
  options.all = arguments.flag("all");
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  for (const ObjectInfo& info : objects) {
    Json configuration = last_applied(info.object);
    if (configuration.is_null()) {
      return refuse(
          fmt::format("no last-applied-configuration annotation found on resource: {}", info.name));
    }
    // Two spaces here, unlike `get -o json`.
    context.write_out(form == "yaml" ? to_yaml(configuration) : pretty_json(configuration, 2));
  }
  return context.exit_code();
}

Outcome<int> run_set(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(auto objects, written_objects(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  for (const ObjectInfo& info : objects) {
    MOTH_ASSIGN(Json live, api->get(*info.resource, info.ns, info.name));
    if (!live_annotation(live) && !arguments.flag("create-annotation")) {
      return refuse(fmt::format(
          "no last-applied-configuration annotation found on resource: {}, to create the "
          "annotation, run the command with --create-annotation",
          info.name));
    }
    Json patch = annotation_patch(info.object);
    const Json& wanted = patch["metadata"]["annotations"][std::string(kLastApplied)];
    const Json* annotations = find_path(live, "metadata", "annotations");
    if (annotations && annotations->value(std::string(kLastApplied), Json()) == wanted) {
      context.print("set-last-applied {}: no changes required.\n", info.name);
      continue;
    }
    Json result = live;
    if (dry_run != DryRun::kClient) {
      QueryList query;
      if (dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
      MOTH_ASSIGN(result, api->patch(*info.resource, info.ns, info.name, client::PatchType::kMerge,
                                     patch, query));
    }
    printer.print(result, "configured");
  }
  return context.exit_code();
}

Outcome<int> run_edit(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments));
  MOTH_ASSIGN(auto objects,
              select_objects(context, select_options(arguments, arguments.words, false)));
  MOTH_ASSIGN(Api * api, context.api());
  for (const ObjectInfo& info : objects) {
    Json before = last_applied(info.object);
    if (before.is_null()) {
      return refuse(
          fmt::format("no last-applied-configuration annotation found on resource: {}", info.name));
    }
    MOTH_ASSIGN(std::string text, edit_text(to_yaml(before)));
    auto after = parse_yaml(text, true);
    if (!after) return fail(Failure(after.error()));
    if (*after == before || after->is_null()) {
      context.print("Edit cancelled, no changes made.\n");
      continue;
    }
    MOTH_ASSIGN(Json result, api->patch(*info.resource, info.ns, info.name,
                                        client::PatchType::kMerge, annotation_patch(*after),
                                        {{"fieldManager", manager_of(arguments,
                                                                     "kubectl-client-side-"
                                                                     "apply")}}));
    printer.print(result, "edited");
  }
  return context.exit_code();
}

}  // namespace

Command apply_view_last_applied_command() {
  return {.name = "view-last-applied",
          .summary = "View the latest configuration that was applied",
          .usage = "(TYPE [NAME | -l label] | TYPE/NAME | -f FILENAME)",
          .examples = "moth apply view-last-applied deploy/web",
          .flags = join_flags(
              {filename_flags("Files that name the objects."),
               {{"all", 0, FlagKind::kBool, "", "Every object of the type in the namespace."},
                {"output", 'o', FlagKind::kText, "yaml", "yaml or json."},
                {"selector", 'l', FlagKind::kText, "", "Objects with these labels."}}}),
          .words = Words::kResourceNames,
          .run = run_view};
}

Command apply_set_last_applied_command() {
  return {.name = "set-last-applied",
          .summary = "Set the annotation of what was applied to what a file says",
          .usage = "-f FILENAME",
          .examples = "moth apply set-last-applied -f web.yaml --create-annotation",
          .flags = join_flags(
              {print_flags(),
               filename_flags("Files with the configurations."),
               {{"create-annotation", 0, FlagKind::kBool, "", "Also where there is none yet."},
                dry_run_flag()}}),
          .words = Words::kFiles,
          .run = run_set};
}

Command apply_edit_last_applied_command() {
  return {.name = "edit-last-applied",
          .summary = "Edit the latest configuration that was applied",
          .usage = "(TYPE NAME | TYPE/NAME | -f FILENAME)",
          .flags = join_flags(
              {print_flags(),
               filename_flags("Files that name the objects."),
               {field_manager_flag(),
                validate_flag(),
                {"windows-line-endings", 0, FlagKind::kBool, "", "Taken for compatibility."}}}),
          .words = Words::kResourceNames,
          .run = run_edit};
}

}  // namespace moth::ctl
