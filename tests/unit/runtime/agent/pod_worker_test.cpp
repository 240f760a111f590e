// The life of a pod on the node, over a fake runtime and a clock that stands still.
#include "runtime/agent/pod_worker.h"

#include "tests/unit/runtime/agent/pod_lab.h"

namespace moth::agent {
namespace {

using namespace std::chrono_literals;

const std::string kOne = "  nodeName: box\n  containers:\n  - {name: web, image: nginx}\n";

class PodWorkerTest : public ::testing::Test {
 protected:
  // Puts the pod into the API and starts a worker for it, which hears of every change.
  void begin(const std::string& spec, const std::string& metadata = "") {
    PodContext pod = pod_from(spec, metadata);
    lab_.api.put(pod.object);
    start_worker({}, false);
  }
  void start_worker(PodRecord record, bool adopted, bool rebooted = false) {
    worker_ = std::make_unique<PodWorker>(lab_.services(), lab_.api.pods["web-0"],
                                          std::move(record), adopted, rebooted);
    lab_.api.listener = [this](const FakeApi::Change& change) { worker_->update(change.object); };
    worker_->start();
  }
  // What `kubectl delete` does: a time and a grace on the object.
  void ask_to_delete(int grace) {
    Json dom = lab_.pod();
    dom["metadata"]["deletionTimestamp"] = "2025-06-15T15:06:40Z";
    dom["metadata"]["deletionGracePeriodSeconds"] = grace;
    lab_.api.put(Object::from_json(dom));
  }
  Task<void> end() {
    lab_.api.listener = nullptr;
    co_await worker_->detach();
  }
  Task<void> until_running(std::string container = "web", int attempt = 0) {
    bool there =
        co_await lab_.until_running("uid-1", container, attempt, [this] { return worker_.get(); });
    EXPECT_TRUE(there) << container << " does not run";
    co_await lab_.settle();
  }
  std::shared_ptr<FakeProcess> process(int attempt = 0, const std::string& name = "web") {
    return lab_.process(container_id("uid-1", name, attempt));
  }

