// Typed views: units, enumerations, what is inherited and what is absent.
#include <gtest/gtest.h>

#include "api/machinery/time.h"
#include "api/machinery/yaml.h"
#include "api/resources/apps_v1/deployment_view.h"
#include "api/resources/apps_v1/replica_set_view.h"
#include "api/resources/autoscaling_v2/hpa_view.h"
#include "api/resources/coordination_v1/lease_view.h"
#include "api/resources/core_v1/node_view.h"
#include "api/resources/core_v1/pod_view.h"
#include "api/resources/core_v1/service_view.h"
#include "api/resources/discovery_v1/endpoint_slice_view.h"
#include "api/resources/rbac_v1/rbac_view.h"
#include "tests/unit/api/resources/golden.h"

namespace moth::resources::testing {
namespace {

using std::chrono::seconds;

ObjectPtr object_of_yaml(const char* yaml) {
  auto parsed = parse_yaml(yaml);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return Object::from_json(defaulted(*parsed));
}

TEST(PodViewTest, ResolvesUnitsAndInheritance) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ns, uid: u1}
spec:
  priority: 2000000000
  terminationGracePeriodSeconds: -5
  securityContext: {runAsUser: 1000, runAsGroup: 2000, runAsNonRoot: true, fsGroup: 7}
  initContainers:
  - {name: side, image: s, restartPolicy: Always, resources: {requests: {cpu: 100m}}}
  - {name: init, image: i, resources: {requests: {cpu: "2", memory: 1Gi}}}
  containers:
  - name: a
    image: a:1
    command: [sh, -c]
    resources: {requests: {cpu: 250m, memory: 64Mi}, limits: {cpu: 1500m, memory: 128Mi}}
    securityContext: {runAsUser: 5, capabilities: {add: [NET_ADMIN], drop: [ALL]}}
    livenessProbe: {httpGet: {path: /z, port: web, httpHeaders: [{name: X, value: v}]}, periodSeconds: 3, terminationGracePeriodSeconds: 9}
    lifecycle: {preStop: {sleep: {seconds: 4}}}
    ports: [{name: web, containerPort: 8080, hostPort: 80, protocol: UDP}]
    env:
    - {name: V, value: "1"}
    - {name: S, valueFrom: {secretKeyRef: {name: sec, key: k, optional: true}}}
    - {name: R, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
    envFrom: [{prefix: P_, secretRef: {name: sec}}]
    volumeMounts: [{name: v, mountPath: /v, subPath: x, mountPropagation: HostToContainer, readOnly: true}]
  volumes:
  - {name: v, emptyDir: {medium: Memory, sizeLimit: 10Mi}}
  - {name: c, configMap: {name: cm, defaultMode: 256, items: [{key: k, path: p, mode: 511}]}}
  - {name: t, projected: {sources: [{serviceAccountToken: {path: token, audience: x, expirationSeconds: 700}}]}}
  - {name: e, ephemeral: {volumeClaimTemplate: {spec: {}}}}
  - {name: o, iscsi: {targetPortal: t, iqn: i, lun: 1}}
  tolerations: [{operator: Exists, effect: NoExecute, tolerationSeconds: 5}]
  affinity:
    nodeAffinity:
      requiredDuringSchedulingIgnoredDuringExecution:
        nodeSelectorTerms: [{matchExpressions: [{key: gen, operator: Gt, values: ["3"]}]}]
status:
  phase: Running
  podIP: 10.0.0.9
  startTime: "2025-06-15T11:00:00Z"
  conditions: [{type: Ready, status: "True", lastTransitionTime: "2025-06-15T11:00:10Z"}]
  containerStatuses:
  - {name: a, image: a, imageID: i, restartCount: 2, ready: true, started: true, containerID: "runc://1", state: {running: {startedAt: "2025-06-15T11:00:05Z"}}, lastState: {terminated: {exitCode: 3, reason: Error}}}
)");
  const PodView& pod = object->view<PodView>();
  EXPECT_EQ(&pod, &object->view<PodView>());
  EXPECT_EQ(pod.uid(), "u1");
  EXPECT_TRUE(pod.is_critical());
  EXPECT_EQ(pod.spec().termination_grace, seconds(1));

