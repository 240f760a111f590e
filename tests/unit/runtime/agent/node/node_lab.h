#pragma once
// A node for tests: real mounts, groups, networks and containers, in a mount and a network
// namespace of the test process, with a control thread, and objects from YAML in place of an API.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "api/base/json.h"
#include "api/client/event_recorder.h"
#include "api/client/object_client.h"
#include "api/machinery/yaml.h"
#include "runtime/agent/config/assembly.h"
#include "runtime/agent/resources/pod_resources.h"
#include "runtime/cgroups/manager.h"
#include "runtime/network/pod_network.h"
#include "runtime/oci/runtime.h"
#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"
#include "tests/unit/runtime/images/support.h"

namespace moth::agent {

class FakeReader final : public client::ObjectReader {
 public:
  void put(const Gvr& gvr, const std::string& yaml) {
    Json dom = *parse_yaml(yaml);
    dom["metadata"]["resourceVersion"] = std::to_string(++version_);
    ObjectPtr object = Object::from_json(dom);
    objects_[{gvr.resource, object->ns(), object->name()}] = object;
  }
  void remove(const Gvr& gvr, const std::string& ns, const std::string& name) {
    objects_.erase({gvr.resource, ns, name});
  }
  ObjectPtr get(const Gvr& gvr, std::string_view ns, std::string_view name) const override {
    auto at = objects_.find({gvr.resource, std::string(ns), std::string(name)});
    return at == objects_.end() ? nullptr : at->second;
  }
  std::vector<ObjectPtr> list(const Gvr& gvr, std::string_view ns) const override {
    std::vector<ObjectPtr> out;
    for (const auto& [key, object] : objects_) {
      if (std::get<0>(key) == gvr.resource && (ns.empty() || std::get<1>(key) == ns)) {
        out.push_back(object);
      }
    }
    return out;
  }
  void subscribe(const Gvr&, Listener) override {}

 private:
  std::map<std::tuple<std::string, std::string, std::string>, ObjectPtr> objects_;
  int version_ = 0;
};

class FakeEvents final : public client::EventRecorder {
 public:
  void record(const Object&, client::EventType, std::string_view reason, std::string message,
              std::string_view) override {
    all.push_back(std::string(reason) + ": " + message);
  }
  std::vector<std::string> all;
};

// No containers; for tests of what comes before them.
class NoRuntime final : public oci::Runtime {
 public:
  Task<Result<std::unique_ptr<shim::Container>>> start(oci::CreateRequest) override {
    co_return fail(Error::internal("no runtime"));
  }
  Task<Result<std::unique_ptr<shim::Container>>> adopt(std::string, std::string) override {
    co_return fail(Error::internal("no runtime"));
  }
  void remove(std::string, std::string, std::string) override {}
  Task<void> removed() override { co_return; }
  Task<Result<shim::Started>> start_pause(std::string, std::string, std::string, std::string,
                                          std::string) override {
    co_return fail(Error::internal("no runtime"));
  }
  Result<shim::Started> adopt_pause(const std::string& path) override {
    return fail(Error::not_found("pauses", path));
  }
  std::string version() const override { return "none"; }
};

class NodeLab : public ::testing::Test {
 protected:
  static constexpr const char* kUid = "11111111-2222-3333-4444-555555555555";

