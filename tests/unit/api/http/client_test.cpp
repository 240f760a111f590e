#include "api/http/client.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_future.hpp>
#include <future>
#include <thread>

#include "api/base/executors.h"
#include "api/base/notifier.h"
#include "tests/unit/api/http/harness.h"

namespace moth::http {
namespace {

class ClientTest : public HttpTest {};

Task<void> describe(Exchange& exchange) {
  const Request& request = exchange.request();
  std::string text = request.method + " " + request.target + "\n";
  for (const Header& line : request.headers) text += line.name + ": " + line.value + "\n";
  co_await exchange.send(Response::text(200, text + request.body));
}

TEST_F(ClientTest, ConnectionsAreReused) {
  serve(describe);
  for (int i = 0; i < 5; ++i) {
    auto response = run(client().request(get(base + "/x?y=" + std::to_string(i))));
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_TRUE(response->body.starts_with("GET /x?y=" + std::to_string(i) + "\n"));
  }
  EXPECT_EQ(server->connections(), 1U);
  EXPECT_EQ(client().idle_connections(), 1U);
}

TEST_F(ClientTest, ParallelRequestsUseParallelConnections) {
  Notifier all_here(loop.get_executor());
  int waiting = 0;
  serve([&](Exchange& exchange) -> Task<void> {
    if (++waiting == 3) all_here.notify();
    while (waiting < 3) co_await all_here.wait();
    co_await exchange.send(Response::text(200, "x"));
  });
  auto scenario = [&]() -> Task<int> {
    TaskScope scope(loop.get_executor());
    int good = 0;
    auto one = [&]() -> Task<void> {
      auto response = co_await client().request(get(base + "/"));
      good += response && response->status == 200;
    };
    for (int i = 0; i < 3; ++i) scope.spawn("request", one());
    co_await scope.join();
    co_return good;
  };
  EXPECT_EQ(run(scenario()), 3);
  EXPECT_EQ(client().idle_connections(), 3U);
}

TEST_F(ClientTest, RequestLooksAsItShould) {
  serve(describe);
  ClientRequest request = get("http://u:p@127.0.0.1:" + std::to_string(port));
  request.method = "POST";
  request.headers.add("X-A", "b\r\nX-Evil: c");
  auto response = run(client().request(request));
  ASSERT_TRUE(response);
  const std::string& text = response->body;
  EXPECT_NE(text.find("POST /\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Host: 127.0.0.1:" + std::to_string(port)), std::string::npos);
  EXPECT_NE(text.find("Content-Length: 0\n"), std::string::npos);
  EXPECT_NE(text.find("Authorization: Basic dTpw\n"), std::string::npos);
  EXPECT_NE(text.find("User-Agent: moth/"), std::string::npos);
  EXPECT_EQ(text.find("\nX-Evil"), std::string::npos);
}

TEST_F(ClientTest, BodiesFromASourceAreSent) {
  serve(describe);
  for (bool sized : {true, false}) {
    ClientRequest request = get(base + "/");
    request.method = "PUT";
    auto left = std::make_shared<int>(300'000);
    request.body_source = [left](char* data, std::size_t size) -> Task<Result<std::size_t>> {
      auto count = std::min<std::size_t>(size, static_cast<std::size_t>(*left));
      std::fill_n(data, count, 'z');
      *left -= static_cast<int>(count);
      co_return count;
    };
    if (sized) request.body_size = 300'000;
    auto response = run(client().request(std::move(request)));
    ASSERT_TRUE(response) << response.error().message;
    EXPECT_EQ(std::count(response->body.begin(), response->body.end(), 'z'), 300'000);
    EXPECT_EQ(response->body.find("Transfer-Encoding: chunked") == std::string::npos, sized);
  }
}

TEST_F(ClientTest, ShortBodySourceIsAnError) {
  serve(describe);
  ClientRequest request = get(base + "/");
  request.method = "PUT";
  request.body_size = 10;
  request.body_source = [](char*, std::size_t) -> Task<Result<std::size_t>> {
    co_return std::size_t{0};
  };
  auto response = run(client().request(std::move(request)));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("ContentLength=10 with Body length 0"),
            std::string::npos);
}

TEST_F(ClientTest, RefusedConnectionReadsAsInGo) {
  serve(describe);
  run(server->stop());
  auto response = run(client().request(get(base + "/api?timeout=32s")));
  ASSERT_FALSE(response);
  std::string where = "127.0.0.1:" + std::to_string(port);
  EXPECT_EQ(response.error().message, "Get \"" + base + "/api?timeout=32s\": dial tcp " + where +
                                          ": connect: connection refused");
  EXPECT_EQ(response.error().os_errno, ECONNREFUSED);
}

TEST_F(ClientTest, UnknownHostReadsAsInGo) {
  auto response = run(client().request(get("http://no-such-host.invalid/")));
  ASSERT_FALSE(response);
  EXPECT_TRUE(response.error().message.starts_with(
      "Get \"http://no-such-host.invalid/\": dial tcp: lookup no-such-host.invalid: "))
      << response.error().message;
}

TEST_F(ClientTest, MissingSocketIsNamed) {
  auto response = run(client().request(get("http+unix://%2Fnowhere%2Fx.sock/")));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find(
                "dial unix /nowhere/x.sock: connect: no such file or directory"),
            std::string::npos)
      << response.error().message;
}

TEST_F(ClientTest, LocalhostIsResolvedAndTriedOnEveryAddress) {
  serve(describe);
  auto response = run(client().request(get("http://localhost:" + std::to_string(port) + "/")));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 200);
}

TEST_F(ClientTest, TimeoutCoversHeaderAndBody) {
  serve([&](Exchange& exchange) -> Task<void> {
    if (exchange.request().path == "/body") {
      auto writer = co_await exchange.start_stream(200, {});
      co_await writer->write(std::string_view("some"));
    }
    Notifier never(exchange.executor());
    co_await never.wait();
  });
  ClientRequest request = get(base + "/header");
  request.timeout = milliseconds(80);
  auto response = run(client().request(request));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().reason, Reason::kTimeout);
  EXPECT_NE(response.error().message.find("Client.Timeout exceeded while awaiting headers"),
            std::string::npos);
  request.url = base + "/body";
  response = run(client().request(request));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("while reading body"), std::string::npos);
  EXPECT_EQ(client().idle_connections(), 0U);
}

