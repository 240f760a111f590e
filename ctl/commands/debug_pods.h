#pragma once
// What `debug` makes: an ephemeral container, a copy of a pod, a pod on a node. Pure.
#include <string>
#include <vector>

#include "api/base/json.h"
#include "ctl/cli/context.h"

namespace moth::ctl {

struct DebugWish {
  std::string image, pull_policy, target, profile = "legacy";
  std::vector<std::string> words;  // command, or arguments
  bool arguments_only = false;
  bool stdin_open = false, tty = false;
  Json env = Json::array();
  Json custom;  // a partial container, or null
};

Outcome<> check_profile(const std::string& profile);

// For the `ephemeralContainers` of a pod.
Json ephemeral_container(const DebugWish& wish, const std::string& name);

struct CopyWish {
  std::string name;       // of the copy
  std::string container;  // the one that is changed; a new one when the pod has none of the name
  std::vector<std::pair<std::string, std::string>> images;  // --set-image
  bool same_node = false, share_processes = true;
  bool keep_labels = false, keep_annotations = false, keep_liveness = false, keep_readiness = false,
       keep_startup = false, keep_init = true;
};

// A pod to create. Fails when neither a container nor an image says what is to be different.
Outcome<Json> debug_copy(const Json& pod, const DebugWish& wish, const CopyWish& copy);
// A pod that shares the node's namespaces and sees its files below /host, as the profile allows.
Json node_pod(const DebugWish& wish, const std::string& node, const std::string& name);

}  // namespace moth::ctl
