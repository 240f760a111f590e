#include "api/client/event_recorder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <map>

#include "api/base/json.h"

namespace moth::client {
namespace {

using namespace std::chrono_literals;

// Keeps Events by name.
class FakeClient final : public ObjectClient {
 public:
  Task<Result<ObjectPtr>> get(Gvr, std::string, std::string, std::string) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<ObjectList>> list(Gvr, std::string, ListOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<std::unique_ptr<WatchStream>>> watch(Gvr, std::string, ListOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<ObjectPtr>> create(Gvr gvr, std::string ns, Json object, WriteOptions,
                                 std::string) override {
    EXPECT_EQ(gvr, gvr::kEvents);
    EXPECT_EQ(object["metadata"]["namespace"], ns);
    std::string name = object["metadata"]["name"].get<std::string>();
    events[name] = object;
    order.push_back(name);
    co_return Object::from_json(object);
  }
  Task<Result<ObjectPtr>> update(Gvr, std::string, std::string, Json, WriteOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<ObjectPtr>> patch(Gvr, std::string, std::string name, PatchType type, Json patch,
                                WriteOptions) override {
    EXPECT_EQ(type, PatchType::kMerge);
    auto it = events.find(name);
    if (it == events.end()) co_return fail(Error::not_found("events", name));
    it->second.merge_patch(patch);
    co_return Object::from_json(it->second);
  }
  Task<Result<ObjectPtr>> remove(Gvr, std::string, std::string, DeleteOptions) override {
    co_return fail(Error::internal("not here"));
  }
  // "3x Reason: message", oldest first.
  std::vector<std::string> lines() const {
    std::vector<std::string> all;
    for (const std::string& name : order) {
      auto it = events.find(name);
      if (it == events.end()) continue;
      all.push_back(fmt::format("{}x {}: {}", it->second["count"].get<int>(),
                                it->second["reason"].get<std::string>(),
                                it->second["message"].get<std::string>()));
    }
    return all;
  }
  std::map<std::string, Json> events;
  std::vector<std::string> order;
};

class EventRecorderTest : public ::testing::Test {
 protected:
  EventRecorderTest() {
    recorder_ = std::make_unique<ClientEventRecorder>(
        loop_.get_executor(), clock_, client_, [n = std::uint64_t{0}]() mutable { return ++n; },
        EventSource{"kubelet", "box"});
  }
  ~EventRecorderTest() override {
    asio::co_spawn(loop_, recorder_->stop(), [](std::exception_ptr) {});
    loop_.restart();
    loop_.run_for(1s);
    recorder_.reset();
  }
  static ObjectPtr pod(const std::string& name = "p") {
    return Object::from_json({{"apiVersion", "v1"},
                              {"kind", "Pod"},
                              {"metadata",
                               {{"name", name},
                                {"namespace", "shop"},
                                {"uid", "uid-" + name},
                                {"resourceVersion", "7"}}}});
  }
  void say(const Object& about, const std::string& message, EventType type = EventType::kNormal,
           const std::string& reason = "Pulled", const std::string& path = "") {
    recorder_->record(about, type, reason, message, path);
    settle();
  }
  void settle() {
    loop_.restart();
    loop_.poll();
  }
  asio::io_context loop_;
  FakeClock clock_;
  FakeClient client_;
  std::unique_ptr<ClientEventRecorder> recorder_;
};

TEST_F(EventRecorderTest, WholeEvent) {
  say(*pod(), "it broke", EventType::kWarning, "Failed", "spec.containers{c}");
  ASSERT_EQ(client_.events.size(), 1u);
  const Json& event = client_.events.begin()->second;
  EXPECT_EQ(event["metadata"]["name"], "p.0000000000000001");
  EXPECT_EQ(event["involvedObject"], (Json{{"kind", "Pod"},
                                           {"apiVersion", "v1"},
                                           {"name", "p"},
                                           {"namespace", "shop"},
                                           {"uid", "uid-p"},
                                           {"resourceVersion", "7"},
                                           {"fieldPath", "spec.containers{c}"}}));
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_EQ(event["source"], (Json{{"component", "kubelet"}, {"host", "box"}}));
  EXPECT_EQ(event["firstTimestamp"], "2025-06-15T15:06:40Z");
  EXPECT_EQ(event["reportingComponent"], "kubelet");
}

TEST_F(EventRecorderTest, RepeatsRaiseTheCount) {
  auto about = pod();
  say(*about, "again");
  clock_.advance(5s);
  say(*about, "again");
  say(*about, "again");
  say(*about, "other");
  EXPECT_EQ(client_.lines(), (std::vector<std::string>{"3x Pulled: again", "1x Pulled: other"}));
  const Json& event = client_.events[client_.order[0]];
  EXPECT_EQ(event["firstTimestamp"], "2025-06-15T15:06:40Z");
  EXPECT_EQ(event["lastTimestamp"], "2025-06-15T15:06:45Z");
}

TEST_F(EventRecorderTest, AnExpiredEventBeginsAnew) {
  auto about = pod();
  say(*about, "again");
  client_.events.clear();
  say(*about, "again");
  EXPECT_EQ(client_.lines(), std::vector<std::string>{"1x Pulled: again"});
}

TEST_F(EventRecorderTest, SimilarOnesAreCombined) {
  auto about = pod();
  for (int i = 0; i < 13; ++i) say(*about, fmt::format("m{}", i));
  auto lines = client_.lines();
  ASSERT_EQ(lines.size(), 11u);
  EXPECT_EQ(lines[9], "1x Pulled: m9");
  EXPECT_EQ(lines[10], "3x Pulled: (combined from similar events): m12");
  clock_.advance(601s);
  say(*about, "later");
  EXPECT_EQ(client_.lines().back(), "1x Pulled: later");
}

TEST_F(EventRecorderTest, AFloodIsHeldBack) {
  auto about = pod(), calm = pod("calm");
  for (int i = 0; i < 40; ++i) say(*about, "flood");
  EXPECT_EQ(client_.lines(), std::vector<std::string>{"25x Pulled: flood"});
  say(*calm, "fine");
  EXPECT_EQ(client_.lines().back(), "1x Pulled: fine") << "others are not held back";
  clock_.advance(300s);
  say(*about, "flood");
  say(*about, "flood");
  EXPECT_EQ(client_.lines().front(), "26x Pulled: flood");
}

TEST_F(EventRecorderTest, LongMessagesAreCut) {
  say(*pod(), std::string(2000, 'x'));
  EXPECT_EQ(client_.events.begin()->second["message"].get<std::string>().size(), 1024u);
}

}  // namespace
}  // namespace moth::client
