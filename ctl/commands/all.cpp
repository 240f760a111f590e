#include "ctl/commands/all.h"

namespace moth::ctl {

Command all_commands() {
  return {
      .name = "moth",
      .details =
          "moth runs Kubernetes manifests on this machine. It takes kubectl's commands and "
          "flags, and\nknows what only a node has: images and builds.",
      .children = {
          // Look
          get_command(), describe_command(), logs_command(), exec_command(), attach_command(),
          cp_command(), port_forward_command(), proxy_command(), debug_command(), events_command(),
          top_command(), explain_command(), diff_command(), wait_command(),
          // Change
          apply_command(), create_command(), run_command(), expose_command(), delete_command(),
          edit_command(), replace_command(), patch_command(), scale_command(), autoscale_command(),
          rollout_command(), set_command(), label_command(), annotate_command(),
          // Node
          build_command(), image_command(), node_command(), cordon_command(), uncordon_command(),
          drain_command(), taint_command(),
          // Other
          api_resources_command(), api_versions_command(), auth_command(), certificate_command(),
          cluster_info_command(), config_command(), completion_command(), complete_command(),
          kustomize_command(), options_command(), plugin_command(), version_command()}};
}

}  // namespace moth::ctl
