// The factory over a real image service, and its containers started with the OCI runtime.
#include <algorithm>
#include <csignal>
#include <sstream>

#include "runtime/agent/node_container_factory.h"
#include "runtime/oci/driver.h"
#include "runtime/os/kernel_features.h"
#include "runtime/os/subprocess.h"
#include "tests/unit/runtime/agent/node/node_lab.h"

namespace moth::agent {
namespace {

using images::testing::TarEntry;

constexpr const char* kImage = "local/box:1";

class FactoryTest : public NodeLab {
 protected:
  void SetUp() override {
    NodeLab::SetUp();
    if (IsSkipped()) return;
    if (!os::exists("/bin/busybox")) GTEST_SKIP() << "needs a static busybox";
    open();
    load();
  }
  void TearDown() override {
    if (images_) {
      loop_.run([&]() -> Task<void> {
        if (driver_) {
          co_await driver_->removed();
          co_await driver_->stop();
        }
        co_await images_->stop();
        driver_.reset();
        images_.reset();
      });
    }
    NodeLab::TearDown();
  }
  void open() {
    images::ImageServiceOptions options;
    options.data_dir = paths_->data_dir();
    auto service = images::ImageService::open(options, loop_.executors(), clock_ptr_);
    ASSERT_TRUE(service) << service.error().message;
    images_ = std::move(*service);
    NodeFactoryOptions factory;
    factory.node_name = factory.node_hostname = "box";
    factory_ = std::make_unique<NodeContainerFactory>(loop_.executors(), *paths_, *images_, reader_,
                                                      events_, factory);
  }
  void load() {
    const std::string layer = images::testing::make_tar({
        {"bin/", 'd', "", 0755},
        {"bin/busybox", 'f', images::testing::read_all("/bin/busybox"), 0755},
        {"bin/sh", 'l', "busybox"},
        {"etc/", 'd', "", 0755},
        {"etc/passwd", 'f', "root:x:0:0::/:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n"},
        {"etc/group", 'f', "root:x:0:\nada:x:1000:\nstaff:x:50:ada\n"},
    });
    auto archive = images::testing::make_docker_archive({layer}, {kImage});
    auto loaded = run<Result<std::vector<images::Loaded>>>(
        [&] { return images_->load(images::memory_source(archive.archive), {}); });
    ASSERT_TRUE(loaded) << loaded.error().message;
  }
  void start_driver() {
    auto layout = cgroups_->layout();
    oci::DriverOptions options;
    options.programs.shim = MOTH_SHIM;
    options.programs.runtime_root = paths_->runtime_root();
    options.host = oci::host_facts(os::detect_kernel_features(), layout);
    auto driver = oci::Driver::create(loop_.executors(), *cgroups_, options);
    if (!driver) GTEST_SKIP() << driver.error().message;
    driver_ = std::move(*driver);
  }
  tl::expected<PulledImage, FactoryError> pull(const PodContext& context) {
    return run<tl::expected<PulledImage, FactoryError>>(
        [&] { return factory_->pull(context, container(context)); });
  }
  tl::expected<oci::CreateRequest, FactoryError> create(const PodContext& context) {
    auto image = pull(context);
    if (!image) return tl::unexpected(image.error());
    return run<tl::expected<oci::CreateRequest, FactoryError>>(
        [&] { return factory_->create(context, container(context), *image, 0); });
  }
  std::string why_not(const std::string& members, const std::string& spec = "") {
    PodContext context = app(members, spec);
    auto made = create(context);
    if (made) {
      EXPECT_TRUE(remove(context));
      return "made";
    }
    return made.error().waiting_reason + ": " + made.error().message;
  }
  Result<> remove(const PodContext& context) {
    return run<Result<>>([&] { return factory_->remove(context, "app", 0); });
  }
  PodContext app(const std::string& members, const std::string& spec = "") {
    return pod("  containers:\n  - {name: app, image: " + std::string(kImage) +
               ", imagePullPolicy: Never" + members + "}\n" + spec);
  }
  static const resources::Container& container(const PodContext& context) {
    return context.view().spec().containers.front();
  }
  // Runs the pod's container to its end; its log without the prefixes.
  std::string run_container(PodContext& context, int* code = nullptr) {
    auto request = create(context);
    if (!request) return request.error().message;
    const std::string log = request->log_path, id = request->config.id, bundle = request->bundle,
                      group = request->config.cgroups_path;
    auto exit = run<Result<shim::Exit>>([&]() -> Task<Result<shim::Exit>> {
      auto started = co_await driver_->start(std::move(*request));
      if (!started) co_return fail(started.error());
      auto ended = co_await (*started)->wait();
      driver_->remove(id, bundle, group);
      co_await driver_->removed();
      co_return ended;
    });
    if (!exit) return exit.error().message;
    if (code) *code = exit->exit_code;
    std::istringstream lines(text(log));
    std::string out;
    for (std::string line; std::getline(lines, line);) {
      for (int field = 0; field < 3; ++field) line.erase(0, line.find(' ') + 1);
      out += line + "\n";
    }
    EXPECT_TRUE(remove(context));
    return out;
  }

