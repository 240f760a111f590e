#include "api/http/spdy/session.h"

#include "api/http/spdy/header_block.h"
#include "tests/unit/api/http/harness.h"

namespace moth::http::spdy {
namespace {

class SpdySession : public HttpTest {
 protected:
  struct Pair {
    Session client, server;
  };
  std::unique_ptr<Pair> connect(SessionOptions options = {}) {
    auto [a, b] = memory_pipe(loop.get_executor());
    return std::unique_ptr<Pair>(new Pair{{std::move(a), Session::Role::kClient},
                                          {std::move(b), Session::Role::kServer, options}});
  }
};

TEST_F(SpdySession, StreamsWithHeadersBothWays) {
  auto scenario = [&]() -> Task<void> {
    auto both = connect();
    auto one = co_await both->client.open({{"streamType", "error"}, {"port", "80"}});
    auto two = co_await both->client.open({{"streamType", "data"}});
    auto first = co_await both->server.accept();
    auto second = co_await both->server.accept();
    EXPECT_EQ((*first)->headers().get("streamtype"), "error");
    EXPECT_EQ((*first)->headers().get("port"), "80");
    EXPECT_EQ((*first)->id(), 1U);
    EXPECT_EQ((*second)->id(), 3U);
    EXPECT_TRUE(co_await (*two)->write("ping"));
    co_await (*two)->shutdown_write();
    EXPECT_EQ(co_await read_all(**second), "ping");
    EXPECT_TRUE(co_await (*second)->write("pong"));
    co_await (*second)->shutdown_write();
    EXPECT_EQ(co_await read_all(**two), "pong");
    EXPECT_TRUE(co_await (*first)->write("bad"));
    co_await (*first)->shutdown_write();
    EXPECT_EQ(co_await read_all(**one), "bad");
    EXPECT_FALSE(co_await (*first)->write("more"));
    co_await both->server.close();
    auto none = co_await both->client.accept();
    EXPECT_TRUE(none && !*none);
  };
  run(scenario());
}

TEST_F(SpdySession, MuchDataThroughSmallBuffers) {
  auto scenario = [&]() -> Task<void> {
    auto both = connect({.stream_buffer = 4096});
    auto mine = co_await both->client.open({});
    auto theirs = co_await both->server.accept();
    TaskScope scope(loop.get_executor());
    std::size_t sent = 0;
    auto writer = [&]() -> Task<void> {
      std::string block(100'000, 'x');
      for (int i = 0; i < 30 && co_await (*mine)->write(block); ++i) sent += block.size();
      co_await (*mine)->shutdown_write();
    };
    scope.spawn("writer", writer());
    co_await sleep(milliseconds(50));
    // What nobody reads stays with the sender.
    EXPECT_LT(sent, 300'000U);
    EXPECT_EQ((co_await read_all(**theirs)).size(), 3'000'000U);
    co_await scope.join();
  };
  run(scenario());
}

TEST_F(SpdySession, AResetEndsBothSidesOfAStreamAlone) {
  auto scenario = [&]() -> Task<void> {
    auto both = connect();
    auto one = co_await both->client.open({});
    auto two = co_await both->client.open({});
    auto first = co_await both->server.accept();
    auto second = co_await both->server.accept();
    *first = nullptr;  // destroyed: reset
    char byte = 0;
    EXPECT_FALSE(co_await (*one)->read_some(&byte, 1));
    EXPECT_FALSE(co_await (*one)->write("x"));
    EXPECT_TRUE(co_await (*two)->write("y"));
    auto count = co_await (*second)->read_some(&byte, 1);
    EXPECT_TRUE(count && *count == 1 && byte == 'y');
    EXPECT_EQ(both->server.streams(), 1U);
  };
  run(scenario());
}

TEST_F(SpdySession, TooManyStreamsAreRefused) {
  auto scenario = [&]() -> Task<void> {
    auto both = connect({.max_streams = 2});
    std::vector<std::unique_ptr<SessionStream>> kept;
    for (int i = 0; i < 3; ++i) kept.push_back(*co_await both->client.open({}));
    char byte = 0;
    EXPECT_FALSE(co_await kept[2]->read_some(&byte, 1));
    auto first = co_await both->server.accept();
    EXPECT_TRUE(co_await (*first)->write("a"));
    EXPECT_TRUE(co_await kept[0]->read_some(&byte, 1));
  };
  run(scenario());
}

// The bytes of the client, exactly as kubectl sends them.
TEST_F(SpdySession, PingsAreEchoedAndUnknownFramesIgnored) {
  auto scenario = [&]() -> Task<void> {
    auto [peer, mine] = memory_pipe(loop.get_executor());
    Session session(std::move(mine), Session::Role::kServer);
    Frame ping, settings, go;
    ping.type = FrameType::kPing;
    ping.stream = 1;
    go.type = FrameType::kGoAway;
    std::string bytes = encode(go) + encode(ping);
    for (char& byte : bytes) co_await peer->write(std::string_view(&byte, 1));
    std::string answer;
    char buffer[64];
    while (answer.size() < 12) {
      auto count = co_await peer->read_some(buffer, sizeof buffer);
      if (!count || *count == 0) break;
      answer.append(buffer, *count);
    }
    EXPECT_EQ(answer, encode(ping));
    co_await peer->shutdown_write();
    auto end = co_await session.accept();
    EXPECT_TRUE(end && !*end);
  };
  run(scenario());
}

TEST_F(SpdySession, AViolationEndsTheConnectionWithGoAway) {
  auto scenario = [&]() -> Task<void> {
    auto [peer, mine] = memory_pipe(loop.get_executor());
    Session session(std::move(mine), Session::Role::kServer);
    Frame stream;
    stream.type = FrameType::kSynStream;
    stream.stream = 1;
    stream.payload = "rubbish";
    co_await peer->write(encode(stream));
    auto end = co_await session.accept();
    EXPECT_FALSE(end);
    char buffer[16];
    auto count = co_await peer->read_some(buffer, sizeof buffer);
    EXPECT_TRUE(count && *count == 16 && buffer[3] == 7);
  };
  run(scenario());
}

TEST_F(SpdySession, APeerThatAnswersNoPingIsCutOff) {
  auto scenario = [&]() -> Task<void> {
    auto [peer, mine] = memory_pipe(loop.get_executor());
    Session session(std::move(mine), Session::Role::kServer,
                    {.ping_interval = milliseconds(20), .silence_limit = milliseconds(100)});
    auto end = co_await session.accept();
    EXPECT_FALSE(end);
    EXPECT_NE(end.error().message.find("no sign of life"), std::string::npos);
  };
  run(scenario());
}

TEST_F(SpdySession, APeerThatAnswersPingsStays) {
  auto scenario = [&]() -> Task<void> {
    auto both = connect({.ping_interval = milliseconds(10), .silence_limit = milliseconds(60)});
    co_await sleep(milliseconds(300));
    EXPECT_FALSE(both->server.ended());
  };
  run(scenario());
}

TEST_F(SpdySession, AFloodOfPingsIsNotKept) {
  auto scenario = [&]() -> Task<void> {
    auto [peer, mine] = memory_pipe(loop.get_executor());
    Session session(std::move(mine), Session::Role::kServer);
    Frame ping;
    ping.type = FrameType::kPing;
    ping.stream = 1;
    std::string many;
    for (int i = 0; i < 1000; ++i) many += encode(ping);
    // Nobody reads the answers.
    int sent = 0;
    while (sent < 1000 && co_await peer->write(many)) ++sent;
    EXPECT_LT(sent, 100);
  };
  run(scenario());
}

TEST_F(SpdySession, WindowsOfAPeerThatHasSomeAreRespected) {
  auto scenario = [&]() -> Task<void> {
    auto [peer, mine] = memory_pipe(loop.get_executor(), 1 << 20);
    Session session(std::move(mine), Session::Role::kServer);
    HeaderDeflater deflater;
    Frame settings, open;
    settings.type = FrameType::kSettings;
    settings.settings = {{kSettingInitialWindow, 1000}};
    open.type = FrameType::kSynStream;
    open.stream = 1;
    open.payload = deflater.deflate(encode_headers({}));
    co_await peer->write(encode(settings) + encode(open));
    auto stream = co_await session.accept();
    TaskScope scope(loop.get_executor());
    bool done = false;
    auto writer = [&]() -> Task<void> {
      EXPECT_TRUE(co_await (*stream)->write(std::string(3000, 'x')));
      done = true;
    };
    scope.spawn("writer", writer());
    co_await sleep(milliseconds(30));
    EXPECT_FALSE(done);
    Frame update;
    update.type = FrameType::kWindowUpdate;
    update.stream = 1;
    update.number = 2000;
    co_await peer->write(encode(update));
    co_await scope.join();
    EXPECT_TRUE(done);
  };
  run(scenario());
}

}  // namespace
}  // namespace moth::http::spdy
