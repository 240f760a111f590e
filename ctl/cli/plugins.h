#pragma once
// Plugins: programs on the PATH whose names begin with `moth-` or `kubectl-` and that run as
// commands of that name. Looking at the PATH only; run_plugin() replaces this process.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ctl/cli/failure.h"

namespace moth::ctl {

struct Plugin {
  std::string path;
  std::string name;                   // of the file
  std::vector<std::string> warnings;  // why it cannot be run, or what it is hidden by
};

// Which plugin a line means, and what is left for it: `moth net dump -x` runs moth-net-dump,
// kubectl-net-dump, moth-net or kubectl-net, the longest name first. Words up to the first flag
// count. Dashes within a word are underscores in the file's name.
struct PluginCall {
  std::string path;
  std::vector<std::string> arguments;
};
std::optional<PluginCall> find_plugin(const std::vector<std::string>& words,
                                      std::string_view path_variable);
// `moth plugin list`: every plugin in the order of the PATH.
std::vector<Plugin> list_plugins(std::string_view path_variable,
                                 const std::vector<std::string>& commands);
// Returns only when it could not be started. `kubeconfig` becomes $KUBECONFIG unless that is set.
Failure run_plugin(const PluginCall& call, const std::string& kubeconfig);

}  // namespace moth::ctl
