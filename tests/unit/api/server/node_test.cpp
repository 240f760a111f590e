// What the server asks of the node: logs, exec, usage, images.
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

#include <deque>

#include "api/base/notifier.h"
#include "api/server/auth/jwt.h"
#include "api/server/streams/addresses.h"
#include "tests/unit/api/server/server_lab.h"

namespace moth::server {
namespace {

using namespace std::chrono_literals;

// One end of a running command. Lives on the io executor.
class FakeSession final : public client::ExecSession {
 public:
  explicit FakeSession(asio::any_io_executor io) : changed_(std::move(io)) {}
  Task<Result<client::ExecOutput>> read() override {
    while (output_.empty()) co_await changed_.wait();
    client::ExecOutput next = output_.front();
    output_.pop_front();
    co_return next;
  }
  // Echoes, and ends with 7 on "exit".
  Task<Result<>> write_stdin(std::string data) override {
    if (data == "exit") {
      say({client::StreamChannel::kStdout, "", 7});
    } else {
      say({client::StreamChannel::kStdout, "out:" + data, 0});
      say({client::StreamChannel::kStderr, "err:" + data, 0});
    }
    co_return Result<>{};
  }
  Task<Result<>> close_stdin() override {
    say({client::StreamChannel::kStdout, "", 0});
    co_return Result<>{};
  }
  Task<Result<>> resize(int width, int height) override {
    say({client::StreamChannel::kStdout, fmt::format("{}x{}", width, height), 0});
    co_return Result<>{};
  }

 private:
  void say(client::ExecOutput output) {
    output_.push_back(std::move(output));
    changed_.notify();
  }
  std::deque<client::ExecOutput> output_;
  Notifier changed_;
};

class FakeLog final : public client::LogReader {
 public:
  explicit FakeLog(std::deque<std::string> pieces) : pieces_(std::move(pieces)) {}
  Task<Result<std::string>> read() override {
    if (pieces_.empty()) co_return std::string();
    std::string next = pieces_.front();
    pieces_.pop_front();
    co_return next;
  }