  std::shared_ptr<Clock> clock_ptr_ = std::make_shared<RealClock>();
  std::unique_ptr<images::ImageService> images_;
  std::unique_ptr<NodeContainerFactory> factory_;
  std::unique_ptr<oci::Driver> driver_;
};

TEST_F(FactoryTest, PullReportsWhatItFinds) {
  auto image = pull(app(""));
  ASSERT_TRUE(image);
  EXPECT_EQ(image->image_name, "docker.io/local/box:1");
  EXPECT_FALSE(image->pulled);
  EXPECT_EQ(events_.all, std::vector<std::string>{
                             "Pulled: Container image \"local/box:1\" already present on machine "
                             "and can be accessed by the pod"});
  auto missing = pull(pod("  containers: [{name: app, image: none:1, imagePullPolicy: Never}]\n"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().waiting_reason, "ErrImageNeverPull");
  EXPECT_EQ(missing.error().message,
            "Container image \"none:1\" is not present with pull policy of Never");
  auto invalid = pull(pod("  containers: [{name: app, image: \"Bad Name\"}]\n"));
  ASSERT_FALSE(invalid);
  EXPECT_EQ(invalid.error().waiting_reason, "InvalidImageName");
}

TEST_F(FactoryTest, MissingPullSecretsAreReported) {
  ASSERT_TRUE(pull(app("", "  imagePullSecrets: [{name: gone}, {name: lost}]\n")));
  EXPECT_EQ(events_.all.front(),
            "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (gone, "
            "lost); attempting to pull the image may not succeed.");
}

TEST_F(FactoryTest, FailuresHaveTheirWaitingReasons) {
  EXPECT_EQ(why_not(", command: [sh], envFrom: [{configMapRef: {name: gone}}]"),
            "CreateContainerConfigError: configmap \"gone\" not found");
  EXPECT_TRUE(why_not(", command: [sh], securityContext: {runAsNonRoot: true, runAsUser: 0}")
                  .starts_with("CreateContainerConfigError: container's runAsUser breaks non-root "
                               "policy"));
  const std::string volumes = "  volumes: [{name: v, emptyDir: {}}]\n";
  EXPECT_EQ(
      why_not(", command: [sh], volumeMounts: [{name: v, mountPath: /v, subPath: ../x}]", volumes),
      "CreateContainerConfigError: unable to provision SubPath `../x`: must not contain '..'");
  EXPECT_EQ(why_not(", command: [sh], volumeMounts: [{name: v, mountPath: /v, subPathExpr: "
                    "$(NOPE)}]",
                    volumes),
            "CreateContainerConfigError: missing value for \"NOPE\"");
  EXPECT_EQ(why_not(", command: [sh], volumeMounts: [{name: w, mountPath: /v}]", volumes),
            "CreateContainerConfigError: cannot find volume \"w\" to mount into container \"app\"");
  EXPECT_EQ(mounts(), 0u) << "what a failed creation made is undone";
}

TEST_F(FactoryTest, StopSignals) {
  EXPECT_EQ(factory_->stop_signal(container(app("")), "none"), SIGTERM);
  EXPECT_EQ(factory_->stop_signal(container(app(", lifecycle: {stopSignal: SIGINT}")), "none"),
            SIGINT);
}

TEST_F(FactoryTest, AContainerSeesWhatItsPodSays) {
  start_driver();
  if (IsSkipped()) return;
  reader_.put(client::gvr::kConfigMaps,
              "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg, namespace: shop}\n"
              "data: {LEVEL: debug}\n");
  reader_.put(client::gvr::kServices,
              "apiVersion: v1\nkind: Service\nmetadata: {name: db, namespace: shop}\n"
              "spec: {clusterIP: 10.214.0.20, ports: [{port: 5432}]}\n");
  PodContext context = app(
      ", workingDir: /work/here, envFrom: [{configMapRef: {name: cfg}}], env: [{name: IP, "
      "valueFrom: "
      "{fieldRef: {fieldPath: status.podIP}}}], command: [sh, -c, \""
      "busybox id -u; busybox id -G; busybox pwd; busybox hostname; echo $LEVEL $IP "
      "$DB_SERVICE_HOST; busybox grep web-0 /etc/hosts | busybox cut -f1; busybox cat /sub/file; "
      "busybox touch /ro/x 2>/dev/null || echo read-only; busybox ls /sys/class/net | busybox tr "
      "'\\\\n' ' '; echo; echo last words > /dev/termination-log; exit 3\"], "
      "securityContext: {runAsUser: 1000}, resources: {limits: {memory: 32Mi}}, "
      "volumeMounts: [{name: v, mountPath: /sub, subPathExpr: data/$(LEVEL)}, "
      "{name: v, mountPath: /ro, readOnly: true}]",
      "  hostname: web-0\n  securityContext: {fsGroup: 2000, supplementalGroups: [7]}\n"
      "  volumes: [{name: v, emptyDir: {}}]\n");
  auto resources = make_pod_resources(services(*driver_));
  ASSERT_EQ(prepare(resources, context), "");
  const std::string data = paths_->volume(kUid, "v") + "/data/debug";
  ASSERT_TRUE(os::make_dirs(data));
  ASSERT_TRUE(os::write_file(data + "/file", "in the volume\n"));
  int code = 0;
  EXPECT_EQ(run_container(context, &code), "1000\n1000 7 50 2000\n/work/here\nweb-0\ndebug " +
                                               context.pod_ip + " 10.214.0.20\n" + context.pod_ip +
                                               "\nin the volume\nread-only\neth0 lo \n");
  EXPECT_EQ(code, 3);
  EXPECT_EQ(text(paths_->termination_log(kUid, "app", 0)), "last words\n");
  EXPECT_EQ(cleanup(resources, context), "");
  EXPECT_EQ(mounts(), 0u);
}

TEST_F(FactoryTest, SharedProcessNamespaceHasPauseAsInit) {
  start_driver();
  if (IsSkipped()) return;
  PodContext context =
      app(", command: [sh, -c, \"test $$$$ -ne 1 && echo not init; busybox df -m /dev/shm | "
          "busybox tail "
          "-1 | busybox awk '{print $2}'\"]",
          "  shareProcessNamespace: true\n");
  auto resources = make_pod_resources(services(*driver_));
  ASSERT_EQ(prepare(resources, context), "");
  ASSERT_FALSE(context.pid_namespace.empty());
  PodContext again = context;
  ASSERT_EQ(prepare(resources, again), "");
  EXPECT_EQ(again.pid_namespace, context.pid_namespace) << "the same pause process is adopted";
  EXPECT_EQ(run_container(context), "not init\n64\n");
  EXPECT_EQ(cleanup(resources, context), "");
  EXPECT_FALSE(cgroups_->exists(context.cgroup_path));
}

}  // namespace
}  // namespace moth::agent
