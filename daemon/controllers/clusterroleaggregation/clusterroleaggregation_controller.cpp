#include "daemon/controllers/clusterroleaggregation/clusterroleaggregation_controller.h"

#include "api/base/json.h"
#include "api/resources/rbac_v1/rbac_view.h"
#include "daemon/controllers/clusterroleaggregation/aggregation_plan.h"

namespace moth::controllers {
namespace {

const Gvr kClusterRoles{"rbac.authorization.k8s.io", "v1", "clusterroles"};

class ClusterRoleAggregation final : public Controller {
 public:
  explicit ClusterRoleAggregation(ControllerContext context) : context_(context) {}
  std::string_view name() const override { return "clusterrole-aggregation"; }
  // One at a time: what one writes, another may collect.
  int workers() const override { return 1; }

  void subscribe(WorkQueue& queue) override {
    // Whatever changes, every aggregated role may have to follow; there are but a few.
    auto add_aggregated = [this, &queue] {
      for (const ObjectPtr& role : context_.reader.list(kClusterRoles)) {
        if (role->view<resources::RoleView>().is_aggregated) queue.add({"", role->name()});
      }
    };
    context_.subscriptions.subscribe(
        kClusterRoles, [add_aggregated](const client::ObjectReader::Change&) { add_aggregated(); });
    add_aggregated();
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    ObjectPtr role = context_.reader.get(kClusterRoles, "", key.name);
    if (!role || role->meta().deletion_time || !role->view<resources::RoleView>().is_aggregated)
      co_return Requeue{};
    Json rules = aggregated_rules(*role, context_.reader.list(kClusterRoles));
    auto dom = role->dom();
    const Json* present = find_member(*dom, "rules");
    if (present ? *present == rules : rules.empty()) co_return Requeue{};
    Json object = *dom;
    object["rules"] = std::move(rules);
    auto written = co_await context_.client.update(kClusterRoles, "", key.name, std::move(object));
    if (!written) co_return fail(written.error());
    co_return Requeue{};
  }

 private:
  ControllerContext context_;
};

}  // namespace

std::unique_ptr<Controller> make_clusterroleaggregation_controller(ControllerContext context) {
  return std::make_unique<ClusterRoleAggregation>(context);
}

}  // namespace moth::controllers
