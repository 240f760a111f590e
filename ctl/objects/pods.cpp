#include "ctl/objects/pods.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "api/machinery/selectors.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

constexpr const char* kDefaultContainer = "kubectl.kubernetes.io/default-container";

std::string metadata_text(const Json& object, std::string_view key) {
  const Json* metadata = find_member(object, "metadata");
  return metadata ? string_or(*metadata, key) : "";
}

std::int64_t restarts(const Json& pod) {
  std::int64_t most = 0;
  const Json* statuses = find_path(pod, "status", "containerStatuses");
  if (statuses && statuses->is_array()) {
    for (const Json& status : *statuses) most = std::max(most, int_or(status, "restartCount"));
  }
  return most;
}

// Smaller is better.
auto rank(const Json& pod) {
  const Json* spec = find_member(pod, "spec");
  const Json* status = find_member(pod, "status");
  std::string phase = status ? string_or(*status, "phase") : "";
  bool deleted = !metadata_text(pod, "deletionTimestamp").empty();
  bool assigned = spec && !string_or(*spec, "nodeName").empty();
  int phase_rank = phase == "Running" ? 0 : phase == "Pending" ? 2 : 1;
  return std::tuple(deleted, !assigned, phase_rank, !pod_ready(pod), restarts(pod));
}

void add_names(const Json& pod, const char* list, std::vector<std::string>& into) {
  const Json* containers = find_path(pod, "spec", list);
  if (!containers || !containers->is_array()) return;
  for (const Json& container : *containers) into.push_back(string_or(container, "name"));
}

}  // namespace

std::string pod_name(const Json& pod) {
  return metadata_text(pod, "name");
}
std::string pod_namespace(const Json& pod) {
  return metadata_text(pod, "namespace");
}

bool pod_ready(const Json& pod) {
  const Json* conditions = find_path(pod, "status", "conditions");
  if (!conditions || !conditions->is_array()) return false;
  return std::any_of(conditions->begin(), conditions->end(), [](const Json& condition) {
    return string_or(condition, "type") == "Ready" && string_or(condition, "status") == "True";
  });
}

Outcome<std::string> pod_selector(const Json& object) {
  std::string kind = string_or(object, "kind");
  const Json* selector = find_path(object, "spec", "selector");
  if (!selector || !selector->is_object() || selector->empty()) {
    return refuse(fmt::format("{} \"{}\" has no selector, so it stands for no pods", kind,
                              metadata_text(object, "name")));
  }
  if (kind == "Service" || kind == "ReplicationController") {
    Labels labels;
    for (const auto& [key, value] : selector->items())
      labels.emplace(key, value.is_string() ? value.get<std::string>() : "");
    return LabelSelector::from_map(labels).to_string();
  }
  MOTH_ASSIGN(LabelSelector parsed, LabelSelector::from_json(*selector));
  return parsed.to_string();
}

Outcome<std::vector<Json>> pods_behind(Context& context, const std::string& word) {
  MOTH_ASSIGN(Api * api, context.api());
  MOTH_ASSIGN(std::string ns, context.ns());
  auto slash = word.find('/');
  MOTH_ASSIGN(const ApiResource* pods, api->resource("pods"));
  const ApiResource* resource = pods;
  std::string name = word;
  if (slash != std::string::npos) {
    MOTH_ASSIGN(resource, api->resource(word.substr(0, slash)));
    name = word.substr(slash + 1);
  }
  MOTH_ASSIGN(Json object, api->get(*resource, ns, name));
  if (resource == pods) return std::vector<Json>{std::move(object)};
  MOTH_ASSIGN(std::string selector, pod_selector(object));
  MOTH_ASSIGN(Json list, api->list(*pods, ns, {{"labelSelector", selector}}));
  std::vector<Json> found(std::make_move_iterator(list["items"].begin()),
                          std::make_move_iterator(list["items"].end()));
  if (found.empty()) {
    return refuse(fmt::format("no pods found for {} (selector {}): look at \"moth describe {}\"",
                              word, selector, word));
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Json& a, const Json& b) { return rank(a) < rank(b); });
  return found;
}

std::vector<std::string> container_names(const Json& pod, bool with_init) {
  std::vector<std::string> names;
  if (with_init) add_names(pod, "initContainers", names);
  add_names(pod, "containers", names);
  if (with_init) add_names(pod, "ephemeralContainers", names);
  return names;
}

Outcome<std::string> choose_container(Context& context, const Json& pod, const std::string& wanted,
                                      bool quiet) {
  std::vector<std::string> all = container_names(pod, true);
  if (!wanted.empty()) {
    if (std::find(all.begin(), all.end(), wanted) != all.end()) return wanted;
    return refuse(fmt::format("container {} not found in pod {}: it has {}", wanted, pod_name(pod),
                              fmt::join(all, ", ")));
  }
  std::vector<std::string> main = container_names(pod, false);
  if (main.empty()) return refuse(fmt::format("pod {} has no containers", pod_name(pod)));
  if (const Json* annotations = find_path(pod, "metadata", "annotations")) {
    std::string named = string_or(*annotations, kDefaultContainer);
    if (std::find(all.begin(), all.end(), named) != all.end()) return named;
  }
  if (all.size() > 1 && !quiet) {
    std::vector<std::string> ephemeral, init;
    add_names(pod, "ephemeralContainers", ephemeral);
    add_names(pod, "initContainers", init);
    std::string others = fmt::format("{}", fmt::join(main, ", "));
    for (const std::string& name : ephemeral) others += ", " + name + " (ephem)";
    for (const std::string& name : init) others += ", " + name + " (init)";
    context.warn("Defaulted container \"{}\" out of: {}", main[0], others);
  }
  return main[0];
}

}  // namespace moth::ctl
