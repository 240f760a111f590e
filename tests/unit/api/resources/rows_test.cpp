// The registry, preparation for creates and updates, conversions, selectable fields, conditions.
#include <gtest/gtest.h>

#include <set>

#include "api/machinery/time.h"
#include "api/machinery/yaml.h"
#include "api/resources/conditions.h"
#include "api/resources/core_v1/pod_defaults.h"
#include "api/resources/core_v1/resource_list.h"
#include "api/schema/types.h"
#include "tests/unit/api/resources/golden.h"

namespace moth::resources::testing {
namespace {

Json yaml(const std::string& text) {
  auto parsed = parse_yaml(text);
  EXPECT_TRUE(parsed) << text;
  return parsed ? *parsed : Json();
}

TEST(RegistryTest, RowsAreComplete) {
  for (const ResourceDef* row : registry().all()) {
    SCOPED_TRACE(row->qualified() + "/" + row->version);
    // What is computed has no schema: nobody writes it.
    if (row->durability == Durability::kVirtual) continue;
    EXPECT_TRUE(schema::find_type(row->type_name)) << row->type_name;
    EXPECT_EQ(schema::find_type(row->group, row->version, row->kind),
              schema::find_type(row->type_name));
    EXPECT_TRUE(row->validate_name);
    EXPECT_EQ(row->columns.empty(), !row->row);
    EXPECT_EQ(row->selectable_fields.empty(), !row->field);
    ASSERT_TRUE(row->storage_def);
    if (row->subresource("scale")) {
      EXPECT_FALSE(row->scale_spec_replicas.empty());
      EXPECT_FALSE(row->scale_status_replicas.empty());
      EXPECT_FALSE(row->scale_selector.empty());
    }
    if (!row->is_storage()) {
      EXPECT_TRUE(row->to_storage && row->from_storage);
    }
  }
}

// Hooks see what a client sends: they must not throw on any shape that the schema lets through.
TEST(RegistryTest, HooksTakeEmptyObjects) {
  RowContext context{parse_rfc3339("2025-06-15T12:00:00Z").value()};
  for (const ResourceDef* row : registry().all()) {
    SCOPED_TRACE(row->qualified() + "/" + row->version);
    Json object = {
        {"apiVersion", row->api_version()}, {"kind", row->kind}, {"metadata", {{"name", "x"}}}};
    if (row->set_defaults) row->set_defaults(object);
    const Json old = object;
    if (row->prepare_create) row->prepare_create(object);
    if (row->prepare_update) row->prepare_update(object, old);
    if (row->validate) row->validate(object);
    if (row->validate_update) row->validate_update(object, old);
    if (row->validate_status) row->validate_status(object, old);
    if (row->warnings) row->warnings(object);
    if (row->row) EXPECT_EQ(row->row(object, context).size(), row->columns.size());
    for (const std::string& field : row->selectable_fields) row->field(object, field);
    if (row->to_storage) EXPECT_EQ(row->from_storage(row->to_storage(object)), object);
  }
}

TEST(RegistryTest, CoreResourcesComeFirstAndSorted) {
  std::vector<std::string> core;
  for (const ResourceDef* row : registry().all()) {
    if (row->group.empty()) core.push_back(row->resource);
  }
  EXPECT_TRUE(std::is_sorted(core.begin(), core.end()));
  EXPECT_TRUE(registry().all().front()->group.empty());
  const ResourceDef* pods = registry().find("", "v1", "pods");
  ASSERT_TRUE(pods);
  EXPECT_TRUE(pods->graceful_delete);
  EXPECT_TRUE(pods->subresource("binding"));
  EXPECT_EQ(pods->subresource("eviction")->kind, (Gvk{"policy", "v1", "Eviction"}));
  EXPECT_EQ(registry().find("events.k8s.io", "v1", "events")->storage_def,
            registry().find("", "v1", "events"));
  EXPECT_EQ(registry().find("autoscaling", "v1", "horizontalpodautoscalers")->storage_def,
            registry().find("autoscaling", "v2", "horizontalpodautoscalers"));
}

TEST(PrepareTest, NewObjectsGetTheirFirstStatus) {
  Json pod = defaulted(yaml(R"(
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: a, image: x, resources: {limits: {cpu: 1, memory: 1Gi}}}]}
status: {phase: Running, podIP: 1.2.3.4}
)"));
  row_of(pod).prepare_create(pod);
  EXPECT_EQ(pod["status"], yaml("{phase: Pending, qosClass: Guaranteed}"));

