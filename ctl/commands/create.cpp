#include <fmt/format.h>

#include "ctl/commands/all.h"
#include "ctl/commands/create_object.h"
#include "ctl/commands/generators.h"
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
  if (context.ns_given() && kind != "Namespace") {
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
  query.emplace_back("fieldManager", arguments.given("field-manager")
                                         ? arguments.text("field-manager")
                                         : std::string(manager));
  query.emplace_back("fieldValidation", field_validation(arguments));
  MOTH_ASSIGN(Json created, api->create(*resource, ns, object, std::move(query)));
  printer.print(created, done);
  return created;
}

namespace {

Outcome<int> create_from_files(Context& context, const Arguments& arguments) {
  MOTH_TRY(refuse_kustomize(arguments));
  if (arguments.texts("filename").empty()) {
    return refuse(
        "must specify one of -f and -k\n\n"
        "or a kind of object to make: moth create deployment|configmap|secret|namespace|service|"
        "serviceaccount|job NAME ...");
  }
  MOTH_ASSIGN(DryRun dry_run, dry_run_of(arguments));
  MOTH_ASSIGN(ResultPrinter printer, ResultPrinter::make(context, arguments, dry_run));
  SelectOptions options = select_options(arguments, {}, false);
  options.fetch = false;
  MOTH_ASSIGN(auto objects, select_objects(context, options));
  MOTH_ASSIGN(Api * api, context.api());
  QueryList query;
  if (dry_run == DryRun::kServer) query.emplace_back("dryRun", "All");
  query.emplace_back("fieldManager", "kubectl-create");
  query.emplace_back("fieldValidation", field_validation(arguments));
  for (ObjectInfo& info : objects) {
    if (arguments.flag("save-config")) info.object = with_last_applied(std::move(info.object));
    if (dry_run == DryRun::kClient) {
      printer.print(info.object, "created");
      continue;
    }
    auto created = api->create(*info.resource, info.ns, info.object, query);
    if (created) {
      printer.print(*created, "created");
      continue;
    }
    Failure failure = created.error();
    if (failure.origin == Failure::Origin::kNetwork) return fail(failure);
    context.report(failure.with_context(fmt::format("error when creating \"{}\"", info.source)));
  }
  return context.exit_code();
}

using Generator = Outcome<Json> (*)(const Arguments&, const std::string&);

// Words behind `--` are a command, so only those in front count as names.
template <Generator kGenerator, const auto& kPath>
Outcome<int> run_generator(Context& context, const Arguments& arguments) {
  std::size_t names = arguments.words_before_dashes.value_or(arguments.words.size());
  bool takes_command = kGenerator == &make_deployment || kGenerator == &make_job;
  if (names != 1 && !(takes_command && names > 1 && !arguments.words_before_dashes)) {
    return refuse(
        fmt::format("exactly one NAME is required, got {}\nSee '{} -h' for help and "
                    "examples",
                    names, kPath));
  }
  MOTH_ASSIGN(Json object, kGenerator(arguments, arguments.words[0]));
  MOTH_ASSIGN(Json created,
              create_object(context, arguments, std::move(object), "kubectl-create", "created"));
  (void)created;
  return 0;
}

template <const auto& kType>
Outcome<Json> service_of_type(const Arguments& arguments, const std::string& name) {
  return make_service(arguments, name, kType);
}

constexpr char kClusterIp[] = "ClusterIP", kNodePort[] = "NodePort",
               kLoadBalancer[] = "LoadBalancer", kExternalName[] = "ExternalName";
constexpr char kCreateConfigMap[] = "moth create configmap",
               kCreateDeployment[] = "moth create deployment", kCreateJob[] = "moth create job",
               kCreateNamespace[] = "moth create namespace", kCreateSecret[] = "moth create secret",
               kCreateService[] = "moth create service",
               kCreateServiceAccount[] = "moth create serviceaccount";

Command secret_command() {
  auto files = data_source_flags();
  return {
      .name = "secret",
      .summary = "Create a secret",
      .children = {
          {.name = "generic",
           .summary = "Create a secret from files, directories or literal values",
           .usage = "NAME [--from-literal=key=value] [--from-file=[key=]source]",
           .examples = "moth create secret generic db --from-literal=password=s3cret",
           .flags = join_flags({create_flags(),
                                files,
                                {{"type", 0, FlagKind::kText, "", "The type of the secret."}}}),
           .run = run_generator<make_generic_secret, kCreateSecret>},
          {.name = "docker-registry",
           .summary = "Create a secret for a registry",
           .usage = "NAME --docker-server=S --docker-username=U --docker-password=P",
           .flags = join_flags({create_flags(),
                                files,
                                {{"docker-email", 0, FlagKind::kText, "", "E-mail address."},
                                 {"docker-password", 0, FlagKind::kText, "", "Password."},
                                 {"docker-server", 0, FlagKind::kText,
                                  "https://index.docker.io/v1/", "Address of the registry."},
                                 {"docker-username", 0, FlagKind::kText, "", "User name."}}}),
           .run = run_generator<make_registry_secret, kCreateSecret>},
          {.name = "tls",
           .summary = "Create a TLS secret from a certificate and its key",
           .usage = "NAME --cert=FILE --key=FILE",
           .flags = join_flags({create_flags(),
                                {{"cert", 0, FlagKind::kText, "", "PEM file of the certificate."},
                                 {"key", 0, FlagKind::kText, "", "PEM file of the key."}}}),
           .run = run_generator<make_tls_secret, kCreateSecret>}}};
}

Command service_command() {
  auto flags = join_flags(
      {create_flags(),
       {{"clusterip", 0, FlagKind::kText, "", "Its address; None for a headless service."},
        {"external-name", 0, FlagKind::kText, "", "DNS name that the service stands for."},
        {"node-port", 0, FlagKind::kInteger, "0", "Port on the node; 0: a free one."},
        {"tcp", 0, FlagKind::kList, "", "PORT or PORT:TARGET, joined by commas."}}});
  auto make = [&](std::string_view name, std::string_view summary, auto* run) {
    return Command{.name = name,
                   .summary = summary,
                   .usage = "NAME [--tcp=PORT:TARGET]",
                   .flags = flags,
                   .run = run};
  };
  return {.name = "service",
          .aliases = {"svc"},
          .summary = "Create a service",
          .children = {make("clusterip", "Create a ClusterIP service",
                            run_generator<service_of_type<kClusterIp>, kCreateService>),
                       make("externalname", "Create an ExternalName service",
                            run_generator<service_of_type<kExternalName>, kCreateService>),
                       make("loadbalancer", "Create a LoadBalancer service",
                            run_generator<service_of_type<kLoadBalancer>, kCreateService>),
                       make("nodeport", "Create a NodePort service",
                            run_generator<service_of_type<kNodePort>, kCreateService>)}};
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
          .flags = join_flags({create_flags(), filename_flags("Files with the objects.")}),
          .children = {{.name = "configmap",
                        .aliases = {"cm"},
                        .summary = "Create a config map from files, directories or literal values",
                        .usage = "NAME [--from-literal=key=value] [--from-file=[key=]source]",
                        .flags = join_flags({create_flags(), data_source_flags()}),
                        .run = run_generator<make_configmap, kCreateConfigMap>},
                       {.name = "deployment",
                        .aliases = {"deploy"},
                        .summary = "Create a deployment with the specified name",
                        .usage = "NAME --image=image -- [COMMAND] [args...]",
                        .flags = join_flags(
                            {create_flags(),
                             {{"image", 0, FlagKind::kList, "",
                               "Image to run; several make several containers."},
                              {"port", 0, FlagKind::kInteger, "-1",
                               "Port that the first container listens on."},
                              {"replicas", 'r', FlagKind::kInteger, "1", "Number of replicas."}}}),
                        .run = run_generator<make_deployment, kCreateDeployment>},
                       {.name = "job",
                        .summary = "Create a job with the specified name",
                        .usage = "NAME --image=image -- [COMMAND] [args...]",
                        .flags = join_flags(
                            {create_flags(), {{"image", 0, FlagKind::kText, "", "Image to run."}}}),
                        .run = run_generator<make_job, kCreateJob>},
                       {.name = "namespace",
                        .aliases = {"ns"},
                        .summary = "Create a namespace with the specified name",
                        .usage = "NAME",
                        .flags = create_flags(),
                        .run = run_generator<make_namespace, kCreateNamespace>},
                       secret_command(),
                       service_command(),
                       {.name = "serviceaccount",
                        .aliases = {"sa"},
                        .summary = "Create a service account with the specified name",
                        .usage = "NAME",
                        .flags = create_flags(),
                        .run = run_generator<make_service_account, kCreateServiceAccount>}},
          .words = Words::kFiles,
          .run = create_from_files};
}

}  // namespace moth::ctl
