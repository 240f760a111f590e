// Which pods the node takes, keeps over a restart, and ends.
#include "runtime/agent/pod_manager.h"

#include "tests/unit/runtime/agent/pod_lab.h"

namespace moth::agent {
namespace {

ObjectPtr pod(const std::string& name, const std::string& uid, const std::string& node = "box") {
  return object_from("apiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
                     ", namespace: shop, uid: " + uid + "}\nspec:\n  nodeName: " + node +
                     "\n  containers:\n  - {name: web, image: nginx}\n");
}

class PodManagerTest : public ::testing::Test {
 protected:
  void begin() { manager_ = std::make_unique<PodManager>(lab_.services(), lab_.api); }
  Task<void> end() {
    lab_.api.listener = nullptr;
    co_await manager_->detach();
    manager_.reset();
  }
  Task<bool> runs(std::string uid, int attempt = 0) {
    co_return co_await lab_.until_running(uid, "web", attempt, [&] { return manager_->find(uid); });
  }
  PodLab lab_;
  std::unique_ptr<PodManager> manager_;
};

TEST_F(PodManagerTest, TakesItsOwnPodsOnly) {
  lab_.run([this]() -> Task<void> {
    lab_.api.put(pod("here", "u1"));
    lab_.api.put(pod("there", "u2", "other"));
    begin();
    EXPECT_TRUE(co_await manager_->start(false));
    EXPECT_TRUE(co_await runs("u1"));
    lab_.api.put(pod("later", "u3"));
    EXPECT_TRUE(co_await runs("u3"));
    EXPECT_FALSE(manager_->find("u2"));
    EXPECT_EQ(manager_->workers().size(), 2u);
    co_await end();
  });
}

TEST_F(PodManagerTest, ForcedDeletionEndsTheWorker) {
  lab_.run([this]() -> Task<void> {
    begin();
    EXPECT_TRUE(co_await manager_->start(false));
    lab_.api.put(pod("p", "u1"));
    EXPECT_TRUE(co_await runs("u1"));
    lab_.api.erase("p");
    EXPECT_TRUE(co_await lab_.until([&] { return manager_->workers().empty(); }));
    EXPECT_FALSE(os::exists(lab_.paths().pod("u1")));
    EXPECT_TRUE(lab_.runtime.processes.empty());
    co_await end();
  });
}

TEST_F(PodManagerTest, ANewPodOfTheSameNameIsAnother) {
  lab_.run([this]() -> Task<void> {
    begin();
    EXPECT_TRUE(co_await manager_->start(false));
    lab_.api.put(pod("p", "u1"));
    EXPECT_TRUE(co_await runs("u1"));
    lab_.api.erase("p");
    lab_.api.put(pod("p", "u2"));
    EXPECT_TRUE(co_await runs("u2"));
    EXPECT_TRUE(co_await lab_.until([&] { return !manager_->find("u1"); }));
    EXPECT_TRUE(manager_->find("u2"));
    EXPECT_FALSE(lab_.process("u1_web_0"));
    co_await end();
  });
}

TEST_F(PodManagerTest, AdoptsAfterARestartAndEndsWhatHasNoObject) {
  lab_.run([this]() -> Task<void> {
    begin();
    EXPECT_TRUE(co_await manager_->start(false));
    lab_.api.put(pod("stays", "u1"));
    lab_.api.put(pod("goes", "u2"));
    EXPECT_TRUE(co_await runs("u1"));
    EXPECT_TRUE(co_await runs("u2"));
    co_await end();
    EXPECT_EQ(lab_.runtime.processes.size(), 2u) << "containers outlive the daemon";
    lab_.api.erase("goes");
    begin();
    EXPECT_TRUE(co_await manager_->start(false));
    EXPECT_TRUE(co_await runs("u1"));
    EXPECT_EQ(lab_.runtime.started.size(), 2u) << "nothing was started anew";
    EXPECT_TRUE(co_await lab_.until([&] { return !manager_->find("u2"); }));
    EXPECT_FALSE(lab_.process("u2_web_0"));
    EXPECT_FALSE(os::exists(lab_.paths().pod("u2")));
    EXPECT_NE(std::find(lab_.trace.begin(), lab_.trace.end(), "reserve u1 10.244.0.9"),
              lab_.trace.end());
    co_await end();
  });
}

TEST_F(PodManagerTest, ABrokenCheckpointIsAFreshStart) {
  lab_.run([this]() -> Task<void> {
    EXPECT_TRUE(os::make_dirs(lab_.paths().pod("u1"), 0755));
    EXPECT_TRUE(os::write_file_atomic(lab_.paths().checkpoint("u1"), "{\"version\":", 0600, false));
    EXPECT_TRUE(os::make_dirs(lab_.paths().pod("unknown"), 0755));
    lab_.api.put(pod("p", "u1"));
    begin();
    EXPECT_TRUE(co_await manager_->start(false));
    EXPECT_TRUE(co_await runs("u1"));
    EXPECT_TRUE(co_await lab_.until([&] { return !os::exists(lab_.paths().pod("unknown")); }));
    co_await end();
  });
}

TEST_F(PodManagerTest, StopAllLeavesNothing) {
  lab_.run([this]() -> Task<void> {
    begin();
    EXPECT_TRUE(co_await manager_->start(false));
    lab_.api.put(pod("a", "u1"));
    lab_.api.put(pod("b", "u2"));
    EXPECT_TRUE(co_await runs("u1"));
    EXPECT_TRUE(co_await runs("u2"));
    co_await manager_->stop_all();
    EXPECT_TRUE(lab_.runtime.processes.empty());
    EXPECT_TRUE(lab_.api.pods.contains("a")) << "the objects are not the node's to delete";
    co_await end();
  });
}

}  // namespace
}  // namespace moth::agent
