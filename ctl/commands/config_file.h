#pragma once
// The kubeconfig that `config` changes.
#include <string>

#include "ctl/cli/context.h"

namespace moth::ctl {

struct ConfigFile {
  std::string path;
  Kubeconfig config;

  Outcome<> write() const;
};

// The first of the kubeconfig files that exists, else the first one, empty: it is made when it is
// written. With `holds` the first one for which that is true is preferred.
Outcome<ConfigFile> config_file(Context& context,
                                bool (*holds)(const Kubeconfig&, const std::string&) = nullptr,
                                const std::string& name = "");

bool holds_context(const Kubeconfig& config, const std::string& name);
bool holds_cluster(const Kubeconfig& config, const std::string& name);
bool holds_user(const Kubeconfig& config, const std::string& name);

// set, unset, set-cluster, set-context, set-credentials, delete-*, rename-context.
std::vector<Command> config_edit_commands();

}  // namespace moth::ctl
