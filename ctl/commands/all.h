#pragma once
// Every command. Each is in the file of its name.
#include "ctl/cli/command.h"

namespace moth::ctl {

// The root, with all of them as its children.
Command all_commands();

Command annotate_command();
Command api_resources_command();
Command api_versions_command();
Command apply_command();
Command attach_command();
Command auth_command();
Command autoscale_command();
Command build_command();
Command certificate_command();
Command cluster_info_command();
Command complete_command();
Command completion_command();
Command config_command();
Command cordon_command();
Command cp_command();
Command create_command();
Command debug_command();
Command delete_command();
Command describe_command();
Command diff_command();
Command drain_command();
Command edit_command();
Command events_command();
Command exec_command();
Command explain_command();
Command expose_command();
Command get_command();
Command image_command();
Command kustomize_command();
Command label_command();
Command logs_command();
Command node_command();
Command options_command();
Command patch_command();
Command plugin_command();
Command port_forward_command();
Command proxy_command();
Command replace_command();
Command rollout_command();
Command run_command();
Command scale_command();
Command set_command();
Command taint_command();
Command top_command();
Command uncordon_command();
Command version_command();
Command wait_command();

}  // namespace moth::ctl