  PodLab lab_;
  std::unique_ptr<PodWorker> worker_;
};

TEST_F(PodWorkerTest, StartsToRunningAndReady) {
  lab_.run([this]() -> Task<void> {
    begin(kOne);
    co_await until_running();
    EXPECT_EQ(lab_.phase(), "Running");
    EXPECT_EQ(lab_.state("web"), "running");
    EXPECT_EQ(lab_.condition("Ready"), "True");
    EXPECT_EQ(lab_.condition("PodReadyToStartContainers"), "True");
    Json status = lab_.container_status("web");
    EXPECT_EQ(status["ready"], true);
    EXPECT_EQ(status["started"], true);
    EXPECT_EQ(status["restartCount"], 0);
    EXPECT_EQ(status["containerID"], "moth://uid-1_web_0");
    EXPECT_EQ(status["imageID"], "repo@sha256:1");
    EXPECT_EQ(lab_.pod()["status"]["podIP"], "10.244.0.9");
    EXPECT_EQ(lab_.pod()["status"]["hostIP"], "192.168.1.5");
    EXPECT_TRUE(lab_.events.has("Normal Created: Created container: web"));
    EXPECT_TRUE(lab_.events.has("Normal Started: Started container web"));
    int writes = lab_.api.status_writes;
    co_await lab_.settle();
    EXPECT_EQ(lab_.api.status_writes, writes) << "an idle pod writes nothing";
    co_await end();
  });
}

TEST_F(PodWorkerTest, CrashLoopWaitsLongerEachTime) {
  lab_.run([this]() -> Task<void> {
    begin(kOne);
    co_await until_running();
    process(0)->end(1);
    co_await until_running("web", 1);  // the first time at once
    EXPECT_EQ(lab_.container_status("web")["restartCount"], 1);
    EXPECT_EQ(lab_.state("web", "lastState"), "terminated Error 1");
    const std::pair<Duration, const char*> waits[] = {
        {10s, "10s"}, {20s, "20s"}, {40s, "40s"}, {80s, "1m20s"}, {160s, "2m40s"}, {300s, "5m0s"}};
    int attempt = 1;
    for (const auto& [wait, text] : waits) {
      process(attempt)->end(0);
      co_await lab_.settle();
      EXPECT_EQ(lab_.state("web"), "waiting CrashLoopBackOff");
      EXPECT_EQ(lab_.phase(), "Running");
      EXPECT_EQ(lab_.state("web", "lastState"), "terminated Completed 0");
      EXPECT_EQ(
          lab_.container_status("web")["state"]["waiting"]["message"],
          fmt::format("back-off {} restarting failed container=web pod=web-0_shop(uid-1)", text));
      co_await lab_.advance(wait - 1s);
      EXPECT_FALSE(process(attempt + 1));
      co_await lab_.advance(1s);
      ++attempt;
      co_await until_running("web", attempt);
    }
    EXPECT_TRUE(lab_.events.has(
        "Warning BackOff: Back-off restarting failed container web in pod web-0_shop(uid-1)"));
    co_await end();
  });
}

TEST_F(PodWorkerTest, FinishesUnderNever) {
  lab_.run([this]() -> Task<void> {
    begin(kOne + "  restartPolicy: Never\n");
    co_await until_running();
    process()->end(3);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_TRUE(co_await lab_.until(
        [&] { return lab_.condition("PodReadyToStartContainers") == "False"; }));
    EXPECT_EQ(lab_.state("web"), "terminated Error 3");
    EXPECT_TRUE(lab_.api.pods.contains("web-0")) << "a finished pod stays";
    EXPECT_EQ(lab_.resource.calls.back(), "cleanup");
    ask_to_delete(0);
    EXPECT_TRUE(co_await lab_.until([&] { return worker_->gone(); }));
    EXPECT_FALSE(lab_.api.pods.contains("web-0"));
    EXPECT_FALSE(os::exists(lab_.paths().pod("uid-1")));
    co_await end();
  });
}

TEST_F(PodWorkerTest, OomAndLostContainersAreTold) {
  lab_.run([this]() -> Task<void> {
    begin(kOne + "  restartPolicy: Never\n");
    co_await until_running();
    process()->end(137, SIGKILL, 1);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_EQ(lab_.state("web"), "terminated OOMKilled 137");
    EXPECT_EQ(lab_.container_status("web")["state"]["terminated"]["signal"], SIGKILL);
    co_await end();
  });
}

TEST_F(PodWorkerTest, PullFailureShowsErrThenBackOff) {
  lab_.run([this]() -> Task<void> {
    lab_.factory.pull_errors["web"] = {{"ErrImagePull", "no such image"},
                                       {"ErrImagePull", "no such image"}};
    begin(kOne);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.state("web") == "waiting ErrImagePull"; }));
    EXPECT_EQ(lab_.phase(), "Pending");
    EXPECT_EQ(lab_.container_status("web")["state"]["waiting"]["message"], "no such image");
    EXPECT_TRUE(lab_.events.has("Warning Failed: Failed to pull image \"nginx\": no such image"));
    EXPECT_TRUE(lab_.events.has("Warning Failed: Error: ErrImagePull"));
    co_await lab_.advance(2s);
    EXPECT_EQ(lab_.state("web"), "waiting ImagePullBackOff");
    EXPECT_EQ(lab_.container_status("web")["state"]["waiting"]["message"],
              "Back-off pulling image \"nginx\": ErrImagePull: no such image");
    EXPECT_TRUE(lab_.events.has("Normal BackOff: Back-off pulling image \"nginx\""));
    EXPECT_TRUE(lab_.events.has("Warning Failed: Error: ImagePullBackOff"));
    co_await lab_.advance(8s);
    EXPECT_EQ(lab_.factory.pulls.size(), 2u);
    co_await lab_.advance(19s);
    EXPECT_EQ(lab_.factory.pulls.size(), 2u);
    co_await lab_.advance(1s);
    co_await until_running();
    EXPECT_EQ(lab_.phase(), "Running");
    EXPECT_EQ(lab_.container_status("web")["restartCount"], 0);
    co_await end();
  });
}

TEST_F(PodWorkerTest, MissingConfigIsTriedAgainSoon) {
  lab_.run([this]() -> Task<void> {
    lab_.factory.create_errors["web"] = {
        {"CreateContainerConfigError", "configmap \"settings\" not found"}};
    begin(kOne);
    EXPECT_TRUE(co_await lab_.until(
        [&] { return lab_.state("web") == "waiting CreateContainerConfigError"; }));
    EXPECT_TRUE(lab_.events.has("Warning Failed: Error: configmap \"settings\" not found"));
    co_await lab_.advance(2s);
    co_await until_running();
    co_await end();
  });
}