 private:
  std::deque<std::string> pieces_;
};

class FakeNode final : public client::NodeApi {
 public:
  Task<Result<std::unique_ptr<client::LogReader>>> logs(ObjectPtr pod,
                                                        client::LogOptions options) override {
    asked = options;
    if (options.previous) {
      co_return fail(Error::bad_request(
          fmt::format("previous terminated container \"{}\" in pod \"{}\" not found",
                      options.container, pod->name())));
    }
    co_return std::unique_ptr<client::LogReader>(
        std::make_unique<FakeLog>(std::deque<std::string>{"one\n", "two\n"}));
  }
  Task<Result<std::unique_ptr<client::ExecSession>>> exec(ObjectPtr,
                                                          client::ExecOptions options) override {
    command = options.command;
    container = options.container;
    co_return std::unique_ptr<client::ExecSession>(std::make_unique<FakeSession>(*io));
  }
  Task<Result<http::RawStream>> connect(ObjectPtr, int) override {
    co_return fail(Error::internal("no ports"));
  }
  std::vector<client::PodUsage> pod_usage() override { return usage; }
  std::optional<client::NodeUsage> node_usage() override {
    return client::NodeUsage{"box", WallTime(1'750'000'000s), 10s, 1'500'000'000, 3 << 20};
  }
  Task<Result<Json>> image_list() override { co_return Json{{"images", Json::array()}}; }
  Task<Result<Json>> image_load(std::string, client::ProgressSink) override {
    co_return fail(Error::of(Reason::kNotFound, "no such archive"));
  }
  Task<Result<Json>> image_pull(std::string reference, client::ProgressSink sink) override {
    sink("layer 1");
    if (reference == "endless") {
      struct Note {
        std::atomic<bool>& ended;
        ~Note() { ended = true; }
      } note{pull_ended};
      Notifier never(co_await asio::this_coro::executor);
      for (;;) co_await never.wait();
    }
    sink("layer 2");
    co_return Json{{"reference", reference}};
  }
  Task<Result<Json>> image_remove(std::string) override { co_return Json::object(); }
  Task<Result<Json>> image_prune() override { co_return Json{{"removed", 0}}; }
  Task<Result<Json>> image_build(Json, client::ProgressSink) override { co_return Json::object(); }

  std::atomic<bool> pull_ended = false;
  std::optional<asio::any_io_executor> io;
  client::LogOptions asked;
  std::vector<std::string> command;
  std::string container;
  std::vector<client::PodUsage> usage;
};

class NodeTest : public ServerTest {
 protected:
  NodeTest() {
    node_.io = lab_.executors.io();
    made_ = lab_.post(kPods, pod("p", {{"spec", {{"nodeName", "box"}}}}));
    EXPECT_EQ(made_.status, 201);
    Json containers = {{{"name", "a"}, {"image", "i"}}, {{"name", "b"}, {"image", "i"}}};
    EXPECT_EQ(
        lab_.post(kPods, pod("two", {{"spec", {{"nodeName", "box"}, {"containers", containers}}}}))
            .status,
        201);
  }
  http::WebSocket socket(const std::string& query) {
    http::ClientRequest request;
    request.url = lab_.base + at(kPods, "p") + query;
    request.headers.set("Authorization", "Bearer admin-token");
    auto socket = lab_.on_io(lab_.http_client->websocket(
        std::move(request), {"v5.channel.k8s.io", "v4.channel.k8s.io"}));
    EXPECT_TRUE(socket) << socket.error().message;
    return std::move(*socket);
  }
  // "1 text" of the next message.
  std::string read(http::WebSocket& socket) {
    auto message = lab_.on_io(socket.read());
    if (!message || !*message) return "closed";
    std::string data = (*message)->data;
    if (data.empty()) return "empty";
    return fmt::format("{} {}", static_cast<int>(data[0]), data.substr(1));
  }
  void write(http::WebSocket& socket, char channel, std::string_view text) {
    std::string data = channel + std::string(text);
    EXPECT_TRUE(lab_.on_io(socket.write_binary(data)));
  }
  // On io, where it is at work until then.
  void close(http::WebSocket& socket) {
    lab_.on_io([](http::WebSocket& of) -> Task<int> {
      co_await of.close();
      co_return 0;
    }(socket));
  }

  Task<int> stop_server() {
    co_await await_on(lab_.executors.control(), lab_.api->stop());
    co_return 0;
  }

