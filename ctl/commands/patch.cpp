#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "api/machinery/patch_json.h"
#include "api/machinery/patch_strategic.h"
#include "api/machinery/yaml.h"
#include "api/schema/patch_schema.h"
#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Outcome<Json> patch_body(const Arguments& arguments) {
  std::string text = arguments.text("patch");
  bool from_file = arguments.given("patch-file");
  if (from_file == arguments.given("patch"))
    return refuse(from_file ? "cannot specify --patch and --patch-file together"
                            : "must specify --patch or --patch-file containing the contents of the "
                              "patch");
  if (from_file) {
    std::ifstream file(arguments.text("patch-file"));
    if (!file) {
      return refuse(
          fmt::format("unable to read patch file: {}: no such file", arguments.text("patch-file")));
    }
    text.assign(std::istreambuf_iterator<char>(file), {});
  }
  auto body = parse_yaml(text);
  if (!body) return refuse(fmt::format("unable to parse \"{}\": {}", text, body.error().message));
  return *std::move(body);
}

Outcome<client::PatchType> patch_type(const std::string& text) {
  if (text == "strategic") return client::PatchType::kStrategic;
  if (text == "merge") return client::PatchType::kMerge;
  if (text == "json") return client::PatchType::kJson;
  return refuse(fmt::format("--type must be one of [json merge strategic], not \"{}\"", text));
}

// --local: what the patch makes of the files.
Outcome<Json> patched_here(const ObjectInfo& info, client::PatchType type, const Json& body) {
  if (type == client::PatchType::kJson) {
    MOTH_ASSIGN(Json result, apply_json_patch(info.object, body));
    return result;
  }
  schema::PatchSchemas schemas;
  const PatchSchema* schema = schemas.of(
      schema::find_type(info.resource->group, info.resource->version, info.resource->kind));
  if (type == client::PatchType::kStrategic && !schema) {
    return refuse(
        fmt::format("{} has no strategic merge patch: use --type=merge", info.resource->kind));
  }
  if (type == client::PatchType::kStrategic) {
    MOTH_ASSIGN(Json result, apply_strategic_patch(info.object, body, *schema));
    return result;
  }
  Json result = info.object;
  result.merge_patch(body);
  return result;
}

Outcome<int> run_patch(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Json body, patch_body(arguments));
  MOTH_ASSIGN(client::PatchType type, patch_type(arguments.text("type")));
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  bool local = arguments.flag("local");
  if (local && dry_run == DryRun::kServer)
    return refuse("cannot specify --local and --dry-run=server");
  SelectOptions options = select_options(arguments, arguments.words, false);
  options.local = local;
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  if (local || dry_run == DryRun::kClient) {
    for (const ObjectInfo& info : objects) {
      MOTH_ASSIGN(Json result, patched_here(info, type, body));
      printer.print(result, result == info.object ? "patched (no change)" : "patched");
    }
    return context.exit_code();
  }
  MOTH_ASSIGN(Api * api, context.api());
  QueryList query;
  if (dry_run != DryRun::kNone) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", manager_of(arguments, "kubectl-patch"));
  for (const ObjectInfo& info : objects) {
    auto changed = api->patch(*info.resource, info.ns, info.name, type, body, query,
                              arguments.text("subresource"));
    if (!changed) {
      MOTH_TRY(context.carry_on(changed.error()));
      continue;
    }
    bool same = *changed == info.object;
    printer.print(*changed, same ? "patched (no change)" : "patched");
  }
  return context.exit_code();
}

}  // namespace

Command patch_command() {
  return {.name = "patch",
          .group = "Change",
          .summary = "Update fields of a resource",
          .usage = "(-f FILENAME | TYPE NAME) [-p PATCH | --patch-file FILE]",
          .examples =
              "moth patch deploy web -p '{\"spec\":{\"replicas\":3}}'\n"
              "moth patch svc web --type=json -p "
              "'[{\"op\":\"replace\",\"path\":\"/spec/type\",\"value\":\"NodePort\"}]'",
          .flags = join_flags(
              {print_flags(),
               filename_flags("Files that name the objects."),
               {dry_run_flag(),
                field_manager_flag(),
                local_flag(),
                {"patch", 'p', FlagKind::kText, "", "The patch, JSON or YAML."},
                {"patch-file", 0, FlagKind::kText, "", "A file with the patch."},
                {"subresource", 0, FlagKind::kText, "", "Patch this subresource: status or scale."},
                {"type", 0, FlagKind::kText, "strategic", "json, merge or strategic."}}}),
          .words = Words::kResourceNames,
          .run = run_patch};
}

}  // namespace moth::ctl
