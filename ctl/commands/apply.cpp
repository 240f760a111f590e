#include <fmt/format.h>

#include "api/machinery/selectors.h"
#include "ctl/commands/all.h"
#include "ctl/commands/apply_job.h"
#include "ctl/commands/three_way.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

constexpr int kMaxConflicts = 5;
constexpr std::string_view kManager = "kubectl-client-side-apply";

QueryList write_query(const ApplyJob& job, std::string manager) {
  QueryList query;
  if (job.dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", std::move(manager));
  query.emplace_back("fieldValidation", field_validation(job.arguments));
  return query;
}

Outcome<> create_object(ApplyJob& job, const ObjectInfo& info, const Json& modified) {
  if (job.dry_run == DryRun::kClient) {
    job.printer.print(modified, "created");
    return {};
  }
  auto created = job.api.create(*info.resource, info.ns, modified,
                                write_query(job, manager_of(job.arguments, kManager)));
  if (!created) {
    Failure failure = created.error();
    if (failure.origin == Failure::Origin::kServer)
      failure.with_context(fmt::format("error when creating \"{}\"", info.source));
    return fail(std::move(failure));
  }
  job.printer.print(*created, "created");
  job.applied.push_back(*std::move(created));
  return {};
}

// --force: an object that cannot be changed is replaced.
Outcome<Json> recreate(ApplyJob& job, const ObjectInfo& info, const Json& modified) {
  MOTH_ASSIGN(Json gone, job.api.remove(*info.resource, info.ns, info.name,
                                        {{"propagationPolicy", "Background"}}));
  (void)gone;
  MOTH_ASSIGN(StreamEnd end,
              job.api.follow_object(*info.resource, info.ns, info.name,
                                    [](const Json* object) -> Outcome<bool> { return !object; }));
  (void)end;
  return job.api.create(*info.resource, info.ns, modified,
                        write_query(job, manager_of(job.arguments, kManager)));
}

Outcome<> patch_object(ApplyJob& job, const ObjectInfo& info, const Json& modified, Json live) {
  if (!live_annotation(live) && !live["metadata"].contains("deletionTimestamp")) {
    job.context.warn(
        "Warning: resource {}/{} is missing the {} annotation which is required by moth apply. "
        "moth apply should only be used on resources created declaratively by either moth create "
        "--save-config or moth apply. The missing annotation will be patched automatically.",
        info.resource->plural, info.name, kLastApplied);
  }
  for (int attempt = 0;; ++attempt) {
    MOTH_ASSIGN(ApplyPatch patch, apply_patch(job.schemas, *info.resource, modified, live,
                                              job.arguments.flag("overwrite")));
    // What is there is not compared: that is what --dry-run=server is for.
    if (job.dry_run == DryRun::kClient) {
      job.printer.print(modified, "configured");
      job.applied.push_back(std::move(live));
      return {};
    }
    if (patch.body.empty()) {
      job.printer.print(live, "unchanged");
      job.applied.push_back(std::move(live));
      return {};
    }
    auto changed = job.api.patch(*info.resource, info.ns, info.name, patch.type, patch.body,
                                 write_query(job, manager_of(job.arguments, kManager)));
    if (!changed && changed.error().is(Reason::kConflict) && attempt < kMaxConflicts) {
      MOTH_ASSIGN(live, job.api.get(*info.resource, info.ns, info.name));
      continue;
    }
    bool hopeless =
        !changed && (changed.error().is(Reason::kInvalid) || changed.error().is(Reason::kConflict));
    if (hopeless && job.arguments.flag("force")) changed = recreate(job, info, modified);
    if (!changed) {
      Failure failure = changed.error();
      if (failure.origin == Failure::Origin::kServer) {
        failure.with_context(
            fmt::format("error when applying patch:\n{}\nto:\nResource: \"{}\", "
                        "GroupVersionKind: \"{}, Kind={}\"\nName: \"{}\", "
                        "Namespace: \"{}\"\nfor: \"{}\": error when patching \"{}\"",
                        patch.body.dump(), gvr_text(*info.resource),
                        info.resource->group + "/" + info.resource->version, info.resource->kind,
                        info.name, info.ns, info.source, info.source));
      }
      return fail(std::move(failure));
    }
    // The server may find that nothing is different after all.
    bool same = (*changed)["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"];
    job.printer.print(*changed, same ? "unchanged" : "configured");
    job.applied.push_back(*std::move(changed));
    return {};
  }
}

Outcome<> apply_one(ApplyJob& job, const ObjectInfo& info) {
  if (info.name.empty()) {
    return refuse(fmt::format(
        "error when applying \"{}\": resource name may not be empty{}", info.source,
        info.object["metadata"].contains("generateName") ? ": cannot use generate name with apply"
                                                         : ""));
  }
  if (job.arguments.flag("server-side")) return apply_on_server(job, info);
  Json modified = with_last_applied(info.object);
  auto live = job.api.get(*info.resource, info.ns, info.name);
  if (live) return patch_object(job, info, modified, *std::move(live));
  if (!live.error().is(Reason::kNotFound)) {
    Failure failure = live.error();
    if (failure.origin == Failure::Origin::kServer) {
      failure.with_context(
          fmt::format("error when retrieving current configuration of \"{}\" from "
                      "\"{}\"",
                      info.label(), info.source));
    }
    return fail(std::move(failure));
  }
  return create_object(job, info, modified);
}

Outcome<> check_flags(const Context& context, const Arguments& arguments) {
  if (!arguments.words.empty()) {
    return context.usage_error(
        fmt::format("Unexpected args: [{}]", fmt::join(arguments.words, " ")));
  }
  MOTH_TRY(check_prune_flags(arguments));
  bool server_side = arguments.flag("server-side");
  if (arguments.flag("force-conflicts") && !server_side)
    return refuse("--force-conflicts only works with --server-side");
  if (server_side && arguments.flag("force"))
    return refuse("--force cannot be used with --server-side");
  if (!arguments.text("subresource").empty() && !server_side)
    return refuse("--subresource only works with --server-side");
  if (server_side && arguments.text("dry-run") == "client") {
    return refuse(
        "--dry-run=client doesn't work with --server-side (did you mean --dry-run=server "
        "instead?)");
  }
  return {};
}

Outcome<int> run_apply(Context& context, const Arguments& arguments) {
  MOTH_TRY(check_flags(context, arguments));
  if (arguments.texts("filename").empty() && !arguments.given("kustomize"))
    return refuse("must specify one of -f and -k");
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(Manifests manifests, manifests_of(context, arguments));
  MOTH_ASSIGN(Api * api, context.api());
  ApplyJob job{context, arguments, *api, dry_run, std::move(printer), {}, {}};
  for (const Failure& failure : manifests.failures) context.report(failure);
  if (manifests.objects.empty() && manifests.failures.empty())
    return refuse("no objects passed to apply");
  auto selector = LabelSelector::parse(arguments.text("selector"));
  if (!selector) return fail(selector.error());
  for (Manifest& manifest : manifests.objects) {
    const Json* labels = find_path(manifest.object, "metadata", "labels");
    if (!selector->matches_json(labels ? *labels : Json())) continue;
    auto info = bind_manifest(context, std::move(manifest));
    auto done = info ? apply_one(job, *info) : Outcome<>(fail(info.error()));
    if (!done) MOTH_TRY(context.carry_on(done.error()));
  }
  // What could not be applied must not be taken for what nobody wants any more.
  if (context.exit_code() == 0) MOTH_TRY(prune(job));
  return context.exit_code();
}

}  // namespace