  FakeNode node_;
  ServerLab lab_{{64, 16384, &node_}};
  Answer made_;
};

TEST_F(NodeTest, LogsAndTheirOptions) {
  Answer log =
      lab_.get(at(kPods, "p") + "/log?timestamps=true&tailLines=5&limitBytes=100&sinceSeconds=60");
  EXPECT_EQ(log.status, 200);
  EXPECT_EQ(log.text, "one\ntwo\n");
  EXPECT_TRUE(std::string(log.headers.get("Content-Type")).starts_with("text/plain"));
  EXPECT_EQ(node_.asked.container, "c");
  EXPECT_TRUE(node_.asked.timestamps);
  EXPECT_FALSE(node_.asked.follow);
  EXPECT_EQ(node_.asked.tail_lines, 5);
  EXPECT_EQ(node_.asked.limit_bytes, 100);
  EXPECT_EQ(node_.asked.since, lab_.clock.wall() - 60s);
  lab_.get(at(kPods, "p") + "/log?sinceTime=2025-06-15T15:00:00Z&follow=1");
  EXPECT_EQ(node_.asked.since, WallTime(1'749'999'600s));
  EXPECT_TRUE(node_.asked.follow);
}

TEST_F(NodeTest, LogsThatCannotBe) {
  struct Case {
    std::string path;
    int status;
    std::string message;
  };
  const Case cases[] = {
      {at(kPods, "two") + "/log", 400,
       "a container name must be specified for pod two, choose one of: [a b]"},
      {at(kPods, "p") + "/log?container=x", 400, "container x is not valid for pod p"},
      {at(kPods, "p") + "/log?previous=true", 400,
       "previous terminated container \"c\" in pod \"p\" not found"},
      {at(kPods, "none") + "/log", 404, "pods \"none\" not found"},
  };
  for (const Case& one : cases) {
    Answer answer = lab_.get(one.path);
    EXPECT_EQ(answer.status, one.status) << one.path;
    EXPECT_EQ(answer.message(), one.message);
  }
  for (const char* bad :
       {"tailLines=-1", "limitBytes=0", "sinceSeconds=0", "stream=None",
        "stream=Stdout&tailLines=1", "sinceSeconds=1&sinceTime=2025-01-01T00:00:00Z"})
    EXPECT_EQ(lab_.get(at(kPods, "p") + "/log?" + bad).status, 422) << bad;
  EXPECT_EQ(lab_.get(at(kPods, "p") + "/log?tailLines=-1").message(),
            "PodLogOptions \"p\" is invalid: tailLines: Invalid value: -1: must be greater than or "
            "equal to 0");
  EXPECT_EQ(lab_.get(at(kPods, "p") + "/log?tailLines=x").status, 400);
  EXPECT_EQ(lab_.get(at(kPods, "two") + "/log?container=b").status, 200);
}

TEST_F(NodeTest, LogsOfOneStreamAndOfAPodWithoutNode) {
  lab_.get(at(kPods, "p") + "/log?stream=Stderr");
  EXPECT_EQ(node_.asked.stream, client::LogStream::kStderr);
  EXPECT_EQ(lab_.post(kPods, pod("new")).status, 201);
  Answer log = lab_.get(at(kPods, "new") + "/log");
  EXPECT_EQ(log.status, 200);
  EXPECT_EQ(log.text, "");
  for (const char* what : {"/exec?command=ls&stdout=1", "/attach?stdout=1", "/portforward"}) {
    EXPECT_EQ(lab_.get(at(kPods, "new") + what).message(), "pod new does not have a host assigned");
  }
}

// An address of this machine that is not loopback; empty without one.
std::string outer_address() {
  std::string found;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return found;
  for (ifaddrs* entry = list; entry && found.empty(); entry = entry->ifa_next) {
    if (!entry->ifa_addr || entry->ifa_addr->sa_family != AF_INET) continue;
    char text[INET_ADDRSTRLEN];
    const auto* address = reinterpret_cast<const sockaddr_in*>(entry->ifa_addr);
    ::inet_ntop(AF_INET, &address->sin_addr, text, sizeof text);
    if (streams::proxyable_address(text)) found = text;
  }
  ::freeifaddrs(list);
  return found;
}

// The pod's address is one of this machine, where the same server listens: it is its own backend.
TEST_F(NodeTest, Proxy) {
  const std::string address = outer_address();
  if (address.empty()) GTEST_SKIP() << "this machine has no address but loopback";
  auto listened =
      lab_.on_io([](http::Server& server, std::string on) -> Task<Result<std::uint16_t>> {
        co_return server.listen_tcp(on, 0);
      }(*lab_.http, address));
  ASSERT_TRUE(listened) << listened.error().message;
  const std::uint16_t port = *listened;
  Json status = {{"status", {{"phase", "Running"}, {"podIP", address}}}};
  EXPECT_EQ(lab_.merge(at(kPods, "p") + "/status", status).status, 200);
  std::string base = at(kPods, "p:" + std::to_string(port)) + "/proxy";
  Answer version = lab_.get(base + "/version?x=y");
  EXPECT_EQ(version.status, 200) << version.text;
  EXPECT_EQ(version.at("/gitVersion"), "v1.36.0+test");
  status["status"]["podIP"] = "127.0.0.1";
  EXPECT_EQ(lab_.merge(at(kPods, "two") + "/status", status).status, 200);
  EXPECT_EQ(lab_.get(at(kPods, "two:80") + "/proxy/").message(), "address not allowed");
  Answer root = lab_.get(base + "?x=y");
  EXPECT_EQ(root.status, 301);
  EXPECT_EQ(root.headers.get("Location"), base + "/?x=y");
  // Who asks is not told to the backend: it sees somebody without a name.
  EXPECT_EQ(lab_.get(base + kMaps).status, 403);
  EXPECT_EQ(lab_.get(at(kPods, "p:1") + "/proxy/").status, 503);
  EXPECT_EQ(lab_.get(at(kPods, "ftp:p:1") + "/proxy/").message(),
            "invalid pod request \"ftp:p:1\"");
  EXPECT_EQ(lab_.get(at(kServices, "none:80") + "/proxy/").status, 404);
  EXPECT_EQ(lab_.post(kServices, service("s")).status, 201);
  EXPECT_EQ(lab_.get(at(kServices, "s:80") + "/proxy/").message(),
            "no endpoints available for service \"s\"");
  EXPECT_EQ(lab_.get(at(kServices, "s:81") + "/proxy/").message(),
            "no service port 81 found for service \"s\"");
  Json slice = {{"metadata", {{"name", "s-1"}, {"labels", {{"kubernetes.io/service-name", "s"}}}}},
                {"addressType", "IPv4"},
                {"ports", {{{"name", ""}, {"port", port}}}},
                {"endpoints", {{{"addresses", {address}}}}}};
  EXPECT_EQ(lab_.post("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice).status,
            201);
  EXPECT_EQ(lab_.get(at(kServices, "s:80") + "/proxy/version").at("/gitVersion"), "v1.36.0+test");
}

TEST_F(NodeTest, ExecOverAWebSocket) {
  http::WebSocket socket =
      this->socket("/exec?command=sh&command=-c&stdin=1&stdout=1&stderr=1&container=c");
  EXPECT_EQ(socket.subprotocol(), "v5.channel.k8s.io");
  EXPECT_EQ(read(socket), "1 ") << "an empty message on the lowest channel first";
  EXPECT_EQ(node_.command, (std::vector<std::string>{"sh", "-c"}));
  EXPECT_EQ(node_.container, "c");
  write(socket, 0, "hi");
  EXPECT_EQ(read(socket), "1 out:hi");
  EXPECT_EQ(read(socket), "2 err:hi");
  write(socket, 4, R"({"Width":80,"Height":24})");
  EXPECT_EQ(read(socket), "1 80x24");
  write(socket, 0, "exit");
  std::string end = read(socket);
  EXPECT_TRUE(end.starts_with("3 ")) << end;
  Json status = Json::parse(end.substr(2), nullptr, false);
  EXPECT_EQ(status["status"], "Failure");
  EXPECT_EQ(status["reason"], "NonZeroExitCode");
  EXPECT_EQ(status["details"]["causes"][0], (Json{{"reason", "ExitCode"}, {"message", "7"}}));
  EXPECT_EQ(read(socket), "closed");
  close(socket);
}

TEST_F(NodeTest, ClosingStdinEndsACommandThatReads) {
  http::WebSocket socket = this->socket("/exec?command=cat&stdin=1&stdout=1");
  EXPECT_EQ(read(socket), "1 ");
  write(socket, static_cast<char>(255), std::string_view("\0", 1));
  EXPECT_EQ(read(socket), R"(3 {"metadata":{},"status":"Success"})");
  close(socket);
}

TEST_F(NodeTest, AttachHasNoCommand) {
  http::WebSocket socket = this->socket("/attach?stdout=1&container=c");
  EXPECT_EQ(read(socket), "1 ");
  EXPECT_TRUE(node_.command.empty());
  close(socket);
}

TEST_F(NodeTest, ExecThatCannotBe) {
  EXPECT_EQ(lab_.get(at(kPods, "p") + "/exec?stdout=1").message(),
            "you must specify at least 1 command for the container");
  EXPECT_EQ(lab_.get(at(kPods, "p") + "/exec?command=ls").message(),
            "you must specify at least 1 of stdin, stdout, stderr");
  EXPECT_EQ(lab_.get(at(kPods, "p") + "/exec?command=ls&stdout=1").message(),
            "Upgrade request required");
  http::ClientRequest request;
  request.url = lab_.base + at(kPods, "p") + "/exec?command=ls&stdout=1";
  request.headers.set("Authorization", "Bearer admin-token");
  auto unknown = lab_.on_io(lab_.http_client->websocket(std::move(request), {"v9.channel.k8s.io"}));
  EXPECT_FALSE(unknown);
}

// As browsers do it, who cannot set headers.
TEST_F(NodeTest, TheTokenMayBeASubprotocol) {
  const std::string bearer = "base64url.bearer.authorization.k8s.io.";
  auto open = [this](std::vector<std::string> protocols) {
    http::ClientRequest request;
    request.url = lab_.base + at(kPods, "p") + "/exec?command=ls&stdout=1";
    return lab_.on_io(lab_.http_client->websocket(std::move(request), std::move(protocols)));
  };
  auto socket = open({bearer + jwt::encode_base64url("admin-token"), "v4.channel.k8s.io"});
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(socket->subprotocol(), "v4.channel.k8s.io");
  close(*socket);
  EXPECT_FALSE(open({"v4.channel.k8s.io"})) << "nobody may not";
  auto wrong = open({bearer + jwt::encode_base64url("no-token"), "v4.channel.k8s.io"});
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().reason, Reason::kUnauthorized);
}

TEST_F(NodeTest, UsageOfPodsAndTheNode) {
  std::string uid = made_.at("/metadata/uid").get<std::string>();
  client::PodUsage known{
      "default", "p", uid, WallTime(1'750'000'000s), 10s, {{"c", 250'000'000, 2048 * 1024}}};
  client::PodUsage former = known;
  former.uid = "of-an-earlier-pod";
  node_.usage = {known, former};
  Answer list = lab_.get("/apis/metrics.k8s.io/v1beta1/pods");
  ASSERT_EQ(list.status, 200) << list.text;
  EXPECT_EQ(list.at("/kind"), "PodMetricsList");
  ASSERT_EQ(list.at("/items").size(), 1u);
  EXPECT_EQ(list.at("/items/0/containers/0/usage"),
            (Json{{"cpu", "250000000n"}, {"memory", "2048Ki"}}));
  EXPECT_EQ(list.at("/items/0/window"), "10s");
  EXPECT_EQ(list.at("/items/0/timestamp"), "2025-06-15T15:06:40Z");
  Answer one = lab_.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/p");
  EXPECT_EQ(one.at("/kind"), "PodMetrics");
  Answer none = lab_.get("/apis/metrics.k8s.io/v1beta1/namespaces/default/pods/two");
  EXPECT_EQ(none.status, 404);
  EXPECT_EQ(none.message(), "podmetrics.metrics.k8s.io \"two\" not found");
  EXPECT_EQ(lab_.get("/apis/metrics.k8s.io/v1beta1/namespaces/other/pods").at("/items"),
            Json::array());
  // As with pods: no sample of what is not there.
  EXPECT_EQ(lab_.get("/apis/metrics.k8s.io/v1beta1/nodes").at("/items"), Json::array());
  ASSERT_EQ(lab_.post("/api/v1/nodes", {{"metadata", {{"name", "box"}}}}).status, 201);
  Answer nodes = lab_.get("/apis/metrics.k8s.io/v1beta1/nodes");
  EXPECT_EQ(nodes.at("/items/0/usage"), (Json{{"cpu", "1500000000n"}, {"memory", "3072Ki"}}));
  EXPECT_EQ(lab_.get("/apis/metrics.k8s.io/v1beta1/nodes/box").at("/kind"), "NodeMetrics");
  EXPECT_EQ(lab_.post("/apis/metrics.k8s.io/v1beta1/nodes", Json::object()).status, 405);
}

// Nobody's work is left behind when the daemon stops, whoever still listens to it.
TEST_F(NodeTest, ImageJobsEndWithTheServer) {
  auto begin = [this] {
    http::ClientRequest request;
    request.method = "POST";
    request.url = lab_.base + "/moth/v1/images/pull";
    request.headers.set("Authorization", "Bearer " + lab_.token);
    request.headers.set("Content-Type", "application/json");
    request.body = R"({"reference": "endless"})";
    return lab_.on_io(lab_.http_client->open(std::move(request)));
  };
  auto stream = begin();
  ASSERT_TRUE(stream);
  auto line = lab_.on_io(stream->read_line());
  ASSERT_TRUE(line && *line);
  EXPECT_EQ(**line, R"({"progress":"layer 1"})");
  EXPECT_FALSE(node_.pull_ended);
  lab_.on_io(stop_server());
  EXPECT_TRUE(node_.pull_ended);
  line = lab_.on_io(stream->read_line());
  ASSERT_TRUE(line && *line);
  EXPECT_NE((*line)->find("\"reason\":\"ServiceUnavailable\""), std::string::npos) << **line;
  auto late = begin();
  ASSERT_TRUE(late);
  line = lab_.on_io(late->read_line());
  EXPECT_TRUE(!line || !*line) << **line;
}

TEST(Backup, IsTheAdministrators) {
  auto pieces = std::make_shared<std::deque<std::string>>();
  LabOptions options;
  options.backup = [pieces]() -> Task<Result<PieceReader>> {
    *pieces = {"one", "two", ""};
    co_return [pieces]() -> Result<std::string> {
      if (pieces->empty()) return fail(Error::of(Reason::kInternalError, "the disk is broken"));
      std::string next = pieces->front();
      pieces->pop_front();
      return next;
    };
  };
  ServerLab lab(options);
  Answer copy = lab.get("/moth/v1/backup");
  EXPECT_EQ(copy.status, 200);
  EXPECT_EQ(copy.text, "onetwo");
  EXPECT_EQ(copy.headers.get("Content-Type"), "application/vnd.sqlite3");
  EXPECT_EQ(lab.post("/moth/v1/backup", Json::object()).status, 405);
  lab.token = "user-token";
  EXPECT_EQ(lab.get("/moth/v1/backup").status, 403);
}

// Half a copy must not look like a whole one.
TEST(Backup, ThatBreaksOffIsSeen) {
  LabOptions options;
  options.backup = []() -> Task<Result<PieceReader>> {
    auto given = std::make_shared<bool>(false);
    co_return [given]() -> Result<std::string> {
      if (std::exchange(*given, true)) return fail(Error::of(Reason::kInternalError, "broken"));
      return "one";
    };
  };
  ServerLab lab(options);
  http::ClientRequest request;
  request.url = lab.base + "/moth/v1/backup";
  request.headers.set("Authorization", "Bearer " + lab.token);
  EXPECT_FALSE(lab.on_io(lab.http_client->request(std::move(request))));
}

TEST_F(NodeTest, Images) {
  EXPECT_EQ(lab_.get("/moth/v1/images").at("/images"), Json::array());
  Answer pulled = lab_.post("/moth/v1/images/pull", {{"reference", "nginx"}});
  EXPECT_EQ(pulled.text,
            "{\"progress\":\"layer 1\"}\n{\"progress\":\"layer 2\"}\n"
            "{\"result\":{\"reference\":\"nginx\"}}\n");
  Answer failed = lab_.post("/moth/v1/images/load", {{"path", "/none"}});
  EXPECT_EQ(failed.at("/error/reason"), "NotFound");
  EXPECT_EQ(lab_.call("DELETE", "/moth/v1/images").status, 400);
  EXPECT_EQ(lab_.call("DELETE", "/moth/v1/images?reference=nginx").status, 200);
  EXPECT_EQ(lab_.get("/moth/v1/nothing").status, 404);
  EXPECT_EQ(lab_.call("PUT", "/moth/v1/images").status, 405);
}

}  // namespace
}  // namespace moth::server