TEST_F(PodWorkerTest, StartErrorCountsAsARun) {
  lab_.run([this]() -> Task<void> {
    lab_.runtime.start_errors = {"exec: \"nope\": executable file not found in $PATH"};
    begin(kOne + "  restartPolicy: Never\n");
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_EQ(lab_.state("web"), "terminated StartError 128");
    EXPECT_TRUE(lab_.events.has(
        "Warning Failed: Error: exec: \"nope\": executable file not found in $PATH"));
    co_await end();
  });
}

TEST_F(PodWorkerTest, FailingResourcesAreTriedAgainLater) {
  lab_.run([this]() -> Task<void> {
    lab_.resource.errors = {"no address left", "no address left"};
    begin(kOne);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.resource.calls.size() == 1; }));
    EXPECT_TRUE(lab_.events.has("Warning FailedCreatePodSandBox: no address left"));
    co_await lab_.advance(500ms);
    EXPECT_EQ(lab_.resource.calls.size(), 2u);
    co_await lab_.advance(999ms);
    EXPECT_EQ(lab_.resource.calls.size(), 2u);
    co_await lab_.advance(1ms);
    co_await until_running();
    co_await end();
  });
}

TEST_F(PodWorkerTest, ReadinessFollowsTheProbe) {
  lab_.run([this]() -> Task<void> {
    begin(
        "  nodeName: box\n  containers:\n  - name: web\n    image: nginx\n"
        "    readinessProbe: {tcpSocket: {port: 80}}\n");
    co_await until_running();
    EXPECT_EQ(lab_.condition("Ready"), "False");
    lab_.probers.say("web", ProbeKind::kReadiness, true);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.condition("Ready") == "True"; }));
    lab_.probers.say("web", ProbeKind::kReadiness, false);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.condition("Ready") == "False"; }));
    EXPECT_EQ(lab_.phase(), "Running");
    co_await end();
  });
}

TEST_F(PodWorkerTest, StartupProbeHoldsReadyAndStarted) {
  lab_.run([this]() -> Task<void> {
    begin(
        "  nodeName: box\n  containers:\n  - name: web\n    image: nginx\n"
        "    startupProbe: {tcpSocket: {port: 80}}\n");
    co_await until_running();
    EXPECT_EQ(lab_.container_status("web")["started"], false);
    EXPECT_EQ(lab_.condition("Ready"), "False");
    lab_.probers.say("web", ProbeKind::kStartup, true);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.condition("Ready") == "True"; }));
    EXPECT_EQ(lab_.container_status("web")["started"], true);
    co_await end();
  });
}

TEST_F(PodWorkerTest, FailedLivenessKillsAndRestarts) {
  lab_.run([this]() -> Task<void> {
    begin(
        "  nodeName: box\n  containers:\n  - name: web\n    image: nginx\n"
        "    livenessProbe: {tcpSocket: {port: 80}, terminationGracePeriodSeconds: 5}\n");
    co_await until_running();
    auto first = process();
    first->ignores_sigterm = true;
    lab_.probers.say("web", ProbeKind::kLiveness, false);
    EXPECT_TRUE(co_await lab_.until([&] { return first->signals.size() == 1; }));
    EXPECT_TRUE(
        lab_.events.has("Normal Killing: Container web failed liveness probe, will be restarted"));
    co_await lab_.advance(4s);
    EXPECT_FALSE(first->ended);
    co_await lab_.advance(1s);
    EXPECT_TRUE(first->ended);
    co_await until_running("web", 1);
    EXPECT_EQ(lab_.state("web", "lastState"), "terminated Error 137");
    EXPECT_EQ(lab_.trace.size(), 0u) << "a restart does not take the pod out of its services";
    co_await end();
  });
}