  Json ns = yaml("{apiVersion: v1, kind: Namespace, metadata: {name: team}}");
  row_of(ns).prepare_create(ns);
  EXPECT_EQ(ns["status"], yaml("{phase: Active}"));
  EXPECT_EQ(ns["spec"], yaml("{finalizers: [kubernetes]}"));
  EXPECT_EQ(ns["metadata"]["labels"]["kubernetes.io/metadata.name"], "team");

  Json service =
      defaulted(yaml("{apiVersion: v1, kind: Service, metadata: {name: s}, spec: {clusterIP: None, "
                     "ports: [{port: 80}]}}"));
  row_of(service).prepare_create(service);
  EXPECT_EQ(service["status"], yaml("{loadBalancer: {}}"));
  EXPECT_EQ(service["spec"]["clusterIPs"], yaml("[None]"));
  EXPECT_EQ(service["spec"]["ipFamilies"], yaml("[IPv4]"));
  EXPECT_EQ(service["spec"]["ipFamilyPolicy"], "SingleStack");
}

TEST(PrepareTest, ServicesKeepWhatWasAllocatedAndDropWhatMeansNothing) {
  const Json old = defaulted(yaml(R"(
apiVersion: v1
kind: Service
metadata: {name: s}
spec:
  type: NodePort
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  ports: [{name: a, port: 80, nodePort: 30001}, {name: b, port: 81, nodePort: 30002}]
)"));
  const ResourceDef& row = row_of(old);
  Json bare = defaulted(yaml(R"(
apiVersion: v1
kind: Service
metadata: {name: s}
spec: {type: NodePort, ports: [{name: renamed, port: 80}, {name: c, port: 82}]}
)"));
  row.prepare_update(bare, old);
  EXPECT_EQ(bare["spec"]["clusterIP"], "10.0.0.1");
  EXPECT_EQ(bare["spec"]["clusterIPs"], yaml("[10.0.0.1]"));
  EXPECT_EQ(bare["spec"]["ports"][0]["nodePort"], 30001);
  EXPECT_FALSE(bare["spec"]["ports"][1].contains("nodePort"));

  Json cluster = old;
  cluster["spec"]["type"] = "ClusterIP";
  row.set_defaults(cluster);
  row.prepare_update(cluster, old);
  EXPECT_FALSE(cluster["spec"]["ports"][0].contains("nodePort"));
  EXPECT_FALSE(cluster["spec"].contains("externalTrafficPolicy"));
  EXPECT_EQ(texts(row.validate_update(cluster, old)), std::vector<std::string>());

  Json external = old;
  external["spec"]["type"] = "ExternalName";
  external["spec"]["externalName"] = "example.org";
  row.prepare_update(external, old);
  EXPECT_FALSE(external["spec"].contains("clusterIP"));
  EXPECT_FALSE(external["spec"].contains("ipFamilies"));
  EXPECT_EQ(texts(row.validate_update(external, old)), std::vector<std::string>());
}

TEST(PrepareTest, ApprovalAndStatusOfSigningRequestsTakeTheirPart) {
  WallTime now = parse_rfc3339("2025-06-15T12:00:00Z").value();
  const Json old = yaml(R"(
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: {name: c}
spec: {request: eA==, signerName: s.io/x, usages: [signing]}
status: {conditions: [{type: Failed, status: "True", message: before, lastUpdateTime: "2025-06-15T10:00:00Z", lastTransitionTime: "2025-06-15T10:00:00Z"}]}
)");
  const ResourceDef& row = row_of(old);
  Json wanted = old;
  wanted["spec"]["signerName"] = "other.io/x";
  wanted["status"]["certificate"] = "eA==";
  wanted["status"]["conditions"][0]["message"] = "changed";
  wanted["status"]["conditions"].push_back({{"type", "Approved"}, {"status", "True"}});

  Json approved = old;
  row.subresource("approval")->take(approved, wanted, now);
  EXPECT_EQ(approved["spec"], old["spec"]);
  EXPECT_FALSE(approved["status"].contains("certificate"));
  EXPECT_EQ(approved["status"]["conditions"][0]["message"], "before");
  EXPECT_EQ(approved["status"]["conditions"][1]["lastUpdateTime"], "2025-06-15T12:00:00Z");

  Json written = old;
  row.subresource("status")->take(written, wanted, now);
  EXPECT_EQ(written["spec"], old["spec"]);
  EXPECT_EQ(written["status"]["certificate"], "eA==");
  EXPECT_EQ(written["status"]["conditions"][0]["message"], "changed");
  std::vector<std::string> wrong = texts(row.subresource("status")->validate(written, old));
  EXPECT_EQ(wrong.back(),
            "status.conditions: Forbidden: updates may not add a condition of type \"Approved\"");
  Json emptied = old;
  row.subresource("approval")->take(emptied, Json::object(), now);
  wrong = texts(row.subresource("approval")->validate(emptied, old));
  EXPECT_EQ(wrong.back(),
            "status.conditions: Forbidden: updates may not remove a condition of type \"Failed\"");
}

TEST(PrepareTest, JobsSelectTheirOwnPods) {
  Json job = defaulted(yaml(R"(
apiVersion: batch/v1
kind: Job
metadata: {name: pi, uid: u1}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: i}]}}}
status: {succeeded: 5}
)"));
  const ResourceDef& row = row_of(job);
  Json manual = job;
  manual["spec"]["manualSelector"] = true;
  row.prepare_create(job);
  EXPECT_EQ(job["status"], Json::object());
  EXPECT_EQ(job["spec"]["selector"],
            yaml("{matchLabels: {batch.kubernetes.io/controller-uid: u1}}"));
  EXPECT_EQ(job["spec"]["template"]["metadata"]["labels"],
            yaml("{controller-uid: u1, job-name: pi, batch.kubernetes.io/controller-uid: u1, "
                 "batch.kubernetes.io/job-name: pi}"));
  EXPECT_EQ(texts(row.validate(job)), std::vector<std::string>());
  row.prepare_create(manual);
  EXPECT_FALSE(manual["spec"].contains("selector"));
  EXPECT_TRUE(row.orphan_by_default);
}

