#include "runtime/agent/config/env.h"

#include "tests/unit/runtime/agent/config/pods.h"

namespace moth::agent {
namespace {

using resources::ServiceView;

const EnvMap kValues{{"A", "1"}, {"B", "two"}, {"EMPTY", ""}};
const std::string* lookup(std::string_view name) {
  auto found = kValues.find(name);
  return found == kValues.end() ? nullptr : &found->second;
}

TEST(Expand, FollowsUpstreamsRules) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"plain", "plain"},
      {"$(A)", "1"},
      {"x$(A)y$(B)z", "x1ytwoz"},
      {"$(EMPTY)", ""},
      {"$(UNKNOWN)", "$(UNKNOWN)"},
      {"$$(A)", "$(A)"},
      {"$$$(A)", "$1"},
      {"$$$$(A)", "$$(A)"},
      {"$", "$"},
      {"$$", "$"},
      {"a$", "a$"},
      {"$A", "$A"},
      {"$(A", "$(A"},
      {"$(A)$(", "1$("},
      {"$()", "$()"},
      {"$(A$(B))", "$(A$(B))"},
      {"100%$", "100%$"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(expand_variables(text, lookup), expected);
}

TEST(Expand, StrictlyNamesWhatIsMissing) {
  EXPECT_EQ(*expand_strictly("data/$(B)", lookup), "data/two");
  auto missing = expand_strictly("data/$(POD)", lookup);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message, "missing value for \"POD\"");
}

ObjectPtr service(const std::string& ns, const std::string& name, const std::string& spec) {
  return object_from("apiVersion: v1\nkind: Service\nmetadata: {name: " + name +
                     ", namespace: " + ns + "}\nspec: " + spec + "\n");
}

TEST(ServiceVariables, HaveDockersNames) {
  auto object = service("shop", "web-front",
                        "{clusterIP: 10.96.0.9, ports: [{name: http, port: 80}, {name: my-dns, "
                        "port: 53, protocol: UDP}]}");
  const EnvMap expected{
      {"WEB_FRONT_SERVICE_HOST", "10.96.0.9"},     {"WEB_FRONT_SERVICE_PORT", "80"},
      {"WEB_FRONT_SERVICE_PORT_HTTP", "80"},       {"WEB_FRONT_SERVICE_PORT_MY_DNS", "53"},
      {"WEB_FRONT_PORT", "tcp://10.96.0.9:80"},    {"WEB_FRONT_PORT_80_TCP", "tcp://10.96.0.9:80"},
      {"WEB_FRONT_PORT_80_TCP_PROTO", "tcp"},      {"WEB_FRONT_PORT_80_TCP_PORT", "80"},
      {"WEB_FRONT_PORT_80_TCP_ADDR", "10.96.0.9"}, {"WEB_FRONT_PORT_53_UDP", "udp://10.96.0.9:53"},
      {"WEB_FRONT_PORT_53_UDP_PROTO", "udp"},      {"WEB_FRONT_PORT_53_UDP_PORT", "53"},
      {"WEB_FRONT_PORT_53_UDP_ADDR", "10.96.0.9"},
  };
  EXPECT_EQ(service_variables({&object->view<ServiceView>()}, "shop", true), expected);
}

TEST(ServiceVariables, AreOfTheOwnNamespaceAndOfTheMaster) {
  auto own = service("shop", "db", "{clusterIP: 10.96.0.2, ports: [{port: 1}]}");
  auto headless = service("shop", "peers", "{clusterIP: None, ports: [{port: 1}]}");
  auto other = service("else", "cache", "{clusterIP: 10.96.0.3, ports: [{port: 1}]}");
  auto master = service("default", "kubernetes", "{clusterIP: 10.96.0.1, ports: [{port: 443}]}");
  const std::vector<const ServiceView*> all{
      &own->view<ServiceView>(), &headless->view<ServiceView>(), &other->view<ServiceView>(),
      &master->view<ServiceView>()};
  auto names = [&](bool links) {
    EnvMap env = service_variables(all, "shop", links);
    std::string out;
    for (const auto& [name, value] : env) {
      if (name.ends_with("_SERVICE_HOST")) out += name + "=" + value + " ";
    }
    return out;
  };
  EXPECT_EQ(names(true), "DB_SERVICE_HOST=10.96.0.2 KUBERNETES_SERVICE_HOST=10.96.0.1 ");
  EXPECT_EQ(names(false), "KUBERNETES_SERVICE_HOST=10.96.0.1 ");
  // A Service of that name in the pod's namespace wins.
  auto mine = service("shop", "kubernetes", "{clusterIP: 10.96.0.8, ports: [{port: 443}]}");
  EnvMap env =
      service_variables({&mine->view<ServiceView>(), &master->view<ServiceView>()}, "shop", true);
  EXPECT_EQ(env["KUBERNETES_SERVICE_HOST"], "10.96.0.8");
}