TEST_F(PodWorkerTest, DeletionWithPreStopAndGrace) {
  lab_.run([this]() -> Task<void> {
    lab_.probers.hook_times["web"] = 4s;
    begin(
        "  nodeName: box\n  containers:\n  - name: web\n    image: nginx\n"
        "    lifecycle: {preStop: {exec: {command: [bye]}}}\n");
    co_await until_running();
    auto run = process();
    run->ignores_sigterm = true;
    ask_to_delete(10);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.probers.hooks.size() == 1; }));
    EXPECT_EQ(lab_.trace, std::vector<std::string>{"withdraw 10.244.0.9"});
    EXPECT_TRUE(lab_.probers.terminating.contains("web"));
    EXPECT_TRUE(run->signals.empty()) << "the hook comes before the signal";
    EXPECT_TRUE(lab_.events.has("Normal Killing: Stopping container web"));
    co_await lab_.advance(4s);
    EXPECT_EQ(run->signals, std::vector<int>{SIGTERM});
    EXPECT_EQ(lab_.phase(), "Running");
    co_await lab_.advance(5s);
    EXPECT_FALSE(run->ended);
    co_await lab_.advance(1s);  // the hook's time is part of the grace
    EXPECT_TRUE(run->ended);
    EXPECT_TRUE(co_await lab_.until([&] { return worker_->gone(); }));
    Json last = lab_.api.last_words->parse();
    EXPECT_EQ(last["status"]["phase"], "Failed");
    EXPECT_EQ(last["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"], 137);
    EXPECT_EQ(lab_.trace.back(), "readmit 10.244.0.9");
    EXPECT_FALSE(os::exists(lab_.paths().pod("uid-1")));
    EXPECT_EQ(lab_.factory.removed.front(), "web/0");
    co_await end();
  });
}

TEST_F(PodWorkerTest, HookThatTakesAllTheGraceLeavesTwoSeconds) {
  lab_.run([this]() -> Task<void> {
    lab_.probers.hook_times["web"] = 60s;
    begin(
        "  nodeName: box\n  containers:\n  - name: web\n    image: nginx\n"
        "    lifecycle: {preStop: {exec: {command: [bye]}}}\n");
    co_await until_running();
    auto run = process();
    run->ignores_sigterm = true;
    ask_to_delete(10);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.probers.hooks.size() == 1; }));
    co_await lab_.advance(10s);
    EXPECT_EQ(run->signals, std::vector<int>{SIGTERM});
    co_await lab_.advance(2s);
    EXPECT_TRUE(run->ended);
    co_await end();
  });
}

TEST_F(PodWorkerTest, LaterShorterGraceHolds) {
  lab_.run([this]() -> Task<void> {
    lab_.probers.hook_times["web"] = 60s;
    begin(
        "  nodeName: box\n  containers:\n  - name: web\n    image: nginx\n"
        "    lifecycle: {preStop: {exec: {command: [bye]}}}\n");
    co_await until_running();
    auto run = process();
    run->ignores_sigterm = true;
    ask_to_delete(300);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.probers.hooks.size() == 1; }));
    ask_to_delete(1);
    co_await lab_.advance(1s);  // the hook is cut short too
    EXPECT_EQ(run->signals, std::vector<int>{SIGTERM});
    co_await lab_.advance(2s);
    EXPECT_TRUE(run->ended);
    EXPECT_TRUE(co_await lab_.until([&] { return worker_->gone(); }));
    co_await end();
  });
}

TEST_F(PodWorkerTest, ForcedDeletionLeavesNoFiles) {
  lab_.run([this]() -> Task<void> {
    begin(kOne);
    co_await until_running();
    EXPECT_TRUE(os::exists(lab_.paths().checkpoint("uid-1")));
    lab_.api.erase("web-0");
    co_await worker_->wait_gone();
    // Whoever hears that it is gone may destroy the worker at once.
    co_await worker_->detach();
    EXPECT_FALSE(os::exists(lab_.paths().pod("uid-1")));
    EXPECT_EQ(lab_.resource.calls.back(), "cleanup");
    EXPECT_TRUE(lab_.runtime.processes.empty());
    co_await end();
  });
}

TEST_F(PodWorkerTest, DeletionDuringAPullStartsNothing) {
  lab_.run([this]() -> Task<void> {
    lab_.factory.held.insert("web");
    begin(kOne);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.factory.pulls.size() == 1; }));
    ask_to_delete(30);
    EXPECT_TRUE(co_await lab_.until([&] { return worker_->gone(); })) << "the pull is given up";
    EXPECT_TRUE(lab_.runtime.started.empty());
    EXPECT_FALSE(lab_.api.pods.contains("web-0"));
    co_await end();
  });
}