TEST(PrepareTest, DaemonSetsCountTheirTemplates) {
  const char* key = "deprecated.daemonset.template.generation";
  Json old = defaulted(yaml(R"(
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d}
spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: a, image: i}]}}}
)"));
  const ResourceDef& row = row_of(old);
  row.prepare_create(old);
  EXPECT_EQ(old["metadata"]["annotations"][key], "1");
  Json same = old, other = old;
  same["metadata"].erase("annotations");
  row.prepare_update(same, old);
  EXPECT_EQ(same["metadata"]["annotations"][key], "1");
  other["spec"]["template"]["spec"]["containers"][0]["image"] = "j";
  row.prepare_update(other, old);
  EXPECT_EQ(other["metadata"]["annotations"][key], "2");
}

TEST(PrepareTest, VolumesKeepTheTimeOfTheirPhase) {
  Json volume = yaml(R"(
apiVersion: v1
kind: PersistentVolume
metadata: {name: v, creationTimestamp: "2025-06-15T12:00:00Z"}
spec: {capacity: {storage: 1Gi}}
)");
  const ResourceDef& row = row_of(volume);
  row.prepare_create(volume);
  EXPECT_EQ(volume["status"],
            yaml("{phase: Pending, lastPhaseTransitionTime: '2025-06-15T12:00:00Z'}"));
  WallTime later = parse_rfc3339("2025-06-15T13:00:00Z").value();
  Json wanted = volume;
  wanted["status"] = yaml("{phase: Pending, message: waits}");
  wanted["spec"]["capacity"]["storage"] = "9Gi";
  row.subresource("status")->take(volume, wanted, later);
  EXPECT_EQ(volume["status"]["lastPhaseTransitionTime"], "2025-06-15T12:00:00Z");
  EXPECT_EQ(volume["status"]["message"], "waits");
  EXPECT_EQ(volume["spec"]["capacity"]["storage"], "1Gi");
  wanted["status"] = yaml("{phase: Bound}");
  row.subresource("status")->take(volume, wanted, later);
  EXPECT_EQ(volume["status"],
            yaml("{phase: Bound, lastPhaseTransitionTime: '2025-06-15T13:00:00Z'}"));
}

