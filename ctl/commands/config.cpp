#include <fmt/format.h>

#include <fstream>
#include <iterator>

#include "api/machinery/yaml.h"
#include "ctl/commands/all.h"
#include "ctl/commands/config_file.h"
#include "ctl/objects/result_printer.h"
#include "ctl/objects/selection.h"
#include "ctl/printers/columns.h"

namespace moth::ctl {
namespace {

void redact(Json& document) {
  for (auto& entry : document["clusters"]) {
    Json& cluster = entry["cluster"];
    if (cluster.contains("certificate-authority-data"))
      cluster["certificate-authority-data"] = "DATA+OMITTED";
  }
  for (auto& entry : document["users"]) {
    Json& user = entry["user"];
    for (const char* key : {"client-certificate-data", "client-key-data"})
      if (user.contains(key)) user[key] = "DATA+OMITTED";
    for (const char* key : {"token", "password"})
      if (user.contains(key)) user[key] = "REDACTED";
  }
}

// Only what the current context needs.
Outcome<> minify(Kubeconfig& config) {
  if (config.current_context.empty())
    return refuse("current-context must exist in order to minify");
  auto context = config.contexts.find(config.current_context);
  if (context == config.contexts.end())
    return refuse(fmt::format("cannot locate context {}", config.current_context));
  KubeContext kept = context->second;
  config.contexts = {{config.current_context, kept}};
  std::erase_if(config.clusters, [&](const auto& entry) { return entry.first != kept.cluster; });
  std::erase_if(config.users, [&](const auto& entry) { return entry.first != kept.user; });
  return {};
}

Outcome<> read_into(std::string& path, std::string& content) {
  if (path.empty()) return {};
  std::ifstream file(path, std::ios::binary);
  if (!file) return refuse(fmt::format("open {}: no such file or directory", path));
  content.assign(std::istreambuf_iterator<char>(file), {});
  path.clear();
  return {};
}

// Certificates and keys themselves in place of paths to them.
Outcome<> flatten(Kubeconfig& config) {
  for (auto& [name, cluster] : config.clusters)
    MOTH_TRY(read_into(cluster.certificate_authority, cluster.certificate_authority_pem));
  for (auto& [name, user] : config.users) {
    MOTH_TRY(read_into(user.client_certificate, user.client_certificate_pem));
    MOTH_TRY(read_into(user.client_key, user.client_key_pem));
  }
  return {};
}

Outcome<int> run_view(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Kubeconfig config, context.kubeconfig());
  if (arguments.given("context")) config.current_context = arguments.text("context");
  if (arguments.flag("minify")) MOTH_TRY(minify(config));
  if (arguments.flag("flatten")) MOTH_TRY(flatten(config));
  Json document = config.to_json();
  if (!arguments.flag("raw")) redact(document);
  std::string form = arguments.text("output");
  MOTH_ASSIGN(OutputFormat format,
              parse_output_format(form.empty() ? "yaml" : form, arguments.text("template"),
                                  arguments.flag("allow-missing-template-keys")));
  MOTH_ASSIGN(std::string text, render(format, document));
  context.write_out(text);
  return 0;
}

Outcome<int> run_current_context(Context& context, const Arguments&) {
  MOTH_ASSIGN(Kubeconfig config, context.kubeconfig());
  if (config.current_context.empty()) return refuse("current-context is not set");
  context.print("{}\n", config.current_context);
  return 0;
}

Outcome<int> run_use_context(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 1)
    return refuse("Unexpected args: exactly one CONTEXT_NAME is expected");
  const std::string& name = arguments.words[0];
  MOTH_ASSIGN(Kubeconfig all, context.kubeconfig());
  if (!all.contexts.contains(name))
    return refuse(fmt::format("no context exists with the name: \"{}\"", name));
  MOTH_ASSIGN(ConfigFile file, config_file(context));
  file.config.current_context = name;
  MOTH_TRY(file.write());
  context.print("Switched to context \"{}\".\n", name);
  return 0;
}

Outcome<int> run_get_contexts(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Kubeconfig config, context.kubeconfig());
  const std::string& form = arguments.text("output");
  if (!form.empty() && form != "name")
    return refuse(fmt::format("output must be one of '' or 'name': {}", form));
  std::vector<std::string> names = arguments.words;
  if (names.empty())
    for (const auto& [name, entry] : config.contexts) names.push_back(name);
  std::string text;
  if (!arguments.flag("no-headers") && form.empty())
    text = "CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n";
  for (const std::string& name : names) {
    auto found = config.contexts.find(name);
    if (found == config.contexts.end()) {
      context.report(Failure(Error::bad_request(fmt::format("context {} not found", name))));
      continue;
    }
    const KubeContext& entry = found->second;
    if (form == "name")
      text += name + "\n";
    else
      text += fmt::format("{}\t{}\t{}\t{}\t{}\n", name == config.current_context ? "*" : "", name,
                          entry.cluster, entry.user, entry.namespace_);
  }
  context.write_out(form == "name" ? text : align_columns(text, kTableRules));
  return context.exit_code();
}

Outcome<int> run_get_users(Context& context, const Arguments&) {
  MOTH_ASSIGN(Kubeconfig config, context.kubeconfig());
  context.write_out("NAME\n");
  for (const auto& [name, entry] : config.users) context.print("{}\n", name);
  return 0;
}

Outcome<int> run_get_clusters(Context& context, const Arguments&) {
  MOTH_ASSIGN(Kubeconfig config, context.kubeconfig());
  context.write_out("NAME\n");
  for (const auto& [name, entry] : config.clusters) context.print("{}\n", name);
  return 0;
}

}  // namespace

Command config_command() {
  Command config{
      .name = "config",
      .group = "Other",
      .summary = "Look at and change kubeconfig files",
      .children = {
          {.name = "current-context",
           .summary = "Display the current context",
           .run = run_current_context},
          {.name = "get-clusters", .summary = "Display the clusters", .run = run_get_clusters},
          {.name = "get-contexts",
           .summary = "Describe one or many contexts",
           .usage = "[NAME ...]",
           .flags = {{"no-headers", 0, FlagKind::kBool, "", "Do not print headers."},
                     {"output", 'o', FlagKind::kText, "", "name."}},
           .words = Words::kContexts,
           .run = run_get_contexts},
          {.name = "get-users", .summary = "Display the users", .run = run_get_users},
          {.name = "use-context",
           .aliases = {"use"},
           .summary = "Set the current context",
           .usage = "CONTEXT_NAME",
           .words = Words::kContexts,
           .run = run_use_context},
          {.name = "view",
           .summary = "Display merged kubeconfig settings",
           .flags = join_flags(
               {print_flags(),
                {{"flatten", 0, FlagKind::kBool, "", "Certificates themselves, not their paths."},
                 {"merge", 0, FlagKind::kBool, "true", "Taken for compatibility.", "true"},
                 {"minify", 0, FlagKind::kBool, "", "Only what the current context needs."},
                 {"raw", 0, FlagKind::kBool, "", "With certificates and secrets."}}}),
           .run = run_view}}};
  for (Command& command : config_edit_commands()) config.children.push_back(std::move(command));
  return config;
}

}  // namespace moth::ctl
