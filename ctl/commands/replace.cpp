#include <fmt/format.h>

#include "ctl/commands/all.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Outcome<Json> delete_and_create(Api& api, const ObjectInfo& info, const Json& object,
                                const QueryList& query) {
  auto gone = api.remove(*info.resource, info.ns, info.name,
                         {{"propagationPolicy", "Background"}, {"gracePeriodSeconds", 0}});
  if (!gone && !gone.error().is(Reason::kNotFound)) return gone;
  MOTH_ASSIGN(StreamEnd end,
              api.follow_object(*info.resource, info.ns, info.name,
                                [](const Json* left) -> Outcome<bool> { return !left; }));
  (void)end;
  return api.create(*info.resource, info.ns, object, query);
}

Outcome<int> run_replace(Context& context, const Arguments& arguments) {
  MOTH_TRY(refuse_kustomize(arguments));
  if (arguments.texts("filename").empty()) return refuse("must specify --filename to replace");
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  SelectOptions options = select_options(arguments, {}, false);
  options.fetch = false;
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  MOTH_ASSIGN(Api * api, context.api());
  QueryList query;
  if (dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", "kubectl-replace");
  query.emplace_back("fieldValidation", field_validation(arguments));
  for (const ObjectInfo& info : objects) {
    Json object = info.object;
    if (live_annotation(object) || arguments.flag("save-config"))
      object = with_last_applied(std::move(object));
    if (dry_run == DryRun::kClient) {
      printer.print(object, "replaced");
      continue;
    }
    auto replaced = arguments.flag("force")
                        ? delete_and_create(*api, info, object, query)
                        : api->replace(*info.resource, info.ns, info.name, object, query);
    if (replaced) {
      printer.print(*replaced, "replaced");
      continue;
    }
    Failure failure = replaced.error();
    if (failure.origin == Failure::Origin::kNetwork) return fail(failure);
    context.report(failure.with_context(fmt::format("error when replacing \"{}\"", info.source)));
  }
  return context.exit_code();
}

}  // namespace

Command replace_command() {
  return {.name = "replace",
          .group = "Change",
          .summary = "Replace a resource by file or stdin",
          .usage = "-f FILENAME",
          .examples = "moth replace -f web.yaml\nmoth replace --force -f web.yaml",
          .flags = join_flags(
              {print_flags(),
               filename_flags("Files with the objects."),
               {dry_run_flag(),
                {"force", 0, FlagKind::kBool, "", "Delete the object and create it again."},
                {"save-config", 0, FlagKind::kBool, "", "Keep the configuration for `apply`."},
                validate_flag()}}),
          .words = Words::kFiles,
          .run = run_replace};
}

}  // namespace moth::ctl