  const Container& a = pod.containers().at(0);
  EXPECT_EQ(a.resources.cpu_request_milli(), 250);
  EXPECT_EQ(a.resources.cpu_limit_milli(), 1500);
  EXPECT_EQ(a.resources.memory_limit_bytes(), 128LL << 20);
  EXPECT_EQ(a.security.run_as_user, 5);
  EXPECT_EQ(a.security.run_as_group, 2000);
  EXPECT_TRUE(a.security.run_as_non_root);
  EXPECT_EQ(a.security.capabilities_drop, std::vector<std::string>{"ALL"});
  ASSERT_TRUE(a.liveness);
  EXPECT_EQ(a.liveness->handler.kind, Handler::Kind::kHttpGet);
  EXPECT_EQ(a.liveness->handler.port, IntOrString::of("web"));
  EXPECT_EQ(a.liveness->handler.http_headers.at(0).second, "v");
  EXPECT_EQ(a.liveness->period, seconds(3));
  EXPECT_EQ(a.liveness->termination_grace, seconds(9));
  EXPECT_FALSE(a.readiness);
  ASSERT_TRUE(a.pre_stop);
  EXPECT_EQ(a.pre_stop->sleep, seconds(4));
  ASSERT_TRUE(a.port_named("web"));
  EXPECT_EQ(a.port_named("web")->host_port, 80);
  EXPECT_EQ(a.port_named("web")->protocol, Protocol::kUdp);
  EXPECT_EQ(a.env.at(1).source, EnvVar::Source::kSecretKey);
  EXPECT_TRUE(a.env.at(1).optional);
  EXPECT_EQ(a.env.at(2).divisor.value(), 1 << 20);
  EXPECT_TRUE(a.env_from.at(0).secret);
  EXPECT_EQ(a.volume_mounts.at(0).propagation, VolumeMount::Propagation::kHostToContainer);

  EXPECT_TRUE(pod.init_containers().at(0).is_sidecar());
  EXPECT_FALSE(pod.init_containers().at(1).is_sidecar());
  // The init container runs beside the sidecar before it: 2 + 0.1 cpu.
  EXPECT_EQ(amount(pod.requests(), "cpu").milli_value(), 2100);
  EXPECT_EQ(amount(pod.requests(), "memory").value(), 1LL << 30);
  EXPECT_EQ(pod.qos(), QosClass::kBurstable);

  const auto& memory = std::get<EmptyDirVolume>(pod.spec().volumes.at(0).source);
  EXPECT_EQ(memory.medium, "Memory");
  EXPECT_EQ(memory.size_limit_bytes, 10 << 20);
  const auto& config = std::get<ConfigMapVolume>(pod.spec().volumes.at(1).source);
  EXPECT_EQ(config.default_mode, 0400U);
  EXPECT_EQ(config.items.at(0).mode, 0777U);
  const auto& projected = std::get<ProjectedVolume>(pod.spec().volumes.at(2).source);
  EXPECT_EQ(std::get<ServiceAccountTokenSource>(projected.sources.at(0)).expiration, seconds(700));
  EXPECT_EQ(std::get<ClaimVolume>(pod.spec().volumes.at(3).source).claim_name, "p-e");
  EXPECT_EQ(std::get<OtherVolume>(pod.spec().volumes.at(4).source).type, "iscsi");

  EXPECT_EQ(pod.phase(), PodPhase::kRunning);
  EXPECT_TRUE(pod.is_ready());
  EXPECT_TRUE(pod.is_active());
  WallTime ready = parse_rfc3339("2025-06-15T11:00:10Z").value();
  EXPECT_FALSE(pod.is_available(seconds(10), ready + seconds(9)));
  EXPECT_TRUE(pod.is_available(seconds(10), ready + seconds(10)));
  const ContainerStatus* status = pod.container_status("a");
  ASSERT_TRUE(status);
  EXPECT_EQ(status->state.kind, ContainerState::Kind::kRunning);
  EXPECT_EQ(status->last_state.exit_code, 3);
  EXPECT_EQ(pod.restart_count(), 2);
}

TEST(PodViewTest, TolerationsAndNodeTerms) {
  Toleration all{.op = "Exists"};
  Toleration equal{.key = "a", .value = "b"};
  EXPECT_TRUE(tolerates(all, {"x", "y", "NoExecute"}));
  EXPECT_TRUE(tolerates(equal, {"a", "b", "NoSchedule"}));
  EXPECT_FALSE(tolerates(equal, {"a", "c", "NoSchedule"}));
  Toleration effect{.key = "a", .effect = "NoExecute", .op = "Exists"};
  EXPECT_FALSE(tolerates(effect, {"a", "", "NoSchedule"}));

  NodeTerm greater{{{"gen", SelectorOperator::kGreaterThan, {"3"}}}, {}};
  EXPECT_TRUE(matches(greater, {{"gen", "4"}}, "n"));
  EXPECT_FALSE(matches(greater, {{"gen", "3"}}, "n"));
  EXPECT_FALSE(matches(greater, {{"gen", "many"}}, "n"));
  EXPECT_FALSE(matches(NodeTerm{}, {}, "n"));
  NodeTerm named{{}, {{"metadata.name", SelectorOperator::kIn, {"n"}}}};
  EXPECT_TRUE(matches(named, {}, "n"));
  EXPECT_FALSE(matches(named, {}, "m"));
}