TEST_F(PodWorkerTest, SidecarsEndAfterTheAppsInReverse) {
  lab_.run([this]() -> Task<void> {
    begin(
        "  nodeName: box\n  initContainers:\n"
        "  - {name: s1, image: i, restartPolicy: Always}\n"
        "  - {name: s2, image: i, restartPolicy: Always}\n"
        "  containers:\n  - {name: web, image: i}\n");
    co_await until_running();
    EXPECT_EQ(lab_.runtime.started,
              (std::vector<std::string>{"uid-1_s1_0", "uid-1_s2_0", "uid-1_web_0"}));
    auto s1 = process(0, "s1"), s2 = process(0, "s2"), web = process();
    web->ignores_sigterm = s2->ignores_sigterm = true;
    ask_to_delete(30);
    EXPECT_TRUE(co_await lab_.until([&] { return web->signals.size() == 1; }));
    EXPECT_TRUE(s1->signals.empty() && s2->signals.empty());
    web->end(0);
    EXPECT_TRUE(co_await lab_.until([&] { return s2->signals.size() == 1; }));
    EXPECT_TRUE(s1->signals.empty());
    s2->end(0);
    EXPECT_TRUE(co_await lab_.until([&] { return worker_->gone(); }));
    EXPECT_EQ(s1->signals, std::vector<int>{SIGTERM});
    co_await end();
  });
}

TEST_F(PodWorkerTest, PostStartFailureKills) {
  lab_.run([this]() -> Task<void> {
    lab_.probers.hook_errors["web"] = "it broke";
    begin(
        "  nodeName: box\n  restartPolicy: Never\n  containers:\n  - name: web\n    image: nginx\n"
        "    lifecycle: {postStart: {exec: {command: [hello]}}}\n");
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_TRUE(lab_.events.has("Warning FailedPostStartHook: PostStartHook failed: it broke"));
    co_await end();
  });
}

TEST_F(PodWorkerTest, PostStartFailureIsTheReasonWhileItLasts) {
  lab_.run([this]() -> Task<void> {
    lab_.probers.hook_errors["web"] = "it broke";
    lab_.probers.hook_times["web"] = 1s;
    begin(
        "  nodeName: box\n  containers:\n  - name: web\n    image: nginx\n"
        "    lifecycle: {postStart: {exec: {command: [hello]}}}\n");
    co_await until_running();
    EXPECT_EQ(lab_.state("web"), "waiting ContainerCreating") << "the hook is not through";
    auto run = process();
    run->ignores_sigterm = true;
    co_await lab_.advance(1s);
    EXPECT_EQ(run->signals, std::vector<int>{SIGTERM});
    EXPECT_EQ(lab_.state("web"), "waiting PostStartHookError");
    EXPECT_EQ(lab_.container_status("web")["state"]["waiting"]["message"], "it broke");
    EXPECT_EQ(lab_.condition("Ready"), "False");
    EXPECT_FALSE(lab_.probers.verdicts.contains("web")) << "it is not probed";
    co_await end();
  });
}

TEST_F(PodWorkerTest, DetachLeavesTheContainersToTheNextDaemon) {
  lab_.run([this]() -> Task<void> {
    begin(kOne);
    co_await until_running();
    auto run = process();
    co_await end();
    worker_.reset();
    EXPECT_FALSE(run->ended);
    EXPECT_TRUE(run->signals.empty());
    auto text = os::read_file(lab_.paths().checkpoint("uid-1"));
    EXPECT_TRUE(text) << "no checkpoint";
    if (!text) co_return;
    auto record = from_checkpoint(Json::parse(*text));
    EXPECT_TRUE(record);
    Json before = lab_.pod();
    start_worker(*record, true);
    co_await lab_.settle();
    EXPECT_EQ(lab_.runtime.started.size(), 1u) << "nothing was started anew";
    EXPECT_EQ(lab_.state("web"), "running");
    EXPECT_EQ(lab_.condition("Ready"), "True");
    EXPECT_EQ(lab_.pod(), before) << "the adopted pod is as it was";
    // The adopted container is watched.
    run->end(1);
    co_await until_running("web", 1);
    EXPECT_EQ(lab_.container_status("web")["restartCount"], 1);
    co_await end();
  });
}

