// Filters and their words, scores, preemption: pods and nodes in, decisions out.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/machinery/yaml.h"
#include "scheduler/pipeline.h"
#include "scheduler/preemption.h"

namespace moth::scheduler {
namespace {

using resources::PodView;

class DecisionTest : public ::testing::Test {
 protected:
  static ObjectPtr object(const std::string& yaml) {
    auto parsed = parse_yaml(yaml);
    EXPECT_TRUE(parsed) << yaml;
    return Object::from_json(*parsed);
  }
  // `spec` and `labels` are YAML flow maps.
  void node(const std::string& name, const std::string& spec = "{}",
            const std::string& labels = "{}", const std::string& allocatable = "") {
    std::string amounts =
        allocatable.empty() ? "{cpu: 4, memory: 8Gi, pods: 10, example.com/gpu: 1}" : allocatable;
    nodes_.push_back(object(
        fmt::format("apiVersion: v1\nkind: Node\nmetadata: {{name: {}, labels: {}}}\nspec: {}\n"
                    "status: {{allocatable: {}}}\n",
                    name, labels, spec, amounts)));
  }
  static ObjectPtr make_pod(const std::string& name, const std::string& spec,
                            const std::string& labels = "{}", const std::string& ns = "default",
                            const std::string& status = "{}") {
    return object(fmt::format(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {}, namespace: {}, uid: {}, labels: {}}}\n"
        "spec: {}\nstatus: {}\n",
        name, ns, name, labels, spec, status));
  }
  void placed(const std::string& name, const std::string& spec, const std::string& labels = "{}",
              const std::string& ns = "default", const std::string& status = "{}") {
    pods_.push_back(make_pod(name, spec, labels, ns, status));
  }
  static std::string cpu(const std::string& amount, const std::string& more = "") {
    return fmt::format(
        "{{containers: [{{name: c, image: i, resources: {{requests: {{cpu: {}}}}}}}]{}}}", amount,
        more);
  }
  static std::string plain(const std::string& more) {
    return "{containers: [{name: c, image: i}], " + more + "}";
  }
  Snapshot snapshot() {
    auto ns = object("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {team: a}}");
    return Snapshot::build(nodes_, pods_, {ns});
  }
  Decision decide(const std::string& spec, const std::string& labels = "{}",
                  const std::string& ns = "default") {
    incoming_ = make_pod("incoming", spec, labels, ns);
    state_ = snapshot();
    return make_pipeline().decide(incoming_->view<PodView>(), state_);
  }
  // The node, or the message.
  std::string outcome(const std::string& spec, const std::string& labels = "{}",
                      const std::string& ns = "default") {
    Decision decision = decide(spec, labels, ns);
    return decision.node.empty() ? decision.message : decision.node;
  }
  // Names of the victims, or "none".
  std::string victims(const std::string& spec) {
    Decision decision = decide(spec);
    auto plan =
        plan_preemption(incoming_->view<PodView>(), state_, make_pipeline(), decision.preemptible);
    if (!plan) return "none";
    std::string text = plan->node + ":";
    for (const PodView* victim : plan->victims) text += " " + victim->name();
    return text;
  }

  std::vector<ObjectPtr> nodes_, pods_;
  ObjectPtr incoming_;
  Snapshot state_;
};

TEST_F(DecisionTest, NoNodes) {
  EXPECT_EQ(outcome(cpu("1")), "no nodes available to schedule pods");
}

TEST_F(DecisionTest, ResourcesOfAssignedPodsCount) {
  node("n1");
  placed("a", cpu("3", ", nodeName: n1"));
  placed("done", cpu("3", ", nodeName: n1"), "{}", "default", "{phase: Succeeded}");
  placed("elsewhere", cpu("3", ", nodeName: other"));
  EXPECT_EQ(outcome(cpu("1")), "n1");
  EXPECT_EQ(outcome(cpu("1001m")), "0/1 nodes are available: 1 Insufficient cpu.");
  EXPECT_EQ(outcome("{containers: [{name: c, image: i, resources: {requests: {cpu: 2, memory: "
                    "9Gi, example.com/gpu: 2}}}]}"),
            "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient example.com/gpu, 1 "
            "Insufficient memory.");
  EXPECT_EQ(outcome("{containers: [{name: c, image: i, resources: {requests: {x.io/tpu: 1}}}]}"),
            "0/1 nodes are available: 1 Insufficient x.io/tpu.");
}

