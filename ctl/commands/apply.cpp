#include <fmt/format.h>

#include "api/machinery/patch_three_way.h"
#include "api/machinery/selectors.h"
#include "api/schema/patch_schema.h"
#include "ctl/commands/all.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

constexpr int kMaxConflicts = 5;
constexpr std::string_view kManager = "kubectl-client-side-apply";

struct ApplyJob {
  Context& context;
  const Arguments& arguments;
  Api& api;
  DryRun dry_run;
  ResultPrinter printer;
  schema::PatchSchemas schemas;
};

QueryList write_query(const ApplyJob& job, std::string manager) {
  QueryList query;
  if (job.dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", std::move(manager));
  query.emplace_back("fieldValidation", field_validation(job.arguments));
  return query;
}

std::string manager_of(const ApplyJob& job, std::string_view fallback) {
  return job.arguments.given("field-manager") ? job.arguments.text("field-manager")
                                              : std::string(fallback);
}

Outcome<> create_object(ApplyJob& job, const ObjectInfo& info, const Json& modified) {
  if (job.dry_run == DryRun::kClient) {
    job.printer.print(modified, "created");
    return {};
  }
  auto created = job.api.create(*info.resource, info.ns, modified,
                                write_query(job, manager_of(job, kManager)));
  if (!created) {
    Failure failure = created.error();
    if (failure.origin == Failure::Origin::kServer)
      failure.with_context(fmt::format("error when creating \"{}\"", info.source));
    return fail(std::move(failure));
  }
  job.printer.print(*created, "created");
  return {};
}

struct Patch {
  Json body;
  client::PatchType type = client::PatchType::kStrategic;
};

Outcome<Patch> make_patch(ApplyJob& job, const ObjectInfo& info, const Json& modified,
                          const Json& live) {
  Json original = last_applied(live);
  const PatchSchema* schema = job.schemas.of(
      schema::find_type(info.resource->group, info.resource->version, info.resource->kind));
  Patch patch;
  if (schema) {
    MOTH_ASSIGN(patch.body, three_way_strategic_patch(original, modified, live, *schema,
                                                      job.arguments.flag("overwrite")));
  } else {
    patch.type = client::PatchType::kMerge;
    MOTH_ASSIGN(patch.body, three_way_merge_patch(original, modified, live));
  }
  return patch;
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
                        write_query(job, manager_of(job, kManager)));
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
    MOTH_ASSIGN(Patch patch, make_patch(job, info, modified, live));
    if (patch.body.empty()) {
      job.printer.print(live, "unchanged");
      return {};
    }
    if (job.dry_run == DryRun::kClient) {
      job.printer.print(modified, "configured");
      return {};
    }
    auto changed = job.api.patch(*info.resource, info.ns, info.name, patch.type, patch.body,
                                 write_query(job, manager_of(job, kManager)));
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
    return {};
  }
}

Outcome<> apply_on_server(ApplyJob& job, const ObjectInfo& info) {
  QueryList query = write_query(job, manager_of(job, "kubectl"));
  query.emplace_back("force", job.arguments.flag("force-conflicts") ? "true" : "false");
  auto applied = job.api.patch(*info.resource, info.ns, info.name, client::PatchType::kApply,
                               info.object, std::move(query));
  if (applied) {
    job.printer.print(*applied, "serverside-applied");
    return {};
  }
  Failure failure = applied.error();
  if (failure.is(Reason::kConflict)) {
    failure.error.message +=
        "\nPlease review the fields above--they currently have other managers. Here\n"
        "are the ways you can resolve this warning:\n"
        "* If you intend to manage all of these fields, please re-run the apply\n"
        "  command with the `--force-conflicts` flag.\n"
        "* If you do not intend to manage all of the fields, please edit your\n"
        "  manifest to remove references to the fields that should keep their\n"
        "  current managers.\n"
        "* You may co-own fields by updating your manifest to match the existing\n"
        "  value; in this case, you'll become the manager if the other manager(s)\n"
        "  stop managing the field (remove it from their configuration).";
  }
  return fail(std::move(failure));
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

Outcome<int> run_apply(Context& context, const Arguments& arguments) {
  MOTH_TRY(refuse_kustomize(arguments));
  if (arguments.texts("filename").empty()) return refuse("must specify one of -f and -k");
  if (!arguments.words.empty()) {
    return refuse(fmt::format("Unexpected args: [{}]\nSee 'moth apply -h' for help and examples",
                              fmt::join(arguments.words, " ")));
  }
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(Manifests manifests, read_manifests(context.in(), arguments.texts("filename"),
                                                  arguments.flag("recursive")));
  MOTH_ASSIGN(Api * api, context.api());
  ApplyJob job{context, arguments, *api, dry_run, std::move(printer), {}};
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
    if (done) continue;
    if (done.error().origin == Failure::Origin::kNetwork) return fail(done.error());
    context.report(done.error());
  }
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
               {dry_run_flag(),
                {"field-manager", 0, FlagKind::kText, "", "Name of the manager of the fields."},
                {"force", 0, FlagKind::kBool, "",
                 "Delete and create again what cannot be changed in place."},
                {"force-conflicts", 0, FlagKind::kBool, "",
                 "With --server-side: take over fields that others manage."},
                {"overwrite", 0, FlagKind::kBool, "true",
                 "Replace what others have changed since the last apply."},
                {"selector", 'l', FlagKind::kText, "", "Only objects with these labels."},
                {"server-side", 0, FlagKind::kBool, "", "Let the server merge."},
                validate_flag(),
                {"wait", 0, FlagKind::kBool, "", "Taken for compatibility."}}}),
          .words = Words::kFiles,
          .run = run_apply};
}

}  // namespace moth::ctl