class Environment : public ::testing::Test {
 protected:
  Result<EnvOutput> make(const std::string& container, EnvMap services = {}) {
    pod_ = pod_from("  containers:\n  - {name: app, image: x, " + container + "}\n",
                    "  labels: {app: web}\n  annotations: {note: \"a b\"}\n");
    resources::ResourceList allocatable;
    allocatable["cpu"] = Quantity::from_value(4);
    allocatable["memory"] = Quantity::parse_or_zero("8Gi");
    allocatable_ = allocatable;
    return make_environment({pod_, first(pod_), std::move(services),
                             [this](bool secret, const std::string& name) -> const KeyValues* {
                               auto& from = secret ? secrets_ : config_maps_;
                               auto at = from.find(name);
                               return at == from.end() ? nullptr : &at->second;
                             },
                             allocatable_});
  }
  std::string text(const std::string& container, EnvMap services = {}) {
    auto made = make(container, std::move(services));
    if (!made) return "error: " + made.error().message;
    std::string out;
    for (const std::string& line : made->env.lines()) out += line + "\n";
    return out;
  }
  std::map<std::string, KeyValues> config_maps_{{"cfg", {{{"LEVEL", "info"}, {"b.c", "dots"}}}}};
  std::map<std::string, KeyValues> secrets_{{"key", {{{"TOKEN", "t0"}}}}};
  PodContext pod_;
  resources::ResourceList allocatable_;
};

TEST_F(Environment, LaterEntriesWinAndSeeEarlierOnes) {
  EXPECT_EQ(text("envFrom: [{configMapRef: {name: cfg}}, {prefix: S_, secretRef: {name: key}}], "
                 "env: [{name: A, value: \"$(LEVEL)-$(S_TOKEN)-$(LATER)-$(X_PORT)\"}, "
                 "{name: LEVEL, value: debug}, {name: LATER, value: \"$(LEVEL)\"}]",
                 {{"X_PORT", "tcp://1:2"}, {"LEVEL", "service"}}),
            "LEVEL=debug\nb.c=dots\nS_TOKEN=t0\nA=info-t0-$(LATER)-tcp://1:2\nLATER=debug\n"
            "X_PORT=tcp://1:2\n");
}

TEST_F(Environment, ReadsKeysOfConfigMapsAndSecrets) {
  EXPECT_EQ(text("env: [{name: A, valueFrom: {configMapKeyRef: {name: cfg, key: LEVEL}}}, "
                 "{name: B, valueFrom: {secretKeyRef: {name: key, key: TOKEN}}}, "
                 "{name: C, valueFrom: {secretKeyRef: {name: gone, key: k, optional: true}}}, "
                 "{name: D, valueFrom: {configMapKeyRef: {name: cfg, key: k, optional: true}}}]"),
            "A=info\nB=t0\n");
}

TEST_F(Environment, FailsWithUpstreamsTexts) {
  EXPECT_EQ(text("envFrom: [{configMapRef: {name: gone}}]"), "error: configmap \"gone\" not found");
  EXPECT_EQ(text("envFrom: [{secretRef: {name: gone}}]"), "error: secret \"gone\" not found");
  EXPECT_EQ(text("envFrom: [{secretRef: {name: gone, optional: true}}]"), "");
  EXPECT_EQ(text("env: [{name: A, valueFrom: {configMapKeyRef: {name: gone, key: k}}}]"),
            "error: configmap \"gone\" not found");
  EXPECT_EQ(text("env: [{name: A, valueFrom: {configMapKeyRef: {name: cfg, key: k}}}]"),
            "error: couldn't find key k in ConfigMap shop/cfg");
  EXPECT_EQ(text("env: [{name: A, valueFrom: {secretKeyRef: {name: key, key: k}}}]"),
            "error: couldn't find key k in Secret shop/key");
}

TEST_F(Environment, ReadsFieldsOfThePod) {
  auto field = [&](const std::string& path) {
    return text("env: [{name: A, valueFrom: {fieldRef: {fieldPath: \"" + path + "\"}}}]");
  };
  EXPECT_EQ(field("metadata.name"), "A=web-0\n");
  EXPECT_EQ(field("metadata.namespace"), "A=shop\n");
  EXPECT_EQ(field("metadata.uid"), "A=uid-1\n");
  EXPECT_EQ(field("metadata.labels['app']"), "A=web\n");
  EXPECT_EQ(field("metadata.labels['none']"), "A=\n");
  EXPECT_EQ(field("metadata.annotations['note']"), "A=a b\n");
  EXPECT_EQ(field("spec.nodeName"), "A=box\n");
  EXPECT_EQ(field("status.podIP"), "A=10.244.0.7\n");
  EXPECT_EQ(field("status.hostIP"), "A=192.168.1.5\n");
  EXPECT_EQ(field("status.phase"), "error: unsupported fieldPath: status.phase");
}