TEST_F(DecisionTest, TooManyPods) {
  node("n1", "{}", "{}", "{cpu: 4, memory: 8Gi, pods: 1}");
  placed("a", plain("nodeName: n1"));
  EXPECT_EQ(outcome(plain("priority: 0")), "0/1 nodes are available: 1 Too many pods.");
}

TEST_F(DecisionTest, WordsOfEachFilter) {
  struct Case {
    std::string node_spec, labels, pod, expected;
  };
  const std::string taint = "{taints: [{key: gpu, value: \"yes\", effect: NoSchedule}]}";
  const Case cases[] = {
      {"{unschedulable: true}", "{}", plain("priority: 0"), "node(s) were unschedulable"},
      {taint, "{}", plain("priority: 0"), "node(s) had untolerated taint(s)"},
      {"{taints: [{key: x, effect: PreferNoSchedule}]}", "{}", plain("priority: 0"), ""},
      {taint, "{}", plain("tolerations: [{key: gpu, operator: Exists}]"), ""},
      {"{}", "{disk: hdd}", plain("nodeSelector: {disk: ssd}"),
       "node(s) didn't match Pod's node affinity/selector"},
      {"{}", "{disk: ssd}", plain("nodeSelector: {disk: ssd}"), ""},
      {"{}", "{disk: hdd}",
       plain("affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: "
             "{nodeSelectorTerms: [{matchExpressions: [{key: disk, operator: NotIn, values: "
             "[hdd]}]}]}}}"),
       "node(s) didn't match Pod's node affinity/selector"},
  };
  for (const Case& one : cases) {
    nodes_.clear();
    node("n1", one.node_spec, one.labels);
    EXPECT_EQ(outcome(one.pod),
              one.expected.empty() ? "n1" : "0/1 nodes are available: 1 " + one.expected + ".");
  }
}

TEST_F(DecisionTest, HostPorts) {
  node("n1");
  auto with_port = [](const std::string& port, const std::string& more = "") {
    return fmt::format(
        "{{containers: [{{name: c, image: i, ports: [{{containerPort: 80, {}}}]}}]{}}}", port,
        more);
  };
  placed("a", with_port("hostPort: 8080, hostIP: 127.0.0.1", ", nodeName: n1"));
  const std::string taken =
      "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
  EXPECT_EQ(outcome(with_port("hostPort: 8080")), taken);
  EXPECT_EQ(outcome(with_port("hostPort: 8080, hostIP: 127.0.0.1")), taken);
  EXPECT_EQ(outcome(with_port("hostPort: 8080, hostIP: 10.0.0.1")), "n1");
  EXPECT_EQ(outcome(with_port("hostPort: 8080, protocol: UDP")), "n1");
  EXPECT_EQ(outcome(with_port("hostPort: 8081")), "n1");
}

std::string term(const std::string& kind, const std::string& selector,
                 const std::string& more = "") {
  return fmt::format(
      "affinity: {{{}: {{requiredDuringSchedulingIgnoredDuringExecution: [{{topologyKey: zone, "
      "labelSelector: {{matchLabels: {}}}{}}}]}}}}",
      kind, selector, more);
}

TEST_F(DecisionTest, PodAffinity) {
  node("n1", "{}", "{zone: a}");
  node("bare");
  placed("db", plain("nodeName: n1"), "{app: db}");
  EXPECT_EQ(outcome(plain(term("podAffinity", "{app: db}"))), "n1");
  EXPECT_EQ(outcome(plain(term("podAffinity", "{app: other}"))),
            "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.");
  // The first of its own kind may begin.
  EXPECT_EQ(outcome(plain(term("podAffinity", "{app: self}")), "{app: self}"), "n1");
  // Another namespace is another world, unless it is named or selected.
  EXPECT_EQ(outcome(plain(term("podAffinity", "{app: db}")), "{}", "shop"),
            "0/2 nodes are available: 2 node(s) didn't match pod affinity rules.");
  EXPECT_EQ(
      outcome(plain(term("podAffinity", "{app: db}", ", namespaces: [default]")), "{}", "shop"),
      "n1");
}

