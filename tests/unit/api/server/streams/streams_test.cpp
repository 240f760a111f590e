// exec, attach and port-forward in every protocol, over a real server on loopback, with processes
// and pods that the test plays.
#include <map>

#include "api/base/json.h"
#include "api/base/notifier.h"
#include "api/schema/base64.h"
#include "api/server/streams/limits.h"
#include "api/server/streams/negotiate.h"
#include "api/server/streams/port_forward.h"
#include "api/server/streams/remote_command.h"
#include "tests/unit/api/http/harness.h"

namespace moth::server::streams {
namespace {

using http::HttpTest;
using http::Request;
using http::spdy::Session;
using http::spdy::SessionStream;
using std::chrono::milliseconds;

// Echoes its input, ends with its input; says its size.
class Echo final : public client::ExecSession {
 public:
  explicit Echo(asio::any_io_executor executor, int code) : code_(code), changed_(executor) {}
  Task<Result<client::ExecOutput>> read() override {
    while (said_.empty()) co_await changed_.wait();
    auto next = said_.front();
    said_.erase(said_.begin());
    co_return next;
  }
  Task<Result<>> write_stdin(std::string data) override {
    say({client::StreamChannel::kStdout, "out:" + data, 0});
    say({client::StreamChannel::kStderr, "err:" + data, 0});
    if (data == "exit") say({client::StreamChannel::kStdout, "", code_});
    co_return Result<>{};
  }
  Task<Result<>> close_stdin() override {
    say({client::StreamChannel::kStdout, "", code_});
    co_return Result<>{};
  }
  Task<Result<>> resize(int width, int height) override {
    say({client::StreamChannel::kStdout, std::to_string(width) + "x" + std::to_string(height), 0});
    co_return Result<>{};
  }

 private:
  void say(client::ExecOutput output) {
    said_.push_back(std::move(output));
    changed_.notify();
  }
  int code_;
  std::vector<client::ExecOutput> said_;
  Notifier changed_;
};

class StreamsTest : public HttpTest {
 protected:
  Task<void> command(http::Exchange& exchange) {
    CommandStreams wanted{true, true, !tty, tty};
    Echo process(exchange.executor(), code);
    std::unique_ptr<CommandClient> client;
    if (requested_upgrade(exchange.request()) == Upgrade::kSpdy) {
      auto upgraded = co_await upgrade_to_spdy(exchange, command_spdy_protocols());
      if (!upgraded || !*upgraded) co_return;
      auto made = co_await make_spdy_command(std::move((*upgraded)->connection),
                                             (*upgraded)->protocol, wanted);
      if (!made) co_return;
      client = std::move(*made);
    } else {
      auto chosen = first_supported(exchange.websocket_protocols(), command_websocket_protocols());
      auto socket = co_await exchange.upgrade_websocket(chosen.value_or(""), websocket_options());
      if (!socket) co_return;
      client = co_await make_websocket_command(std::move(*socket), wanted);
    }
    co_await run_command(*client, process, wanted);
    ended = true;
  }

  Task<std::unique_ptr<Session>> spdy(std::vector<std::string> versions) {
    http::ClientRequest request;
    request.method = "POST";
    request.url = base + "/";
    request.headers = {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}};
    for (auto& version : versions) request.headers.add("X-Stream-Protocol-Version", version);
    auto upgraded = co_await client().upgrade(std::move(request));
    EXPECT_TRUE(upgraded) << upgraded.error().message;
    answer = upgraded->response;
    if (!upgraded->stream) co_return nullptr;
    co_return std::make_unique<Session>(std::move(upgraded->stream), Session::Role::kClient);
  }

  // The next message of a WebSocket as channel and payload.
  Task<std::pair<int, std::string>> next(http::WebSocket& socket) {
    auto message = co_await socket.read();
    if (!message || !*message) co_return std::pair(-1, std::string());
    std::string data = std::move((*message)->data);
    int channel = static_cast<unsigned char>(data.at(0));
    data.erase(0, 1);
    co_return std::pair(channel, data);
  }