TEST_F(Environment, DividesResourcesAndRoundsUp) {
  auto value = [&](const std::string& resource, const std::string& divisor) {
    return text(
        "resources: {requests: {cpu: 250m}, limits: {memory: 100Mi, cpu: 1500m}}, env: [{name: A, "
        "valueFrom: {resourceFieldRef: {resource: " +
        resource + ", divisor: \"" + divisor + "\"}}}]");
  };
  EXPECT_EQ(value("requests.cpu", "0"), "A=1\n");
  EXPECT_EQ(value("requests.cpu", "1m"), "A=250\n");
  EXPECT_EQ(value("limits.cpu", "1"), "A=2\n");
  EXPECT_EQ(value("limits.memory", "1"), "A=104857600\n");
  EXPECT_EQ(value("limits.memory", "1Mi"), "A=100\n");
  EXPECT_EQ(value("limits.memory", "3Mi"), "A=34\n");
  EXPECT_EQ(value("requests.memory", "1Mi"), "A=100\n");
  EXPECT_EQ(value("requests.ephemeral-storage", "1"), "A=0\n");
  EXPECT_EQ(value("limits.disks", "1"), "error: unsupported container resource : limits.disks");
  EXPECT_EQ(text("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]"),
            "A=4\n");
  EXPECT_EQ(text("env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: "
                 "1Gi}}}]"),
            "A=8\n");
}

TEST_F(Environment, SkipsWhatIsNoNameAndSaysSo) {
  config_maps_["cfg"].values["bad=name"] = "x";
  auto made = make("envFrom: [{configMapRef: {name: cfg}}]");
  ASSERT_TRUE(made);
  EXPECT_EQ(made->env.find("bad=name"), nullptr);
  ASSERT_EQ(made->skipped.size(), 1u);
  EXPECT_EQ(made->skipped[0],
            "Keys [bad=name] from the EnvFrom configMap shop/cfg were skipped since they are "
            "considered invalid environment variable names.");
}

TEST(ProcessEnvironment, AddsWhatNobodySet) {
  EnvList env;
  env.set("MODE", "prod");
  EXPECT_EQ(
      process_environment({"LANG=C", "MODE=image"}, env, "web-0", false),
      (std::vector<std::string>{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                "HOSTNAME=web-0", "LANG=C", "MODE=prod"}));
  env.set("HOSTNAME", "mine");
  EXPECT_EQ(process_environment({"PATH=/bin"}, env, "web-0", true),
            (std::vector<std::string>{"PATH=/bin", "HOSTNAME=mine", "TERM=xterm", "MODE=prod"}));
}

TEST(ProcessArguments, CombineSpecAndImage) {
  EnvList env;
  env.set("N", "5");
  auto args = [&](const std::string& container) {
    auto pod = pod_from("  containers:\n  - {name: app, image: x" + container + "}\n");
    return process_arguments(first(pod), {"/entry"}, {"run"}, env);
  };
  using Args = std::vector<std::string>;
  EXPECT_EQ(args(""), (Args{"/entry", "run"}));
  EXPECT_EQ(args(", command: [sh]"), (Args{"sh"}));
  EXPECT_EQ(args(", args: [\"$(N)\", \"$$(N)\"]"), (Args{"/entry", "5", "$(N)"}));
  EXPECT_EQ(args(", command: [sh, -c], args: [\"echo $(N) $N\"]"), (Args{"sh", "-c", "echo 5 $N"}));
}

TEST(KeyValues, DecodesSecretsAndBinaryData) {
  auto secret = object_from(
      "apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\ndata: {k: aGk=}\n");
  EXPECT_EQ(key_values(*secret, true, true).values,
            (std::map<std::string, std::string>{{"k", "hi"}}));
  auto map = object_from(
      "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c, namespace: shop}\n"
      "data: {k: aGk=}\nbinaryData: {b: aGk=}\n");
  EXPECT_EQ(key_values(*map, false, true).values,
            (std::map<std::string, std::string>{{"k", "aGk="}, {"b", "hi"}}));
  EXPECT_EQ(key_values(*map, false, false).values.size(), 1u);
}

}  // namespace
}  // namespace moth::agent
