#include "api/http/websocket.h"

#include "api/http/websocket_frame.h"
#include "tests/unit/api/http/harness.h"

namespace moth::http {
namespace {

constexpr FrameMask kMask = {1, 2, 3, 4};

// A frame as a client sends it.
std::string masked(Opcode opcode, std::string payload, bool final = true) {
  std::string frame = frame_header(opcode, final, payload.size(), kMask);
  apply_mask(payload.data(), payload.size(), kMask);
  return frame + payload;
}

TEST(FrameTest, HeadersRoundTripAtEveryLengthForm) {
  for (std::uint64_t length : {0ULL, 125ULL, 126ULL, 65535ULL, 65536ULL, 5000000000ULL}) {
    for (bool with_mask : {false, true}) {
      std::optional<FrameMask> mask;
      if (with_mask) mask = kMask;
      std::string bytes = frame_header(Opcode::kBinary, true, length, mask);
      for (std::size_t cut = 0; cut < bytes.size(); ++cut) {
        EXPECT_EQ(parse_frame_header(std::string_view(bytes).substr(0, cut)).outcome,
                  FrameParse::Outcome::kMore);
      }
      FrameParse parse = parse_frame_header(bytes);
      ASSERT_EQ(parse.outcome, FrameParse::Outcome::kFrame);
      EXPECT_EQ(parse.header.length, length);
      EXPECT_EQ(parse.header.size, bytes.size());
      EXPECT_EQ(parse.header.mask, mask);
    }
  }
  EXPECT_EQ(frame_header(Opcode::kBinary, true, 5, std::nullopt), "\x82\x05");
  EXPECT_EQ(frame_header(Opcode::kClose, true, 2, std::nullopt) + close_payload(1000, ""),
            "\x88\x02\x03\xe8");
}

TEST(FrameTest, ViolationsAreFound) {
  using namespace std::string_view_literals;
  for (std::string_view bytes : {"\xc2\x00"sv, "\x83\x00"sv, "\x8b\x00"sv, "\x09\x00"sv,
                                 "\x89\x7e"sv, "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"sv}) {
    EXPECT_EQ(parse_frame_header(bytes).outcome, FrameParse::Outcome::kViolation);
  }
}

TEST(FrameTest, MaskWorksAtAnyOffset) {
  std::string text(101, 'x');
  std::string whole = text;
  apply_mask(whole.data(), whole.size(), kMask);
  std::string pieces = text;
  apply_mask(pieces.data(), 33, kMask);
  apply_mask(pieces.data() + 33, 68, kMask, 33);
  EXPECT_EQ(whole, pieces);
  EXPECT_NE(whole, text);
}

TEST(FrameTest, Utf8) {
  for (const char* good :
       {"", "abc", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(valid_utf8(good)) << good;
  }
  for (const char* bad : {"\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "a\x80",
                          "\xe2\x82", "\xe0\x80\x80", "\xf0\x80\x80\x80"}) {
    EXPECT_FALSE(valid_utf8(bad));
  }
}

TEST(FrameTest, AcceptKeyOfTheRfc) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

class WebSocketTest : public HttpTest {
 protected:
  static Task<void> echo(Exchange& exchange) {
    auto protocols = exchange.websocket_protocols();
    auto socket = co_await exchange.upgrade_websocket(protocols.empty() ? "" : protocols[0],
                                                      {.max_message = 100'000});
    if (!socket) {
      co_await exchange.send_error(socket.error());
      co_return;
    }
    for (;;) {
      auto message = co_await socket->read();
      if (!message || !*message) co_return;
      if ((*message)->data == "close") {
        co_await socket->close(4000, "as you wish");
        co_return;
      }
      if ((*message)->text)
        co_await socket->write_text((*message)->data);
      else
        co_await socket->write_binary("\x01", (*message)->data);
    }
  }

  Task<RawStream> handshaken() {
    auto stream = co_await raw();
    co_await stream->write(std::string_view(
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n"));
    std::string head = co_await read_until(*stream, "\r\n\r\n");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n")) << head;
    EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"),
              std::string::npos);
    EXPECT_NE(head.find("Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n"), std::string::npos);
    EXPECT_EQ(head.find("Content-Length"), std::string::npos);
    co_return stream;
  }

  // What the echo server says to `bytes` until it closes.
  Task<std::string> answer_to(std::string bytes) {
    auto stream = co_await handshaken();
    co_await stream->write(std::string_view(bytes));
    co_return co_await read_all(*stream);
  }
};

TEST_F(WebSocketTest, EchoThroughTheClient) {
  serve(echo);
  auto scenario = [&]() -> Task<void> {
    auto socket = co_await client().websocket(get("ws" + base.substr(4) + "/"), {"a.b", "c"});
    EXPECT_TRUE(socket) << socket.error().message;
    EXPECT_EQ(socket->subprotocol(), "a.b");
    for (std::size_t size : {0UL, 1UL, 125UL, 126UL, 70'000UL}) {
      std::string data(size, 'x');
      EXPECT_TRUE(co_await socket->write_binary(data));
      auto back = co_await socket->read();
      EXPECT_EQ((**back).data, "\x01" + data);
      EXPECT_FALSE((**back).text);
    }
    EXPECT_TRUE(co_await socket->write_text("grüß"));
    EXPECT_TRUE((**co_await socket->read()).text);
    EXPECT_TRUE(co_await socket->write_text("close"));
    auto end = co_await socket->read();
    EXPECT_TRUE(end && !*end);
    EXPECT_EQ(socket->close_code(), 4000);
    EXPECT_EQ(socket->close_reason(), "as you wish");
    co_await socket->close();
    EXPECT_FALSE(co_await socket->write_text("late"));
  };
  run(scenario());
}

TEST_F(WebSocketTest, RefusedHandshakeIsTheServersError) {
  serve([](Exchange& exchange) -> Task<void> {
    co_await exchange.send_error(Error::not_found("pods", "x"));
  });
  auto scenario = [&]() -> Task<void> {
    auto socket = co_await client().websocket(get(base), {});
    EXPECT_FALSE(socket);
    EXPECT_EQ(socket.error().message, "pods \"x\" not found");
    EXPECT_EQ(socket.error().reason, Reason::kNotFound);
  };
  run(scenario());
}

TEST_F(WebSocketTest, OrdinaryRequestIsNoHandshake) {
  serve(echo);
  EXPECT_EQ(run(client().request(get(base)))->status, 400);
}

TEST_F(WebSocketTest, PingIsAnsweredWhileNobodyReads) {
  serve([this](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade_websocket("v5.channel.k8s.io");
    co_await sleep(milliseconds(300));
  });
  auto scenario = [&]() -> Task<void> {
    auto stream = co_await handshaken();
    auto begin = std::chrono::steady_clock::now();
    co_await stream->write(masked(Opcode::kPing, "hello"));
    EXPECT_EQ(co_await read_until(*stream, "hello"), "\x8a\x05hello");
    EXPECT_LT(std::chrono::steady_clock::now() - begin, milliseconds(200));
  };
  run(scenario());
}

TEST_F(WebSocketTest, SilentPeersArePinged) {
  serve([this](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade_websocket("v5.channel.k8s.io",
                                                      {.ping_interval = milliseconds(20)});
    co_await sleep(milliseconds(300));
  });
  auto scenario = [&]() -> Task<void> {
    auto stream = co_await handshaken();
    EXPECT_EQ(co_await read_until(*stream, std::string("\x89\x00", 2)), std::string("\x89\x00", 2));
  };
  run(scenario());
}

// The server has stopped reading for lack of room, so that only its pings can find out.
TEST_F(WebSocketTest, APeerThatVanishesWhileNothingIsReadIsNoticed) {
  bool noticed = false;
  serve([&](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade_websocket(
        "v5.channel.k8s.io", {.max_queued = 1000, .ping_interval = milliseconds(20)});
    co_await socket->wait_ended();
    noticed = true;
  });
  auto scenario = [&]() -> Task<void> {
    {
      auto stream = co_await handshaken();
      for (int i = 0; i < 10; ++i) {
        co_await stream->write(masked(Opcode::kBinary, std::string(20'000, 'x')));
      }
    }
    for (int i = 0; i < 400 && !noticed; ++i) co_await sleep(milliseconds(5));
  };
  run(scenario());
  EXPECT_TRUE(noticed);
}

TEST_F(WebSocketTest, FragmentsBecomeOneMessageWithPingsBetween) {
  serve(echo);
  auto scenario = [&]() -> Task<void> {
    auto stream = co_await handshaken();
    std::string bytes = masked(Opcode::kText, "a", false) + masked(Opcode::kPing, "") +
                        masked(Opcode::kContinuation, "b", false) +
                        masked(Opcode::kContinuation, "c");
    for (char& byte : bytes) co_await stream->write(std::string_view(&byte, 1));
    EXPECT_EQ(co_await read_until(*stream, "abc"), std::string("\x8a\x00\x81\x03"
                                                               "abc",
                                                               7));
  };
  run(scenario());
}

TEST_F(WebSocketTest, PeersCloseIsEchoed) {
  serve(echo);
  EXPECT_EQ(run(answer_to(masked(Opcode::kClose, close_payload(1000, "bye")))), "\x88\x02\x03\xe8");
  EXPECT_EQ(run(answer_to(masked(Opcode::kClose, ""))), std::string("\x88\x00", 2));
}

TEST_F(WebSocketTest, ViolationsEndWithTheRightCode) {
  serve(echo);
  struct Case {
    std::string bytes;
    int code;
  };
  for (const Case& wrong :
       {Case{frame_header(Opcode::kBinary, true, 1, std::nullopt) + "x", 1002},
        Case{masked(Opcode::kContinuation, "x"), 1002}, Case{masked(Opcode::kText, "\xff"), 1002},
        Case{masked(Opcode::kClose, "x"), 1002},
        Case{masked(Opcode::kClose, close_payload(1005, "")), 1002},
        Case{frame_header(Opcode::kBinary, true, 100'001, kMask), 1009}}) {
    std::string answer = run(answer_to(wrong.bytes));
    ASSERT_GE(answer.size(), 4U);
    EXPECT_EQ(answer[0], '\x88');
    EXPECT_EQ(static_cast<unsigned char>(answer[2]) * 256 + static_cast<unsigned char>(answer[3]),
              wrong.code);
  }
}

TEST_F(WebSocketTest, LostConnectionIsAnError) {
  bool failed = false;
  serve([&](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade_websocket("v5.channel.k8s.io");
    auto message = co_await socket->read();
    failed = !message && message.error().message.find("1006") != std::string::npos;
  });
  auto scenario = [&]() -> Task<void> {
    { auto stream = co_await handshaken(); }
    for (int i = 0; i < 200 && !failed; ++i) co_await sleep(milliseconds(5));
  };
  run(scenario());
  EXPECT_TRUE(failed);
}

TEST_F(WebSocketTest, WritersOfOneSocketDoNotMixTheirMessages) {
  serve([](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade_websocket("");
    TaskScope scope(exchange.executor());
    auto writer = [&](char letter) -> Task<void> {
      for (int i = 0; i < 20; ++i) {
        co_await socket->write_binary(std::string(1, letter), std::string(50'000, letter));
      }
    };
    for (char letter : {'a', 'b', 'c'}) scope.spawn("writer", writer(letter));
    co_await scope.join();
    co_await socket->close();
  });
  auto scenario = [&]() -> Task<int> {
    auto socket = co_await client().websocket(get(base), {});
    int good = 0;
    for (;;) {
      auto message = co_await socket->read();
      if (!message || !*message) co_return good;
      const std::string& data = (*message)->data;
      good += data.size() == 50'001 && data.find_first_not_of(data[0]) == std::string::npos;
    }
  };
  EXPECT_EQ(run(scenario()), 60);
}

TEST_F(WebSocketTest, SlowReaderSlowsItsPeerDown) {
  std::size_t sent = 0;
  serve([&](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade_websocket("");
    std::string block(1 << 20, 'x');
    for (int i = 0; i < 64 && co_await socket->write_binary(block); ++i) sent += block.size();
    co_await socket->close();
  });
  auto scenario = [&]() -> Task<std::size_t> {
    auto socket = co_await client().websocket(get(base), {});
    co_await sleep(milliseconds(200));
    EXPECT_LT(sent, 32U << 20);
    std::size_t received = 0;
    for (;;) {
      auto message = co_await socket->read();
      if (!message || !*message) co_return received;
      received += (*message)->data.size();
    }
  };
  EXPECT_EQ(run(scenario()), 64U << 20);
}

TEST_F(WebSocketTest, StreamOverMessages) {
  serve([](Exchange& exchange) -> Task<void> {
    auto socket = co_await exchange.upgrade_websocket("");
    auto stream = stream_over_websocket(std::move(*socket));
    char byte = 0;
    for (int i = 0; i < 6; ++i) {
      auto count = co_await stream->read_some(&byte, 1);
      if (!count || *count != 1) co_return;
      std::vector<std::string_view> parts{std::string_view(&byte, 1), "."};
      co_await stream->write(std::move(parts));
    }
    co_await stream->shutdown_write();
  });
  auto scenario = [&]() -> Task<std::string> {
    auto socket = co_await client().websocket(get(base), {});
    for (const char* piece : {"", "a", "bcd", "", "ef"}) {
      co_await socket->write_binary(std::string_view(piece));
    }
    co_return co_await read_all(*stream_over_websocket(std::move(*socket)));
  };
  EXPECT_EQ(run(scenario()), "a.b.c.d.e.f.");
}

}  // namespace
}  // namespace moth::http
