#include <fmt/format.h>

#include "api/machinery/yaml.h"
#include "ctl/commands/all.h"
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
void minify(Kubeconfig& config) {
  auto context = config.contexts.find(config.current_context);
  if (context == config.contexts.end()) return;
  KubeContext kept = context->second;
  config.contexts = {{config.current_context, kept}};
  std::erase_if(config.clusters, [&](const auto& entry) { return entry.first != kept.cluster; });
  std::erase_if(config.users, [&](const auto& entry) { return entry.first != kept.user; });
}

Outcome<int> run_view(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Kubeconfig config, context.kubeconfig());
  if (arguments.given("context")) config.current_context = arguments.text("context");
  if (arguments.flag("minify")) minify(config);
  Json document = config.to_json();
  if (!arguments.flag("raw")) redact(document);
  std::string form = arguments.text("output");
  MOTH_ASSIGN(OutputFormat format, parse_output_format(form.empty() ? "yaml" : form));
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

// The file that a change is written to: the first of those that exist.
Outcome<std::string> file_to_change(const Context& context) {
  std::vector<std::string> files = context.kubeconfig_files();
  for (const std::string& file : files) {
    if (load_kubeconfig({file}, true)) return file;
  }
  if (files.empty()) return refuse("there is no kubeconfig to change");
  return files[0];
}

Outcome<int> run_use_context(Context& context, const Arguments& arguments) {
  if (arguments.words.size() != 1)
    return refuse("Unexpected args: exactly one CONTEXT_NAME is expected");
  const std::string& name = arguments.words[0];
  MOTH_ASSIGN(Kubeconfig all, context.kubeconfig());
  if (!all.contexts.contains(name))
    return refuse(fmt::format("no context exists with the name: \"{}\"", name));
  MOTH_ASSIGN(std::string file, file_to_change(context));
  MOTH_ASSIGN(Kubeconfig config, load_kubeconfig({file}, true));
  config.current_context = name;
  MOTH_TRY(write_kubeconfig(config, file));
  context.print("Switched to context \"{}\".\n", name);
  return 0;
}

Outcome<int> run_set_context(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(std::string file, file_to_change(context));
  MOTH_ASSIGN(Kubeconfig config, load_kubeconfig({file}, true));
  bool current = arguments.flag("current");
  if (current == !arguments.words.empty()) return refuse("either NAME or --current is expected");
  std::string name = current ? config.current_context : arguments.words[0];
  if (name.empty()) return refuse("no current context is set");
  bool known = config.contexts.contains(name);
  KubeContext& entry = config.contexts[name];
  if (arguments.given("namespace")) entry.namespace_ = arguments.text("namespace");
  if (arguments.given("cluster")) entry.cluster = arguments.text("cluster");
  if (arguments.given("user")) entry.user = arguments.text("user");
  MOTH_TRY(write_kubeconfig(config, file));
  context.print("Context \"{}\" {}.\n", name, known ? "modified" : "created");
  return 0;
}

Outcome<int> run_get_contexts(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(Kubeconfig config, context.kubeconfig());
  if (arguments.text("output") == "name") {
    for (const auto& [name, entry] : config.contexts) context.print("{}\n", name);
    return 0;
  }
  std::string text;
  if (!arguments.flag("no-headers")) text = "CURRENT\tNAME\tCLUSTER\tAUTHINFO\tNAMESPACE\n";
  for (const auto& [name, entry] : config.contexts) {
    text += fmt::format("{}\t{}\t{}\t{}\t{}\n", name == config.current_context ? "*" : "", name,
                        entry.cluster, entry.user, entry.namespace_);
  }
  context.write_out(align_columns(text, kTableRules));
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
  return {.name = "config",
          .group = "Other",
          .summary = "Look at and change kubeconfig files",
          .children = {
              {.name = "current-context",
               .summary = "Display the current context",
               .run = run_current_context},
              {.name = "get-clusters", .summary = "Display the clusters", .run = run_get_clusters},
              {.name = "get-contexts",
               .summary = "Describe one or many contexts",
               .flags = {{"no-headers", 0, FlagKind::kBool, "", "Do not print headers."},
                         {"output", 'o', FlagKind::kText, "", "name."}},
               .run = run_get_contexts},
              {.name = "set-context",
               .summary = "Set a context entry",
               .usage = "[NAME | --current] [--cluster=C] [--user=U] [--namespace=N]",
               .flags = {{"current", 0, FlagKind::kBool, "", "Change the current context."}},
               .words = Words::kContexts,
               .run = run_set_context},
              {.name = "use-context",
               .aliases = {"use"},
               .summary = "Set the current context",
               .usage = "CONTEXT_NAME",
               .words = Words::kContexts,
               .run = run_use_context},
              {.name = "view",
               .summary = "Display merged kubeconfig settings",
               .flags = {{"minify", 0, FlagKind::kBool, "", "Only what the current context needs."},
                         {"output", 'o', FlagKind::kText, "", "yaml, json, jsonpath=..."},
                         {"raw", 0, FlagKind::kBool, "", "With certificates and secrets."}},
               .run = run_view}}};
}

}  // namespace moth::ctl
