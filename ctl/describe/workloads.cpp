// Pods and what runs them.
#include <algorithm>

#include "api/machinery/selectors.h"
#include "ctl/describe/kinds.h"
#include "ctl/objects/pods.h"

namespace moth::ctl {
namespace {

void write_conditions(DescribeWriter& out, const Json& object) {
  const Json* conditions = find_path(object, "status", "conditions");
  if (!conditions || !conditions->is_array() || conditions->empty()) return;
  out.raw("Conditions:\n  Type\tStatus\tReason\n");
  out.write(1, "----\t------\t------\n");
  for (const Json& condition : *conditions) {
    out.write(1, "{} \t{}\t{}\n", string_or(condition, "type"), string_or(condition, "status"),
              string_or(condition, "reason"));
  }
}

void write_gates(DescribeWriter& out, const Json& pod) {
  const Json* gates = find_path(pod, "spec", "readinessGates");
  if (!gates || gates->empty()) return;
  out.raw("Readiness Gates:\n  Type\tStatus\n");
  const Json* conditions = find_path(pod, "status", "conditions");
  for (const Json& gate : *gates) {
    std::string type = string_or(gate, "conditionType"), status = "<none>";
    for (const Json& condition : conditions ? *conditions : Json::array()) {
      if (string_or(condition, "type") == type) status = string_or(condition, "status");
    }
    out.write(1, "{} \t{} \n", type, status);
  }
}

void write_phase(DescribeWriter& out, const Json& pod, const Json& status) {
  std::string phase = string_or(status, "phase");
  std::string deleted = text_at(pod, "metadata", "deletionTimestamp");
  if (!deleted.empty() && phase != "Failed" && phase != "Succeeded") {
    out.write(0, "Status:\tTerminating (lasts {})\n", age_of(deleted));
    out.write(0, "Termination Grace Period:\t{}s\n",
              int_or(pod["metadata"], "deletionGracePeriodSeconds"));
  } else {
    out.write(0, "Status:\t{}\n", phase);
  }
  for (auto [key, title] : {std::pair("reason", "Reason"), std::pair("message", "Message")}) {
    if (std::string text = string_or(status, key); !text.empty())
      out.write(0, "{}:\t{}\n", title, text);
  }
}

void write_ips(DescribeWriter& out, const Json& status) {
  out.write(0, "IP:\t{}\n", string_or(status, "podIP"));
  const Json* ips = find_member(status, "podIPs");
  if (!ips || !ips->is_array() || ips->empty()) {
    out.write(0, "IPs:\t<none>\n");
    return;
  }
  out.write(0, "IPs:\n");
  for (const Json& ip : *ips) out.write(1, "IP:\t{}\n", string_or(ip, "ip"));
}

// How many pods behind `object` are in each phase: "1 Running / 0 Waiting / ...".
void write_pod_phases(DescribeWriter& out, Api& api, const Json& object) {
  auto selector = pod_selector(object);
  auto pods = api.resource("pods");
  if (!selector || !pods) return;
  auto list =
      api.list(**pods, text_at(object, "metadata", "namespace"), {{"labelSelector", *selector}});
  if (!list) return;
  int running = 0, waiting = 0, succeeded = 0, failed = 0;
  std::string uid = text_at(object, "metadata", "uid");
  for (const Json& pod : (*list)["items"]) {
    const Json* owners = metadata_member(pod, "ownerReferences");
    bool own = false;
    for (const Json& owner : owners ? *owners : Json::array())
      own = own || string_or(owner, "uid") == uid;
    if (!own) continue;
    std::string phase = text_at(pod, "status", "phase");
    if (phase == "Running") ++running;
    if (phase == "Pending") ++waiting;
    if (phase == "Succeeded") ++succeeded;
    if (phase == "Failed") ++failed;
  }
  out.write(0, "Pods Status:\t{} Running / {} Waiting / {} Succeeded / {} Failed\n", running,
            waiting, succeeded, failed);
}

void write_replica_sets(DescribeWriter& out, Api& api, const Json& deployment) {
  auto selector = pod_selector(deployment);
  auto resource = api.resource("replicasets.apps");
  if (!selector || !resource) return;
  auto list = api.list(**resource, text_at(deployment, "metadata", "namespace"),
                       {{"labelSelector", *selector}});
  if (!list) return;
  const Json* annotations = metadata_member(deployment, "annotations");
  constexpr const char* kRevision = "deployment.kubernetes.io/revision";
  std::string current = annotations ? string_or(*annotations, kRevision) : "";
  std::string newest, older;
  std::string owner = "Deployment/" + text_at(deployment, "metadata", "name");
  bool any = false;
  for (const Json& set : (*list)["items"]) {
    if (controller_text(set) != owner) continue;
    any = true;
    std::string text =
        fmt::format("{} ({}/{} replicas created)", text_at(set, "metadata", "name"),
                    int_or(set["status"], "replicas"), int_or(set["spec"], "replicas"));
    const Json* marks = metadata_member(set, "annotations");
    std::string& place =
        marks && !current.empty() && string_or(*marks, kRevision) == current ? newest : older;
    place += (place.empty() ? "" : ", ") + text;
  }
  if (!any) return;
  out.write(0, "OldReplicaSets:\t{}\n", older.empty() ? "<none>" : older);
  out.write(0, "NewReplicaSet:\t{}\n", newest.empty() ? "<none>" : newest);
}

std::string spec_number(const Json& object, const char* key) {
  return std::to_string(int_or(object["spec"], key));
}

std::int64_t status_number(const Json& object, const char* key) {
  const Json* status = find_member(object, "status");
  return status ? int_or(*status, key) : 0;
}

std::string selector_text(const Json& object) {
  const Json* selector = find_path(object, "spec", "selector");
  return selector ? format_label_selector(*selector) : "<none>";
}

void write_labels_and_annotations(DescribeWriter& out, const Json& object) {
  write_labels(out, "Labels", metadata_member(object, "labels"));
  write_annotations(out, "Annotations", metadata_member(object, "annotations"));
}

}  // namespace

void describe_pod(DescribeWriter& out, Api&, const Json& pod) {
  const Json spec = pod.value("spec", Json::object()), status = pod.value("status", Json::object());
  write_name(out, pod);
  if (spec.contains("priority")) out.write(0, "Priority:\t{}\n", int_or(spec, "priority"));
  for (auto [key, title] : {std::pair("priorityClassName", "Priority Class Name"),
                            std::pair("runtimeClassName", "Runtime Class Name"),
                            std::pair("serviceAccountName", "Service Account")}) {
    if (std::string text = string_or(spec, key); !text.empty())
      out.write(0, "{}:\t{}\n", title, text);
  }
  std::string node = string_or(spec, "nodeName");
  out.write(0, "Node:\t{}\n", node.empty() ? "<none>" : node + "/" + string_or(status, "hostIP"));
  if (std::string start = string_or(status, "startTime"); !start.empty())
    out.write(0, "Start Time:\t{}\n", long_time(start));
  write_labels_and_annotations(out, pod);
  write_phase(out, pod, status);
  if (const Json* profile = find_path(spec, "securityContext", "seccompProfile")) {
    out.write(0, "SeccompProfile:\t{}\n", string_or(*profile, "type"));
    if (std::string local = string_or(*profile, "localhostProfile"); !local.empty())
      out.write(0, "LocalhostProfile:\t{}\n", local);
  }
  write_ips(out, status);
  if (std::string owner = controller_text(pod); !owner.empty())
    out.write(0, "Controlled By:\t{}\n", owner);
  if (std::string nominated = string_or(status, "nominatedNodeName"); !nominated.empty())
    out.write(0, "NominatedNodeName:\t{}\n", nominated);
  if (const Json* init = find_member(spec, "initContainers"); init && !init->empty()) {
    write_containers(out, "Init Containers", init, find_member(status, "initContainerStatuses"),
                     &pod, "");
  }
  write_containers(out, "Containers", find_member(spec, "containers"),
                   find_member(status, "containerStatuses"), &pod, "");
  if (const Json* extra = find_member(spec, "ephemeralContainers"); extra && !extra->empty()) {
    write_containers(out, "Ephemeral Containers", extra,
                     find_member(status, "ephemeralContainerStatuses"), &pod, "");
  }
  write_gates(out, pod);
  if (const Json* conditions = find_member(status, "conditions");
      conditions && !conditions->empty()) {
    out.raw("Conditions:\n  Type\tStatus\n");
    for (const Json& condition : *conditions)
      out.write(1, "{} \t{} \n", string_or(condition, "type"), string_or(condition, "status"));
  }
  write_volumes(out, find_member(spec, "volumes"), "");
  if (std::string qos = string_or(status, "qosClass"); !qos.empty())
    out.write(0, "QoS Class:\t{}\n", qos);
  write_labels(out, "Node-Selectors", find_member(spec, "nodeSelector"));
  write_tolerations(out, find_member(spec, "tolerations"));
}

void describe_deployment(DescribeWriter& out, Api& api, const Json& deployment) {
  write_name(out, deployment);
  out.write(0, "CreationTimestamp:\t{}\n",
            long_time(text_at(deployment, "metadata", "creationTimestamp")));
  write_labels_and_annotations(out, deployment);
  out.write(0, "Selector:\t{}\n", selector_text(deployment));
  out.write(0, "Replicas:\t{} desired | {} updated | {} total | {} available | {} unavailable\n",
            spec_number(deployment, "replicas"), status_number(deployment, "updatedReplicas"),
            status_number(deployment, "replicas"), status_number(deployment, "availableReplicas"),
            status_number(deployment, "unavailableReplicas"));
  const Json* strategy = find_path(deployment, "spec", "strategy");
  out.write(0, "StrategyType:\t{}\n", strategy ? string_or(*strategy, "type") : "");
  out.write(0, "MinReadySeconds:\t{}\n", spec_number(deployment, "minReadySeconds"));
  if (const Json* rolling = strategy ? find_member(*strategy, "rollingUpdate") : nullptr) {
    out.write(0, "RollingUpdateStrategy:\t{} max unavailable, {} max surge\n",
              scalar_text(rolling->value("maxUnavailable", Json("25%"))),
              scalar_text(rolling->value("maxSurge", Json("25%"))));
  }
  write_pod_template(out, deployment["spec"]["template"]);
  write_conditions(out, deployment);
  write_replica_sets(out, api, deployment);
}

void describe_replica_set(DescribeWriter& out, Api& api, const Json& set) {
  write_name(out, set);
  out.write(0, "Selector:\t{}\n", selector_text(set));
  write_labels_and_annotations(out, set);
  if (std::string owner = controller_text(set); !owner.empty())
    out.write(0, "Controlled By:\t{}\n", owner);
  out.write(0, "Replicas:\t{} current / {} desired\n", status_number(set, "replicas"),
            spec_number(set, "replicas"));
  write_pod_phases(out, api, set);
  write_pod_template(out, set["spec"]["template"]);
  write_conditions(out, set);
}

void describe_replication_controller(DescribeWriter& out, Api& api, const Json& controller) {
  write_name(out, controller);
  out.write(0, "Selector:\t{}\n", pairs_text(find_path(controller, "spec", "selector")));
  write_labels_and_annotations(out, controller);
  out.write(0, "Replicas:\t{} current / {} desired\n", status_number(controller, "replicas"),
            spec_number(controller, "replicas"));
  write_pod_phases(out, api, controller);
  if (const Json* pods = find_path(controller, "spec", "template")) write_pod_template(out, *pods);
  write_conditions(out, controller);
}

void describe_stateful_set(DescribeWriter& out, Api& api, const Json& set) {
  write_name(out, set);
  out.write(0, "CreationTimestamp:\t{}\n",
            long_time(text_at(set, "metadata", "creationTimestamp")));
  out.write(0, "Selector:\t{}\n", selector_text(set));
  write_labels_and_annotations(out, set);
  out.write(0, "Replicas:\t{} desired | {} total\n", spec_number(set, "replicas"),
            status_number(set, "replicas"));
  const Json* strategy = find_path(set, "spec", "updateStrategy");
  out.write(0, "Update Strategy:\t{}\n", strategy ? string_or(*strategy, "type") : "");
  if (const Json* rolling = strategy ? find_member(*strategy, "rollingUpdate") : nullptr;
      rolling && rolling->contains("partition"))
    out.write(1, "Partition:\t{}\n", int_or(*rolling, "partition"));
  write_pod_phases(out, api, set);
  write_pod_template(out, set["spec"]["template"]);
  const Json* claims = find_path(set, "spec", "volumeClaimTemplates");
  if (!claims || claims->empty()) {
    out.write(0, "Volume Claims:\t<none>\n");
    return;
  }
  out.write(0, "Volume Claims:\n");
  for (const Json& claim : *claims) {
    out.write(1, "Name:\t{}\n", text_at(claim, "metadata", "name"));
    out.write(1, "StorageClass:\t{}\n", text_at(claim, "spec", "storageClassName"));
    const Json* requests = find_path(claim, "spec", "resources", "requests");
    out.write(1, "Capacity:\t{}\n", requests ? string_or(*requests, "storage") : "");
  }
}

void describe_daemon_set(DescribeWriter& out, Api& api, const Json& set) {
  write_name(out, set);
  out.write(0, "Selector:\t{}\n", selector_text(set));
  const Json* nodes = find_path(set, "spec", "template", "spec", "nodeSelector");
  write_labels(out, "Node-Selector", nodes);
  write_labels_and_annotations(out, set);
  out.write(0, "Desired Number of Nodes Scheduled: {}\n",
            status_number(set, "desiredNumberScheduled"));
  out.write(0, "Current Number of Nodes Scheduled: {}\n",
            status_number(set, "currentNumberScheduled"));
  out.write(0, "Number of Nodes Scheduled with Up-to-date Pods: {}\n",
            status_number(set, "updatedNumberScheduled"));
  out.write(0, "Number of Nodes Scheduled with Available Pods: {}\n",
            status_number(set, "numberAvailable"));
  out.write(0, "Number of Nodes Misscheduled: {}\n", status_number(set, "numberMisscheduled"));
  write_pod_phases(out, api, set);
  write_pod_template(out, set["spec"]["template"]);
}

}  // namespace moth::ctl
