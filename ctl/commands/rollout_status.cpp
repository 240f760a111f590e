#include "ctl/commands/rollout_status.h"

#include <fmt/format.h>

#include <charconv>

namespace moth::ctl {
namespace {

struct Numbers {
  const Json& object;
  std::int64_t spec(std::string_view key, std::int64_t fallback = 0) const {
    const Json* part = find_member(object, "spec");
    return part ? int_or(*part, key, fallback) : fallback;
  }
  std::int64_t status(std::string_view key) const {
    const Json* part = find_member(object, "status");
    return part ? int_or(*part, key) : 0;
  }
  std::string status_text(std::string_view key) const {
    const Json* part = find_member(object, "status");
    return part ? string_or(*part, key) : "";
  }
  std::string name() const { return string_or(object["metadata"], "name"); }
  bool observed() const {
    return int_or(object["metadata"], "generation") <= status("observedGeneration");
  }
};

const Json* condition(const Json& object, std::string_view type) {
  const Json* list = find_path(object, "status", "conditions");
  if (!list || !list->is_array()) return nullptr;
  for (const Json& entry : *list) {
    if (string_or(entry, "type") == type) return &entry;
  }
  return nullptr;
}

Outcome<RolloutStatus> deployment_status(const Json& object, std::int64_t revision) {
  Numbers numbers{object};
  if (revision > 0) {
    const Json* annotations = find_path(object, "metadata", "annotations");
    std::string text =
        annotations ? string_or(*annotations, "deployment.kubernetes.io/revision") : "";
    std::int64_t present = 0;
    std::from_chars(text.data(), text.data() + text.size(), present);
    if (present != revision) {
      return refuse(fmt::format("desired revision ({}) is different from the running revision ({})",
                                revision, present));
    }
  }
  if (!numbers.observed())
    return RolloutStatus{"Waiting for deployment spec update to be observed...\n", false};
  const Json* progressing = condition(object, "Progressing");
  if (progressing && string_or(*progressing, "reason") == "ProgressDeadlineExceeded")
    return refuse(fmt::format("deployment \"{}\" exceeded its progress deadline", numbers.name()));
  std::int64_t wanted = numbers.spec("replicas", 1), updated = numbers.status("updatedReplicas"),
               present = numbers.status("replicas"),
               available = numbers.status("availableReplicas");
  constexpr std::string_view kWaiting = "Waiting for deployment \"{}\" rollout to finish: ";
  std::string waiting = fmt::format(fmt::runtime(kWaiting), numbers.name());
  if (updated < wanted) {
    return RolloutStatus{
        fmt::format("{}{} out of {} new replicas have been updated...\n", waiting, updated, wanted),
        false};
  }
  if (present > updated) {
    return RolloutStatus{
        fmt::format("{}{} old replicas are pending termination...\n", waiting, present - updated),
        false};
  }
  if (available < updated) {
    return RolloutStatus{
        fmt::format("{}{} of {} updated replicas are available...\n", waiting, available, updated),
        false};
  }
  return RolloutStatus{fmt::format("deployment \"{}\" successfully rolled out\n", numbers.name()),
                       true};
}

Outcome<RolloutStatus> daemon_set_status(const Json& object) {
  Numbers numbers{object};
  const Json* strategy = find_path(object, "spec", "updateStrategy");
  if (strategy && string_or(*strategy, "type") == "OnDelete")
    return refuse("rollout status is only available for RollingUpdate strategy type");
  if (!numbers.observed())
    return RolloutStatus{"Waiting for daemon set spec update to be observed...\n", false};
  std::int64_t wanted = numbers.status("desiredNumberScheduled"),
               updated = numbers.status("updatedNumberScheduled"),
               available = numbers.status("numberAvailable");
  if (updated < wanted) {
    return RolloutStatus{
        fmt::format("Waiting for daemon set \"{}\" rollout to finish: {} out of {} "
                    "new pods have been updated...\n",
                    numbers.name(), updated, wanted),
        false};
  }
  if (available < wanted) {
    return RolloutStatus{fmt::format("Waiting for daemon set \"{}\" rollout to finish: {} of {} "
                                     "updated pods are available...\n",
                                     numbers.name(), available, wanted),
                         false};
  }
  return RolloutStatus{fmt::format("daemon set \"{}\" successfully rolled out\n", numbers.name()),
                       true};
}

Outcome<RolloutStatus> stateful_set_status(const Json& object) {
  Numbers numbers{object};
  const Json* strategy = find_path(object, "spec", "updateStrategy");
  if (strategy && string_or(*strategy, "type") == "OnDelete")
    return refuse("rollout status is only available for RollingUpdate strategy type");
  if (numbers.status("observedGeneration") == 0 || !numbers.observed())
    return RolloutStatus{"Waiting for statefulset spec update to be observed...\n", false};
  std::int64_t wanted = numbers.spec("replicas", 1), ready = numbers.status("readyReplicas"),
               updated = numbers.status("updatedReplicas");
  if (ready < wanted) {
    return RolloutStatus{fmt::format("Waiting for {} pods to be ready...\n", wanted - ready),
                         false};
  }
  const Json* rolling = find_path(object, "spec", "updateStrategy", "rollingUpdate");
  std::int64_t partition = rolling ? int_or(*rolling, "partition") : 0;
  if (partition > 0) {
    if (updated < wanted - partition) {
      return RolloutStatus{
          fmt::format("Waiting for partitioned roll out to finish: {} out of {} new "
                      "pods have been updated...\n",
                      updated, wanted - partition),
          false};
    }
    return RolloutStatus{
        fmt::format("partitioned roll out complete: {} new pods have been updated...\n", updated),
        true};
  }
  std::string next = numbers.status_text("updateRevision"),
              current = numbers.status_text("currentRevision");
  if (next != current) {
    return RolloutStatus{
        fmt::format(
            "waiting for statefulset rolling update to complete {} pods at revision {}...\n",
            updated, next),
        false};
  }
  return RolloutStatus{
      fmt::format("statefulset rolling update complete {} pods at revision {}...\n",
                  numbers.status("currentReplicas"), current),
      true};
}

}  // namespace

Outcome<RolloutStatus> rollout_status(const Json& object, std::int64_t revision) {
  std::string kind = string_or(object, "kind");
  if (kind == "Deployment") return deployment_status(object, revision);
  if (kind == "DaemonSet") return daemon_set_status(object);
  if (kind == "StatefulSet") return stateful_set_status(object);
  return refuse(fmt::format("no status viewer has been implemented for {}", kind));
}

}  // namespace moth::ctl
