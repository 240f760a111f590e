#include "api/server/deletion.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/machinery/time.h"
#include "api/resources/apiextensions_v1/rows.h"
#include "api/resources/conditions.h"

namespace moth::server {
namespace {

constexpr std::int64_t kDefaultGraceSeconds = 30;

std::string meta_text(const Json& object, std::string_view field) {
  const Json* metadata = find_member(object, "metadata");
  return metadata ? string_or(*metadata, field) : "";
}

bool has_items(const Json* list) {
  return list && list->is_array() && !list->empty();
}

bool held(const Json& object) {
  if (has_items(find_path(object, "metadata", "finalizers"))) return true;
  // A namespace also has finalizers of its own, emptied through /finalize.
  return string_or(object, "kind") == "Namespace" &&
         has_items(find_path(object, "spec", "finalizers"));
}

Result<> check_preconditions(const resources::ResourceDef& def, const Json& object,
                             const client::DeleteOptions& options) {
  auto check = [&](const char* what, const std::string& wanted,
                   const std::string& actual) -> Result<> {
    if (wanted.empty() || wanted == actual) return {};
    return fail(Error::conflict(
        def.qualified(), meta_text(object, "name"),
        fmt::format("Precondition failed: {0} in precondition: {1}, {0} in object meta: {2}", what,
                    wanted, actual)));
  };
  MOTH_TRY(check("UID", options.precondition_uid, meta_text(object, "uid")));
  return check("ResourceVersion", options.precondition_resource_version,
               meta_text(object, "resourceVersion"));
}

// Adds or removes the finalizer of `policy`; true when the list changed.
Result<bool> apply_policy(Json& object, const std::string& policy) {
  if (policy.empty() || policy == "Background") return false;
  std::string wanted = policy == "Foreground" ? "foregroundDeletion"
                       : policy == "Orphan"   ? "orphan"
                                              : "";
  if (wanted.empty()) {
    return fail(Error::bad_request(fmt::format(
        "invalid propagationPolicy \"{}\": use Background, Foreground or Orphan", policy)));
  }
  Json& finalizers = object["metadata"]["finalizers"];
  if (!finalizers.is_array()) finalizers = Json::array();
  if (std::find(finalizers.begin(), finalizers.end(), Json(wanted)) != finalizers.end())
    return false;
  finalizers.push_back(wanted);
  return true;
}

// Seconds a graceful delete of a pod gives it; 0: at once.
std::int64_t grace_of(const Json& pod, const client::DeleteOptions& options) {
  const Json* node = find_path(pod, "spec", "nodeName");
  const Json* phase = find_path(pod, "status", "phase");
  bool assigned = node && node->is_string() && !node->get_ref<const std::string&>().empty();
  bool ended = phase && (*phase == "Succeeded" || *phase == "Failed");
  if (!assigned || ended) return 0;
  std::int64_t grace = kDefaultGraceSeconds;
  if (const Json* spec = find_member(pod, "spec")) {
    grace = int_or(*spec, "terminationGracePeriodSeconds", kDefaultGraceSeconds);
  }
  if (options.grace_period_seconds) grace = *options.grace_period_seconds;
  return grace < 0 ? 1 : grace;
}

// A definition stays until its objects are gone [apiextensions: the first request to delete it].
void hold_definition(Json& definition, WallTime now) {
  Json& finalizers = definition["metadata"]["finalizers"];
  if (!finalizers.is_array()) finalizers = Json::array();
  const char* cleanup = resources::kCustomResourceCleanup;
  if (std::find(finalizers.begin(), finalizers.end(), cleanup) == finalizers.end())
    finalizers.push_back(cleanup);
  resources::ConditionUpdate pending{
      "Terminating", "True", "InstanceDeletionPending",
      "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
      std::nullopt};
  resources::set_condition(definition["status"], pending, now);
}

void mark_terminating(Json& object, WallTime when, std::int64_t grace) {
  Json& metadata = object["metadata"];
  if (metadata.contains("generation")) metadata["generation"] = int_or(metadata, "generation") + 1;
  metadata["deletionTimestamp"] = format_rfc3339(when);
  metadata["deletionGracePeriodSeconds"] = grace;
  if (string_or(object, "kind") == "Namespace") object["status"]["phase"] = "Terminating";
}

class DryRun final : public StagedWrite {
 public:
  explicit DryRun(ObjectPtr object) : object_(std::move(object)) {}
  ObjectPtr object() const override { return object_; }
  Task<Result<>> committed() override { co_return Result<>{}; }

 private:
  ObjectPtr object_;
};

}  // namespace

StagedWritePtr make_dry_run(ObjectPtr object) {
  return std::make_unique<DryRun>(std::move(object));
}

bool released_by_update(const resources::ResourceDef& def, const Json& object) {
  if (meta_text(object, "deletionTimestamp").empty() || held(object)) return false;
  const Json* metadata = find_member(object, "metadata");
  return !def.graceful_delete || int_or(*metadata, "deletionGracePeriodSeconds") == 0;
}

Result<DeletionPlan> plan_deletion(const resources::ResourceDef& def, const Json& object,
                                   const client::DeleteOptions& options, WallTime now) {
  MOTH_TRY(check_preconditions(def, object, options));
  DeletionPlan plan;
  Json draft = object;
  MOTH_ASSIGN(bool policy_changed, apply_policy(draft, options.propagation_policy));
  bool terminating = !meta_text(object, "deletionTimestamp").empty();
  std::int64_t grace = def.graceful_delete ? grace_of(object, options) : 0;
  if (!terminating && string_or(object, "kind") == "CustomResourceDefinition" && !def.custom)
    hold_definition(draft, now);

  if (grace > 0 && terminating) {
    std::int64_t left = int_or(draft["metadata"], "deletionGracePeriodSeconds");
    // A later delete may shorten the grace period, never lengthen it.
    bool shorter = options.grace_period_seconds && grace < left;
    if (shorter) mark_terminating(draft, now + std::chrono::seconds(grace), grace);
    if (shorter || policy_changed) plan.update = std::move(draft);
    return plan;
  }
  if (grace > 0) {
    mark_terminating(draft, now + std::chrono::seconds(grace), grace);
    plan.update = std::move(draft);
    return plan;
  }
  if (!held(draft)) {
    plan.remove = true;
    return plan;
  }
  std::int64_t left = terminating ? int_or(draft["metadata"], "deletionGracePeriodSeconds") : -1;
  if (!terminating || left > 0) {
    mark_terminating(draft, now, 0);
    plan.update = std::move(draft);
  } else if (policy_changed) {
    plan.update = std::move(draft);
  }
  return plan;
}

}  // namespace moth::server
