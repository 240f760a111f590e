// Phases, conditions and container states, from records.
#include "runtime/agent/pod_status.h"

#include <gtest/gtest.h>

#include "api/machinery/time.h"
#include "tests/unit/runtime/agent/config/pods.h"

namespace moth::agent {
namespace {

using namespace std::chrono_literals;
using State = ContainerRecord::State;

constexpr auto kWall = WallTime(1'750'000'000s);

Termination ended(int code) {
  Termination end;
  end.exit_code = code;
  end.reason = code == 0 ? "Completed" : "Error";
  end.started_at = kWall - 5s;
  end.finished_at = kWall;
  end.container_id = "uid-1_x_0";
  return end;
}

// "run", "run!" (not ready), "hook" (in its postStart), "0", "1" (exit codes), "wait" (before its
// first start), "pull", "start", "back" (crash loop after exit 1).
ContainerRecord in_state(const std::string& text) {
  ContainerRecord record;
  record.attempt = 0;
  record.started_at = kWall - 5s;
  record.post_start_done = record.startup_passed = true;
  if (text.starts_with("run")) {
    record.state = State::kRunning;
    record.ready = text == "run";
  } else if (text == "hook") {
    record.state = State::kRunning;
    record.post_start_done = false;
  } else if (text == "wait") {
    record = ContainerRecord{};
  } else if (text == "pull") {
    record = ContainerRecord{};
    record.state = State::kPulling;
  } else if (text == "start") {
    record.state = State::kStarting;
  } else if (text == "back") {
    record.state = State::kExited;
    record.last = ended(1);
    record.waiting_reason = "CrashLoopBackOff";
    record.waiting_message = "back-off 10s";
  } else {
    record.state = State::kExited;
    record.last = ended(std::stoi(text));
  }
  return record;
}

class PodStatusTest : public ::testing::Test {
 protected:
  void SetUp() override {
    record_.accepted_at = kWall - 10s;
    record_.resources_ready = true;
  }
  void pod(const std::string& spec, const std::string& status = "") {
    pod_ = pod_from(spec + status);
  }
  void put(const std::string& name, const std::string& state) {
    record_.containers[name] = in_state(state);
  }
  Json status() { return build_pod_status({pod_, record_, kWall}); }
  std::string phase() { return status()["phase"].get<std::string>(); }
  // "True", "False ContainersNotReady: containers with ...".
  std::string condition(const std::string& type) {
    const Json whole = {{"status", status()}};
    const Json* found = resources::find_condition(whole, type);
    if (!found) return "";
    std::string out = string_or(*found, "status");
    if (auto reason = string_or(*found, "reason"); !reason.empty()) out += " " + reason;
    if (auto message = string_or(*found, "message"); !message.empty()) out += ": " + message;
    return out;
  }

  PodContext pod_;
  PodRecord record_;
};

const std::string kTwo = "  containers:\n  - {name: b, image: i}\n  - {name: a, image: i}\n";
const std::string kInits =
    "  initContainers:\n"
    "  - {name: first, image: i}\n"
    "  - {name: side, image: i, restartPolicy: Always}\n"
    "  containers:\n  - {name: app, image: i}\n";

TEST_F(PodStatusTest, PhasesOfTwoContainers) {
  struct Case {
    const char *policy, *a, *b, *phase;
    bool ended;  // nothing of it runs or will
  };
  const Case cases[] = {
      {"Always", "wait", "wait", "Pending", false}, {"Always", "pull", "run", "Pending", false},
      {"Always", "start", "run", "Pending", false}, {"Always", "run", "run", "Running", false},
      {"Always", "run!", "run", "Running", false},  {"Always", "1", "run", "Running", false},
      {"Always", "back", "back", "Running", false}, {"Always", "0", "0", "Running", false},
      {"OnFailure", "0", "1", "Running", false},    {"OnFailure", "0", "0", "Succeeded", false},
      {"Never", "0", "run", "Running", false},      {"Never", "1", "run", "Running", false},
      {"Never", "0", "0", "Succeeded", false},      {"Never", "0", "1", "Failed", false},
      {"Always", "0", "0", "Succeeded", true},      {"Always", "0", "1", "Failed", true},
      {"Always", "wait", "0", "Failed", true},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(std::string(one.policy) + " " + one.a + " " + one.b);
    pod(kTwo + "  restartPolicy: " + one.policy + "\n");
    put("a", one.a);
    put("b", one.b);
    record_.stage = one.ended ? PodStage::kTerminated : PodStage::kSyncing;
    EXPECT_EQ(phase(), one.phase);
  }
}

TEST_F(PodStatusTest, PhasesWithInitContainers) {
  struct Case {
    const char *policy, *first, *side, *app, *phase;
  };
  const Case cases[] = {
      {"Always", "run", "wait", "wait", "Pending"}, {"Always", "1", "wait", "wait", "Pending"},
      {"Never", "1", "wait", "wait", "Failed"},     {"Always", "0", "wait", "wait", "Pending"},
      {"Always", "0", "run", "wait", "Pending"},    {"Always", "0", "run", "run", "Running"},
      {"Always", "0", "1", "run", "Running"},       {"Never", "0", "run", "0", "Succeeded"},
      {"Never", "0", "1", "0", "Succeeded"},        {"Never", "0", "run", "2", "Failed"},
      {"OnFailure", "0", "run", "0", "Succeeded"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(std::string(one.policy) + " " + one.first + " " + one.side + " " + one.app);
    pod(kInits + "  restartPolicy: " + one.policy + "\n");
    put("first", one.first);
    put("side", one.side);
    put("app", one.app);
    EXPECT_EQ(phase(), one.phase);
  }
}

TEST_F(PodStatusTest, AnEndIsFinal) {
  for (const char* end : {"Succeeded", "Failed"}) {
    pod(kTwo, "status: {phase: " + std::string(end) + "}\n");
    put("a", "run");
    put("b", "run");
    EXPECT_EQ(phase(), end);
  }
}

TEST_F(PodStatusTest, NodeFailureHasItsReason) {
  pod(kTwo);
  put("a", "run");
  put("b", "run");
  record_.failed_reason = "Evicted";
  record_.failed_message = "The node was low on resource: memory.";
  Json now = status();
  EXPECT_EQ(now["phase"], "Failed");
  EXPECT_EQ(now["reason"], "Evicted");
  EXPECT_EQ(now["message"], "The node was low on resource: memory.");
}

TEST_F(PodStatusTest, ConditionsOnTheWayUp) {
  pod(kInits);
  EXPECT_EQ(condition("PodScheduled"), "True");
  EXPECT_EQ(condition("PodReadyToStartContainers"), "True");
  EXPECT_EQ(condition("Initialized"),
            "False ContainersNotInitialized: containers with incomplete status: [first side]");
  EXPECT_EQ(condition("Ready"),
            "False ContainersNotReady: containers with unready status: [side app]");
  put("first", "0");
  EXPECT_EQ(condition("Initialized"),
            "False ContainersNotInitialized: containers with incomplete status: [side]");
  put("side", "run");
  EXPECT_EQ(condition("Initialized"), "True");
  put("app", "run!");
  EXPECT_EQ(condition("ContainersReady"),
            "False ContainersNotReady: containers with unready status: [app]");
  put("app", "run");
  EXPECT_EQ(condition("ContainersReady"), "True");
  EXPECT_EQ(condition("Ready"), "True");
  record_.resources_ready = false;
  EXPECT_EQ(condition("PodReadyToStartContainers"), "False");
}

TEST_F(PodStatusTest, ConditionsAtTheEnd) {
  pod(kTwo + "  restartPolicy: Never\n");
  put("a", "0");
  put("b", "0");
  EXPECT_EQ(condition("Ready"), "False PodCompleted");
  EXPECT_EQ(condition("ContainersReady"), "False PodCompleted");
  EXPECT_EQ(condition("Initialized"), "True PodCompleted");
  put("b", "1");
  EXPECT_EQ(condition("Ready"), "False PodFailed");
  EXPECT_EQ(condition("Initialized"), "True");
  record_.stage = PodStage::kTerminated;
  EXPECT_EQ(condition("PodReadyToStartContainers"), "False");
}

TEST_F(PodStatusTest, AContainerToBeKilledIsNotReady) {
  pod(kTwo);
  put("a", "run");
  put("b", "run");
  record_.container("a").kill_wanted = true;
  EXPECT_EQ(condition("Ready"), "False ContainersNotReady: containers with unready status: [a]");
}

TEST_F(PodStatusTest, ReadinessGates) {
  const std::string gated = kTwo + "  readinessGates: [{conditionType: x/y}, {conditionType: z}]\n";
  pod(gated);
  put("a", "run");
  put("b", "run");
  EXPECT_EQ(condition("ContainersReady"), "True");
  EXPECT_EQ(condition("Ready"),
            "False ReadinessGatesNotReady: corresponding condition of pod readiness gate \"x/y\" "
            "does not exist., corresponding condition of pod readiness gate \"z\" does not exist.");
  pod(gated,
      "status:\n  conditions:\n  - {type: x/y, status: \"False\"}\n  - {type: z, status: "
      "\"True\"}\n");
  EXPECT_EQ(condition("Ready"),
            "False ReadinessGatesNotReady: the status of pod readiness gate \"x/y\" is not "
            "\"True\", but False");
  pod(gated,
      "status:\n  conditions:\n  - {type: x/y, status: \"True\"}\n  - {type: z, status: "
      "\"True\"}\n");
  EXPECT_EQ(condition("Ready"), "True");
}

TEST_F(PodStatusTest, TransitionTimeChangesWithTheStatusOnly) {
  pod(kTwo);
  put("a", "run");
  put("b", "run!");
  Json first = status();
  auto of_ready = [](const Json& whole) {
    return *resources::find_condition(Json{{"status", whole}}, "Ready");
  };
  std::string then = of_ready(first)["lastTransitionTime"].get<std::string>();
  Json dom = pod_.object->parse();
  dom["status"] = first;
  pod_.object = Object::from_json(dom);
  Json same = build_pod_status({pod_, record_, kWall + 60s});
  EXPECT_EQ(of_ready(same)["lastTransitionTime"], then);
  put("b", "run");
  Json changed = build_pod_status({pod_, record_, kWall + 60s});
  EXPECT_EQ(of_ready(changed)["lastTransitionTime"], format_rfc3339(kWall + 60s));
}

TEST_F(PodStatusTest, WaitingReasonsBeforeTheFirstStart) {
  pod(kInits);
  Json now = status();
  EXPECT_EQ(now["initContainerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
  EXPECT_EQ(now["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
  pod(kTwo);
  now = status();
  EXPECT_EQ(now["containerStatuses"][0]["name"], "a") << "sorted by name";
  EXPECT_EQ(now["containerStatuses"][0]["state"]["waiting"]["reason"], "ContainerCreating");
  EXPECT_EQ(now["containerStatuses"][0]["image"], "i");
  EXPECT_EQ(now["containerStatuses"][0]["restartCount"], 0);
  EXPECT_EQ(now["containerStatuses"][0]["ready"], false);
  EXPECT_EQ(now["containerStatuses"][0]["started"], false);
  EXPECT_FALSE(now["containerStatuses"][0].contains("containerID"));
}

TEST_F(PodStatusTest, ContainerStatesAndTheStateBefore) {
  pod(kTwo);
  put("b", "run");
  put("a", "back");
  Json a = status()["containerStatuses"][0];
  EXPECT_EQ(a["state"]["waiting"]["reason"], "CrashLoopBackOff");
  EXPECT_EQ(a["state"]["waiting"]["message"], "back-off 10s");
  EXPECT_EQ(a["lastState"]["terminated"]["exitCode"], 1);
  EXPECT_EQ(a["containerID"], "moth://uid-1_x_0");

  put("a", "run");
  record_.container("a").attempt = 3;
  record_.container("a").last = ended(2);
  a = status()["containerStatuses"][0];
  EXPECT_EQ(a["state"]["running"]["startedAt"], format_rfc3339(kWall - 5s));
  EXPECT_EQ(a["lastState"]["terminated"]["exitCode"], 2);
  EXPECT_EQ(a["restartCount"], 3);
  EXPECT_EQ(a["containerID"], "moth://uid-1_a_3");

  // Ended, and to be started again at once.
  put("a", "1");
  record_.container("a").previous = ended(7);
  a = status()["containerStatuses"][0];
  EXPECT_EQ(a["state"]["terminated"]["exitCode"], 1);
  EXPECT_EQ(a["lastState"]["terminated"]["exitCode"], 7);

  put("a", "hook");
  a = status()["containerStatuses"][0];
  EXPECT_EQ(a["state"]["waiting"]["reason"], "ContainerCreating");
  EXPECT_EQ(a["started"], false);
}

TEST_F(PodStatusTest, ACrashLoopThatIsOverShowsTheEnd) {
  pod(kTwo);
  put("a", "back");
  put("b", "back");
  record_.stage = PodStage::kTerminated;
  Json a = status()["containerStatuses"][0];
  EXPECT_EQ(a["state"]["terminated"]["exitCode"], 1);
  EXPECT_EQ(phase(), "Failed");
}

TEST_F(PodStatusTest, InitContainersAreReadyWhenDone) {
  pod(kInits);
  put("first", "0");
  put("side", "run");
  Json now = status();
  EXPECT_EQ(now["initContainerStatuses"][0]["ready"], true);
  EXPECT_EQ(now["initContainerStatuses"][0]["state"]["terminated"]["reason"], "Completed");
  EXPECT_EQ(now["initContainerStatuses"][1]["ready"], true);
  put("first", "1");
  EXPECT_EQ(status()["initContainerStatuses"][0]["ready"], false);
}

TEST_F(PodStatusTest, PlainFields) {
  pod(kTwo, "status: {nominatedNodeName: box}\n");
  Json now = status();
  EXPECT_EQ(now["startTime"], format_rfc3339(kWall - 10s));
  EXPECT_EQ(now["qosClass"], "BestEffort");
  EXPECT_EQ(now["hostIPs"][0]["ip"], "192.168.1.5");
  EXPECT_EQ(now["podIPs"][0]["ip"], "10.244.0.7");
  EXPECT_EQ(now["nominatedNodeName"], "box") << "what others wrote stays";
}

}  // namespace
}  // namespace moth::agent
