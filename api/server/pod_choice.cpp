#include "api/server/pod_choice.h"

#include <fmt/format.h>

#include <vector>

#include "api/base/json.h"

namespace moth::server {

Result<std::string> choose_container(const Json& pod, const std::string& wanted) {
  std::vector<std::string> names, init_names, ephemeral_names;
  auto collect = [&](const char* list, std::vector<std::string>& into) {
    const Json* containers = find_path(pod, "spec", list);
    if (!containers) return;
    for (const Json& container : *containers) into.push_back(string_or(container, "name"));
  };
  collect("containers", names);
  collect("initContainers", init_names);
  collect("ephemeralContainers", ephemeral_names);
  std::string pod_name = pod.at("metadata").at("name").get<std::string>();
  if (wanted.empty()) {
    const Json* annotations = find_path(pod, "metadata", "annotations");
    std::string preferred =
        annotations ? string_or(*annotations, "kubectl.kubernetes.io/default-container") : "";
    for (const std::string& name : names) {
      if (name == preferred) return preferred;
    }
    if (names.size() == 1) return names.front();
    std::string text =
        fmt::format("a container name must be specified for pod {}, choose one of: [{}]", pod_name,
                    fmt::join(names, " "));
    if (!init_names.empty())
      text += fmt::format(" or one of the init containers: [{}]", fmt::join(init_names, " "));
    if (!ephemeral_names.empty()) {
      text +=
          fmt::format(" or one of the ephemeral containers: [{}]", fmt::join(ephemeral_names, " "));
    }
    return fail(Error::bad_request(std::move(text)));
  }
  for (const auto* list : {&names, &init_names, &ephemeral_names}) {
    for (const std::string& name : *list) {
      if (name == wanted) return wanted;
    }
  }
  return fail(
      Error::bad_request(fmt::format("container {} is not valid for pod {}", wanted, pod_name)));
}

Result<> check_assigned(const Json& pod) {
  const Json* node = find_path(pod, "spec", "nodeName");
  if (node && node->is_string() && !node->get_ref<const std::string&>().empty()) return {};
  return fail(Error::bad_request(fmt::format("pod {} does not have a host assigned",
                                             pod.at("metadata").at("name").get<std::string>())));
}

}  // namespace moth::server