TEST_F(DecisionTest, AntiAffinityBothWays) {
  node("n1", "{}", "{zone: a}");
  placed("db", plain("nodeName: n1"), "{app: db}");
  EXPECT_EQ(outcome(plain(term("podAntiAffinity", "{app: db}"))),
            "0/1 nodes are available: 1 node(s) didn't match pod anti-affinity rules.");
  pods_.clear();
  placed("shy", plain("nodeName: n1, " + term("podAntiAffinity", "{app: loud}")), "{app: shy}");
  EXPECT_EQ(outcome(plain("priority: 0"), "{app: loud}"),
            "0/1 nodes are available: 1 node(s) didn't satisfy existing pods anti-affinity rules.");
  EXPECT_EQ(outcome(plain("priority: 0"), "{app: quiet}"), "n1");
}

TEST_F(DecisionTest, TopologySpread) {
  node("a", "{}", "{zone: a}");
  node("b", "{}", "{zone: b}");
  placed("one", plain("nodeName: a"), "{app: w}");
  auto spread = [](const char* when) {
    return plain(
        fmt::format("topologySpreadConstraints: [{{maxSkew: 1, topologyKey: zone, "
                    "whenUnsatisfiable: {}, labelSelector: {{matchLabels: {{app: w}}}}}}]",
                    when));
  };
  EXPECT_EQ(outcome(spread("DoNotSchedule"), "{app: w}"), "b");
  nodes_[1] = object(
      "apiVersion: v1\nkind: Node\nmetadata: {name: b, labels: {zone: b}}\n"
      "spec: {unschedulable: true}\nstatus: {allocatable: {cpu: 1, pods: 1}}");
  EXPECT_EQ(outcome(spread("DoNotSchedule"), "{app: w}"),
            "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 "
            "node(s) were unschedulable.");
  EXPECT_EQ(outcome(spread("ScheduleAnyway"), "{app: w}"), "a");
}

TEST_F(DecisionTest, CountsReasonsOverNodes) {
  node("a", "{unschedulable: true}");
  node("b", "{unschedulable: true}");
  node("c", "{}", "{}", "{cpu: 1, memory: 1Gi, pods: 10}");
  EXPECT_EQ(outcome(cpu("2")),
            "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.");
}

TEST_F(DecisionTest, TheEmptierNodeIsBetter) {
  node("full");
  node("empty");
  placed("a", cpu("3", ", nodeName: full"));
  EXPECT_EQ(outcome(cpu("500m")), "empty");
}

TEST_F(DecisionTest, VictimsAreTheLeastImportantThatSuffice) {
  node("n1");
  placed("low", cpu("1", ", nodeName: n1, priority: 1"));
  placed("mid", cpu("1", ", nodeName: n1, priority: 5"));
  placed("high", cpu("2", ", nodeName: n1, priority: 100"));
  EXPECT_EQ(victims(cpu("1", ", priority: 50")), "n1: low");
  EXPECT_EQ(victims(cpu("2", ", priority: 50")), "n1: mid low");
  EXPECT_EQ(victims(cpu("3", ", priority: 50")), "none") << "high stays";
  EXPECT_EQ(victims(cpu("4", ", priority: 1000")), "n1: high mid low");
  EXPECT_EQ(victims(cpu("1", ", priority: 1")), "none") << "none is less important";
  EXPECT_EQ(victims(cpu("1", ", priority: 50, preemptionPolicy: Never")), "none");
}

TEST_F(DecisionTest, PreemptionPicksTheCheapestNode) {
  node("a", "{}", "{}", "{cpu: 1, memory: 1Gi, pods: 10}");
  node("b", "{}", "{}", "{cpu: 1, memory: 1Gi, pods: 10}");
  node("c", "{unschedulable: true}", "{}", "{cpu: 1, memory: 1Gi, pods: 10}");
  placed("on-a", cpu("1", ", nodeName: a, priority: 10"));
  placed("on-b", cpu("1", ", nodeName: b, priority: 5"));
  placed("on-c", cpu("1", ", nodeName: c, priority: 1"));
  EXPECT_EQ(victims(cpu("1", ", priority: 50")), "b: on-b");
}

}  // namespace
}  // namespace moth::scheduler