TEST_F(PodWorkerTest, ContainerThatWentWhileNoDaemonRan) {
  lab_.run([this]() -> Task<void> {
    begin(kOne);
    co_await until_running();
    co_await end();
    worker_.reset();
    lab_.runtime.processes.clear();
    auto record = from_checkpoint(Json::parse(*os::read_file(lab_.paths().checkpoint("uid-1"))));
    start_worker(*record, true);
    co_await until_running("web", 1);
    EXPECT_EQ(lab_.state("web", "lastState"), "terminated ContainerStatusUnknown 137");
    co_await end();
  });
}

TEST_F(PodWorkerTest, RebootStartsEverythingAnew) {
  lab_.run([this]() -> Task<void> {
    begin(kOne);
    co_await until_running();
    co_await end();
    worker_.reset();
    lab_.runtime.processes.clear();
    auto record = from_checkpoint(Json::parse(*os::read_file(lab_.paths().checkpoint("uid-1"))));
    lab_.resource.calls.clear();
    start_worker(*record, true, true);
    co_await until_running("web", 1);
    EXPECT_EQ(lab_.resource.calls.front(), "prepare");
    co_await end();
  });
}

TEST_F(PodWorkerTest, FailEndsThePodWithItsReason) {
  lab_.run([this]() -> Task<void> {
    begin(kOne);
    co_await until_running();
    worker_->fail("Evicted", "The node was low on resource: memory.");
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_EQ(lab_.pod()["status"]["reason"], "Evicted");
    EXPECT_EQ(lab_.pod()["status"]["message"], "The node was low on resource: memory.");
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.runtime.processes.empty(); }));
    co_await end();
  });
}

TEST_F(PodWorkerTest, DeadlineCountsFromTheStart) {
  lab_.run([this]() -> Task<void> {
    begin(kOne + "  activeDeadlineSeconds: 30\n");
    co_await until_running();
    co_await lab_.advance(29s);
    EXPECT_EQ(lab_.phase(), "Running");
    co_await lab_.advance(1s);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_EQ(lab_.pod()["status"]["reason"], "DeadlineExceeded");
    co_await end();
  });
}

TEST_F(PodWorkerTest, CleanupIsTriedUntilItSucceeds) {
  lab_.run([this]() -> Task<void> {
    lab_.resource.cleanup_errors = {"device or resource busy"};
    begin(kOne);
    co_await until_running();
    ask_to_delete(30);
    EXPECT_TRUE(co_await lab_.until([&] {
      return lab_.events.has("Warning FailedKillPod: error killing pod: device or resource busy");
    }));
    EXPECT_FALSE(worker_->gone());
    co_await lab_.advance(500ms);
    EXPECT_TRUE(co_await lab_.until([&] { return worker_->gone(); }));
    co_await end();
  });
}

TEST_F(PodWorkerTest, TerminationMessageIsRead) {
  lab_.run([this]() -> Task<void> {
    begin(kOne + "  restartPolicy: Never\n");
    co_await until_running();
    std::string path = lab_.paths().termination_log("uid-1", "web", 0);
    EXPECT_TRUE(os::make_dirs(path.substr(0, path.rfind('/')), 0755));
    EXPECT_TRUE(os::write_file_atomic(path, std::string(5000, 'x'), 0644, false));
    process()->end(1);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_EQ(lab_.container_status("web")["state"]["terminated"]["message"],
              std::string(4096, 'x'));
    co_await end();
  });
}

TEST_F(PodWorkerTest, LogsStandInForAnEmptyMessage) {
  lab_.run([this]() -> Task<void> {
    begin(
        "  nodeName: box\n  restartPolicy: Never\n  containers:\n"
        "  - {name: web, image: i, terminationMessagePolicy: FallbackToLogsOnError}\n");
    co_await until_running();
    std::string path = lab_.paths().log("shop", "web-0", "uid-1", "web", 0);
    EXPECT_TRUE(os::make_dirs(path.substr(0, path.rfind('/')), 0755));
    EXPECT_TRUE(os::write_file_atomic(path,
                                      "2025-01-01T00:00:00.000000000Z stdout F one\n"
                                      "2025-01-01T00:00:00.000000000Z stderr F two\n",
                                      0644, false));
    process()->end(1);
    EXPECT_TRUE(co_await lab_.until([&] { return lab_.phase() == "Failed"; }));
    EXPECT_EQ(lab_.container_status("web")["state"]["terminated"]["message"], "one\ntwo\n");
    co_await end();
  });
}

}  // namespace
}  // namespace moth::agent
