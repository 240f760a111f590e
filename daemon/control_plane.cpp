#include "daemon/control_plane.h"

#include "api/client/event_recorder.h"
#include "daemon/controllers/clusterroleaggregation/clusterroleaggregation_controller.h"
#include "daemon/controllers/customresourcedefinition/customresourcedefinition_controller.h"
#include "daemon/controllers/deployment/deployment_controller.h"
#include "daemon/controllers/disruption/disruption_controller.h"
#include "daemon/controllers/endpoints/endpoints_controller.h"
#include "daemon/controllers/eventttl/eventttl_controller.h"
#include "daemon/controllers/framework/controller.h"
#include "daemon/controllers/garbagecollector/garbagecollector_controller.h"
#include "daemon/controllers/horizontalpodautoscaler/horizontalpodautoscaler_controller.h"
#include "daemon/controllers/namespace/namespace_controller.h"
#include "daemon/controllers/podgc/podgc_controller.h"
#include "daemon/controllers/replicaset/replicaset_controller.h"
#include "daemon/controllers/resourcequota/resourcequota_controller.h"
#include "daemon/controllers/rootca/rootca_controller.h"
#include "daemon/controllers/serviceaccount/serviceaccount_controller.h"
#include "daemon/controllers/storageprotection/storageprotection_controller.h"
#include "daemon/controllers/tainteviction/tainteviction_controller.h"
#include "scheduler/scheduler.h"

namespace moth {
namespace {

// A part of the control plane with its own user and its own events.
struct Identity {
  Identity(Executors& executors, Clock& clock, server::Pipeline& pipeline,
           const std::string& component)
      : client(pipeline, "system:serviceaccount:kube-system:" + component),
        events(executors.control(), clock, client, system_random(), {component, ""}) {}
  LocalClient client;
  client::ClientEventRecorder events;
};

}  // namespace

struct ControlPlane::Impl {
  Executors& executors;
  Clock& clock;
  server::Pipeline& pipeline;
  LocalReader& reader;
  client::NodeApi* node = nullptr;
  std::vector<std::unique_ptr<Identity>> identities;
  std::vector<std::unique_ptr<controllers::ControllerRunner>> runners;
  std::unique_ptr<scheduler::Scheduler> scheduler;
  controllers::ControllerRunner* endpoints = nullptr;
  std::optional<ControlPlaneSecurity> security{};

  Identity& identity(const std::string& component) {
    return *identities.emplace_back(
        std::make_unique<Identity>(executors, clock, pipeline, component));
  }
  controllers::ControllerContext context(const std::string& component) {
    Identity& who = identity(component);
    return {executors.control(), clock, reader, reader, who.client, who.events};
  }
  void run(std::unique_ptr<controllers::Controller> controller) {
    runners.push_back(std::make_unique<controllers::ControllerRunner>(executors.control(), clock,
                                                                      std::move(controller)));
    runners.back()->start();
  }
};

ControlPlane::ControlPlane(Executors& executors, Clock& clock, server::Pipeline& pipeline,
                           LocalReader& reader)
    : impl_(new Impl{executors, clock, pipeline, reader, nullptr, {}, {}, nullptr, nullptr}) {}

ControlPlane::~ControlPlane() = default;

void ControlPlane::use_node(client::NodeApi* node) {
  impl_->node = node;
}

void ControlPlane::use_security(ControlPlaneSecurity security) {
  impl_->security = std::move(security);
}

void ControlPlane::start() {
  Impl& it = *impl_;
  it.run(controllers::make_clusterroleaggregation_controller(
      it.context("clusterrole-aggregation-controller")));
  if (it.security) {
    it.run(controllers::make_rootca_controller(it.context("root-ca-cert-publisher"),
                                               it.security->ca_pem));
    it.run(controllers::make_serviceaccounttokens_controller(it.context("tokens-controller"),
                                                             it.security->token_secrets));
    it.run(controllers::make_certificates_controller(it.context("certificate-controller"),
                                                     it.security->certificates));
  }
  it.run(controllers::make_serviceaccount_controller(it.context("service-account-controller")));
  it.run(controllers::make_customresourcedefinition_controller(
      it.context("customresourcedefinition-controller"), it.pipeline.registry(),
      [&storage = it.pipeline.storage()] { return storage.revision(); }, it.executors.blocking()));
  it.run(controllers::make_namespace_controller(it.context("namespace-controller"),
                                                it.pipeline.registry()));
  it.run(controllers::make_endpoints_controller(it.context("endpointslice-controller")));
  it.endpoints = it.runners.back().get();
  it.run(controllers::make_garbagecollector_controller(it.context("generic-garbage-collector"),
                                                       it.pipeline.registry()));
  it.run(controllers::make_eventttl_controller(it.context("event-ttl-controller")));
  it.run(controllers::make_deployment_controller(it.context("deployment-controller")));
  it.run(controllers::make_replicaset_controller(it.context("replicaset-controller")));
  it.run(controllers::make_resourcequota_controller(it.context("resourcequota-controller"),
                                                    it.pipeline.registry()));
  if (it.pipeline.registry().find("policy", "v1", "poddisruptionbudgets")) {
    it.run(controllers::make_disruption_controller(it.context("disruption-controller"),
                                                   it.pipeline.registry()));
  }
  it.run(controllers::make_tainteviction_controller(it.context("taint-eviction-controller")));
  if (it.pipeline.registry().find("", "v1", "persistentvolumeclaims")) {
    it.run(controllers::make_storageprotection_controller(it.context("pvc-protection-controller")));
  }
  controllers::PodGcOptions pod_gc;
  pod_gc.end_without_agent = it.node == nullptr;
  it.run(controllers::make_podgc_controller(it.context("pod-garbage-collector"), pod_gc));
  controllers::AutoscalerOptions autoscaler;
  autoscaler.metrics = controllers::make_node_metrics_source(it.node);
  autoscaler.resource_of = [&registry =
                                it.pipeline.registry()](const Gvk& target) -> std::optional<Gvr> {
    const auto* def = registry.find_kind(target);
    return def && def->subresource("scale") ? std::optional(def->gvr()) : std::nullopt;
  };
  it.run(controllers::make_horizontalpodautoscaler_controller(
      it.context("horizontal-pod-autoscaler"), std::move(autoscaler)));
  Identity& who = it.identity("default-scheduler");
  it.scheduler = std::make_unique<scheduler::Scheduler>(it.executors.control(), it.clock, it.reader,
                                                        who.client, who.events);
  it.scheduler->start();
}

Task<void> ControlPlane::endpoints_settled() {
  co_await impl_->endpoints->queue().wait_idle();
}

Task<void> ControlPlane::stop() {
  if (impl_->scheduler) co_await impl_->scheduler->stop();
  for (auto it = impl_->runners.rbegin(); it != impl_->runners.rend(); ++it) co_await (*it)->stop();
  for (auto& identity : impl_->identities) co_await identity->events.stop();
}

}  // namespace moth