TEST_F(ClientTest, ReadTimeoutEndsAQuietStream) {
  serve([&](Exchange& exchange) -> Task<void> {
    auto writer = co_await exchange.start_stream(200, {});
    co_await writer->write(std::string_view("some"));
    co_await writer->wait_closed();
  });
  auto scenario = [&]() -> Task<void> {
    ClientRequest request = get(base + "/");
    request.read_timeout = milliseconds(60);
    auto stream = co_await client().open(request);
    EXPECT_EQ(*co_await stream->read_piece(), "some");
    auto next = co_await stream->read_piece();
    EXPECT_FALSE(next);
    EXPECT_EQ(next.error().reason, Reason::kTimeout);
  };
  run(scenario());
}

TEST_F(ClientTest, OversizedAnswersAreRefused) {
  serve([](Exchange& exchange) -> Task<void> {
    co_await exchange.send(Response::text(200, std::string(2000, 'x')));
  });
  ClientRequest request = get(base + "/");
  request.body_limit = 2000;
  EXPECT_TRUE(run(client().request(request)));
  request.body_limit = 1999;
  auto response = run(client().request(request));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().reason, Reason::kRequestEntityTooLarge);
}

TEST_F(ClientTest, CutBodiesAreErrors) {
  serve([&](Exchange& exchange) -> Task<void> {
    auto writer = co_await exchange.start_stream(200, {});
    co_await writer->write(std::string_view("half"));
    writer->abort();
  });
  auto response = run(client().request(get(base + "/")));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().message.find("unexpected EOF"), std::string::npos)
      << response.error().message;
}

TEST_F(ClientTest, BodiesMayEndWithTheConnection) {
  // An answer without length or chunks, as HTTP/1.0 servers give it.
  serve([](Exchange& exchange) -> Task<void> {
    auto stream = co_await exchange.upgrade_raw({{"X", "y"}}, 200);
    co_await (*stream)->write(std::string_view("until the end"));
  });
  auto response = run(client().request(get(base + "/")));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "until the end");
  EXPECT_EQ(client().idle_connections(), 0U);
}

