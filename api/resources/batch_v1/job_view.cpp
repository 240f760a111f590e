#include "api/resources/batch_v1/job_view.h"

#include "api/resources/core_v1/parse.h"

namespace moth::resources {
namespace {

std::optional<std::int32_t> optional_int32(const Json& object, std::string_view key) {
  auto value = optional_int(object, key);
  return value ? std::optional(static_cast<std::int32_t>(*value)) : std::nullopt;
}

std::optional<std::string> optional_text(const Json& object, std::string_view key) {
  return has(object, key) ? std::optional(string_or(object, key)) : std::nullopt;
}

PodFailureRule::Action action_of(std::string_view text) {
  if (text == "FailJob") return PodFailureRule::Action::kFailJob;
  if (text == "FailIndex") return PodFailureRule::Action::kFailIndex;
  if (text == "Ignore") return PodFailureRule::Action::kIgnore;
  return PodFailureRule::Action::kCount;
}

PodFailureRule parse_failure_rule(const Json& json) {
  PodFailureRule rule;
  rule.action = action_of(string_or(json, "action"));
  if (const Json* codes = member(json, "onExitCodes")) {
    rule.on_exit_codes = true;
    rule.container = string_or(*codes, "containerName");
    rule.not_in = string_or(*codes, "operator") == "NotIn";
    for (const Json& code : items(*codes, "values")) {
      if (code.is_number_integer()) rule.codes.push_back(code.get<std::int32_t>());
    }
  }
  for (const Json& pattern : items(json, "onPodConditions")) {
    rule.conditions.push_back({string_or(pattern, "type"), string_or(pattern, "status")});
  }
  return rule;
}

}  // namespace

JobView::JobView(const Object& object) : meta_(&object.meta()) {
  auto dom = object.dom();
  const Json& spec = object_of(*dom, "spec");
  parallelism = int32_or(spec, "parallelism", parallelism);
  completions = optional_int32(spec, "completions");
  active_deadline = optional_seconds(spec, "activeDeadlineSeconds");
  backoff_limit = int32_or(spec, "backoffLimit", backoff_limit);
  backoff_limit_per_index = optional_int32(spec, "backoffLimitPerIndex");
  max_failed_indexes = optional_int32(spec, "maxFailedIndexes");
  ttl_after_finished = optional_seconds(spec, "ttlSecondsAfterFinished");
  selector = selector_at(spec, "selector");
  manual_selector = bool_or(spec, "manualSelector");
  indexed = string_or(spec, "completionMode") == "Indexed";
  suspend = bool_or(spec, "suspend");
  replace_only_failed = string_or(spec, "podReplacementPolicy") == "Failed";
  managed_by = string_or(spec, "managedBy");
  for (const Json& rule : items(object_of(spec, "podFailurePolicy"), "rules")) {
    failure_rules.push_back(parse_failure_rule(rule));
  }
  has_success_policy = has(spec, "successPolicy");
  for (const Json& rule : items(object_of(spec, "successPolicy"), "rules")) {
    success_rules.push_back(
        {optional_text(rule, "succeededIndexes"), optional_int32(rule, "succeededCount")});
  }
  const Json& pod = object_of(object_of(spec, "template"), "spec");
  restart_on_failure = string_or(pod, "restartPolicy") == "OnFailure";

  const Json& json = object_of(*dom, "status");
  status.active = int32_or(json, "active");
  status.succeeded = int32_or(json, "succeeded");
  status.failed = int32_or(json, "failed");
  status.ready = optional_int32(json, "ready");
  status.terminating = optional_int32(json, "terminating");
  status.start = optional_time(json, "startTime");
  status.completion = optional_time(json, "completionTime");
  status.completed_indexes = string_or(json, "completedIndexes");
  status.failed_indexes = optional_text(json, "failedIndexes");
  const Json& uncounted = object_of(json, "uncountedTerminatedPods");
  status.uncounted_succeeded = strings(uncounted, "succeeded");
  status.uncounted_failed = strings(uncounted, "failed");
  status.conditions = parse_conditions(items(json, "conditions"));
}

const Condition* JobView::condition(std::string_view type) const {
  return find_condition(status.conditions, type);
}

bool JobView::condition_is(std::string_view type) const {
  const Condition* found = condition(type);
  return found && found->is_true();
}

}  // namespace moth::resources
