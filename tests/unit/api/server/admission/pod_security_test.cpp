#include <gtest/gtest.h>

#include "api/base/json.h"
#include "api/machinery/yaml.h"
#include "api/server/admission/pod_security_policy.h"

namespace moth::server::pod_security {
namespace {

Json yaml(std::string_view text) {
  auto documents = parse_yaml_documents(text);
  EXPECT_TRUE(documents && documents->size() == 1) << text;
  return documents && !documents->empty() ? documents->front().value : Json::object();
}

std::string judge(Level level, std::string_view spec, std::optional<int> minor = std::nullopt,
                  Json metadata = Json::object()) {
  return details(evaluate({level, minor}, metadata, yaml(spec)));
}

struct Case {
  const char* name;
  const char* spec;
  const char* baseline;
};

class Baseline : public ::testing::TestWithParam<Case> {};
TEST_P(Baseline, SaysWhatItForbids) {
  EXPECT_EQ(judge(Level::kBaseline, GetParam().spec), GetParam().baseline);
}
INSTANTIATE_TEST_SUITE_P(
    All, Baseline,
    ::testing::Values(
        Case{"Plain", "containers: [{name: a}]", ""},
        Case{"Privileged", "containers: [{name: a, securityContext: {privileged: true}}]",
             "privileged (container \"a\" must not set securityContext.privileged=true)"},
        Case{"TwoPrivileged",
             "initContainers: [{name: b, securityContext: {privileged: true}}]\n"
             "containers: [{name: a, securityContext: {privileged: true}}]",
             "privileged (containers \"b\", \"a\" must not set securityContext.privileged=true)"},
        Case{"HostNamespaces", "hostNetwork: true\nhostPID: true\ncontainers: [{name: a}]",
             "host namespaces (hostNetwork=true, hostPID=true)"},
        Case{"Capabilities",
             "containers: [{name: a, securityContext: {capabilities: {add: [NET_ADMIN, CHOWN]}}}]",
             "non-default capabilities (container \"a\" must not include \"NET_ADMIN\" in "
             "securityContext.capabilities.add)"},
        Case{"HostPath", "volumes: [{name: v, hostPath: {path: /}}]\ncontainers: [{name: a}]",
             "hostPath volumes (volume \"v\")"},
        Case{"HostPort", "containers: [{name: a, ports: [{hostPort: 80}, {hostPort: 443}]}]",
             "hostPort (container \"a\" uses hostPorts 443, 80)"},
        Case{"ProbeHost",
             "containers: [{name: a, livenessProbe: {httpGet: {host: 127.0.0.1, port: 1}}}]",
             "probe or lifecycle host (container \"a\" uses probe or lifecycle host "
             "\"127.0.0.1\")"},
        Case{"Seccomp",
             "securityContext: {seccompProfile: {type: Unconfined}}\ncontainers: [{name: a}]",
             "seccompProfile (pod must not set securityContext.seccompProfile.type to "
             "\"Unconfined\")"},
        Case{"Sysctls",
             "securityContext: {sysctls: [{name: kernel.msgmax}, {name: net.ipv4.tcp_rmem}]}\n"
             "containers: [{name: a}]",
             "forbidden sysctls (kernel.msgmax)"},
        Case{"SeLinux",
             "containers: [{name: a, securityContext: {seLinuxOptions: {user: u, type: t}}}]",
             "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type "
             "\"t\"; user may not be set)"},
        Case{"ProcMount", "containers: [{name: a, securityContext: {procMount: Unmasked}}]",
             "procMount (container \"a\" must not set securityContext.procMount to "
             "\"Unmasked\")"}),
    [](const auto& info) { return info.param.name; });

TEST(Restricted, SaysEverythingThatAPlainContainerLacks) {
  EXPECT_EQ(
      judge(Level::kRestricted, "containers: [{name: c}]"),
      "allowPrivilegeEscalation != false (container \"c\" must set "
      "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "
      "\"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod "
      "or container \"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or "
      "container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or "
      "\"Localhost\")");
}

constexpr const char* kGood =
    "securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}\n"
    "volumes: [{name: v, emptyDir: {}}, {name: w, secret: {secretName: s}}]\n"
    "containers: [{name: a, securityContext: {allowPrivilegeEscalation: false, capabilities: "
    "{drop: "
    "[ALL], add: [NET_BIND_SERVICE]}}}]";

TEST(Restricted, LetsAGoodPodPass) {
  EXPECT_EQ(judge(Level::kRestricted, kGood), "");
}

TEST(Restricted, RefusesVolumesUsersAndContainersThatSayOtherwise) {
  EXPECT_EQ(judge(Level::kRestricted,
                  "securityContext: {runAsNonRoot: true, runAsUser: 0, seccompProfile: {type: "
                  "RuntimeDefault}}\n"
                  "volumes: [{name: v, nfs: {path: /, server: s}}]\n"
                  "containers: [{name: a, securityContext: {runAsNonRoot: false, "
                  "allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]"),
            "restricted volume types (volume \"v\" uses restricted volume type \"nfs\"), "
            "runAsNonRoot != true (container \"a\" must not set "
            "securityContext.runAsNonRoot=false), runAsUser=0 (pod must not set runAsUser=0)");
}

TEST(Restricted, OlderVersionsAskForLess) {
  EXPECT_EQ(judge(Level::kRestricted,
                  "securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}\n"
                  "containers: [{name: a, securityContext: {allowPrivilegeEscalation: false}}]",
                  20),
            "");
}

TEST(Policy, ComesFromLabelsWithWarnFollowingEnforce) {
  Policy policy = policy_of({{"pod-security.kubernetes.io/enforce", "baseline"},
                             {"pod-security.kubernetes.io/enforce-version", "v1.30"},
                             {"pod-security.kubernetes.io/audit", "restricted"}});
  EXPECT_EQ(policy.enforce.to_string(), "baseline:v1.30");
  EXPECT_EQ(policy.warn.to_string(), "baseline:v1.30");
  EXPECT_EQ(policy.audit.to_string(), "restricted:latest");
}

TEST(Policy, WrongLabelsFailClosedForEnforceAlone) {
  FieldErrors errors;
  Policy policy = policy_of({{"pod-security.kubernetes.io/enforce", "strict"},
                             {"pod-security.kubernetes.io/warn", "strict"},
                             {"pod-security.kubernetes.io/warn-version", "1.30"}},
                            &errors);
  EXPECT_EQ(policy.enforce.level, Level::kRestricted);
  EXPECT_EQ(policy.warn.level, Level::kPrivileged);
  ASSERT_EQ(errors.size(), 3u);
  EXPECT_EQ(errors[0].to_string(),
            "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must "
            "be one of privileged, baseline, restricted");
  EXPECT_EQ(errors[2].to_string(),
            "metadata.labels[pod-security.kubernetes.io/warn-version]: Invalid value: \"1.30\": "
            "must be \"latest\" or \"v1.x\"");
}

}  // namespace
}  // namespace moth::server::pod_security
