#pragma once
// A registry of three resources, a loop that stands for the control thread, and a store on either
// backend.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "api/base/clock.h"
#include "api/base/json.h"
#include "api/base/log.h"
#include "api/base/task.h"
#include "daemon/store/memory_backend.h"
#include "daemon/store/store.h"

namespace moth::store {

using resources::Durability;
using server::EventType;

inline std::unique_ptr<resources::Registry> make_test_registry() {
  auto registry = std::make_unique<resources::Registry>();
  auto add = [&](std::string group, std::string version, std::string resource, std::string kind) {
    resources::ResourceDef def;
    def.group = std::move(group);
    def.version = std::move(version);
    def.resource = std::move(resource);
    def.kind = std::move(kind);
    return def;
  };
  EXPECT_TRUE(registry->add(add("", "v1", "pods", "Pod")));
  EXPECT_TRUE(registry->add(add("apps", "v1", "deployments", "Deployment")));
  EXPECT_TRUE(registry->add(
      add("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")));
  auto old = add("autoscaling", "v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler");
  old.storage_version = "v2";
  EXPECT_TRUE(registry->add(std::move(old)));
  EXPECT_TRUE(registry->seal());
  return registry;
}

inline Json make_pod(const std::string& ns, const std::string& name, int value = 0) {
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", {{"namespace", ns}, {"name", name}, {"uid", "uid-" + name}}},
          {"spec", {{"value", value}}}};
}

class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "moth-store-XXXXXX").string();
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Runs coroutines on the calling thread, which thereby is the control thread.
class Loop {
 public:
  explicit Loop(std::shared_ptr<Clock> clock)
      : clock_(std::move(clock)), work_(context_.get_executor()) {}

  asio::any_io_executor executor() { return context_.get_executor(); }

  template <class T>
  T run(Task<T> task) {
    std::optional<T> result;
    asio::co_spawn(context_, std::move(task), [&](std::exception_ptr thrown, T value) {
      if (!thrown) result.emplace(std::move(value));
    });
    run_until([&] { return result.has_value(); });
    if (!result) {
      ADD_FAILURE() << "a task did not end within 10 s";
      std::abort();
    }
    return std::move(*result);
  }

  // Until the condition holds; false after 10 seconds.
  bool run_until(const std::function<bool()>& condition) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      context_.run_one_for(std::chrono::milliseconds(50));
    }
    return condition();
  }
  // Whatever is ready now.
  void poll() { context_.poll(); }

  template <class F>
  void spawn(Task<void> task, F done) {
    asio::co_spawn(context_, std::move(task), std::move(done));
  }

 private:
  std::shared_ptr<Clock> clock_;  // outlives the context's coroutines
  asio::io_context context_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
};

class StoreTest : public testing::Test {
 protected:
  StoreTest() { log::set_level(log::Level::kOff); }
  ~StoreTest() override { store.reset(); }

  StoreOptions options() {
    StoreOptions result;
    result.registry = registry.get();
    result.control = loop.executor();
    result.clock = clock.get();
    return result;
  }
  StoreOptions memory_options() {
    StoreOptions result = options();
    result.backend = std::make_unique<MemoryBackend>(disk);
    return result;
  }

  Result<> open(StoreOptions with) {
    store.reset();
    auto opened = loop.run(Store::open(std::move(with)));
    if (!opened) return fail(opened.error());
    store = std::move(*opened);
    return {};
  }

  const resources::ResourceDef& pods() { return *registry->find("", "v1", "pods"); }
  const resources::ResourceDef& deployments() {
    return *registry->find("apps", "v1", "deployments");
  }

  Result<ObjectPtr> finish(Result<server::StagedWritePtr> staged) {
    if (!staged) return fail(staged.error());
    MOTH_TRY(loop.run((*staged)->committed()));
    return (*staged)->object();
  }
  Result<ObjectPtr> create(const std::string& ns, const std::string& name, int value = 0,
                           Durability durability = Durability::kDurable) {
    return finish(store->stage_create(pods(), make_pod(ns, name, value), durability));
  }
  Result<ObjectPtr> update(const std::string& ns, const std::string& name, int value,
                           Durability durability = Durability::kDurable) {
    return finish(store->stage_update(pods(), make_pod(ns, name, value),
                                      store->latest(pods(), ns, name), durability));
  }
  Result<ObjectPtr> remove(const std::string& ns, const std::string& name,
                           Durability durability = Durability::kDurable) {
    return finish(store->stage_delete(pods(), store->latest(pods(), ns, name), durability));
  }
  int value_of(const std::string& ns, const std::string& name) {
    ObjectPtr object = store->get(pods(), ns, name);
    return object ? object->parse()["spec"]["value"].get<int>() : -1;
  }

  std::unique_ptr<resources::Registry> registry = make_test_registry();
  std::shared_ptr<FakeClock> clock = std::make_shared<FakeClock>();
  Loop loop{clock};
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk>();
  std::unique_ptr<Store> store;
};

}  // namespace moth::store