  void SetUp() override {
    if (!images::testing::is_root()) GTEST_SKIP() << "needs root for mounts and namespaces";
    auto manager = cgroups::make_manager();
    if (!manager) GTEST_SKIP() << manager.error().message;
    cgroups_ = std::move(*manager);
    instance_ = "test-" + std::to_string(::getpid());
    paths_ = std::make_unique<Paths>(dir_ / "data", dir_ / "run");
    ASSERT_TRUE(os::make_dirs(paths_->run_dir()));
    network::NetworkConfig config;
    config.instance = instance_;
    config.run_dir = paths_->run_dir();
    config.pod_cidr = *network::Cidr::parse("10.213.7.0/24");
    config.service_cidr = *network::Cidr::parse("10.214.0.0/16");
    config.dns_address = *network::Ipv4::parse("10.214.0.10");
    config.mtu = 1500;
    network_ = std::make_unique<network::PodNetwork>(config);
    ipam_ = std::make_unique<network::Ipam>(config.pod_cidr);
    reader_.put(client::gvr::kNodes,
                "apiVersion: v1\nkind: Node\nmetadata: {name: box}\n"
                "status: {allocatable: {cpu: 2, memory: 1Gi}}\n");
  }
  void TearDown() override {
    if (cgroups_) {
      EXPECT_TRUE(cgroups_->remove(cgroups::root_path(instance_)));
    }
    EXPECT_TRUE(os::unmount_below(dir_.path()));
  }
  ResourceServices& services(oci::Runtime& runtime) {
    services_ = std::unique_ptr<ResourceServices>(new ResourceServices{loop_.executors(),
                                                                       clock_,
                                                                       *paths_,
                                                                       reader_,
                                                                       events_,
                                                                       *cgroups_,
                                                                       *network_,
                                                                       *ipam_,
                                                                       runtime,
                                                                       instance_,
                                                                       "box",
                                                                       "box",
                                                                       "cluster.local",
                                                                       "10.214.0.10",
                                                                       {}});
    return *services_;
  }
  PodContext pod(const std::string& spec) {
    PodContext out;
    out.ns = "shop";
    out.name = "web-0";
    out.uid = kUid;
    out.node_name = "box";
    out.host_ip = "192.168.1.5";
    out.object = object(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web-0\n  namespace: shop\n"
        "  labels: {app: web}\n  uid: " +
        std::string(kUid) + "\nspec:\n" + spec);
    out.cgroup_path =
        cgroups::pod_path(instance_, cgroup_qos(resources::PodView(*out.object).qos()), kUid);
    return out;
  }
  static ObjectPtr object(const std::string& yaml) {
    auto parsed = parse_yaml(yaml);
    EXPECT_TRUE(parsed) << yaml;
    return Object::from_json(*parsed);
  }
  template <class T>
  T run(std::function<Task<T>()> body) {
    return images::testing::await_on_loop<T>(loop_, std::move(body));
  }
  // Each resource in order; the first error's text, or "".
  std::string prepare(PodResources& all, PodContext& context) {
    return run<std::string>([&]() -> Task<std::string> {
      for (const auto& resource : all.list) {
        auto done = co_await resource->prepare(context);
        if (!done) co_return done.error().message;
      }
      co_return "";
    });
  }
  std::string update(PodResources& all, PodContext& context) {
    return run<std::string>([&]() -> Task<std::string> {
      for (const auto& resource : all.list) {
        auto done = co_await resource->update(context);
        if (!done) co_return done.error().message;
      }
      co_return "";
    });
  }
  std::string cleanup(PodResources& all, PodContext& context) {
    return run<std::string>([&]() -> Task<std::string> {
      for (auto it = all.list.rbegin(); it != all.list.rend(); ++it) {
        auto done = co_await (*it)->cleanup(context);
        if (!done) co_return done.error().message;
      }
      co_return "";
    });
  }
  std::string text(const std::string& path) {
    auto read = os::read_file(path);
    return read ? *read : "<" + read.error().message + ">";
  }
  std::size_t mounts() {
    auto all = os::mounts_below(dir_.path());
    if (!all) return 0;
    // The folder of network namespaces is a mount of the instance, not of a pod.
    const std::string shared = network_->directory().path("");
    return static_cast<std::size_t>(
        std::count_if(all->begin(), all->end(), [&](const os::MountEntry& entry) {
          return entry.target + "/" != shared && entry.target != shared;
        }));
  }

  images::testing::TempDir dir_;
  images::testing::Loop loop_;
  RealClock clock_;
  FakeReader reader_;
  FakeEvents events_;
  std::unique_ptr<Paths> paths_;
  std::unique_ptr<cgroups::Manager> cgroups_;
  std::unique_ptr<network::PodNetwork> network_;
  std::unique_ptr<network::Ipam> ipam_;
  std::unique_ptr<ResourceServices> services_;
  std::string instance_;
};

}  // namespace moth::agent