TEST_F(ClientTest, ConnectionsClosedByTheServerAreNotUsedAgain) {
  ServerOptions options;
  options.idle_timeout = milliseconds(60);
  serve(describe, options);
  EXPECT_TRUE(run(client().request(get(base + "/"))));
  run(sleep(milliseconds(200)));
  ClientRequest request = get(base + "/");
  request.method = "POST";
  request.body = "once";
  auto response = run(client().request(request));
  ASSERT_TRUE(response) << response.error().message;
}

TEST_F(ClientTest, RedirectsOnlyWhenAskedForAndWithoutLeakingTokens) {
  serve([&](Exchange& exchange) -> Task<void> {
    const Request& request = exchange.request();
    Response response =
        Response::text(200, std::string(request.headers.get("Authorization")) + "@" + request.path);
    if (request.path == "/a/from") {
      response = Response::text(302, "moved");
      response.headers.add("Location", "to?x=1");
    } else if (request.path == "/elsewhere") {
      response = Response::text(307, "");
      response.headers.add("Location", "http://localhost:" + std::to_string(port) + "/end");
    } else if (request.path == "/loop") {
      response = Response::text(302, "");
      response.headers.add("Location", "/loop");
    }
    co_await exchange.send(std::move(response));
  });
  ClientRequest request = get(base + "/a/from");
  request.headers.add("Authorization", "Bearer secret");
  EXPECT_EQ(run(client().request(request))->status, 302);
  request.max_redirects = 3;
  EXPECT_EQ(run(client().request(request))->body, "Bearer secret@/a/to");
  request.url = base + "/elsewhere";
  EXPECT_EQ(run(client().request(request))->body, "@/end");
  request.url = base + "/loop";
  EXPECT_NE(run(client().request(request)).error().message.find("stopped after 3 redirects"),
            std::string::npos);
}

TEST_F(ClientTest, LinesAreFoundAcrossPieces) {
  serve([](Exchange& exchange) -> Task<void> {
    auto writer = co_await exchange.start_stream(200, {});
    for (const char* piece : {"a", "b\nc", "\n", "\n", "last"}) {
      co_await writer->write(std::string_view(piece));
    }
  });
  auto scenario = [&]() -> Task<std::vector<std::string>> {
    auto stream = co_await client().open(get(base + "/"));
    std::vector<std::string> lines;
    for (;;) {
      auto line = co_await stream->read_line();
      if (!line || !*line) co_return lines;
      lines.push_back(**line);
    }
  };
  EXPECT_EQ(run(scenario()), (std::vector<std::string>{"ab", "c", "", "last"}));
  EXPECT_EQ(client().idle_connections(), 1U);
}

TEST_F(ClientTest, AnEarlyRefusalOfAnUploadIsSeen) {
  ServerOptions options;
  options.body_limit = 100;
  serve(describe, options);
  ClientRequest request = get(base + "/");
  request.method = "POST";
  auto left = std::make_shared<std::size_t>(64 << 20);
  request.body_source = [left](char*, std::size_t size) -> Task<Result<std::size_t>> {
    auto count = std::min(size, *left);
    *left -= count;
    co_return count;
  };
  auto response = run(client().request(std::move(request)));
  // What arrives first, the answer or the reset, is up to the kernel; an answer must be this one.
  if (response) EXPECT_EQ(response->status, 413);
  EXPECT_GT(*left, 0U);
}

TEST_F(ClientTest, UpgradesHandTheConnectionOver) {
  serve([](Exchange& exchange) -> Task<void> {
    if (!exchange.request().headers.has_token("Upgrade", "SPDY/3.1")) {
      co_await exchange.send_error(Error::bad_request("upgrade required"));
      co_return;
    }
    auto stream =
        co_await exchange.upgrade_raw({{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}});
    char buffer[100];
    for (;;) {
      auto count = co_await (*stream)->read_some(buffer, sizeof buffer);
      if (!count || *count == 0) break;
      co_await (*stream)->write(std::string_view(buffer, *count));
    }
  });
  auto scenario = [&]() -> Task<void> {
    ClientRequest request = get(base + "/");
    request.method = "POST";
    auto refused = co_await client().upgrade(request);
    EXPECT_FALSE(refused->stream);
    EXPECT_EQ(error_from_response(refused->response).message, "upgrade required");
    request.headers = {{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}};
    auto upgraded = co_await client().upgrade(request);
    EXPECT_EQ(upgraded->response.status, 101);
    EXPECT_EQ(upgraded->response.headers.get("Upgrade"), "SPDY/3.1");
    co_await upgraded->stream->write(std::string_view("ping"));
    EXPECT_EQ(co_await read_until(*upgraded->stream, "ping"), "ping");
  };
  run(scenario());
}