  bool tty = false, ended = false;
  int code = 0;
  http::Response answer;
  std::vector<http::RawStream> kept;
};

TEST_F(StreamsTest, CommandOverEveryWebSocketProtocol) {
  serve([this](http::Exchange& exchange) { return command(exchange); });
  struct Case {
    const char* protocol;
    int code;
    std::string status;
  };
  const std::string success = R"({"metadata":{},"status":"Success"})";
  const std::string text = "command terminated with non-zero exit code: exit status 7";
  for (const Case& how :
       {Case{"v5.channel.k8s.io", 0, success}, Case{"v4.channel.k8s.io", 0, success},
        Case{"v3.channel.k8s.io", 7, text}, Case{"channel.k8s.io", 7, text},
        Case{"channel.k8s.io", 0, ""}, Case{"", 7, text}}) {
    code = how.code;
    auto scenario = [&]() -> Task<void> {
      std::vector<std::string> offered;
      if (*how.protocol) offered = {"v9.unknown", how.protocol};
      auto socket = co_await client().websocket(http::get(base), offered);
      EXPECT_TRUE(socket) << socket.error().message;
      EXPECT_EQ(socket->subprotocol(), how.protocol);
      EXPECT_EQ(co_await next(*socket), std::pair(1, std::string()));
      co_await socket->write_binary(std::string_view("\0", 1), "hi");
      EXPECT_EQ(co_await next(*socket), std::pair(1, std::string("out:hi")));
      EXPECT_EQ(co_await next(*socket), std::pair(2, std::string("err:hi")));
      co_await socket->write_binary("\x04", R"({"Width":80,"Height":24})");
      EXPECT_EQ(co_await next(*socket), std::pair(1, std::string("80x24")));
      if (socket->subprotocol() == "v5.channel.k8s.io") {
        co_await socket->write_binary(std::string_view("\xff\0", 2));
      } else {
        co_await socket->write_binary(std::string_view("\0", 1), "exit");
        co_await next(*socket);
        co_await next(*socket);
      }
      if (!how.status.empty()) {
        EXPECT_EQ(co_await next(*socket), std::pair(3, how.status));
      }
      EXPECT_EQ((co_await next(*socket)).first, -1);
      EXPECT_EQ(socket->close_code(), 1000);
    };
    run(scenario());
  }
}

TEST_F(StreamsTest, CommandInBase64) {
  serve([this](http::Exchange& exchange) { return command(exchange); });
  auto scenario = [&]() -> Task<void> {
    auto socket = co_await client().websocket(http::get(base), {"v4.base64.channel.k8s.io"});
    EXPECT_EQ(co_await next(*socket), std::pair(int('1'), std::string()));
    co_await socket->write_text("0" + schema::encode_base64("hi"));
    EXPECT_EQ(co_await next(*socket), std::pair(int('1'), schema::encode_base64("out:hi")));
  };
  run(scenario());
}

TEST_F(StreamsTest, CommandOverSpdy) {
  serve([this](http::Exchange& exchange) { return command(exchange); });
  code = 7;
  auto scenario = [&]() -> Task<void> {
    auto session = co_await spdy({"v5.channel.k8s.io", "v4.channel.k8s.io", "channel.k8s.io"});
    EXPECT_EQ(answer.status, 101);
    EXPECT_EQ(answer.headers.get("X-Stream-Protocol-Version"), "v4.channel.k8s.io");
    auto error = *co_await session->open({{"streamType", "error"}});
    auto in = *co_await session->open({{"streamType", "stdin"}});
    auto out = *co_await session->open({{"streamType", "stdout"}});
    auto err = *co_await session->open({{"streamType", "stderr"}});
    co_await error->shutdown_write();
    co_await in->write("hi");
    char buffer[64];
    auto count = co_await out->read_some(buffer, sizeof buffer);
    EXPECT_EQ(std::string(buffer, *count), "out:hi");
    co_await in->shutdown_write();
    EXPECT_EQ(co_await read_all(*err), "err:hi");
    EXPECT_EQ(co_await read_all(*out), "");
    Json status = Json::parse(co_await read_all(*error));
    EXPECT_EQ(status["reason"], "NonZeroExitCode");
    EXPECT_EQ(status["details"]["causes"][0]["message"], "7");
    session.reset();
    for (int i = 0; i < 200 && !ended; ++i) co_await sleep(milliseconds(5));
    EXPECT_TRUE(ended);
  };
  run(scenario());
}

TEST_F(StreamsTest, TerminalOverSpdyHasSizes) {
  serve([this](http::Exchange& exchange) { return command(exchange); });
  tty = true;
  auto scenario = [&]() -> Task<void> {
    auto session = co_await spdy({"v4.channel.k8s.io"});
    std::vector<std::unique_ptr<SessionStream>> kept;
    for (const char* type : {"error", "stdin", "stdout", "resize"}) {
      kept.push_back(*co_await session->open({{"streamType", type}}));
    }
    co_await kept[3]->write("{\"Width\":80,\"Height\":24}\n{\"Wid");
    co_await kept[3]->write("th\":100,\"Height\":30}\n");
    std::string seen;
    char buffer[64];
    while (seen.size() < 11) {
      auto count = co_await kept[2]->read_some(buffer, sizeof buffer);
      if (!count || *count == 0) break;
      seen.append(buffer, *count);
    }
    EXPECT_EQ(seen, "80x24100x30");
  };
  run(scenario());
}

TEST_F(StreamsTest, NoCommonProtocolIsForbidden) {
  serve([this](http::Exchange& exchange) { return command(exchange); });
  auto scenario = [&]() -> Task<void> {
    auto session = co_await spdy({"v99.channel.k8s.io"});
    EXPECT_FALSE(session);
    EXPECT_EQ(answer.status, 403);
    EXPECT_NE(answer.body.find("client supports [v99.channel.k8s.io], server accepts [v4"),
              std::string::npos);
    EXPECT_EQ(answer.headers.all("X-Accepted-Stream-Protocol-Versions").size(), 4U);
  };
  run(scenario());
}

TEST_F(StreamsTest, AClientThatVanishesEndsTheCommand) {
  serve([this](http::Exchange& exchange) { return command(exchange); });
  auto scenario = [&]() -> Task<void> {
    {
      auto socket = co_await client().websocket(http::get(base), {"v5.channel.k8s.io"});
      EXPECT_TRUE(socket);
      socket->abort();
    }
    for (int i = 0; i < 200 && !ended; ++i) co_await sleep(milliseconds(5));
    EXPECT_TRUE(ended);
  };
  run(scenario());
}

class ForwardTest : public StreamsTest {
 protected:
  // Port 80 echoes in capitals, port 81 says something and ends, the rest refuses.
  ForwardTarget target() {
    return {"web", [this](int port) { return dial(port); }};
  }
  Task<Result<http::RawStream>> dial(int port) {
    if (port > 81) {
      co_return fail(Error::of(Reason::kServiceUnavailable, "connection refused"));
    }
    auto [here, there] = http::memory_pipe(loop.get_executor());
    asio::co_spawn(loop, port == 80 ? upper(std::move(there)) : hello(std::move(there)),
                   [](std::exception_ptr) {});
    co_return std::move(here);
  }
  static Task<void> upper(http::RawStream stream) {
    char buffer[1000];
    for (;;) {
      auto count = co_await stream->read_some(buffer, sizeof buffer);
      if (!count || *count == 0) break;
      for (std::size_t i = 0; i < *count; ++i) buffer[i] = static_cast<char>(buffer[i] - 32);
      co_await stream->write(std::string_view(buffer, *count));
    }
    co_await stream->shutdown_write();
    co_await stream->read_some(buffer, 1);
  }
  static Task<void> hello(http::RawStream stream) {
    co_await stream->write(std::string_view("hello"));
    co_await stream->shutdown_write();
  }

