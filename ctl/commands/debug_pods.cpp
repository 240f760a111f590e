#include "ctl/commands/debug_pods.h"

#include <fmt/format.h>

#include <algorithm>

namespace moth::ctl {
namespace {

bool one_of(const std::string& text, std::initializer_list<const char*> words) {
  return std::any_of(words.begin(), words.end(), [&](const char* word) { return text == word; });
}

Json capabilities(std::initializer_list<const char*> added) {
  Json list = Json::array();
  for (const char* name : added) list.push_back(name);
  return Json{{"capabilities", {{"add", std::move(list)}}}};
}

// What a profile gives the debugging container. `node`: in a pod on a node.
void apply_profile(Json& container, const std::string& profile, bool node) {
  if (profile == "general" && !node) container["securityContext"] = capabilities({"SYS_PTRACE"});
  if (profile == "netadmin") container["securityContext"] = capabilities({"NET_ADMIN", "NET_RAW"});
  if (profile == "sysadmin") container["securityContext"] = Json{{"privileged", true}};
  if (profile == "restricted") {
    container["securityContext"] = Json{{"allowPrivilegeEscalation", false},
                                        {"capabilities", {{"drop", {"ALL"}}}},
                                        {"runAsNonRoot", true},
                                        {"seccompProfile", {{"type", "RuntimeDefault"}}}};
  }
}

Json container_of(const DebugWish& wish, const std::string& name) {
  Json container{{"image", wish.image},
                 {"name", name},
                 {"resources", Json::object()},
                 {"terminationMessagePolicy", "File"}};
  if (!wish.pull_policy.empty()) container["imagePullPolicy"] = wish.pull_policy;
  if (!wish.words.empty()) container[wish.arguments_only ? "args" : "command"] = wish.words;
  if (!wish.env.empty()) container["env"] = wish.env;
  if (wish.stdin_open) container["stdin"] = true;
  if (wish.tty) container["tty"] = true;
  return container;
}

void add_custom(Json& container, const Json& custom) {
  if (custom.is_object()) container.merge_patch(custom);
}

Json* find_container(Json& spec, const std::string& name) {
  for (Json& container : spec["containers"])
    if (string_or(container, "name") == name) return &container;
  return nullptr;
}

Outcome<> set_images(Json& spec, const CopyWish& copy) {
  for (const auto& [name, image] : copy.images) {
    bool found = false;
    for (const char* list : {"containers", "initContainers"}) {
      if (!spec.contains(list)) continue;
      for (Json& container : spec[list]) {
        if (name != "*" && string_or(container, "name") != name) continue;
        container["image"] = image;
        found = true;
      }
    }
    if (!found) return refuse(fmt::format("unable to find container named \"{}\"", name));
  }
  return {};
}

void drop_probes(Json& spec, const CopyWish& copy) {
  for (const char* list : {"containers", "initContainers"}) {
    if (!spec.contains(list)) continue;
    for (Json& container : spec[list]) {
      if (!copy.keep_liveness) container.erase("livenessProbe");
      if (!copy.keep_readiness) container.erase("readinessProbe");
      if (!copy.keep_startup) container.erase("startupProbe");
    }
  }
}

}  // namespace

Outcome<> check_profile(const std::string& profile) {
  if (one_of(profile, {"legacy", "general", "baseline", "netadmin", "restricted", "sysadmin"}))
    return {};
  return refuse(
      fmt::format("unknown profile: {}: legacy, general, baseline, netadmin, restricted or "
                  "sysadmin is expected",
                  profile));
}

Json ephemeral_container(const DebugWish& wish, const std::string& name) {
  Json container = container_of(wish, name);
  if (!wish.target.empty()) container["targetContainerName"] = wish.target;
  apply_profile(container, wish.profile, false);
  add_custom(container, wish.custom);
  return container;
}

Outcome<Json> debug_copy(const Json& pod, const DebugWish& wish, const CopyWish& copy) {
  Json metadata{{"name", copy.name}};
  for (auto [member, keep] :
       {std::pair("labels", copy.keep_labels), std::pair("annotations", copy.keep_annotations)}) {
    const Json* map = find_path(pod, "metadata", member);
    if (keep && map) metadata[member] = *map;
  }
  if (std::string ns = string_or(pod["metadata"], "namespace"); !ns.empty())
    metadata["namespace"] = ns;
  Json spec = pod.value("spec", Json::object());
  spec.erase("ephemeralContainers");
  if (!copy.same_node) spec.erase("nodeName");
  if (!copy.keep_init) spec.erase("initContainers");
  drop_probes(spec, copy);
  MOTH_TRY(set_images(spec, copy));
  if (copy.share_processes) spec["shareProcessNamespace"] = true;
  Json* changed = copy.container.empty() ? nullptr : find_container(spec, copy.container);
  if (changed) {
    if (!wish.image.empty()) (*changed)["image"] = wish.image;
    if (!wish.pull_policy.empty()) (*changed)["imagePullPolicy"] = wish.pull_policy;
    if (!wish.words.empty()) {
      (*changed)[wish.arguments_only ? "args" : "command"] = wish.words;
      if (!wish.arguments_only) changed->erase("args");
    }
    if (!wish.env.empty()) (*changed)["env"] = wish.env;
    (*changed)["stdin"] = wish.stdin_open;
    (*changed)["tty"] = wish.tty;
    apply_profile(*changed, wish.profile, false);
    add_custom(*changed, wish.custom);
  } else if (!wish.image.empty()) {
    Json container = container_of(wish, copy.container);
    apply_profile(container, wish.profile, false);
    add_custom(container, wish.custom);
    spec["containers"].push_back(std::move(container));
  } else if (copy.images.empty()) {
    return refuse("you must specify --image, --set-image or command arguments.");
  }
  return Json{{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata", std::move(metadata)},
              {"spec", std::move(spec)}};
}

Json node_pod(const DebugWish& wish, const std::string& node, const std::string& name) {
  Json container = container_of(wish, "debugger");
  bool host_files = one_of(wish.profile, {"legacy", "general", "sysadmin"});
  bool host_namespaces = host_files || wish.profile == "netadmin";
  Json spec{{"nodeName", node},
            {"restartPolicy", "Never"},
            {"tolerations", Json::array({Json{{"operator", "Exists"}}})}};
  if (host_files) {
    container["volumeMounts"] = Json::array({Json{{"mountPath", "/host"}, {"name", "host-root"}}});
    spec["volumes"] = Json::array({Json{{"hostPath", {{"path", "/"}}}, {"name", "host-root"}}});
  }
  if (host_namespaces) {
    spec["hostNetwork"] = true;
    spec["hostPID"] = true;
    if (wish.profile != "netadmin") spec["hostIPC"] = true;
  }
  apply_profile(container, wish.profile, true);
  add_custom(container, wish.custom);
  spec["containers"] = Json::array({std::move(container)});
  return Json{{"apiVersion", "v1"},
              {"kind", "Pod"},
              {"metadata",
               {{"name", name}, {"labels", {{"app.kubernetes.io/managed-by", "kubectl-debug"}}}}},
              {"spec", std::move(spec)}};
}

}  // namespace moth::ctl