TEST_F(ClientTest, BytesBehindAnUpgradeRequestAreKept) {
  serve([this](Exchange& exchange) -> Task<void> {
    auto stream = co_await exchange.upgrade_raw({{"Connection", "Upgrade"}});
    std::string early = co_await read_until(**stream, "early");
    co_await (*stream)->write(std::string_view(early));
  });
  std::string answer =
      run(talk("GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nearly"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\nearly")) << answer;
}

TEST_F(ClientTest, SpliceProxiesBothWays) {
  serve([this](Exchange& exchange) -> Task<void> {
    if (exchange.request().path == "/back") {
      auto stream = co_await exchange.upgrade_raw({{"Connection", "Upgrade"}});
      std::string text = co_await read_until(**stream, "!");
      co_await (*stream)->write(std::string_view(text + text));
      co_return;
    }
    ClientRequest request = get(base + "/back");
    request.headers = {{"Connection", "Upgrade"}, {"Upgrade", "x"}};
    auto upstream = co_await client().upgrade(request);
    auto stream = co_await exchange.upgrade_raw(upstream->response.headers);
    co_await splice(std::move(*stream), std::move(upstream->stream));
  });
  auto scenario = [&]() -> Task<std::string> {
    ClientRequest request = get(base + "/front");
    request.headers = {{"Connection", "Upgrade"}, {"Upgrade", "x"}};
    auto upgraded = co_await client().upgrade(request);
    co_await upgraded->stream->write(std::string_view("hi!"));
    co_return co_await read_all(*upgraded->stream);
  };
  EXPECT_EQ(run(scenario()), "hi!hi!");
}

TEST(ClientThreads, CallsHopBetweenExecutorsAndCanBeCancelled) {
  Executors executors(1);
  std::thread control([&] { executors.run(); });
  std::unique_ptr<Server> server;
  std::uint16_t port = 0;
  auto start = [&]() -> Task<void> {
    server = std::make_unique<Server>(executors.io(), [](Exchange& exchange) -> Task<void> {
      if (exchange.request().path == "/hang") {
        Notifier never(exchange.executor());
        co_await never.wait();
      }
      auto writer = co_await exchange.start_stream(200, {});
      for (int i = 0; i < 1000; ++i) co_await writer->write(std::to_string(i) + "\n");
    });
    port = *server->listen_tcp("127.0.0.1", 0);
    server->start();
    co_return;
  };
  asio::co_spawn(executors.io(), start(), asio::use_future).get();
  auto client = std::make_unique<Client>(executors.io(), executors.blocking());
  std::string base = "http://127.0.0.1:" + std::to_string(port);
  auto lines = [&]() -> Task<int> {
    auto stream = co_await client->open(get(base + "/lines"));
    int count = 0;
    while (stream) {
      auto line = co_await stream->read_line();
      if (!line || !*line) break;
      ++count;
    }
    co_return count;
  };
  EXPECT_EQ(asio::co_spawn(executors.control(), lines(), asio::use_future).get(), 1000);

  // Cancelling from the control thread reaches the call on the io thread, however it is timed.
  for (int i = 0; i < 50; ++i) {
    auto hang = [&]() -> Task<void> {
      TaskScope scope(executors.control());
      auto call = [&]() -> Task<void> { co_await client->request(get(base + "/hang")); };
      scope.spawn("call", call());
      asio::steady_timer timer(executors.control(), std::chrono::microseconds(i * 40));
      co_await timer.async_wait(asio::use_awaitable);
      scope.cancel();
      co_await scope.join();
    };
    asio::co_spawn(executors.control(), hang(), asio::use_future).get();
  }
  client.reset();
  auto stop = [&]() -> Task<void> { co_await server->stop(milliseconds(100)); };
  asio::co_spawn(executors.io(), stop(), asio::use_future).get();
  executors.stop();
  control.join();
}

}  // namespace
}  // namespace moth::http
