#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/amount.h"
#include "api/resources/apps_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/claim_rules.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/pod_validation.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"
#include "api/resources/workload.h"

namespace moth::resources {
namespace {

constexpr int kHistoryLimit = 10;

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  default_to(spec, "replicas", 1);
  default_text(spec, "podManagementPolicy", "OrderedReady");
  Json& strategy = object_at(spec, "updateStrategy");
  default_text(strategy, "type", "RollingUpdate");
  if (string_or(strategy, "type") == "RollingUpdate") {
    default_to(object_at(strategy, "rollingUpdate"), "partition", 0);
  }
  Json& retention = object_at(spec, "persistentVolumeClaimRetentionPolicy");
  default_text(retention, "whenDeleted", "Retain");
  default_text(retention, "whenScaled", "Retain");
  default_to(spec, "revisionHistoryLimit", kHistoryLimit);
  set_pod_template_defaults(object_at(spec, "template"));
  edit_items(spec, "volumeClaimTemplates", [](Json& claim) {
    default_text(claim, "apiVersion", "v1");
    default_text(claim, "kind", "PersistentVolumeClaim");
    set_claim_defaults(claim);
    default_text(object_at(claim, "status"), "phase", "Pending");
  });
}

void check_strategy(FieldErrors& errors, const Json& strategy, const FieldPath& path) {
  std::string type = string_or(strategy, "type");
  const Json* rolling = member(strategy, "rollingUpdate");
  FieldPath at = path.child("rollingUpdate");
  if (type.empty()) {
    errors.push_back(FieldError::required(path, ""));
  } else if (type == "OnDelete") {
    if (rolling) {
      errors.push_back(
          FieldError::invalid(at, *rolling, "only allowed for updateStrategy 'RollingUpdate'"));
    }
  } else if (type != "RollingUpdate") {
    errors.push_back(FieldError::invalid(path, strategy, "must be 'RollingUpdate' or 'OnDelete'"));
  } else if (rolling) {
    check_non_negative(errors, *rolling, "partition", at);
    check_amount(errors, *rolling, "maxUnavailable", at);
    if (has(*rolling, "maxUnavailable") && amount_of(*rolling, "maxUnavailable") == 0) {
      errors.push_back(FieldError::invalid(at.child("maxUnavailable"),
                                           *member(*rolling, "maxUnavailable"), "cannot be 0"));
    }
    check_at_most_whole(errors, *rolling, "maxUnavailable", at);
  }
}

// The template as its pods will be: with a volume for each claim.
Json with_claim_volumes(Json pod_template, const Json& claims) {
  Json& spec = object_at(pod_template, "spec");
  Json volumes = Json::array();
  for (const Json& volume : items(spec, "volumes")) {
    bool replaced = std::any_of(claims.begin(), claims.end(), [&](const Json& claim) {
      return string_or(object_of(claim, "metadata"), "name") == string_or(volume, "name");
    });
    if (!replaced) volumes.push_back(volume);
  }
  for (const Json& claim : claims) {
    std::string name = string_or(object_of(claim, "metadata"), "name");
    volumes.push_back({{"name", name}, {"persistentVolumeClaim", {{"claimName", name}}}});
  }
  spec["volumes"] = std::move(volumes);
  return pod_template;
}

void check_claims(FieldErrors& errors, const Json& claims, const FieldPath& path) {
  UniqueNames names;
  for (std::size_t i = 0; i < claims.size(); ++i) {
    FieldPath at = path.index(i);
    std::string name = string_or(object_of(claims[i], "metadata"), "name");
    FieldPath name_at = at.child("metadata", "name");
    if (name.empty()) {
      errors.push_back(FieldError::required(name_at, ""));
    } else {
      add_invalid(errors, name_at, name, check_dns1123_label(name));
      names.add(errors, name, name_at);
    }
    append(errors, validate_claim_spec(object_of(claims[i], "spec"), at.child("spec")));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  std::string policy = string_or(spec, "podManagementPolicy");
  if (policy != "OrderedReady" && policy != "Parallel") {
    errors.push_back(FieldError::invalid(path.child("podManagementPolicy"), policy,
                                         "must be 'OrderedReady' or 'Parallel'"));
  }
  check_strategy(errors, object_of(spec, "updateStrategy"), path.child("updateStrategy"));
  const Json& retention = object_of(spec, "persistentVolumeClaimRetentionPolicy");
  for (const char* key : {"whenDeleted", "whenScaled"}) {
    check_supported(errors, retention, key, path.child("persistentVolumeClaimRetentionPolicy"),
                    {"Retain", "Delete"});
  }
  check_non_negative(errors, spec, "replicas", path);
  check_non_negative(errors, spec, "minReadySeconds", path);
  check_non_negative(errors, spec, "revisionHistoryLimit", path);
  check_non_negative(errors, object_of(spec, "ordinals"), "start", FieldPath("spec.ordinals"));
  auto selector = check_workload_selector(errors, spec, path, "statefulset", "");
  const Json& pod_template = object_of(spec, "template");
  const Json& claims = items(spec, "volumeClaimTemplates");
  FieldPath at = path.child("template");
  if (selector) {
    check_selector_matches(errors, pod_template, *selector, at);
    append(errors, validate_pod_template(with_claim_volumes(pod_template, claims), at));
  }
  check_template_runs_on(errors, pod_template, at, "StatefulSet");
  check_claims(errors, claims, path.child("volumeClaimTemplates"));
  check_name(errors, spec, "serviceName", path, check_dns1123_label);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  Json spec = object_of(object, "spec");
  Json before = object_of(old, "spec");
  for (const char* key :
       {"replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy", "minReadySeconds"}) {
    spec.erase(key);
    before.erase(key);
  }
  if (spec != before) {
    errors.push_back(FieldError::forbidden(
        FieldPath("spec"),
        "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
        "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
        "'minReadySeconds' are forbidden"));
  }
  return errors;
}

FieldErrors validate_status(const Json& object, const Json& old) {
  FieldErrors errors;
  const Json& status = object_of(object, "status");
  check_status_counts(errors, status,
                      {"replicas", "readyReplicas", "currentReplicas", "updatedReplicas",
                       "availableReplicas", "observedGeneration", "collisionCount"});
  check_status_parts(errors, status, "replicas",
                     {"readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas"},
                     "cannot be greater than status.replicas");
  check_status_parts(errors, status, "readyReplicas", {"availableReplicas"},
                     "cannot be greater than status.readyReplicas");
  check_not_decremented(errors, object, old, "collisionCount");
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  const Json& spec = object_of(object, "spec");
  Json cells =
      Json::array({name_cell(object),
                   fmt::format("{}/{}", int_or(object_of(object, "status"), "readyReplicas"),
                               int_or(spec, "replicas", 1)),
                   age_cell(object, context)});
  add_template_cells(cells, object_of(spec, "template"), std::nullopt);
  return cells;
}

}  // namespace

ResourceDef stateful_sets() {
  ResourceDef row =
      row_of("apps", "v1", "statefulsets", "statefulset", "StatefulSet", "apps.v1.StatefulSet");
  row.short_names = {"sts"};
  row.categories = {"all"};
  set_scalable(row);
  row.has_generation = true;
  // status.currentRevision cannot be told from the pods: it must survive a crash.
  row.status_durability = Durability::kDurable;
  row.set_defaults = set_defaults;
  row.prepare_create = [](Json& object) {
    object["status"] = {{"replicas", 0}, {"availableReplicas", 0}};
  };
  row.validate = validate;
  row.validate_update = validate_update;
  row.validate_status = validate_status;
  row.validate_name = check_dns1123_label;
  row.warnings = template_warnings;
  row.columns = columns({column("Name", "Name of the stateful set, unique in its namespace"),
                         column("Ready", "Ready pods, of those asked for"),
                         column("Age", "Time since creation")});
  add_template_columns(row.columns, false);
  row.row = cells;
  return row;
}

}  // namespace moth::resources