  struct Connection {
    std::unique_ptr<SessionStream> error, data;
  };
  static Task<Connection> connect(Session& session, std::string port, std::string request) {
    Connection both;
    both.error =
        *co_await session.open({{"streamtype", "error"}, {"port", port}, {"requestid", request}});
    co_await both.error->shutdown_write();
    both.data =
        *co_await session.open({{"streamtype", "data"}, {"port", port}, {"requestid", request}});
    co_return both;
  }
};

TEST_F(ForwardTest, ConnectionsOverOneTunnel) {
  serve([this](http::Exchange& exchange) -> Task<void> {
    auto socket =
        co_await exchange.upgrade_websocket(std::string(kTunnelProtocol), websocket_options());
    co_await forward_spdy(http::stream_over_websocket(std::move(*socket)), target());
    ended = true;
  });
  auto scenario = [&]() -> Task<void> {
    auto socket = co_await client().websocket(http::get(base), {std::string(kTunnelProtocol)});
    Session session(http::stream_over_websocket(std::move(*socket)), Session::Role::kClient);
    Connection one = co_await connect(session, "80", "0");
    Connection two = co_await connect(session, "81", "1");
    Connection none = co_await connect(session, "82", "2");
    co_await one.data->write("abc");
    co_await one.data->shutdown_write();
    EXPECT_EQ(co_await read_all(*one.data), "ABC");
    EXPECT_EQ(co_await read_all(*one.error), "");
    EXPECT_EQ(co_await read_all(*two.data), "hello");
    EXPECT_EQ(co_await read_all(*two.error), "");
    two.data->reset(http::spdy::ResetStatus::kCancel);
    EXPECT_EQ(co_await read_all(*none.error),
              "error forwarding port 82 to pod web, uid : connection refused");
    EXPECT_EQ(co_await read_all(*none.data), "");
    co_await session.close();
    for (int i = 0; i < 200 && !ended; ++i) co_await sleep(milliseconds(5));
    EXPECT_TRUE(ended);
  };
  run(scenario());
}

TEST_F(ForwardTest, RawSpdyAndStreamsThatMakeNoSense) {
  serve([this](http::Exchange& exchange) -> Task<void> {
    auto upgraded = co_await upgrade_to_spdy(exchange, forward_spdy_protocols());
    co_await forward_spdy(std::move((*upgraded)->connection), target());
  });
  auto scenario = [&]() -> Task<void> {
    auto session = co_await spdy({"portforward.k8s.io"});
    EXPECT_EQ(answer.headers.get("X-Stream-Protocol-Version"), "portforward.k8s.io");
    char byte = 0;
    for (http::Headers bad : {http::Headers{{"streamtype", "data"}},
                              http::Headers{{"streamtype", "data"}, {"port", "70000"}},
                              http::Headers{{"streamtype", "video"}, {"port", "80"}}}) {
      auto stream = *co_await session->open(bad);
      EXPECT_FALSE(co_await stream->read_some(&byte, 1));
    }
    // As clients of long ago: without requestid, the error stream first.
    auto error = *co_await session->open({{"streamtype", "error"}, {"port", "80"}});
    auto data = *co_await session->open({{"streamtype", "data"}, {"port", "80"}});
    co_await data->write("x");
    auto count = co_await data->read_some(&byte, 1);
    EXPECT_TRUE(count && *count == 1 && byte == 'X');
  };
  run(scenario());
}

TEST_F(ForwardTest, ChannelsOfAWebSocket) {
  serve([this](http::Exchange& exchange) -> Task<void> {
    auto ports = forward_ports(exchange.request().query);
    auto socket = co_await exchange.upgrade_websocket("v4.channel.k8s.io", websocket_options());
    co_await forward_channels(std::move(*socket), *ports, target());
    ended = true;
  });
  auto scenario = [&]() -> Task<void> {
    auto socket = co_await client().websocket(http::get(base + "/?ports=80,82&ports=81"),
                                              {"v4.channel.k8s.io"});
    const std::string_view numbers[] = {{"P\0", 2}, {"P\0", 2}, {"R\0", 2},
                                        {"R\0", 2}, {"Q\0", 2}, {"Q\0", 2}};
    for (int channel = 0; channel < 6; ++channel) {
      EXPECT_EQ(co_await next(*socket), std::pair(channel, std::string(numbers[channel])));
    }
    co_await socket->write_binary(std::string_view("\0", 1), "abc");
    std::map<int, std::string> seen;
    while (seen.size() < 3) {
      auto [channel, data] = co_await next(*socket);
      if (channel < 0) break;
      seen[channel] += data;
    }
    EXPECT_EQ(seen[0], "ABC");
    EXPECT_EQ(seen[3], "error forwarding port 82 to pod web, uid : connection refused");
    EXPECT_EQ(seen[4], "hello");
    EXPECT_FALSE(ended);
    co_await socket->close();
    for (int i = 0; i < 200 && !ended; ++i) co_await sleep(milliseconds(5));
    EXPECT_TRUE(ended);
  };
  run(scenario());
}

// What runs when the server stops is cancelled, and nothing may be left running.
TEST_F(ForwardTest, AServerThatStopsEndsItsForwards) {
  serve([this](http::Exchange& exchange) -> Task<void> {
    if (exchange.websocket_requested()) {
      auto socket = co_await exchange.upgrade_websocket("v4.channel.k8s.io", websocket_options());
      co_await forward_channels(std::move(*socket), {80}, target());
      co_return;
    }
    auto upgraded = co_await upgrade_to_spdy(exchange, forward_spdy_protocols());
    co_await forward_spdy(std::move((*upgraded)->connection), target());
  });
  auto scenario = [&]() -> Task<void> {
    auto session = co_await spdy({"portforward.k8s.io"});
    Connection one = co_await connect(*session, "80", "0");
    auto alone =
        *co_await session->open({{"streamtype", "data"}, {"port", "80"}, {"requestid", "9"}});
    co_await one.data->write("a");
    char byte = 0;
    auto count = co_await one.data->read_some(&byte, 1);
    EXPECT_TRUE(count && byte == 'A');
    auto socket = co_await client().websocket(http::get(base), {"v4.channel.k8s.io"});
    co_await socket->write_binary(std::string_view("\0b", 2));
    for (int i = 0; i < 3; ++i) co_await next(*socket);
    co_await server->stop(milliseconds(10));
    EXPECT_EQ(co_await next(*socket), std::pair(-1, std::string()));
    EXPECT_FALSE(co_await one.data->read_some(&byte, 1));
  };
  run(scenario());
}

TEST_F(ForwardTest, APodThatReadsNothingHoldsLittle) {
  std::size_t taken = 0;
  serve([&](http::Exchange& exchange) -> Task<void> {
    auto upgraded = co_await upgrade_to_spdy(exchange, forward_spdy_protocols());
    ForwardTarget stuck{"web", [this](int) -> Task<Result<http::RawStream>> {
                          auto [here, there] = http::memory_pipe(loop.get_executor());
                          kept.push_back(std::move(there));
                          co_return std::move(here);
                        }};
    co_await forward_spdy(std::move((*upgraded)->connection), stuck);
  });
  auto scenario = [&]() -> Task<void> {
    auto session = co_await spdy({"portforward.k8s.io"});
    Connection one = co_await connect(*session, "80", "0");
    TaskScope scope(loop.get_executor());
    auto writer = [&]() -> Task<void> {
      std::string block(64 * 1024, 'x');
      while (co_await one.data->write(block)) taken += block.size();
    };
    scope.spawn("writer", writer());
    co_await sleep(milliseconds(300));
    std::size_t before = taken;
    co_await sleep(milliseconds(100));
    // Nothing moves any more: what was taken is in buffers of sockets and of the session.
    EXPECT_EQ(taken, before);
    EXPECT_LT(taken, 32U << 20);
    scope.cancel();
    co_await scope.join();
    kept.clear();
  };
  run(scenario());
}

TEST(ForwardPorts, AreChecked) {
  EXPECT_EQ(forward_ports(http::Query::parse("ports=1,2&ports=3")).value(),
            (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(forward_ports(http::Query::parse("")).error().message,
            "query parameter \"port\" is required");
  EXPECT_FALSE(forward_ports(http::Query::parse("ports=0")));
  EXPECT_FALSE(forward_ports(http::Query::parse("ports=65536")));
  EXPECT_FALSE(forward_ports(http::Query::parse("ports=http")));
}

}  // namespace
}  // namespace moth::server::streams
