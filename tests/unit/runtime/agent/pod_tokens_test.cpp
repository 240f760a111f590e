// Tokens of pods: asked for once, kept until they are due, replaced, and kept when there is no new
// one.
#include "runtime/agent/resources/pod_tokens.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <set>
#include <string>
#include <vector>

#include "api/base/json.h"
#include "api/machinery/time.h"

namespace moth::agent {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Answers token requests; the base does everything else.
class TokenApi final : public client::ObjectClient {
 public:
  explicit TokenApi(Clock& clock) : clock_(clock) {}
  Task<Result<ObjectPtr>> get(Gvr, std::string, std::string, std::string) override {
    return none();
  }
  Task<Result<client::ObjectList>> list(Gvr, std::string, client::ListOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<std::unique_ptr<client::WatchStream>>> watch(Gvr, std::string,
                                                           client::ListOptions) override {
    co_return fail(Error::internal("not here"));
  }
  Task<Result<ObjectPtr>> create(Gvr gvr, std::string ns, Json object, client::WriteOptions options,
                                 std::string name) override {
    EXPECT_EQ(gvr.resource, "serviceaccounts");
    EXPECT_EQ(options.subresource, "token");
    asked.push_back(ns + "/" + name + " " + object["spec"].dump());
    if (!refusal.empty()) co_return fail(Error::unavailable(refusal));
    auto life = seconds(object["spec"]["expirationSeconds"].get<std::int64_t>());
    object["metadata"] = {{"name", name}, {"namespace", ns}};
    object["status"] = {{"token", "t" + std::to_string(asked.size())},
                        {"expirationTimestamp", format_rfc3339(clock_.wall() + life)}};
    co_return Object::from_json(object);
  }
  Task<Result<ObjectPtr>> update(Gvr, std::string, std::string, Json,
                                 client::WriteOptions) override {
    return none();
  }
  Task<Result<ObjectPtr>> patch(Gvr, std::string, std::string, client::PatchType, Json,
                                client::WriteOptions) override {
    return none();
  }
  Task<Result<ObjectPtr>> remove(Gvr, std::string, std::string, client::DeleteOptions) override {
    return none();
  }
  std::vector<std::string> asked;
  std::string refusal;

 private:
  static Task<Result<ObjectPtr>> none() { co_return fail(Error::internal("not here")); }
  Clock& clock_;
};

class PodTokensTest : public ::testing::Test {
 protected:
  PodTokensTest()
      : tokens_(context_.get_executor(), clock_, api_,
                [this](const std::set<std::string>& uids) { due_ = uids; }) {
    pod_.ns = "shop";
    pod_.name = "web-0";
    pod_.uid = "u-1";
    pod_.object = Object::from_json(
        {{"apiVersion", "v1"},
         {"kind", "Pod"},
         {"metadata", {{"name", "web-0"}, {"namespace", "shop"}, {"uid", "u-1"}}},
         {"spec", {{"serviceAccountName", "bot"}, {"containers", Json::array()}}}});
    tokens_.start();
    run();
  }
  ~PodTokensTest() override {
    asio::co_spawn(context_, tokens_.stop(), asio::detached);
    context_.restart();
    context_.run();
  }
  void run() {
    context_.restart();
    context_.poll();
  }
  std::string get() {
    std::string text = "never";
    asio::co_spawn(context_, fetch(text), asio::detached);
    run();
    return text;
  }
  Task<void> fetch(std::string& text) {
    auto token = co_await tokens_.get(pod_, source_);
    text = token ? *token : token.error().message;
  }
  void advance(Duration by) {
    clock_.advance(by);
    run();
  }

  asio::io_context context_;
  FakeClock clock_;
  TokenApi api_{clock_};
  std::set<std::string> due_;
  PodTokens tokens_;
  PodContext pod_;
  resources::ServiceAccountTokenSource source_{"", "token", seconds(1000)};
};

TEST(TokenRefresh, AtFourFifthsOrADay) {
  const WallTime now{seconds(1'750'000'000)};
  EXPECT_EQ(token_refresh_time(now, now + seconds(1000), 0), now + seconds(800));
  EXPECT_EQ(token_refresh_time(now, now + hours(1000), 0), now + hours(24));
  EXPECT_EQ(token_refresh_time(now, now + seconds(1000), 1), now + seconds(790));
}

TEST_F(PodTokensTest, OneIsAskedForAndKept) {
  EXPECT_EQ(tokens_.version("u-1", source_), "due");
  EXPECT_EQ(get(), "t1");
  EXPECT_EQ(api_.asked.front(),
            "shop/bot {\"boundObjectRef\":{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"name\":"
            "\"web-0\",\"uid\":\"u-1\"},\"expirationSeconds\":1000}");
  const std::string version = tokens_.version("u-1", source_);
  EXPECT_EQ(get(), "t1");
  EXPECT_EQ(tokens_.version("u-1", source_), version);
  source_.audience = "vault";
  EXPECT_EQ(get(), "t2");
  tokens_.forget("u-1");
  EXPECT_EQ(tokens_.version("u-1", source_), "due");
}

TEST_F(PodTokensTest, ADueTokenIsReplaced) {
  EXPECT_EQ(get(), "t1");
  const std::string version = tokens_.version("u-1", source_);
  advance(seconds(700));
  EXPECT_TRUE(due_.empty());
  EXPECT_EQ(get(), "t1");
  advance(seconds(101));
  EXPECT_EQ(due_, std::set<std::string>{"u-1"});
  EXPECT_EQ(tokens_.version("u-1", source_), "due");
  EXPECT_EQ(get(), "t2");
  EXPECT_NE(tokens_.version("u-1", source_), version);
}

TEST_F(PodTokensTest, WithoutANewOneTheOldOneStays) {
  EXPECT_EQ(get(), "t1");
  api_.refusal = "no";
  advance(seconds(850));
  EXPECT_EQ(get(), "t1");
  EXPECT_NE(tokens_.version("u-1", source_), "due") << "not before a minute has passed";
  advance(minutes(3));
  EXPECT_EQ(get(), "failed to fetch token: no");
  api_.refusal.clear();
  EXPECT_EQ(get(), "t4");
}

}  // namespace
}  // namespace moth::agent
