#include "ctl/commands/all.h"

namespace moth::ctl {

Command all_commands() {
  Command root{.name = "moth",
               .details =
                   "moth runs Kubernetes manifests on this machine. It knows kubectl's "
                   "commands and flags."};
  root.children = {get_command(),  apply_command(),  delete_command(), logs_command(),
                   exec_command(), attach_command(), version_command()};
  return root;
}

}  // namespace moth::ctl
