#include "runtime/agent/config/assembly.h"

#include <algorithm>
#include <csignal>

#include "api/base/json.h"
#include "runtime/agent/config/downward.h"
#include "runtime/agent/config/hostname.h"
#include "runtime/oci/spec_builder.h"
#include "tests/unit/runtime/agent/config/pods.h"

namespace moth::agent {
namespace {

constexpr std::int64_t kGi = 1 << 30;

class Assemble : public ::testing::Test {
 protected:
  // `spec`: members of the pod's spec besides its containers, a line each, indented by two.
  Assembly make(const std::string& container, const std::string& spec = "") {
    pod_ = pod_from("  containers:\n  - {name: app, image: x" + container + "}\n" + spec);
    if (pod_.view().spec().host_network) pod_.netns_path.clear();
    AssemblyInput input{pod_, first(pod_), image_};
    input.id = "uid-1_app_0";
    input.rootfs = "/rootfs";
    input.args = {"sh"};
    input.env = {"A=1"};
    input.user = user_;
    for (const auto& mount : first(pod_).volume_mounts) {
      input.mounts.push_back({&mount, "/host/" + mount.name});
    }
    input.etc = "/etc-of-pod";
    input.termination_log = "/bundle/termination-log";
    input.shared_memory = shared_memory_;
    input.hostname = "web-0";
    input.seccomp_profile = "{}";
    input.node_memory_bytes = 8 * kGi;
    auto made = assemble_config(input);
    EXPECT_TRUE(made);
    return made ? *std::move(made) : Assembly{};
  }
  std::string mounts(const Assembly& assembly) {
    std::string out;
    for (const auto& mount : assembly.config.mounts) {
      out += mount.source + ">" + mount.destination + ":";
      for (const auto& option : mount.options) out += option + ",";
      out.back() = '\n';
    }
    return out;
  }
  images::ImageConfig image_;
  oci::ResolvedUser user_;
  std::string shared_memory_;
  PodContext pod_;
};

TEST_F(Assemble, APlainContainer) {
  image_.working_dir = "srv";
  const auto config = make("").config;
  EXPECT_EQ(config.id, "uid-1_app_0");
  EXPECT_EQ(config.cwd, "/srv");
  EXPECT_EQ(config.cgroups_path, "/moth-test/poduid-1/uid-1_app_0");
  EXPECT_EQ(config.network_namespace, "/run/moth/netns/uid-1");
  EXPECT_EQ(config.hostname, "web-0");
  EXPECT_TRUE(config.ipc_namespace.empty());
  EXPECT_EQ(config.seccomp.kind, oci::Seccomp::Kind::kUnconfined);
  EXPECT_FALSE(config.no_new_privs);
  EXPECT_EQ(config.oom_score_adj, 1000);
  EXPECT_EQ(config.limits.cpu_shares, 2);
  EXPECT_FALSE(config.limits.memory_bytes);
  // The OCI layer takes it.
  auto spec = oci::build_spec(config, {});
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(find_path(*spec, "process", "cwd")->get<std::string>(), "/srv");
}

TEST_F(Assemble, NeedsACommand) {
  auto pod = pod_from("  containers: [{name: app, image: x}]\n");
  auto made = assemble_config({pod, first(pod), image_});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "no command specified");
}

TEST_F(Assemble, MountsInTheOrderOfTheirDepth) {
  shared_memory_ = "/ns/shm";
  EXPECT_EQ(mounts(make(", volumeMounts: [{name: b, mountPath: /data/sub, readOnly: true}, "
                        "{name: a, mountPath: /data/}]",
                        "  volumes: [{name: a, emptyDir: {}}, {name: b, emptyDir: {}}]\n")),
            "/host/a>/data:rbind,rprivate,rw\n"
            "/etc-of-pod/hosts>/etc/hosts:rbind,rprivate,rw\n"
            "/etc-of-pod/hostname>/etc/hostname:rbind,rprivate,rw\n"
            "/etc-of-pod/resolv.conf>/etc/resolv.conf:rbind,rprivate,rw\n"
            "/ns/shm>/dev/shm:rbind,rprivate,rw\n"
            "/bundle/termination-log>/dev/termination-log:rbind,rprivate,rw\n"
            "/host/b>/data/sub:rbind,rprivate,ro\n");
}

TEST_F(Assemble, LeavesPathsToTheContainerThatMountsThem) {
  shared_memory_ = "/ns/shm";
  EXPECT_EQ(mounts(make(", terminationMessagePath: /tmp/end, volumeMounts: [{name: a, mountPath: "
                        "/etc/hosts}, {name: a, mountPath: /dev/shm/}]",
                        "  volumes: [{name: a, emptyDir: {}}]\n")),
            "/etc-of-pod/hostname>/etc/hostname:rbind,rprivate,rw\n"
            "/etc-of-pod/resolv.conf>/etc/resolv.conf:rbind,rprivate,rw\n"
            "/bundle/termination-log>/tmp/end:rbind,rprivate,rw\n"
            "/host/a>/etc/hosts:rbind,rprivate,rw\n"
            "/host/a>/dev/shm:rbind,rprivate,rw\n");
}

TEST_F(Assemble, ReadOnlyAndPropagation) {
  auto assembly = make(
      ", securityContext: {readOnlyRootFilesystem: true}, volumeMounts: ["
      "{name: c, mountPath: /c}, "
      "{name: h, mountPath: /h, mountPropagation: HostToContainer}, "
      "{name: h, mountPath: /i, mountPropagation: Bidirectional}, "
      "{name: h, mountPath: /j, readOnly: true, recursiveReadOnly: Enabled}]",
      "  volumes: [{name: c, configMap: {name: x}}, {name: h, hostPath: {path: /x}}]\n");
  EXPECT_TRUE(assembly.config.read_only_rootfs);
  EXPECT_EQ(assembly.config.rootfs_propagation, "rshared");
  const std::string text = mounts(assembly);
  EXPECT_NE(text.find("/host/c>/c:rbind,rprivate,ro\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/host/h>/h:rbind,rslave,rw\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/host/h>/i:rbind,rshared,rw\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/host/h>/j:rbind,rprivate,rro\n"), std::string::npos) << text;
  EXPECT_NE(text.find(">/etc/hosts:rbind,rprivate,ro\n"), std::string::npos) << text;
}

TEST_F(Assemble, HostNamespaces) {
  const auto config = make("", "  hostNetwork: true\n  hostPID: true\n  hostIPC: true\n").config;
  EXPECT_EQ(config.network_namespace, "host");
  EXPECT_EQ(config.pid_namespace, "host");
  EXPECT_EQ(config.ipc_namespace, "host");
  EXPECT_EQ(config.uts_namespace, "host");
  EXPECT_TRUE(config.hostname.empty());
  EXPECT_TRUE(std::any_of(config.mounts.begin(), config.mounts.end(), [](const auto& mount) {
    return mount.destination == "/dev/shm" && mount.source == "/dev/shm";
  }));
}

TEST_F(Assemble, UsersAndGroups) {
  user_.uid = 1000;
  user_.gid = 1000;
  user_.additional_gids = {50};
  using Groups = std::vector<std::uint32_t>;
  const std::string security = "  securityContext: {supplementalGroups: [7, 3], fsGroup: 2000";
  EXPECT_EQ(make("", security + "}\n").config.additional_gids, (Groups{3, 7, 50, 1000, 2000}));
  EXPECT_EQ(make("", security + ", supplementalGroupsPolicy: Strict}\n").config.additional_gids,
            (Groups{3, 7, 1000, 2000}));
}

TEST_F(Assemble, Privileges) {
  auto config = make(
                    ", securityContext: {allowPrivilegeEscalation: false, capabilities: {add: "
                    "[NET_ADMIN], drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}",
                    "  securityContext: {sysctls: [{name: net/ipv4/tcp_syncookies, value: "
                    "\"1\"}, {name: kernel.shm_rmid_forced, value: \"1\"}]}\n")
                    .config;
  EXPECT_TRUE(config.no_new_privs);
  EXPECT_EQ(config.capabilities_add, std::vector<std::string>{"NET_ADMIN"});
  EXPECT_EQ(config.capabilities_drop, std::vector<std::string>{"ALL"});
  EXPECT_EQ(config.seccomp.kind, oci::Seccomp::Kind::kRuntimeDefault);
  EXPECT_TRUE(config.sysctls.contains("net.ipv4.tcp_syncookies"));
  EXPECT_TRUE(config.sysctls.contains("kernel.shm_rmid_forced"));
  config =
      make(", securityContext: {privileged: true, seccompProfile: {type: RuntimeDefault}}").config;
  EXPECT_TRUE(config.privileged);
  EXPECT_EQ(config.seccomp.kind, oci::Seccomp::Kind::kUnconfined);
}

TEST_F(Assemble, Limits) {
  auto assembly = make(
      ", resources: {requests: {cpu: 250m, memory: 1Gi}, limits: {cpu: 500m, "
      "memory: 2Gi, hugepages-2Mi: 4Mi}}");
  const auto& limits = assembly.config.limits;
  EXPECT_EQ(limits.cpu_shares, 256);
  EXPECT_EQ(limits.cpu_quota_micros, 50'000);
  EXPECT_EQ(limits.memory_bytes, 2 * kGi);
  EXPECT_EQ(limits.oom_group, true);
  ASSERT_EQ(limits.huge_pages.size(), 1u);
  EXPECT_EQ(limits.huge_pages[0].size, "2MB");
  EXPECT_EQ(limits.huge_pages[0].bytes, 4 << 20);
  EXPECT_EQ(assembly.config.oom_score_adj, 875);
  EXPECT_TRUE(assembly.warnings.empty());
}

TEST_F(Assemble, RaisesAMemoryLimitThatNothingCanStartWith) {
  auto assembly = make(", resources: {limits: {memory: 4Mi}}");
  EXPECT_EQ(assembly.config.limits.memory_bytes, 8 << 20);
  ASSERT_EQ(assembly.warnings.size(), 1u);
  EXPECT_EQ(assembly.warnings[0],
            "Memory limit 4Mi of container app is too small to start it; it runs with 8Mi instead");
}

TEST(OomScore, OfASidecarIsNotAboveTheAppContainers) {
  auto pod = pod_from(
      "  initContainers:\n  - {name: proxy, image: x, restartPolicy: Always}\n"
      "  containers:\n  - {name: app, image: x, resources: {requests: {memory: 4Gi}}}\n");
  const auto& spec = pod.view().spec();
  EXPECT_EQ(container_oom_score(pod, spec.containers[0], 8 * kGi), 500);
  EXPECT_EQ(container_oom_score(pod, spec.init_containers[0], 8 * kGi), 500);
}

TEST(UserRequest, OverridesTheImage) {
  resources::SecurityContext security;
  EXPECT_EQ(user_request(security, "node:staff"), "node:staff");
  security.run_as_group = 5;
  EXPECT_EQ(user_request(security, "node:staff"), "node:5");
  EXPECT_EQ(user_request(security, ""), "0:5");
  security.run_as_user = 10;
  EXPECT_EQ(user_request(security, "node:staff"), "10:5");
  security.run_as_group.reset();
  EXPECT_EQ(user_request(security, "node:staff"), "10");
}

TEST(RunAsNonRoot, HasUpstreamsTexts) {
  auto violation = [](const std::string& security, const std::string& image_user) {
    auto pod =
        pod_from("  containers:\n  - {name: app, image: x, securityContext: " + security + "}\n");
    return root_violation(pod, first(pod), image_user).value_or("");
  };
  const std::string where = "(pod: \"web-0_shop(uid-1)\", container: app)";
  EXPECT_EQ(violation("{}", ""), "");
  EXPECT_EQ(violation("{runAsNonRoot: true}", "1000"), "");
  EXPECT_EQ(violation("{runAsNonRoot: true}", "1000:0"), "");
  EXPECT_EQ(violation("{runAsNonRoot: true, runAsUser: 5}", "root"), "");
  EXPECT_EQ(violation("{runAsNonRoot: true}", ""),
            "container has runAsNonRoot and image will run as root " + where);
  EXPECT_EQ(violation("{runAsNonRoot: true}", "0:5"),
            "container has runAsNonRoot and image will run as root " + where);
  EXPECT_EQ(violation("{runAsNonRoot: true}", "nginx"),
            "container has runAsNonRoot and image has non-numeric user (nginx), cannot verify user "
            "is non-root " +
                where);
  EXPECT_EQ(violation("{runAsNonRoot: true, runAsUser: 0}", "1000"),
            "container's runAsUser breaks non-root policy " + where);
}

TEST(Signals, AreNamesOrNumbers) {
  EXPECT_EQ(parse_signal("SIGTERM"), SIGTERM);
  EXPECT_EQ(parse_signal("QUIT"), SIGQUIT);
  EXPECT_EQ(parse_signal("15"), 15);
  EXPECT_EQ(parse_signal("SIGRTMIN+3"), SIGRTMIN + 3);
  EXPECT_EQ(parse_signal("SIGRTMAX-1"), SIGRTMAX - 1);
  for (const char* bad : {"", "0", "SIG", "NOPE", "SIGRTMIN+99", "-1", "15x"}) {
    EXPECT_FALSE(parse_signal(bad)) << bad;
  }
}

TEST(Hostname, FollowsTheSpec) {
  auto name = [](const std::string& spec) {
    auto pod = pod_from("  containers: [{name: app, image: x}]\n" + spec);
    auto made = pod_hostname(pod, "box", "cluster.local");
    return made ? *made : made.error().message;
  };
  EXPECT_EQ(name(""), "web-0");
  EXPECT_EQ(name("  hostname: db\n"), "db");
  EXPECT_EQ(name("  hostNetwork: true\n"), "box");
  EXPECT_EQ(name("  subdomain: set\n  setHostnameAsFQDN: true\n"),
            "web-0.set.shop.svc.cluster.local");
  EXPECT_EQ(name("  setHostnameAsFQDN: true\n"), "web-0");
  EXPECT_NE(
      name("  hostname: a-name-that-is-quite-long\n  subdomain: and-a-subdomain-as-well-here\n"
           "  setHostnameAsFQDN: true\n")
          .find("64 characters is the max"),
      std::string::npos);
}

TEST(Downward, AllLabelsAreQuotedLines) {
  auto pod =
      pod_from("  containers: [{name: app, image: x}]\n", "  labels: {b: \"2\", a: \"x\\ny\"}\n");
  EXPECT_EQ(*field_value(pod, "metadata.labels"), "a=\"x\\ny\"\nb=\"2\"");
}

}  // namespace
}  // namespace moth::agent
