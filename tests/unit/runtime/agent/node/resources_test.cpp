#include <sys/stat.h>

#include "runtime/agent/references.h"
#include "runtime/agent/resources/cgroup.h"
#include "runtime/agent/resources/networking.h"
#include "runtime/os/namespaces.h"
#include "tests/unit/runtime/agent/node/node_lab.h"

namespace moth::agent {
namespace {

using client::gvr::kConfigMaps;
using client::gvr::kSecrets;

constexpr const char* kPod =
    "  containers:\n"
    "  - {name: app, image: x, resources: {requests: {cpu: 100m}, limits: {memory: 64Mi}}}\n"
    "  - {name: side, image: x}\n"
    "  hostAliases: [{ip: 10.1.2.3, hostnames: [db]}]\n"
    "  volumes:\n"
    "  - {name: config, configMap: {name: cfg, items: [{key: a, path: conf/a, mode: 256}]}}\n"
    "  - {name: key, secret: {secretName: key, defaultMode: 256}}\n"
    "  - {name: maybe, configMap: {name: later, optional: true}}\n"
    "  - {name: scratch, emptyDir: {}}\n"
    "  - {name: fast, emptyDir: {medium: Memory, sizeLimit: 1Mi}}\n"
    "  - {name: host, hostPath: {path: /dev, type: Directory}}\n"
    "  - name: all\n"
    "    projected:\n"
    "      sources:\n"
    "      - {secret: {name: key, items: [{key: k, path: secret}]}}\n"
    "      - {downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}\n";

class PodResourcesTest : public NodeLab {
 protected:
  void SetUp() override {
    NodeLab::SetUp();
    reader_.put(kConfigMaps,
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg, namespace: shop, uid: c}\n"
                "data: {a: one, b: two}\n");
    reader_.put(kSecrets,
                "apiVersion: v1\nkind: Secret\nmetadata: {name: key, namespace: shop, uid: s}\n"
                "data: {k: aGlkZGVu}\n");
  }
  std::string volume(const std::string& path) { return paths_->volumes(kUid) + "/" + path; }
  std::string fs_type(const std::string& path) {
    auto mounts = os::mounts_below(path);
    return mounts && !mounts->empty() ? mounts->front().fs_type : "";
  }
  NoRuntime runtime_;
};

TEST_F(PodResourcesTest, PrepareRestartUpdateCleanup) {
  PodContext context = pod(kPod);
  auto first = make_pod_resources(services(runtime_));
  ASSERT_EQ(prepare(first, context), "");

  EXPECT_EQ(text(volume("config/conf/a")), "one");
  EXPECT_FALSE(os::exists(volume("config/b")));
  EXPECT_EQ(text(volume("key/k")), "hidden");
  EXPECT_EQ(fs_type(volume("key")), "tmpfs");
  EXPECT_EQ(text(volume("all/secret")), "hidden");
  EXPECT_EQ(text(volume("all/labels")), "app=\"web\"");
  EXPECT_EQ(fs_type(volume("fast")), "tmpfs");
  EXPECT_TRUE(os::is_directory(volume("scratch")));
  EXPECT_TRUE(os::is_directory(volume("maybe")));

  EXPECT_EQ(context.pod_ip, "10.213.7.1");
  EXPECT_TRUE(network_->complete(kUid, *network::Ipv4::parse(context.pod_ip)));
  EXPECT_TRUE(os::is_pinned_namespace(context.netns_path));
  EXPECT_TRUE(os::is_pinned_namespace(context.ipc_namespace));
  EXPECT_TRUE(cgroups_->exists(context.cgroup_path));
  const std::string etc = paths_->etc(kUid);
  EXPECT_EQ(text(etc + "/hostname"), "web-0\n");
  EXPECT_NE(text(etc + "/hosts").find("10.213.7.1\tweb-0\n"), std::string::npos);
  EXPECT_NE(text(etc + "/hosts").find("10.1.2.3\tdb"), std::string::npos);
  EXPECT_NE(text(etc + "/resolv.conf").find("nameserver 10.214.0.10\n"), std::string::npos);

  // Another daemon finds everything and disturbs nothing.
  ASSERT_TRUE(os::write_file(volume("fast/mine"), "kept"));
  const std::size_t mounted = mounts();
  PodContext again = pod(kPod);
  again.pod_ip = context.pod_ip;
  ipam_ = std::make_unique<network::Ipam>(*network::Cidr::parse("10.213.7.0/24"));
  auto second = make_pod_resources(services(runtime_));
  second.networking->reserve(kUid, context.pod_ip);
  EXPECT_TRUE(ipam_->taken(*network::Ipv4::parse(context.pod_ip)));
  ASSERT_EQ(prepare(second, again), "");
  EXPECT_EQ(again.pod_ip, context.pod_ip);
  EXPECT_EQ(mounts(), mounted);
  EXPECT_EQ(text(volume("fast/mine")), "kept");

  // Sources change, appear and vanish.
  reader_.put(kConfigMaps,
              "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg, namespace: shop, uid: c}\n"
              "data: {a: ONE}\n");
  reader_.put(kConfigMaps,
              "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: later, namespace: shop, uid: l}\n"
              "data: {x: here}\n");
  ASSERT_EQ(update(second, again), "");
  EXPECT_EQ(text(volume("config/conf/a")), "ONE");
  EXPECT_EQ(text(volume("maybe/x")), "here");
  reader_.remove(kConfigMaps, "shop", "later");
  reader_.remove(kSecrets, "shop", "key");
  EXPECT_EQ(update(second, again),
            "MountVolume.SetUp failed for volume \"key\" : secret \"key\" not found");
  EXPECT_FALSE(os::exists(volume("maybe/x")));
  EXPECT_EQ(text(volume("key/k")), "hidden");
  EXPECT_EQ(update(second, again), "");  // said once

  ASSERT_EQ(cleanup(second, again), "");
  EXPECT_EQ(mounts(), 0u);
  EXPECT_FALSE(os::exists(paths_->volumes(kUid)));
  EXPECT_FALSE(os::exists(paths_->namespaces(kUid)));
  EXPECT_FALSE(cgroups_->exists(again.cgroup_path));
  EXPECT_EQ(ipam_->used(), 0u);
  EXPECT_EQ(cleanup(second, again), "");
}

TEST_F(PodResourcesTest, FailuresNameTheVolume) {
  auto failure = [&](const std::string& volume) {
    PodContext context =
        pod("  containers: [{name: app, image: x}]\n  volumes:\n  - {name: v, " + volume + "}\n");
    auto all = make_pod_resources(services(runtime_));
    std::string message = prepare(all, context);
    EXPECT_EQ(cleanup(all, context), "");
    const std::string prefix = "MountVolume.SetUp failed for volume \"v\" : ";
    EXPECT_TRUE(message.starts_with(prefix)) << message;
    return message.substr(std::min(prefix.size(), message.size()));
  };
  EXPECT_EQ(failure("configMap: {name: gone}"), "configmap \"gone\" not found");
  EXPECT_EQ(failure("secret: {secretName: gone}"), "secret \"gone\" not found");
  EXPECT_EQ(failure("configMap: {name: cfg, items: [{key: z, path: z}]}"),
            "configmap references non-existent config key: z");
  EXPECT_EQ(failure("secret: {secretName: key, items: [{key: z, path: z}]}"),
            "references non-existent secret key: z");
  EXPECT_EQ(failure("hostPath: {path: /dev/null, type: Directory}"),
            "hostPath type check failed: /dev/null is not a directory");
  EXPECT_EQ(failure("nfs: {server: a, path: /b}"),
            "volumes of type nfs are not supported by this node");
  EXPECT_EQ(failure("csi: {driver: d}"), "volumes of type csi are not supported by this node");
  EXPECT_EQ(failure("persistentVolumeClaim: {claimName: c}"),
            "volumes of type persistentVolumeClaim are not supported by this node");
  EXPECT_EQ(failure("projected: {sources: [{serviceAccountToken: {path: token}}]}"),
            "serviceAccountToken projections (path token) are not supported by this node");
}

TEST_F(PodResourcesTest, HostNetworkHasTheHostsAddress) {
  PodContext context = pod("  hostNetwork: true\n  containers: [{name: app, image: x}]\n");
  auto all = make_pod_resources(services(runtime_));
  ASSERT_EQ(prepare(all, context), "");
  EXPECT_EQ(context.pod_ip, "192.168.1.5");
  EXPECT_TRUE(context.netns_path.empty());
  EXPECT_EQ(ipam_->used(), 0u);
  EXPECT_TRUE(text(paths_->etc(kUid) + "/hosts")
                  .starts_with("# Kubernetes-managed hosts file (host network)."));
  EXPECT_EQ(cleanup(all, context), "");
}

TEST_F(PodResourcesTest, CleanupOfAPodThatWasNeverPrepared) {
  PodContext context = pod(kPod);
  auto all = make_pod_resources(services(runtime_));
  EXPECT_EQ(cleanup(all, context), "");
  EXPECT_EQ(mounts(), 0u);
}

TEST_F(PodResourcesTest, AnAddressThatIsTakenIsReplaced) {
  PodContext context = pod("  containers: [{name: app, image: x}]\n");
  context.pod_ip = "10.213.7.1";
  ASSERT_TRUE(ipam_->reserve(*network::Ipv4::parse("10.213.7.1")));
  auto all = make_pod_resources(services(runtime_));
  ASSERT_EQ(prepare(all, context), "");
  EXPECT_EQ(context.pod_ip, "10.213.7.2");
  EXPECT_EQ(cleanup(all, context), "");
  EXPECT_TRUE(ipam_->taken(*network::Ipv4::parse("10.213.7.1")));
}

TEST_F(PodResourcesTest, PodSumsNeedALimitOfEveryContainer) {
  auto sums = pod_sums(*pod(kPod).object);
  EXPECT_EQ(sums.cpu_request, 100);
  EXPECT_FALSE(sums.memory_limit);
  sums =
      pod_sums(*pod("  containers:\n  - {name: a, image: x, resources: {limits: {cpu: 1, memory: "
                    "64Mi}}}\n  - {name: b, image: x, resources: {limits: {cpu: 500m, memory: "
                    "1Mi}}}\n")
                    .object);
  EXPECT_EQ(sums.cpu_limit, 1500);
  EXPECT_EQ(sums.memory_limit, 65 << 20);
}

TEST(References, AreFoundAndKept) {
  ReferenceIndex index;
  auto spec = [](const std::string& yaml) {
    return resources::parse_pod_spec(*parse_yaml(yaml), "p");
  };
  auto both = spec(
      "containers: [{name: a, env: [{name: X, valueFrom: {secretKeyRef: {name: s1, key: k}}}], "
      "envFrom: [{configMapRef: {name: c1}}]}]\nimagePullSecrets: [{name: s2}]\n"
      "volumes: [{name: v, projected: {sources: [{configMap: {name: c2}}]}}]");
  EXPECT_EQ(references_of(both), (References{{"c1", "c2"}, {"s1", "s2"}}));
  index.set("u1", "ns", both);
  index.set("u2", "ns", spec("containers: [{name: a, envFrom: [{configMapRef: {name: c1}}]}]"));
  EXPECT_EQ(index.users_of_config_map("ns", "c1"), (std::set<std::string>{"u1", "u2"}));
  EXPECT_EQ(index.users_of_secret("ns", "s2"), (std::set<std::string>{"u1"}));
  EXPECT_TRUE(index.users_of_secret("else", "s2").empty());
  EXPECT_TRUE(index.users_of_config_map("ns", "s2").empty());
  index.set("u1", "ns", spec("containers: [{name: a}]"));
  EXPECT_TRUE(index.users_of_secret("ns", "s2").empty());
  index.erase("u2");
  EXPECT_TRUE(index.users_of_config_map("ns", "c1").empty());
}

}  // namespace
}  // namespace moth::agent