Command apply_command() {
  return {.name = "apply",
          .group = "Change",
          .summary = "Apply configurations to resources by file or stdin",
          .usage = "-f FILENAME",
          .details =
              "Creates what does not exist yet and changes what does, so that it becomes what the "
              "files say. What was removed from a file since the last apply is removed from the "
              "object.",
          .examples =
              "moth apply -f web.yaml\nmoth apply -f manifests/ -R\ncat web.yaml | moth apply -f -",
          .flags = join_flags(
              {print_flags(),
               filename_flags("Files or directories with the configurations."),
               {{"all", 0, FlagKind::kBool, "", "With --prune: whatever the labels."},
                {"applyset", 0, FlagKind::kText, "", "", "", true},
                {"cascade", 0, FlagKind::kText, "background",
                 "With --prune and --force: \"background\", \"foreground\" or \"orphan\".",
                 "background"},
                dry_run_flag(),
                field_manager_flag(),
                {"force", 0, FlagKind::kBool, "",
                 "Delete and create again what cannot be changed in place."},
                {"force-conflicts", 0, FlagKind::kBool, "",
                 "With --server-side: take over fields that others manage."},
                {"grace-period", 0, FlagKind::kInteger, "-1",
                 "With --prune and --force: seconds for the object to end by itself."},
                {"openapi-patch", 0, FlagKind::kBool, "true", "Taken for compatibility."},
                {"overwrite", 0, FlagKind::kBool, "true",
                 "Replace what others have changed since the last apply."},
                {"prune", 0, FlagKind::kBool, "",
                 "Delete what was applied earlier and is not among the objects now; with -l or "
                 "--all."},
                {"prune-allowlist", 0, FlagKind::kTexts, "",
                 "Prune only these types: GROUP/VERSION/KIND."},
                {"selector", 'l', FlagKind::kText, "", "Only objects with these labels."},
                {"server-side", 0, FlagKind::kBool, "", "Let the server merge."},
                {"subresource", 0, FlagKind::kText, "", "With --server-side: apply to it."},
                {"timeout", 0, FlagKind::kDuration, "0", "Taken for compatibility."},
                validate_flag(),
                {"wait", 0, FlagKind::kBool, "", "Taken for compatibility."}}}),
          .children = {apply_edit_last_applied_command(), apply_set_last_applied_command(),
                       apply_view_last_applied_command()},
          .words = Words::kFiles,
          .run = run_apply};
}

}  // namespace moth::ctl
