#include "api/http/server.h"

#include <sys/stat.h>

#include <filesystem>

#include "api/base/json.h"
#include "api/base/notifier.h"
#include "api/http/gzip.h"
#include "tests/unit/api/http/harness.h"

namespace moth::http {
namespace {

Task<void> echo(Exchange& exchange) {
  const Request& request = exchange.request();
  co_await exchange.send(
      Response::text(200, request.method + " " + request.path + " " + request.body));
}

std::size_t count_of(std::string_view text, std::string_view part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) {
    ++count;
  }
  return count;
}

class ServerTest : public HttpTest {};

TEST_F(ServerTest, AnswersAndKeepsTheConnection) {
  serve(echo);
  std::string answers =
      run(talk("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
               "POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nxyz"
               "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  EXPECT_EQ(count_of(answers, "HTTP/1.1 200 OK\r\n"), 3U);
  EXPECT_NE(answers.find("GET /a "), std::string::npos);
  EXPECT_NE(answers.find("POST /b xyz"), std::string::npos);
  EXPECT_NE(answers.find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(server->requests(), 3U);
}

TEST_F(ServerTest, ChunkedBodyInTinyPieces) {
  serve(echo);
  auto scenario = [&]() -> Task<std::string> {
    auto stream = co_await raw();
    std::string bytes =
        "PUT /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        "5;ext=1\r\nhello\r\n1\r\n,\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n";
    for (char& byte : bytes) co_await stream->write(std::string_view(&byte, 1));
    co_return co_await read_all(*stream);
  };
  EXPECT_NE(run(scenario()).find("PUT /c hello, world"), std::string::npos);
}

TEST_F(ServerTest, HeadHasNoBodyAndHttp10Closes) {
  serve(echo);
  std::string answer = run(talk("HEAD /abc HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
  EXPECT_NE(answer.find("Content-Length: 10\r\n"), std::string::npos);
}

TEST_F(ServerTest, ContinueIsSentWhenAskedFor) {
  serve(echo);
  auto scenario = [&]() -> Task<std::string> {
    auto stream = co_await raw();
    co_await stream->write(std::string_view(
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n"
        "Connection: close\r\n\r\n"));
    std::string interim = co_await read_until(*stream, "\r\n\r\n");
    co_await stream->write(std::string_view("ok"));
    co_return interim + co_await read_all(*stream);
  };
  std::string answer = run(scenario());
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"));
  EXPECT_TRUE(answer.ends_with("POST / ok"));
}

TEST_F(ServerTest, BodyOverTheLimitIsRefusedBeforeTheHandler) {
  bool called = false;
  serve([&](Exchange& exchange) -> Task<void> {
    called = true;
    co_await exchange.send(Response::text(200, ""));
  });
  ClientRequest request = get(base + "/");
  request.method = "POST";
  request.body.assign(3145729, 'x');
  auto response = run(client().request(request));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->status, 413);
  Json status = Json::parse(response->body);
  EXPECT_EQ(string_or(status, "message"), "Request entity too large: limit is 3145728");
  EXPECT_EQ(string_or(status, "reason"), "RequestEntityTooLarge");
  EXPECT_FALSE(called);
}

TEST_F(ServerTest, ChunkedBodyOverTheLimitIsRefused) {
  ServerOptions options;
  options.body_limit = 1000;
  serve(echo, options);
  std::string body;
  for (int i = 0; i < 200; ++i) body += "a\r\n0123456789\r\n";
  std::string answer =
      run(talk("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + body));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 413 ")) << answer;
  EXPECT_NE(answer.find("limit is 1000"), std::string::npos);
}

TEST_F(ServerTest, BodyOfExactlyTheLimitPasses) {
  ServerOptions options;
  options.body_limit = 1000;
  serve(echo, options);
  ClientRequest request = get(base + "/");
  request.method = "POST";
  request.body.assign(1000, 'x');
  EXPECT_EQ(run(client().request(request))->status, 200);
}

TEST_F(ServerTest, HeaderOverTheLimitGets431) {
  serve(echo);
  std::string answer =
      run(talk("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(70000, 'a') + "\r\n\r\n"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 431 ")) << answer.substr(0, 200);
}

TEST_F(ServerTest, LongHeaderWithinTheLimitPasses) {
  serve(echo);
  std::string answer =
      run(talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: " + std::string(60000, 'a') +
               "\r\n\r\n"));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 ")) << answer.substr(0, 200);
}

TEST_F(ServerTest, MalformedRequestGets400) {
  serve(echo);
  EXPECT_TRUE(run(talk("NONSENSE\r\n\r\n")).starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(run(talk("GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n"))
                  .starts_with("HTTP/1.1 400 "));
}

TEST_F(ServerTest, SlowHeaderIsCutOff) {
  ServerOptions options;
  options.header_timeout = milliseconds(150);
  serve(echo, options);
  auto scenario = [&]() -> Task<std::string> {
    auto stream = co_await raw();
    auto begin = std::chrono::steady_clock::now();
    // A byte now and then does not buy time.
    for (int i = 0; i < 100; ++i) {
      if (!co_await stream->write(std::string_view("G"))) break;
      co_await sleep(milliseconds(10));
      if (std::chrono::steady_clock::now() - begin > std::chrono::seconds(5)) co_return "alive";
    }
    co_return co_await read_all(*stream);
  };
  EXPECT_EQ(run(scenario()), "");
  EXPECT_EQ(server->requests(), 0U);
}

TEST_F(ServerTest, IdleConnectionIsClosed) {
  ServerOptions options;
  options.idle_timeout = milliseconds(100);
  serve(echo, options);
  EXPECT_NE(run(talk("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).find("200 OK"), std::string::npos);
}

TEST_F(ServerTest, IdleConnectionsMakeRoomForNewOnes) {
  ServerOptions options;
  options.max_connections = 2;
  serve(echo, options);
  auto scenario = [&]() -> Task<void> {
    auto first = co_await raw();
    auto second = co_await raw();
    co_await sleep(milliseconds(20));
    std::string answer = co_await talk("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_NE(answer.find("200 OK"), std::string::npos);
    EXPECT_EQ(co_await read_all(*first), "");  // the longest idle one had to go
  };
  run(scenario());
}

TEST_F(ServerTest, TooManyBusyConnectionsGet503) {
  ServerOptions options;
  options.max_connections = 1;
  Notifier release(loop.get_executor());
  serve(
      [&](Exchange& exchange) -> Task<void> {
        co_await release.wait();
        co_await exchange.send(Response::text(200, "late"));
      },
      options);
  auto scenario = [&]() -> Task<void> {
    auto busy = co_await raw();
    co_await busy->write(std::string_view("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"));
    co_await sleep(milliseconds(20));
    std::string refused = co_await talk("GET / HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 503 ")) << refused;
    release.notify();
    EXPECT_NE((co_await read_all(*busy)).find("late"), std::string::npos);
  };
  run(scenario());
}

TEST_F(ServerTest, GzippedBodiesAreUnpackedAndBounded) {
  ServerOptions options;
  options.body_limit = 5000;
  serve(echo, options);
  ClientRequest request = get(base + "/");
  request.method = "POST";
  request.headers.add("Content-Encoding", "gzip");
  request.body = *gzip(std::string(5000, 'x'));
  EXPECT_EQ(run(client().request(request))->body, "POST / " + std::string(5000, 'x'));
  request.body = *gzip(std::string(5001, 'x'));
  EXPECT_EQ(run(client().request(request))->status, 413);
  request.body = "no gzip";
  EXPECT_EQ(run(client().request(request))->status, 400);
  request.headers.set("Content-Encoding", "br");
  EXPECT_EQ(run(client().request(request))->status, 415);
}

TEST_F(ServerTest, ManyChunksAreOneBody) {
  Response list = Response::json(200, "[");
  std::string expected = "[";
  for (int i = 0; i < 1000; ++i) {
    list.chunks.push_back(
        std::make_shared<std::string>(std::string(3000, 'a') + std::to_string(i)));
    expected += *list.chunks.back();
  }
  serve([&](Exchange& exchange) -> Task<void> { co_await exchange.send(list); });
  auto response = run(client().request(get(base + "/")));
  EXPECT_EQ(response->body, expected);
}

TEST_F(ServerTest, HandlerFailuresAreAnswered) {
  serve([&](Exchange& exchange) -> Task<void> {
    if (exchange.request().path == "/throw") throw std::runtime_error("broken");
    co_return;
  });
  auto thrown = run(client().request(get(base + "/throw")));
  EXPECT_EQ(thrown->status, 500);
  EXPECT_EQ(error_from_response(*thrown).message, "Internal error occurred: broken");
  EXPECT_EQ(run(client().request(get(base + "/silent")))->status, 500);
}

TEST_F(ServerTest, HeaderValuesCannotInventHeaders) {
  serve([&](Exchange& exchange) -> Task<void> {
    Response response = Response::text(200, "x");
    response.headers.add("X-Echo", "a\r\nSet-Cookie: evil");
    co_await exchange.send(response);
  });
  auto response = run(client().request(get(base + "/")));
  EXPECT_FALSE(response->headers.has("Set-Cookie"));
}

TEST_F(ServerTest, StreamsAreFlushedPieceByPiece) {
  Notifier next(loop.get_executor());
  serve([&](Exchange& exchange) -> Task<void> {
    auto writer = co_await exchange.start_stream(200, {{"Content-Type", "text/plain"}});
    co_await writer->write(std::string_view("one\n"));
    co_await next.wait();
    std::vector<SharedText> texts{std::make_shared<std::string>("tw"),
                                  std::make_shared<std::string>("o\n")};
    co_await writer->write(std::move(texts));
  });
  auto scenario = [&]() -> Task<void> {
    auto stream = co_await client().open(get(base + "/"));
    EXPECT_TRUE(stream);
    EXPECT_EQ(stream->headers().get("transfer-encoding"), "chunked");
    EXPECT_EQ(**co_await stream->read_line(), "one");
    next.notify();
    EXPECT_EQ(**co_await stream->read_line(), "two");
    EXPECT_FALSE((co_await stream->read_line())->has_value());
  };
  run(scenario());
  EXPECT_EQ(client().idle_connections(), 1U);
  // The connection is good for another request, although it was watched during the stream.
  auto again = [&]() -> Task<void> {
    next.notify();
    auto response = co_await client().request(get(base + "/"));
    EXPECT_EQ(response->body, "one\ntwo\n");
  };
  run(again());
  EXPECT_EQ(server->connections(), 1U);
}

TEST_F(ServerTest, IdleStreamNoticesThatTheClientHasGone) {
  bool cancelled = false;
  struct Mark {
    bool& flag;
    ~Mark() { flag = true; }
  };
  serve([&](Exchange& exchange) -> Task<void> {
    Mark mark{cancelled};
    auto writer = co_await exchange.start_stream(200, {});
    co_await writer->write(std::string_view("x"));
    Notifier never(exchange.executor());
    co_await never.wait();
  });
  auto scenario = [&]() -> Task<void> {
    auto stream = co_await raw();
    co_await stream->write(std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    co_await read_until(*stream, "x\r\n");
    EXPECT_FALSE(cancelled);
    stream->close();
    for (int i = 0; i < 200 && !cancelled; ++i) co_await sleep(milliseconds(5));
  };
  run(scenario());
  EXPECT_TRUE(cancelled);
  EXPECT_EQ(server->connections(), 0U);
}

TEST_F(ServerTest, KeepRunningHandlersSeeTheEndByThemselves) {
  Result<void> after;
  bool done = false;
  serve([&](Exchange& exchange) -> Task<void> {
    auto writer = co_await exchange.start_stream(200, {}, Exchange::OnDisconnect::kKeepRunning);
    co_await writer->wait_closed();
    EXPECT_TRUE(writer->closed());
    after = co_await writer->write(std::string_view("too late"));
    done = true;
  });
  auto scenario = [&]() -> Task<void> {
    auto stream = co_await raw();
    co_await stream->write(std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    co_await read_until(*stream, "\r\n\r\n");
    stream->close();
    for (int i = 0; i < 200 && !done; ++i) co_await sleep(milliseconds(5));
  };
  run(scenario());
  EXPECT_TRUE(done);
  EXPECT_FALSE(after);
}

TEST_F(ServerTest, RequestsPipelinedBehindAStreamAreServedAfterIt) {
  Notifier next(loop.get_executor());
  serve([&](Exchange& exchange) -> Task<void> {
    if (exchange.request().path != "/stream") {
      co_await exchange.send(Response::text(200, "second"));
      co_return;
    }
    auto writer = co_await exchange.start_stream(200, {});
    co_await next.wait();
    co_await writer->write(std::string_view("first"));
  });
  auto scenario = [&]() -> Task<std::string> {
    auto stream = co_await raw();
    co_await stream->write(std::string_view("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
    co_await read_until(*stream, "\r\n\r\n");
    co_await stream->write(
        std::string_view("GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    co_await sleep(milliseconds(20));
    next.notify();
    co_return co_await read_all(*stream);
  };
  std::string text = run(scenario());
  EXPECT_TRUE(text.starts_with("5\r\nfirst\r\n0\r\n\r\nHTTP/1.1 200 OK")) << text;
  EXPECT_TRUE(text.ends_with("second"));
}

TEST_F(ServerTest, StalledClientIsCutOff) {
  ServerOptions options;
  options.write_timeout = milliseconds(100);
  Result<void> outcome;
  bool done = false;
  serve(
      [&](Exchange& exchange) -> Task<void> {
        auto writer = co_await exchange.start_stream(200, {}, Exchange::OnDisconnect::kKeepRunning);
        std::string block(1 << 20, 'x');
        do outcome = co_await writer->write(block);
        while (outcome);
        done = true;
      },
      options);
  auto scenario = [&]() -> Task<void> {
    auto stream = co_await raw();
    co_await stream->write(std::string_view("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int i = 0; i < 400 && !done; ++i) co_await sleep(milliseconds(5));
  };
  run(scenario());
  ASSERT_TRUE(done);
  EXPECT_NE(outcome.error().message.find("takes no data"), std::string::npos);
}

TEST_F(ServerTest, StreamedBodiesBypassTheLimit) {
  ServerOptions options;
  options.body_limit = 10;
  options.stream_body = [](const Request& request) { return request.path == "/upload"; };
  serve(
      [&](Exchange& exchange) -> Task<void> {
        std::size_t total = 0;
        char piece[1000];
        if (exchange.request().path == "/upload" && exchange.request().method == "PUT") {
          for (;;) {
            auto count = co_await exchange.read_body(piece, sizeof piece);
            if (!count || *count == 0) break;
            total += *count;
          }
        }
        co_await exchange.send(Response::text(200, std::to_string(total)));
      },
      options);
  ClientRequest request = get(base + "/upload");
  request.method = "PUT";
  request.body.assign(5'000'000, 'x');
  EXPECT_EQ(run(client().request(request))->body, "5000000");
  request.method = "POST";  // a handler that leaves a small body unread
  request.body.assign(1000, 'x');
  EXPECT_EQ(run(client().request(request))->body, "0");
  EXPECT_EQ(run(client().request(request))->body, "0");
  request.url = base + "/other";
  EXPECT_EQ(run(client().request(request))->status, 413);
}

TEST_F(ServerTest, UnixSocketsTellWhoIsThere) {
  std::string path = testing::TempDir() + "/moth-http-" + std::to_string(::getpid()) + ".sock";
  server.emplace(loop.get_executor(), [](Exchange& exchange) -> Task<void> {
    const Request& request = exchange.request();
    co_await exchange.send(Response::text(200, request.listener + " " +
                                                   std::to_string(request.unix_peer->uid) +
                                                   (request.from_loopback() ? " local" : "")));
  });
  ASSERT_TRUE(server->listen_unix(path, 0600, "local"));
  server->start();
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  auto response = run(client().request(get("http+unix://" + percent_encode(path) + "/x")));
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "local " + std::to_string(::getuid()) + " local");
  Server other(loop.get_executor(), echo);
  auto second = other.listen_unix(path, 0600);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find("address already in use"), std::string::npos);
  run(server->stop());
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(ServerTest, TakenPortIsReported) {
  serve(echo);
  Server other(loop.get_executor(), echo);
  auto bound = other.listen_tcp("127.0.0.1", port);
  ASSERT_FALSE(bound);
  EXPECT_EQ(bound.error().message,
            "listen tcp 127.0.0.1:" + std::to_string(port) + ": bind: address already in use");
}

TEST_F(ServerTest, StopLetsRequestsFinishAndEndsTheRest) {
  bool stream_ended = false;
  serve([&](Exchange& exchange) -> Task<void> {
    if (exchange.request().path == "/slow") {
      co_await sleep(milliseconds(80));
      co_await exchange.send(Response::text(200, "finished"));
      co_return;
    }
    auto writer = co_await exchange.start_stream(200, {}, Exchange::OnDisconnect::kKeepRunning);
    co_await writer->wait_closed();
    stream_ended = true;
  });
  auto scenario = [&]() -> Task<std::string> {
    auto idle = co_await raw();
    auto stream = co_await raw();
    co_await stream->write(std::string_view("GET /watch HTTP/1.1\r\n\r\n"));
    auto slow = co_await raw();
    co_await slow->write(std::string_view("GET /slow HTTP/1.1\r\n\r\n"));
    co_await sleep(milliseconds(20));
    co_await server->stop(milliseconds(2000));
    EXPECT_EQ(co_await read_all(*idle), "");
    EXPECT_TRUE((co_await read_all(*stream)).ends_with("\r\n0\r\n\r\n"));
    co_return co_await read_all(*slow);
  };
  std::string answer = run(scenario());
  EXPECT_TRUE(answer.ends_with("finished")) << answer;
  EXPECT_TRUE(stream_ended);
  EXPECT_EQ(server->connections(), 0U);
}

TEST_F(ServerTest, StopCancelsWhatDoesNotEnd) {
  serve([&](Exchange& exchange) -> Task<void> {
    Notifier never(exchange.executor());
    co_await never.wait();
  });
  auto scenario = [&]() -> Task<bool> {
    auto stuck = co_await raw();
    co_await stuck->write(std::string_view("GET / HTTP/1.1\r\n\r\n"));
    co_await sleep(milliseconds(20));
    auto begin = std::chrono::steady_clock::now();
    co_await server->stop(milliseconds(50));
    co_return std::chrono::steady_clock::now() - begin < std::chrono::seconds(2);
  };
  EXPECT_TRUE(run(scenario()));
}

}  // namespace
}  // namespace moth::http
