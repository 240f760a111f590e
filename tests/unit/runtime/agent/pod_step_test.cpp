// What the node does about a pod, as tables: records in, actions out.
#include "runtime/agent/pod_step.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "tests/unit/runtime/agent/config/pods.h"

namespace moth::agent {
namespace {

using namespace std::chrono_literals;
using State = ContainerRecord::State;

constexpr auto kNow = MonoTime(1h);
constexpr auto kWall = WallTime(1'750'000'000s);

Termination ended(int code) {
  Termination end;
  end.exit_code = code;
  return end;
}

ContainerRecord record_in(State state) {
  ContainerRecord record;
  record.state = state;
  record.attempt = 0;
  record.post_start_done = record.startup_passed = true;
  return record;
}
ContainerRecord running() {
  return record_in(State::kRunning);
}
ContainerRecord exited(int code) {
  ContainerRecord record = record_in(State::kExited);
  record.last = ended(code);
  return record;
}

std::string text(const Action& action) {
  using Kind = Action::Kind;
  switch (action.kind) {
    case Kind::kPrepareResources:
      return "prepare";
    case Kind::kStart:
      return "start:" + action.container;
    case Kind::kKill:
      return fmt::format("kill:{}/{}", action.container, action.grace.count());
    case Kind::kWithdraw:
      return "withdraw";
    case Kind::kCleanUp:
      return "cleanup";
    case Kind::kFinish:
      return "finish";
    case Kind::kForget:
      return "forget";
  }
  return "?";
}

std::string text(const Step& step) {
  std::string out;
  for (const Action& action : step.actions) out += (out.empty() ? "" : " ") + text(action);
  return out;
}

class PodStepTest : public ::testing::Test {
 protected:
  void pod(const std::string& spec, const std::string& metadata = "",
           const std::string& status = "") {
    pod_ = pod_from(spec + status, metadata);
  }
  void put(const std::string& name, ContainerRecord state) {
    record_.containers[name] = std::move(state);
  }
  Step step() {
    StepInput input{pod_.view(), gone_, kNow, kWall};
    return pod_step(input, record_);
  }
  std::string actions() { return text(step()); }

  // A pod in the middle of its life.
  void SetUp() override {
    record_.resources_ready = true;
    record_.accepted_at = kWall - 10s;
    record_.deletion_requested = kWall;
  }

  PodContext pod_;
  PodRecord record_;
  bool gone_ = false;
};

const std::string kTwo = "  containers:\n  - {name: a, image: i}\n  - {name: b, image: i}\n";
const std::string kInits =
    "  initContainers:\n"
    "  - {name: first, image: i}\n"
    "  - {name: side, image: i, restartPolicy: Always}\n"
    "  - {name: second, image: i}\n"
    "  containers:\n  - {name: app, image: i}\n";
const std::string kDeleting =
    "  deletionTimestamp: \"2025-06-15T15:06:40Z\"\n  deletionGracePeriodSeconds: 30\n";

TEST_F(PodStepTest, ResourcesComeFirst) {
  pod(kTwo);
  record_.resources_ready = false;
  EXPECT_EQ(actions(), "prepare");
  record_.resources_busy = true;
  EXPECT_EQ(actions(), "");
  record_.resources_busy = false;
  record_.resources_not_before = kNow + 4s;
  EXPECT_EQ(actions(), "");
  EXPECT_EQ(step().wake, kNow + 4s);
}

TEST_F(PodStepTest, AllContainersStartAtOnce) {
  pod(kTwo);
  EXPECT_EQ(actions(), "start:a start:b");
  put("a", record_in(State::kPulling));
  put("b", record_in(State::kStarting));
  EXPECT_EQ(actions(), "");
}

TEST_F(PodStepTest, PostStartHookHoldsBackTheContainersAfterIt) {
  pod("  containers:\n"
      "  - {name: a, image: i, lifecycle: {postStart: {exec: {command: [wait]}}}}\n"
      "  - {name: b, image: i}\n");
  EXPECT_EQ(actions(), "start:a");
  put("a", record_in(State::kPulling));
  EXPECT_EQ(actions(), "");
  put("a", running());
  record_.container("a").post_start_done = false;
  EXPECT_EQ(actions(), "");
  record_.container("a").post_start_done = true;
  EXPECT_EQ(actions(), "start:b");
  // One that waits for its next try does not.
  put("a", ContainerRecord{});
  record_.container("a").not_before = kNow + 10s;
  EXPECT_EQ(actions(), "start:b");
}

TEST_F(PodStepTest, InitContainersRunOneAfterTheOther) {
  pod(kInits);
  EXPECT_EQ(actions(), "start:first");
  put("first", running());
  EXPECT_EQ(actions(), "");
  put("first", exited(0));
  EXPECT_EQ(actions(), "start:side");
  put("side", running());
  EXPECT_EQ(actions(), "start:second");
  put("second", running());
  EXPECT_EQ(actions(), "");
  put("second", exited(0));
  EXPECT_EQ(actions(), "start:app");
  put("app", running());
  EXPECT_EQ(actions(), "");
}

TEST_F(PodStepTest, SidecarWithStartupProbeHoldsTheNextInit) {
  pod("  initContainers:\n"
      "  - {name: side, image: i, restartPolicy: Always,\n"
      "     startupProbe: {tcpSocket: {port: 80}}}\n"
      "  containers:\n  - {name: app, image: i}\n");
  put("side", running());
  record_.container("side").startup_passed = false;
  EXPECT_EQ(actions(), "");
  record_.container("side").startup_passed = true;
  EXPECT_EQ(actions(), "start:app");
}

TEST_F(PodStepTest, SidecarRestartsWhateverTheCode) {
  for (int code : {0, 1}) {
    pod(kInits + "  restartPolicy: Never\n");
    put("first", exited(0));
    put("side", exited(code));
    put("second", exited(0));
    put("app", running());
    EXPECT_EQ(actions(), "start:side") << code;
  }
}

TEST_F(PodStepTest, FailedInitContainerUnderEachPolicy) {
  struct Case {
    const char* policy;
    std::string expected;
    PodStage stage;
  };
  for (const Case& one : {Case{"Always", "start:first", PodStage::kSyncing},
                          Case{"OnFailure", "start:first", PodStage::kSyncing},
                          Case{"Never", "", PodStage::kTerminating}}) {
    pod(kInits + "  restartPolicy: " + one.policy + "\n");
    put("first", exited(1));
    EXPECT_EQ(actions(), one.expected) << one.policy;
    EXPECT_EQ(step().stage, one.stage) << one.policy;
  }
}

TEST_F(PodStepTest, EndedContainersUnderEachPolicy) {
  struct Case {
    const char* policy;
    int code_a, code_b;
    std::string expected;
    PodStage stage;
  };
  const Case cases[] = {
      {"Always", 0, 1, "start:a start:b", PodStage::kSyncing},
      {"OnFailure", 0, 1, "start:b", PodStage::kSyncing},
      {"OnFailure", 0, 0, "", PodStage::kTerminating},
      {"Never", 0, 0, "", PodStage::kTerminating},
      {"Never", 3, 0, "", PodStage::kTerminating},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(fmt::format("{} {} {}", one.policy, one.code_a, one.code_b));
    pod(kTwo + "  restartPolicy: " + one.policy + "\n");
    put("a", exited(one.code_a));
    put("b", exited(one.code_b));
    EXPECT_EQ(actions(), one.expected);
    EXPECT_EQ(step().stage, one.stage);
  }
}

TEST_F(PodStepTest, OneOfTwoEndedUnderNeverLeavesTheOther) {
  pod(kTwo + "  restartPolicy: Never\n");
  put("a", exited(1));
  put("b", running());
  EXPECT_EQ(actions(), "");
  EXPECT_EQ(step().stage, PodStage::kSyncing);
}

TEST_F(PodStepTest, SidecarsDoNotKeepAFinishedPodAlive) {
  pod(kInits + "  restartPolicy: Never\n");
  put("first", exited(0));
  put("side", running());
  put("second", exited(0));
  put("app", exited(0));
  EXPECT_EQ(step().stage, PodStage::kTerminating);
  record_.stage = PodStage::kTerminating;
  record_.withdrawn = true;
  EXPECT_EQ(actions(), "kill:side/30");
}

TEST_F(PodStepTest, RestartRulesOfAContainer) {
  pod("  restartPolicy: Never\n  containers:\n"
      "  - name: a\n    image: i\n    restartPolicy: Never\n    restartPolicyRules:\n"
      "    - {action: Restart, exitCodes: {operator: In, values: [42]}}\n"
      "  - name: b\n    image: i\n    restartPolicy: OnFailure\n");
  put("a", exited(42));
  put("b", exited(0));
  EXPECT_EQ(actions(), "start:a");
  put("a", exited(1));
  put("b", exited(1));
  EXPECT_EQ(actions(), "start:b");
}

TEST_F(PodStepTest, BackoffDelaysTheStartAndWakes) {
  pod(kTwo);
  put("a", exited(1));
  put("b", exited(1));
  record_.container("a").not_before = kNow + 20s;
  record_.container("b").not_before = kNow + 10s;
  EXPECT_EQ(actions(), "");
  EXPECT_EQ(step().wake, kNow + 10s);
  record_.container("b").not_before = kNow;
  EXPECT_EQ(actions(), "start:b");
}

TEST_F(PodStepTest, LivenessKillUsesTheProbesGrace) {
  pod(kTwo);
  put("a", running());
  put("b", running());
  ContainerRecord& a = record_.container("a");
  a.kill_wanted = true;
  a.kill_message = "Container a failed liveness probe, will be restarted";
  EXPECT_EQ(actions(), "kill:a/30");
  EXPECT_EQ(step().actions[0].message, a.kill_message);
  a.kill_grace = 5s;
  EXPECT_EQ(actions(), "kill:a/5");
  a.kill_grace = 0s;
  EXPECT_EQ(actions(), "kill:a/1");
  a.killing = true;
  EXPECT_EQ(actions(), "");
}

TEST_F(PodStepTest, ChangedImageRestartsTheContainer) {
  pod(kTwo);
  put("a", running());
  put("b", running());
  record_.container("a").definition = definition_of(pod_.view().spec().containers[0]);
  record_.container("b").definition = "old";
  Step now = step();
  EXPECT_EQ(text(now), "kill:b/30");
  EXPECT_EQ(now.actions[0].message, "Container b definition changed, will be restarted");
}

TEST_F(PodStepTest, DeadlineEndsThePod) {
  pod(kTwo + "  activeDeadlineSeconds: 15\n");
  put("a", running());
  put("b", running());
  Step early = step();
  EXPECT_EQ(early.stage, PodStage::kSyncing);
  EXPECT_EQ(early.wake, kNow + 5s);
  record_.accepted_at = kWall - 15s;
  Step late = step();
  EXPECT_EQ(late.stage, PodStage::kTerminating);
  EXPECT_EQ(late.failed_reason, "DeadlineExceeded");
  EXPECT_EQ(late.failed_message, "Pod was active on the node longer than the specified deadline");
  EXPECT_FALSE(late.wake);
}

TEST_F(PodStepTest, DeadlineOfAFinishedPodChangesNothing) {
  pod(kTwo + "  activeDeadlineSeconds: 15\n  restartPolicy: Never\n");
  put("a", exited(0));
  put("b", exited(0));
  record_.accepted_at = kWall - 15s;
  EXPECT_EQ(step().stage, PodStage::kTerminating);
  EXPECT_EQ(step().failed_reason, "");
}

TEST_F(PodStepTest, EndsForEveryReason) {
  pod(kTwo, kDeleting);
  EXPECT_EQ(step().stage, PodStage::kTerminating);
  pod(kTwo, "", "status: {phase: Failed}\n");
  EXPECT_EQ(step().stage, PodStage::kTerminating);
  pod(kTwo);
  EXPECT_EQ(step().stage, PodStage::kSyncing);
  record_.failed_reason = "Evicted";
  EXPECT_EQ(step().stage, PodStage::kTerminating);
  record_.failed_reason.clear();
  gone_ = true;
  EXPECT_EQ(step().stage, PodStage::kTerminating);
}

TEST_F(PodStepTest, OrderOfADeletion) {
  pod("  initContainers:\n"
      "  - {name: s1, image: i, restartPolicy: Always}\n"
      "  - {name: s2, image: i, restartPolicy: Always}\n"
      "  containers:\n  - {name: a, image: i}\n  - {name: b, image: i}\n",
      kDeleting);
  for (const char* name : {"s1", "s2", "a", "b"}) put(name, running());
  record_.stage = PodStage::kTerminating;
  EXPECT_EQ(actions(), "withdraw");
  record_.withdrawing = true;
  EXPECT_EQ(actions(), "");
  record_.withdrawing = false;
  record_.withdrawn = true;
  EXPECT_EQ(actions(), "kill:a/30 kill:b/30");
  record_.container("a").killing = record_.container("b").killing = true;
  EXPECT_EQ(actions(), "");
  put("a", exited(143));
  EXPECT_EQ(actions(), "");
  put("b", exited(143));
  EXPECT_EQ(actions(), "kill:s2/30");
  put("s2", exited(0));
  EXPECT_EQ(actions(), "kill:s1/30");
  put("s1", exited(0));
  EXPECT_EQ(actions(), "");
  EXPECT_EQ(step().stage, PodStage::kTerminated);
  record_.stage = PodStage::kTerminated;
  EXPECT_EQ(actions(), "cleanup");
  record_.cleaning = true;
  EXPECT_EQ(actions(), "");
  record_.cleaning = false;
  record_.cleaned = true;
  EXPECT_EQ(actions(), "finish");
}

TEST_F(PodStepTest, ContainersShareOneGracePeriod) {
  pod(kTwo, kDeleting);
  put("a", running());
  put("b", running());
  record_.stage = PodStage::kTerminating;
  record_.withdrawn = true;
  struct Case {
    std::chrono::seconds used;
    const char* expected;
  };
  for (const Case& one : {Case{0s, "kill:a/30 kill:b/30"}, Case{20s, "kill:a/10 kill:b/10"},
                          Case{29s, "kill:a/2 kill:b/2"}, Case{300s, "kill:a/2 kill:b/2"},
                          Case{-5s, "kill:a/30 kill:b/30"}}) {
    record_.deletion_requested = kWall - one.used;
    EXPECT_EQ(actions(), one.expected) << one.used.count();
  }
}

TEST_F(PodStepTest, ForcedDeletionHurriesAndForgets) {
  pod(kTwo);
  gone_ = true;
  put("a", running());
  put("b", exited(0));
  record_.stage = PodStage::kTerminating;
  record_.withdrawn = true;
  EXPECT_EQ(actions(), "kill:a/1");
  put("a", exited(137));
  EXPECT_EQ(step().stage, PodStage::kTerminated);
  record_.stage = PodStage::kTerminated;
  EXPECT_EQ(actions(), "cleanup");
  record_.cleaned = true;
  // The worker is gone only once its files are: it sets that stage itself.
  EXPECT_EQ(actions(), "forget");
  EXPECT_EQ(step().stage, PodStage::kTerminated);
}

TEST_F(PodStepTest, TerminationWaitsForWhatIsUnderWay) {
  pod(kTwo, kDeleting);
  record_.stage = PodStage::kTerminating;
  record_.withdrawn = true;
  record_.resources_busy = true;
  EXPECT_EQ(step().stage, PodStage::kTerminating);
  EXPECT_EQ(actions(), "");
  record_.resources_busy = false;
  put("a", record_in(State::kStarting));
  EXPECT_EQ(step().stage, PodStage::kTerminating);
  EXPECT_EQ(actions(), "");
  // A pull ends by itself, but nothing is cleaned up under it.
  put("a", record_in(State::kPulling));
  EXPECT_EQ(step().stage, PodStage::kTerminated);
  record_.stage = PodStage::kTerminated;
  EXPECT_EQ(actions(), "");
}

TEST_F(PodStepTest, EphemeralContainersRunOnceAndAreKilled) {
  pod(kTwo + "  ephemeralContainers:\n  - {name: debug, image: i}\n");
  put("a", running());
  put("b", running());
  EXPECT_EQ(actions(), "start:debug");
  put("debug", exited(1));
  EXPECT_EQ(actions(), "");
  put("debug", running());
  record_.stage = PodStage::kTerminating;
  record_.withdrawn = true;
  EXPECT_EQ(actions(), "kill:debug/30 kill:a/30 kill:b/30");
}

TEST(NextBackoff, DoublesToFiveMinutesAndStartsAnew) {
  ContainerRecord record;
  MonoTime now = kNow;
  for (auto expected : {0s, 10s, 20s, 40s, 80s, 160s, 300s, 300s}) {
    Duration wait = next_backoff(record, now);
    EXPECT_EQ(wait, Duration(expected));
    now += wait + 1s;  // waits, runs for a second
  }
  // Ten minutes of running and not more: it goes on.
  now += 598s;
  EXPECT_EQ(next_backoff(record, now), Duration(300s));
  // More than ten minutes: all is forgotten.
  now += 300s + 601s;
  EXPECT_EQ(next_backoff(record, now), Duration(0s));
  EXPECT_EQ(next_backoff(record, now + 1s), Duration(10s));
}

TEST(Initialized, CountsSidecarsThatEverRan) {
  PodContext pod = pod_from(kInits);
  PodRecord record;
  EXPECT_FALSE(initialized(pod.view().spec(), record));
  record.containers["first"] = exited(0);
  record.containers["second"] = exited(0);
  EXPECT_FALSE(initialized(pod.view().spec(), record));
  record.containers["side"] = running();
  EXPECT_TRUE(initialized(pod.view().spec(), record));
  record.containers["side"] = exited(1);
  EXPECT_TRUE(initialized(pod.view().spec(), record));
  record.containers["second"] = exited(1);
  EXPECT_FALSE(initialized(pod.view().spec(), record));
}

}  // namespace
}  // namespace moth::agent
