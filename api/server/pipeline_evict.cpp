// pods/eviction (k8s-behaviours 16.3). Budget and pod are looked at and staged without a
// suspension, so two evictions never share one allowed disruption.
#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/time.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/policy_v1/pod_disruption_budget_view.h"
#include "api/server/deletion.h"
#include "api/server/pipeline.h"

namespace moth::server {

using resources::PodDisruptionBudgetView;
using resources::PodPhase;
using resources::PodView;

struct Pipeline::BudgetCheck {
  const resources::ResourceDef* def = nullptr;
  ObjectPtr budget;  // null: none is concerned
  Json changed;      // what it becomes
};

namespace {

constexpr std::size_t kMaxDisruptedPods = 2000;
constexpr const char* kRefused =
    "Cannot evict pod as it would violate the pod's disruption budget.";

Error too_many(std::string cause, std::int32_t retry_after) {
  Error error = Error::too_many_requests(kRefused, retry_after);
  error.causes.push_back({"DisruptionBudget", std::move(cause), ""});
  return error;
}

Result<client::DeleteOptions> options_of(const Json& eviction, const Target& pod,
                                         RequestContext& context) {
  const Json* name = find_path(eviction, "metadata", "name");
  if (name && name->is_string() && *name != "" && *name != pod.name)
    return fail(Error::bad_request("name in URL does not match name in Eviction object"));
  client::DeleteOptions options;
  const Json* wish = find_member(eviction, "deleteOptions");
  if (wish && wish->is_object()) {
    const Json* grace = find_member(*wish, "gracePeriodSeconds");
    if (grace && grace->is_number_integer())
      options.grace_period_seconds = grace->get<std::int64_t>();
    options.propagation_policy = string_or(*wish, "propagationPolicy");
    if (const Json* given = find_member(*wish, "preconditions"); given && given->is_object()) {
      options.precondition_uid = string_or(*given, "uid");
      options.precondition_resource_version = string_or(*given, "resourceVersion");
    }
    const Json* dry = find_member(*wish, "dryRun");
    if (dry && dry->is_array() && !dry->empty()) context.dry_run = true;
  }
  options.dry_run = context.dry_run;
  return options;
}

// Its end disrupts nobody: it does not run yet, or no more.
bool free_to_go(const PodView& pod) {
  return pod.is_finished() || pod.phase() == PodPhase::kPending || pod.is_deleting();
}

Result<> may_disrupt(const Object& budget, const PodDisruptionBudgetView& view) {
  const auto& status = view.status;
  if (status.observed_generation < budget.meta().generation) {
    return fail(
        too_many(fmt::format("The disruption budget {} is still being processed by the server.",
                             budget.name()),
                 10));
  }
  if (status.disruptions_allowed < 0) {
    return fail(Error::forbidden("poddisruptionbudgets.policy", budget.name(),
                                 "pdb disruptions allowed is negative"));
  }
  if (status.disrupted.size() > kMaxDisruptedPods) {
    return fail(Error::forbidden("poddisruptionbudgets.policy", budget.name(),
                                 "DisruptedPods map too big - too many evictions not confirmed by "
                                 "PDB controller"));
  }
  if (status.disruptions_allowed == 0) {
    const auto* condition = resources::find_condition(status.conditions, "DisruptionAllowed");
    if (condition && condition->reason == "SyncFailed") {
      return fail(too_many(
          fmt::format("The disruption budget {} does not allow evicting pods currently because it "
                      "failed sync: {}",
                      budget.name(), condition->message),
          0));
    }
    return fail(too_many(fmt::format("The disruption budget {} needs {} healthy pods and has {} "
                                     "currently",
                                     budget.name(), status.desired_healthy, status.current_healthy),
                         0));
  }
  return {};
}

Json after_disruption(const Object& budget, const std::string& pod, WallTime now) {
  Json changed = budget.parse();
  Json& status = changed["status"];
  std::int64_t left = int_or(status, "disruptionsAllowed") - 1;
  status["disruptionsAllowed"] = left;
  if (left == 0) {
    resources::set_condition(
        status, {"DisruptionAllowed", "False", "InsufficientPods", "", budget.meta().generation},
        now);
  }
  Json& disrupted = status["disruptedPods"];
  if (!disrupted.is_object()) disrupted = Json::object();
  disrupted[pod] = format_rfc3339(now);
  return changed;
}

}  // namespace

Result<Pipeline::BudgetCheck> Pipeline::check_budget(const Object& pod,
                                                     const client::DeleteOptions& options) {
  BudgetCheck check;
  check.def = registry_.find("policy", "v1", "poddisruptionbudgets");
  if (!check.def || free_to_go(pod.view<PodView>())) return check;
  ObjectPtr found;
  for (const ObjectPtr& listed : storage_.list(*check.def, pod.ns()).objects) {
    ObjectPtr budget = storage_.latest(*check.def, pod.ns(), listed->name());
    if (!budget || !budget->view<PodDisruptionBudgetView>().selector.matches(pod.meta().labels))
      continue;
    if (found) {
      return fail(Error::of(Reason::kInternalError,
                            "This pod has more than one PodDisruptionBudget, which the eviction "
                            "subresource does not support."));
    }
    found = budget;
  }
  if (!found) return check;
  const auto& view = found->view<PodDisruptionBudgetView>();
  // An unhealthy pod is not among those that the budget counts.
  if (!pod.view<PodView>().is_ready()) {
    const auto& status = view.status;
    bool met = status.current_healthy >= status.desired_healthy && status.desired_healthy > 0;
    if (view.always_allow_unhealthy || met) return check;
  }
  MOTH_TRY(may_disrupt(*found, view));
  if (options.dry_run) return check;
  check.changed = after_disruption(*found, pod.name(), clock_.wall());
  check.budget = std::move(found);
  return check;
}

Result<StagedWritePtr> Pipeline::stage_eviction(const Target& target, client::DeleteOptions options,
                                                RequestContext& context, StagedWritePtr& budget) {
  const resources::ResourceDef& row = *target.def;
  ObjectPtr current = storage_.latest(row, target.ns, target.name);
  if (!current) return fail(Error::not_found(row.qualified(), target.name));
  Json pod = current->parse();
  // Preconditions first: what they refuse must not use up the budget.
  MOTH_TRY(plan_deletion(row, pod, options, clock_.wall()));
  MOTH_ASSIGN(BudgetCheck check, check_budget(*current, options));
  resources::set_condition(
      pod["status"],
      {"DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting", std::nullopt},
      clock_.wall());
  MOTH_ASSIGN(DeletionPlan plan, plan_deletion(row, pod, options, clock_.wall()));
  if (context.dry_run) return make_dry_run(current);
  if (check.budget) {
    auto staged = storage_.stage_update(*check.def, std::move(check.changed), check.budget,
                                        check.def->status_durability);
    if (!staged) return staged;
    budget = std::move(*staged);
  }
  if (plan.remove) return storage_.stage_delete(row, current, row.durability);
  if (!plan.update) return make_dry_run(current);
  return storage_.stage_update(row, std::move(*plan.update), current, row.durability);
}

Task<Result<>> Pipeline::evict(Target pod, Json eviction, RequestContext& context) {
  pod.subresource.clear();
  MOTH_CO_ASSIGN(client::DeleteOptions options, options_of(eviction, pod, context));
  Target asked = pod;
  asked.subresource = "eviction";
  if (concerns_remote(asked, Operation::kCreate, context)) {
    AdmissionRequest request{
        *pod.def, Operation::kCreate, pod.ns, pod.name, asked.subresource, nullptr, context,
        pod.def};
    RemoteRun run;
    MOTH_CO_TRY(co_await remote_->mutate(request, eviction, run));
    MOTH_CO_TRY(co_await remote_->validate(request, eviction));
  }
  StagedWritePtr budget;
  auto staged = stage_eviction(pod, std::move(options), context, budget);
  if (!staged) co_return fail(staged.error());
  if (budget) MOTH_CO_TRY(co_await budget->committed());
  co_return co_await (*staged)->committed();
}

}  // namespace moth::server
