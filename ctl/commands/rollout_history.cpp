#include "ctl/commands/rollout_history.h"

#include <fmt/format.h>

#include <charconv>

#include "api/machinery/patch_strategic.h"
#include "api/schema/patch_schema.h"
#include "ctl/objects/last_applied.h"
#include "ctl/objects/pods.h"

namespace moth::ctl {
namespace {

constexpr const char* kRevision = "deployment.kubernetes.io/revision";
constexpr const char* kChangeCause = "kubernetes.io/change-cause";
constexpr const char* kTemplateHash = "pod-template-hash";

bool is_controlled_by(const Json& object, const std::string& uid) {
  const Json* owners = find_path(object, "metadata", "ownerReferences");
  if (!owners || !owners->is_array()) return false;
  for (const Json& owner : *owners) {
    if (bool_or(owner, "controller") && string_or(owner, "uid") == uid) return true;
  }
  return false;
}

std::string annotation(const Json& object, const char* key) {
  const Json* annotations = find_path(object, "metadata", "annotations");
  return annotations ? string_or(*annotations, key) : "";
}

// What belongs to the ReplicaSet itself, or to the Deployment whatever its revision, stays.
Json undo_annotations(const Json& replica_set, const Json& deployment) {
  Json kept = Json::object();
  auto own = [](const std::string& key) {
    return key == kLastApplied || key == kRevision ||
           key == "deployment.kubernetes.io/revision-history" ||
           key == "deployment.kubernetes.io/desired-replicas" ||
           key == "deployment.kubernetes.io/max-replicas" ||
           key == "deprecated.deployment.rollback.to";
  };
  if (const Json* present = find_path(deployment, "metadata", "annotations")) {
    for (const auto& [key, value] : present->items())
      if (own(key)) kept[key] = value;
  }
  if (const Json* former = find_path(replica_set, "metadata", "annotations")) {
    for (const auto& [key, value] : former->items())
      if (!own(key)) kept[key] = value;
  }
  return kept;
}

Outcome<std::map<std::int64_t, Revision>> deployment_revisions(Api& api, const ObjectInfo& workload,
                                                               const std::string& selector) {
  MOTH_ASSIGN(const ApiResource* resource, api.resource("replicasets.apps"));
  MOTH_ASSIGN(Json list, api.list(*resource, workload.ns, {{"labelSelector", selector}}));
  std::map<std::int64_t, Revision> revisions;
  std::string uid = string_or(workload.object["metadata"], "uid");
  for (const Json& replica_set : list["items"]) {
    std::string text = annotation(replica_set, kRevision);
    std::int64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (number == 0 || !is_controlled_by(replica_set, uid)) continue;
    Revision revision;
    revision.cause = annotation(replica_set, kChangeCause);
    if (const Json* pods = find_path(replica_set, "spec", "template")) {
      revision.pod_template = *pods;
    }
    revision.annotations = undo_annotations(replica_set, workload.object);
    revisions[number] = std::move(revision);
  }
  return revisions;
}

Outcome<std::map<std::int64_t, Revision>> stored_revisions(Api& api, const ObjectInfo& workload,
                                                           const std::string& selector) {
  MOTH_ASSIGN(const ApiResource* resource, api.resource("controllerrevisions.apps"));
  MOTH_ASSIGN(Json list, api.list(*resource, workload.ns, {{"labelSelector", selector}}));
  std::map<std::int64_t, Revision> revisions;
  std::string uid = string_or(workload.object["metadata"], "uid");
  schema::PatchSchemas schemas;
  const PatchSchema* schema = schemas.of(schema::find_type(
      workload.resource->group, workload.resource->version, workload.resource->kind));
  for (const Json& stored : list["items"]) {
    if (!is_controlled_by(stored, uid) || !stored.contains("data")) continue;
    Revision revision;
    revision.cause = annotation(stored, kChangeCause);
    revision.patch = stored["data"];
    if (schema) {
      auto former = apply_strategic_patch(workload.object, revision.patch, *schema);
      if (former) revision.pod_template = (*former)["spec"]["template"];
    }
    revisions[int_or(stored, "revision")] = std::move(revision);
  }
  return revisions;
}

}  // namespace

Json without_template_hash(Json pod_template) {
  if (Json& metadata = pod_template["metadata"]; metadata.contains("labels"))
    metadata["labels"].erase(kTemplateHash);
  return pod_template;
}

Outcome<std::map<std::int64_t, Revision>> revisions_of(Api& api, const ObjectInfo& workload) {
  const std::string& kind = workload.resource->kind;
  if (kind != "Deployment" && kind != "StatefulSet" && kind != "DaemonSet")
    return refuse(fmt::format("no history viewer has been implemented for \"{}\"", kind));
  MOTH_ASSIGN(std::string selector, pod_selector(workload.object));
  return kind == "Deployment" ? deployment_revisions(api, workload, selector)
                              : stored_revisions(api, workload, selector);
}

}  // namespace moth::ctl