TEST(ServiceViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: v1
kind: Service
metadata: {name: s, namespace: ns}
spec:
  type: NodePort
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  selector: {a: b}
  sessionAffinity: ClientIP
  externalTrafficPolicy: Local
  ports: [{name: http, port: 80, nodePort: 30080}, {name: dns, port: 53, targetPort: dns, protocol: UDP}]
status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}
)");
  const ServiceView& service = object->view<ServiceView>();
  EXPECT_EQ(service.type, ServiceType::kNodePort);
  EXPECT_TRUE(service.has_cluster_ip());
  EXPECT_TRUE(service.has_selector());
  EXPECT_EQ(service.session_affinity, seconds(10800));
  EXPECT_TRUE(service.external_local);
  EXPECT_EQ(service.ports.at(0).target, IntOrString::of(80));
  EXPECT_EQ(service.ports.at(1).target, IntOrString::of("dns"));
  EXPECT_EQ(service.find_port("53"), &service.ports[1]);
  EXPECT_EQ(service.find_port("http"), &service.ports[0]);
  EXPECT_EQ(service.find_port(""), nullptr);
  EXPECT_EQ(service.load_balancer_ips, std::vector<std::string>{"1.2.3.4"});
}

TEST(NodeViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: v1
kind: Node
metadata: {name: node1}
spec: {unschedulable: true, taints: [{key: k, effect: NoSchedule}]}
status:
  capacity: {cpu: 4, memory: 8Gi, pods: 110}
  conditions: [{type: Ready, status: "False"}]
  addresses: [{type: InternalIP, address: 10.1.1.1}]
)");
  const NodeView& node = object->view<NodeView>();
  EXPECT_TRUE(node.unschedulable);
  EXPECT_EQ(node.taints.at(0).effect, "NoSchedule");
  EXPECT_EQ(amount(node.allocatable, "pods").value(), 110);
  EXPECT_FALSE(node.is_ready());
  EXPECT_EQ(node.internal_ip(), "10.1.1.1");
  EXPECT_EQ(node.hostname(), "node1");
}

DeploymentView deployment_with(const std::string& strategy, int replicas, ObjectPtr& keep) {
  keep =
      object_of_yaml(("apiVersion: apps/v1\nkind: Deployment\n"
                      "metadata: {name: d, annotations: {deployment.kubernetes.io/revision: '7'}}\n"
                      "spec: {replicas: " +
                      std::to_string(replicas) + ", strategy: " + strategy +
                      ", selector: {matchLabels: {a: b}}, template: {spec: {containers: []}}}")
                         .c_str());
  return DeploymentView(*keep);
}

TEST(DeploymentViewTest, ResolvesSurgeAndUnavailable) {
  ObjectPtr keep;
  DeploymentView quarter = deployment_with("{}", 10, keep);
  EXPECT_EQ(quarter.max_surge_count(), 3);        // up
  EXPECT_EQ(quarter.max_unavailable_count(), 2);  // down
  EXPECT_EQ(quarter.progress_deadline, seconds(600));
  EXPECT_EQ(quarter.revision(), 7);
  DeploymentView small =
      deployment_with("{rollingUpdate: {maxSurge: 0%, maxUnavailable: 1%}}", 3, keep);
  EXPECT_EQ(small.max_surge_count(), 0);
  EXPECT_EQ(small.max_unavailable_count(), 1);
  DeploymentView bounded = deployment_with("{rollingUpdate: {maxUnavailable: 5}}", 2, keep);
  EXPECT_EQ(bounded.max_unavailable_count(), 2);
  DeploymentView recreate = deployment_with("{type: Recreate}", 2, keep);
  EXPECT_TRUE(recreate.recreate);
  EXPECT_EQ(recreate.max_surge_count(), 0);
}

TEST(HpaViewTest, ReadsMetricsAndBehavior) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h}
spec:
  maxReplicas: 9
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics:
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}
  - {type: Pods, pods: {metric: {name: rps, selector: {matchLabels: {a: b}}}, target: {type: AverageValue, averageValue: 1500m}}}
  behavior:
    scaleDown: {selectPolicy: Disabled, tolerance: "0.2"}
)");
  const HpaView& hpa = object->view<HpaView>();
  EXPECT_EQ(hpa.min_replicas, 1);
  EXPECT_EQ(hpa.max_replicas, 9);
  EXPECT_EQ(hpa.target.name, "web");
  ASSERT_EQ(hpa.metrics.size(), 2U);
  EXPECT_EQ(hpa.metrics[0].average_utilization, 60);
  EXPECT_EQ(hpa.metrics[1].source, HpaMetric::Source::kPods);
  EXPECT_EQ(hpa.metrics[1].value.milli_value(), 1500);
  EXPECT_TRUE(hpa.metrics[1].selector);
  EXPECT_TRUE(hpa.has_behavior);
  EXPECT_EQ(hpa.scale_up.policies.size(), 2U);
  EXPECT_EQ(hpa.scale_up.window, seconds(0));
  EXPECT_EQ(hpa.scale_down.select, HpaRules::Select::kDisabled);
  EXPECT_FALSE(hpa.scale_down.window);
  EXPECT_DOUBLE_EQ(hpa.scale_down.tolerance.value_or(0), 0.2);
}