TEST(PrepareTest, ClaimsNameTheirSourceTwice) {
  Json claim = yaml(R"(
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c}
spec: {dataSource: {kind: PersistentVolumeClaim, name: other}}
)");
  const ResourceDef& row = row_of(claim);
  row.prepare_create(claim);
  EXPECT_EQ(claim["spec"]["dataSourceRef"], claim["spec"]["dataSource"]);
  EXPECT_EQ(claim["status"], yaml("{phase: Pending}"));
  claim["spec"] = yaml("{dataSource: {kind: Secret, name: s}}");
  row.prepare_create(claim);
  EXPECT_EQ(claim["spec"], Json::object());
}

TEST(ConversionTest, AutoscalersKeepWhatTheOldVersionCannotSay) {
  const Json v2 = defaulted(yaml(R"(
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h, annotations: {mine: x}}
spec:
  minReplicas: 2
  maxReplicas: 5
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics:
  - {type: Pods, pods: {metric: {name: rps}, target: {type: AverageValue, averageValue: "5"}}}
  - {type: Object, object: {metric: {name: q}, describedObject: {kind: Service, name: s}, target: {type: Value, value: "7"}}}
  - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}
  behavior: {scaleDown: {stabilizationWindowSeconds: 30}}
status:
  currentReplicas: 1
  desiredReplicas: 2
  conditions: [{type: AbleToScale, status: "True"}]
)"));
  const ResourceDef& v1 = *registry().find("autoscaling", "v1", "horizontalpodautoscalers");
  Json old = v1.from_storage(v2);
  EXPECT_EQ(old["apiVersion"], "autoscaling/v1");
  EXPECT_EQ(old["spec"]["targetCPUUtilizationPercentage"], 60);
  EXPECT_FALSE(old["spec"].contains("metrics"));
  EXPECT_EQ(decoded(old), old) << "not a valid v1 object";
  EXPECT_EQ(v1.to_storage(old), v2);
}

TEST(ConversionTest, AutoscalersLeaveOutAnnotationsOfAnotherShape) {
  const ResourceDef& v1 = *registry().find("autoscaling", "v1", "horizontalpodautoscalers");
  for (const char* text : {"5", "[1]", "[{\"type\":\"Pods\",\"pods\":{\"metricName\":7}}]", "{",
                           "{\"scaleUp\":{\"policies\":\"x\"}}"}) {
    Json object = yaml(
        "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: h}, spec: "
        "{maxReplicas: 2, scaleTargetRef: {kind: K, name: w}}, status: {currentReplicas: 1, "
        "desiredReplicas: 1}}");
    for (const char* name : {"metrics", "behavior", "current-metrics", "conditions"}) {
      object["metadata"]["annotations"][std::string("autoscaling.alpha.kubernetes.io/") + name] =
          text;
    }
    Json converted = v1.to_storage(object);
    EXPECT_EQ(decoded(converted), converted) << text;
    EXPECT_FALSE(converted["spec"].contains("behavior")) << text;
    EXPECT_FALSE(converted["metadata"].contains("annotations")) << text;
  }
}

