#include <fmt/format.h>

#include "api/machinery/yaml.h"
#include "ctl/commands/all.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/generator_command.h"
#include "ctl/commands/generators.h"
#include "ctl/commands/raw_request.h"
#include "ctl/commands/text_editor.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {

std::vector<FlagSpec> create_flags() {
  return join_flags(
      {print_flags(),
       {dry_run_flag(),
        {"field-manager", 0, FlagKind::kText, "", "Name of the manager of the fields."},
        {"save-config", 0, FlagKind::kBool, "",
         "Keep the configuration in an annotation, for `apply`."},
        validate_flag()}});
}

Outcome<Json> create_object(Context& context, const Arguments& arguments, Json object,
                            std::string_view manager, std::string_view done) {
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  std::string kind = string_or(object, "kind");
  if (context.ns_given() && !cluster_scoped(kind)) {
    MOTH_ASSIGN(object["metadata"]["namespace"], context.ns());
  }
  if (arguments.flag("save-config")) object = with_last_applied(std::move(object));
  if (dry_run == DryRun::kClient) {
    printer.print(object, done);
    return object;
  }
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  MOTH_ASSIGN(const client::RestMapper* mapper, api->mapper());
  Gvk gvk = Gvk::of(string_or(object, "apiVersion"), kind);
  const ApiResource* resource = mapper->find_kind(gvk);
  if (!resource)
    return refuse(
        fmt::format("no matches for kind \"{}\" in version \"{}\"", kind, gvk.api_version()));
  QueryList query;
  if (dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", manager_of(arguments, manager));
  query.emplace_back("fieldValidation", field_validation(arguments));
  MOTH_ASSIGN(Json created, api->create(*resource, ns, object, std::move(query)));
  printer.print(created, done);
  return created;
}

bool cluster_scoped(std::string_view kind) {
  for (std::string_view known : {"Namespace", "ClusterRole", "ClusterRoleBinding", "PriorityClass"})
    if (kind == known) return true;
  return false;
}

Outcome<> require_one_name(Context& context, const Arguments& arguments, bool takes_command) {
  std::size_t names = arguments.words_before_dashes.value_or(arguments.words.size());
  if (names == 1 || (takes_command && names > 1 && !arguments.words_before_dashes)) return {};
  return context.usage_error(fmt::format("exactly one NAME is required, got {}", names));
}

Outcome<int> send_generated(Context& context, const Arguments& arguments, Outcome<Json> object,
                            std::string_view what) {
  if (!object) return fail(object.error());
  auto created = create_object(context, arguments, *std::move(object), "kubectl-create", "created");
  if (created) return context.exit_code();
  const Failure& failure = created.error();
  if (what.empty() || failure.origin != Failure::Origin::kServer) return fail(failure);
  return refuse(fmt::format("failed to create {}: {}", what, failure.error.message));
}

namespace {

Outcome<> create_written(const Arguments& arguments, Api& api, ObjectInfo info, DryRun dry_run,
                         ResultPrinter& printer) {
  if (arguments.flag("save-config") || live_annotation(info.object))
    info.object = with_last_applied(std::move(info.object));
  if (dry_run == DryRun::kClient) {
    printer.print(info.object, "created");
    return {};
  }
  QueryList query;
  if (dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", manager_of(arguments, "kubectl-create"));
  query.emplace_back("fieldValidation", field_validation(arguments));
  auto created = api.create(*info.resource, info.ns, info.object, query);
  if (!created) {
    Failure failure = created.error();
    if (failure.origin == Failure::Origin::kServer)
      failure.with_context(fmt::format("error when creating \"{}\"", info.source));
    return fail(failure);
  }
  printer.print(*created, "created");
  return {};
}

// --edit: each object passes through the editor first.
Outcome<std::vector<ObjectInfo>> edited(std::vector<ObjectInfo> objects) {
  for (ObjectInfo& info : objects) {
    std::string before = to_yaml(info.object);
    MOTH_ASSIGN(std::string after, edit_text(before));
    if (after == before) return refuse("Edit cancelled, no changes made.");
    auto changed = parse_yaml(after, true);
    if (!changed) return fail(Failure(changed.error()));
    info.object = *std::move(changed);
  }
  return objects;
}

Outcome<int> run_create(Context& context, const Arguments& arguments) {
  if (!arguments.words.empty()) {
    return context.usage_error(
        fmt::format("Unexpected args: [{}]", fmt::join(arguments.words, " ")));
  }
  if (arguments.given("raw")) {
    if (arguments.flag("edit")) return refuse("--raw and --edit are mutually exclusive");
    return send_raw_file(context, arguments, "POST");
  }
  if (arguments.texts("filename").empty() && !arguments.given("kustomize")) {
    return refuse("must specify one of -f and -k");
  }
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  MOTH_ASSIGN(auto objects, written_objects(context, arguments));
  MOTH_TRY(keep_selected(objects, arguments.text("selector")));
  if (arguments.flag("edit")) {
    MOTH_ASSIGN(objects, edited(std::move(objects)));
  }
  MOTH_ASSIGN(Api * api, context.api());
  for (ObjectInfo& info : objects) {
    auto created = create_written(arguments, *api, std::move(info), dry_run, printer);
    if (!created) MOTH_TRY(context.carry_on(created.error()));
  }
  if (objects.empty() && context.exit_code() == 0) return refuse("no objects passed to create");
  return context.exit_code();
}

constexpr char kConfigMap[] = "configmap", kDeployment[] = "deployment", kPlain[] = "",
               kServiceAccount[] = "serviceaccount";

Command create_configmap_command() {
  return {.name = "configmap",
          .aliases = {"cm"},
          .summary = "Create a config map from files, directories or literal values",
          .usage = "NAME [--from-literal=key=value] [--from-file=[key=]source]",
          .flags = join_flags({create_flags(), data_source_flags(), {append_hash_flag()}}),
          .run = run_generator<make_configmap, kConfigMap>};
}

Command create_deployment_command() {
  return {.name = "deployment",
          .aliases = {"deploy"},
          .summary = "Create a deployment with the specified name",
          .usage = "NAME --image=image -- [COMMAND] [args...]",
          .flags = join_flags(
              {create_flags(),
               {{"image", 0, FlagKind::kList, "", "Image to run; several make several containers."},
                {"port", 0, FlagKind::kInteger, "-1", "Port that the first container listens on."},
                {"replicas", 'r', FlagKind::kInteger, "1", "Number of replicas."}}}),
          .run = run_generator<make_deployment, kDeployment, true>};
}

}  // namespace

Command create_command() {
  return {.name = "create",
          .group = "Change",
          .summary = "Create a resource from a file or from stdin",
          .usage = "-f FILENAME",
          .examples =
              "moth create -f web.yaml\nmoth create deployment web --image=nginx --replicas=2\n"
              "moth create configmap settings --from-file=app.conf\n"
              "moth create namespace demo --dry-run=client -o yaml",
          .flags = join_flags(
              {create_flags(),
               filename_flags("Files with the objects."),
               {{"edit", 0, FlagKind::kBool, "", "Edit each object before it is created."},
                {"raw", 0, FlagKind::kText, "", "Path to send the file to, as it is."},
                {"selector", 'l', FlagKind::kText, "", "Only objects with these labels."},
                {"windows-line-endings", 0, FlagKind::kBool, "", "Taken for compatibility."}}}),
          .children = {create_clusterrole_command(),
                       create_clusterrolebinding_command(),
                       create_configmap_command(),
                       create_cronjob_command(),
                       create_deployment_command(),
                       create_ingress_command(),
                       create_job_command(),
                       {.name = "namespace",
                        .aliases = {"ns"},
                        .summary = "Create a namespace with the specified name",
                        .usage = "NAME",
                        .flags = create_flags(),
                        .run = run_generator<make_namespace, kPlain>},
                       create_poddisruptionbudget_command(),
                       create_priorityclass_command(),
                       create_quota_command(),
                       create_role_command(),
                       create_rolebinding_command(),
                       create_secret_command(),
                       create_service_command(),
                       {.name = "serviceaccount",
                        .aliases = {"sa"},
                        .summary = "Create a service account with the specified name",
                        .usage = "NAME",
                        .flags = create_flags(),
                        .run = run_generator<make_service_account, kServiceAccount>},
                       create_token_command()},
          .words = Words::kFiles,
          .run = run_create};
}

}  // namespace moth::ctl
