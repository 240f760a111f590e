#include "ctl/cli/plugins.h"

#include <fmt/format.h>

#include <cstdlib>

#include "ctl/cli/context.h"
#include "ctl/commands/all.h"

namespace moth::ctl {
namespace {

Outcome<int> run_plugin_list(Context& context, const Arguments& arguments) {
  const char* path = std::getenv("PATH");
  std::vector<std::string> commands;
  for (const Command& command : context.root().children) commands.emplace_back(command.name);
  std::vector<Plugin> plugins = list_plugins(path ? path : "", commands);
  if (plugins.empty()) return refuse("unable to find any moth or kubectl plugins in your PATH");
  context.print("The following compatible plugins are available:\n\n");
  std::size_t warnings = 0;
  for (const Plugin& plugin : plugins) {
    context.print("{}\n", arguments.flag("name-only") ? plugin.name : plugin.path);
    for (const std::string& warning : plugin.warnings) context.warn("  - warning: {}", warning);
    warnings += plugin.warnings.size();
  }
  if (warnings == 0) return 0;
  return refuse(warnings == 1 ? "one plugin warning was found"
                              : fmt::format("{} plugin warnings were found", warnings));
}

}  // namespace

Command plugin_command() {
  return {.name = "plugin",
          .group = "Other",
          .summary = "Programs on the PATH named moth-NAME or kubectl-NAME, which run as commands",
          .children = {{.name = "list",
                        .summary = "List all visible plugins on the PATH",
                        .flags = {{"name-only", 0, FlagKind::kBool, "", "Names, not paths."}},
                        .run = run_plugin_list}}};
}

}  // namespace moth::ctl