TEST(ConversionTest, EventsChangeNamesOnly) {
  const Json core = yaml(R"(
apiVersion: v1
kind: Event
metadata: {name: e, namespace: ns}
involvedObject: {kind: Pod, name: p, uid: u}
message: hello
reason: R
reportingComponent: c
count: 2
source: {component: c}
type: Normal
)");
  const ResourceDef& row = *registry().find("events.k8s.io", "v1", "events");
  const Json modern = row.from_storage(core);
  EXPECT_EQ(string_or(modern, "note"), "hello");
  EXPECT_EQ(modern.at("regarding").at("uid"), "u");
  EXPECT_EQ(decoded(modern), modern);
  EXPECT_EQ(row.to_storage(modern), core);
  for (const Json* event : {&core, &modern}) {
    EXPECT_EQ(row.field(*event, "regarding.name"), "p");
    EXPECT_EQ(row.field(*event, "involvedObject.name"), "p");
    EXPECT_EQ(row.field(*event, "reportingController"), "c");
    EXPECT_EQ(row.field(*event, "reason"), "R");
  }
}

TEST(FieldsTest, OfPodsAndOthers) {
  const Json pod = yaml(R"(
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {nodeName: node1, hostNetwork: true, restartPolicy: Never}
status: {phase: Running, podIP: 1.2.3.4}
)");
  const ResourceDef& row = row_of(pod);
  EXPECT_EQ(row.field(pod, "spec.nodeName"), "node1");
  EXPECT_EQ(row.field(pod, "spec.hostNetwork"), "true");
  EXPECT_EQ(row.field(pod, "spec.restartPolicy"), "Never");
  EXPECT_EQ(row.field(pod, "status.phase"), "Running");
  EXPECT_EQ(row.field(pod, "status.podIP"), "1.2.3.4");
  EXPECT_EQ(row.field(pod, "status.nominatedNodeName"), "");
  EXPECT_EQ(row.row_conditions(pod), Json::array());
}

struct QosCase {
  const char* spec;
  const char* expected;
};

TEST(QosTest, OfContainersAndPods) {
  const QosCase cases[] = {
      {"{containers: [{name: a}]}", "BestEffort"},
      {"{containers: [{resources: {requests: {example.com/gpu: 1}}}]}", "BestEffort"},
      {"{containers: [{resources: {requests: {cpu: 0}}}]}", "BestEffort"},
      {"{containers: [{resources: {requests: {cpu: 1}}}]}", "Burstable"},
      {"{containers: [{resources: {requests: {cpu: 1, memory: 1}, limits: {cpu: 1, memory: 1}}}]}",
       "Guaranteed"},
      {"{containers: [{resources: {requests: {cpu: 1, memory: 1}, limits: {cpu: 2, memory: 1}}}]}",
       "Burstable"},
      {"{containers: [{resources: {requests: {cpu: 1, memory: 1}, limits: {cpu: 1, memory: 1}}}, "
       "{}]}",
       "Burstable"},
      {"{resources: {requests: {cpu: 1, memory: 1}, limits: {cpu: 1, memory: 1}}, containers: "
       "[{}]}",
       "Guaranteed"}};
  for (const QosCase& one : cases) EXPECT_EQ(qos_class(yaml(one.spec)), one.expected) << one.spec;
}

TEST(ResourceListTest, PodSums) {
  Json spec = yaml(R"(
overhead: {cpu: 10m}
initContainers:
- {resources: {requests: {cpu: 500m}}}
- {restartPolicy: Always, resources: {requests: {cpu: 100m}}}
- {resources: {requests: {cpu: 450m}}}
containers:
- {resources: {requests: {cpu: 200m, memory: 1Mi}, limits: {cpu: 1}}}
- {resources: {requests: {cpu: 100m}}}
)");
  // Apps and sidecar: 400m; first init: 500m; third init beside the sidecar: 550m; overhead 10m.
  EXPECT_EQ(to_json(pod_requests(spec)), yaml("{cpu: 560m, memory: 1Mi}"));
  EXPECT_EQ(to_json(pod_limits(spec)), yaml("{cpu: 1010m}"));
  EXPECT_TRUE(is_extended_resource("nvidia.com/gpu"));
  EXPECT_FALSE(is_extended_resource("cpu"));
  EXPECT_FALSE(is_extended_resource("attachable.kubernetes.io/x"));
}