TEST(EndpointSliceViewTest, AbsentConditionsMeanReady) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: s, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{port: 80}]
endpoints:
- {addresses: [10.0.0.1]}
- {addresses: [10.0.0.2], conditions: {ready: false, serving: true, terminating: true}, targetRef: {kind: Pod, name: p, uid: u}}
)");
  const EndpointSliceView& slice = object->view<EndpointSliceView>();
  EXPECT_EQ(slice.service_name(), "web");
  EXPECT_EQ(slice.managed_by(), "");
  EXPECT_TRUE(slice.endpoints.at(0).ready);
  EXPECT_TRUE(slice.endpoints.at(0).serving);
  EXPECT_FALSE(slice.endpoints.at(1).ready);
  EXPECT_TRUE(slice.endpoints.at(1).terminating);
  EXPECT_EQ(slice.endpoints.at(1).target_uid, "u");
}

TEST(LeaseViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata: {name: l}
spec: {holderIdentity: me, leaseDurationSeconds: 15, renewTime: "2025-06-15T11:00:00.500000Z"}
)");
  const LeaseView& lease = object->view<LeaseView>();
  EXPECT_EQ(lease.holder, "me");
  EXPECT_EQ(lease.duration, seconds(15));
  EXPECT_EQ(lease.renewed, parse_rfc3339("2025-06-15T11:00:00.5Z").value());
}

TEST(ReplicaSetViewTest, Reads) {
  ObjectPtr object = object_of_yaml(R"(
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: r, labels: {pod-template-hash: abc}, annotations: {deployment.kubernetes.io/revision: "3", deployment.kubernetes.io/desired-replicas: "5"}}
spec: {selector: {matchLabels: {a: b}}, template: {spec: {containers: []}}}
status: {replicas: 2}
)");
  const ReplicaSetView& set = object->view<ReplicaSetView>();
  EXPECT_EQ(set.replicas, 1);
  EXPECT_EQ(set.revision(), 3);
  EXPECT_EQ(set.desired_replicas(), 5);
  EXPECT_EQ(set.max_replicas(), 0);
  EXPECT_EQ(set.pod_template_hash(), "abc");
  EXPECT_TRUE(set.selector.matches({{"a", "b"}}));
}

TEST(RbacViewTest, Reads) {
  ObjectPtr role = object_of_yaml(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: r}
rules:
- {verbs: [get, list], apiGroups: [""], resources: [pods, pods/log], resourceNames: [a]}
- {verbs: ["*"], nonResourceURLs: [/healthz]}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {aggregate: "true"}}]}
)");
  const RoleView& view = role->view<RoleView>();
  EXPECT_EQ(view.rules,
            (std::vector<PolicyRule>{{{"get", "list"}, {""}, {"pods", "pods/log"}, {"a"}, {}},
                                     {{"*"}, {}, {}, {}, {"/healthz"}}}));
  ASSERT_TRUE(view.is_aggregated);
  ASSERT_EQ(view.aggregates.size(), 1U);
  EXPECT_TRUE(view.aggregates[0].matches({{"aggregate", "true"}}));

  ObjectPtr binding = object_of_yaml(R"(
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: b, namespace: ns}
roleRef: {kind: ClusterRole, name: r}
subjects:
- {kind: User, name: u}
- {kind: Group, name: g}
- {kind: ServiceAccount, name: s}
- {kind: Robot, name: x}
)");
  const RoleBindingView& bound = binding->view<RoleBindingView>();
  EXPECT_TRUE(bound.to_cluster_role);
  EXPECT_EQ(bound.role, "r");
  ASSERT_EQ(bound.subjects.size(), 3U);
  EXPECT_EQ(bound.subjects[1].kind, Subject::Kind::kGroup);
  EXPECT_EQ(bound.subjects[2].kind, Subject::Kind::kServiceAccount);
  EXPECT_EQ(bound.subjects[2].ns, "");
}

}  // namespace
}  // namespace moth::resources::testing
