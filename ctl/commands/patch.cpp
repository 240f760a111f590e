#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "api/machinery/yaml.h"
#include "ctl/commands/all.h"
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

Outcome<int> run_patch(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Json body, patch_body(arguments));
  MOTH_ASSIGN(client::PatchType type, patch_type(arguments.text("type")));
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(auto objects,
              select_objects(context, select_options(arguments, arguments.words, false)));
  MOTH_ASSIGN(Api * api, context.api());
  QueryList query;
  if (dry_run != DryRun::kNone) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", "kubectl-patch");
  for (const ObjectInfo& info : objects) {
    auto changed = api->patch(*info.resource, info.ns, info.name, type, body, query,
                              arguments.text("subresource"));
    if (!changed) {
      if (changed.error().origin == Failure::Origin::kNetwork) return fail(changed.error());
      context.report(changed.error());
      continue;
    }
    bool same =
        (*changed)["metadata"]["resourceVersion"] == info.object["metadata"]["resourceVersion"];
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
                {"field-manager", 0, FlagKind::kText, "", "Taken for compatibility."},
                {"patch", 'p', FlagKind::kText, "", "The patch, JSON or YAML."},
                {"patch-file", 0, FlagKind::kText, "", "A file with the patch."},
                {"subresource", 0, FlagKind::kText, "", "Patch this subresource: status or scale."},
                {"type", 0, FlagKind::kText, "strategic", "json, merge or strategic."}}}),
          .words = Words::kResourceNames,
          .run = run_patch};
}

}  // namespace moth::ctl