TEST(PullPolicyTest, ByTagAndDigest) {
  EXPECT_EQ(default_pull_policy("nginx"), "Always");
  EXPECT_EQ(default_pull_policy("nginx:latest"), "Always");
  EXPECT_EQ(default_pull_policy("nginx:1.25"), "IfNotPresent");
  EXPECT_EQ(default_pull_policy("reg:5000/nginx"), "Always");
  EXPECT_EQ(default_pull_policy("reg:5000/nginx:1"), "IfNotPresent");
  EXPECT_EQ(default_pull_policy("nginx@sha256:aa"), "IfNotPresent");
}

TEST(ConditionsTest, TransitionTimeFollowsTheStatusOnly) {
  WallTime start = parse_rfc3339("2025-06-15T12:00:00Z").value();
  Json status = Json::object();
  ConditionUpdate ready{.type = "Ready", .status = "False", .reason = "A", .message = "m"};
  EXPECT_TRUE(set_condition(status, ready, start));
  EXPECT_FALSE(set_condition(status, ready, start + std::chrono::seconds(5)));
  ready.reason = "B";
  ready.observed_generation = 3;
  EXPECT_TRUE(set_condition(status, ready, start + std::chrono::seconds(5)));
  EXPECT_EQ(status["conditions"],
            yaml("[{type: Ready, status: 'False', reason: B, message: m, observedGeneration: 3, "
                 "lastTransitionTime: '2025-06-15T12:00:00Z'}]"));
  ready.status = "True";
  ready.message = "";
  EXPECT_TRUE(set_condition(status, ready, start + std::chrono::seconds(9)));
  EXPECT_EQ(status["conditions"][0]["lastTransitionTime"], "2025-06-15T12:00:09Z");
  EXPECT_FALSE(status["conditions"][0].contains("message"));
  EXPECT_TRUE(condition_is_true({{"status", status}}, "Ready"));
  EXPECT_TRUE(remove_condition(status, "Ready"));
  EXPECT_FALSE(remove_condition(status, "Ready"));
}

TEST(ConditionsTest, FurtherTimes) {
  WallTime start = parse_rfc3339("2025-06-15T12:00:00Z").value();
  WallTime later = start + std::chrono::seconds(10);
  Json status;
  ConditionUpdate update{.type = "Progressing", .status = "True", .reason = "A"};
  update.times = ConditionUpdate::Times::kDeployment;
  set_condition(status, update, start);
  EXPECT_FALSE(set_condition(status, update, later));
  EXPECT_EQ(status["conditions"][0]["lastUpdateTime"], "2025-06-15T12:00:00Z");
  update.reason = "B";
  EXPECT_TRUE(set_condition(status, update, later));
  EXPECT_EQ(status["conditions"][0]["lastUpdateTime"], "2025-06-15T12:00:10Z");
  EXPECT_EQ(status["conditions"][0]["lastTransitionTime"], "2025-06-15T12:00:00Z");

  ConditionUpdate node{.type = "Ready", .status = "True"};
  node.times = ConditionUpdate::Times::kNode;
  set_condition(status, node, start);
  EXPECT_FALSE(set_condition(status, node, later));
  EXPECT_EQ(status["conditions"][1]["lastHeartbeatTime"], "2025-06-15T12:00:10Z");
  std::vector<Condition> parsed = parse_conditions(status["conditions"]);
  ASSERT_TRUE(find_condition(parsed, "Ready"));
  EXPECT_EQ(find_condition(parsed, "Ready")->last_heartbeat, later);
}

}  // namespace
}  // namespace moth::resources::testing
