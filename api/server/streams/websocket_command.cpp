// exec and attach over WebSocket: messages whose first byte is a channel.
#include <array>

#include "api/base/json.h"
#include "api/schema/base64.h"
#include "api/server/streams/remote_command.h"

namespace moth::server::streams {
namespace {

enum Channel : unsigned char {
  kStdin = 0,
  kStdout = 1,
  kStderr = 2,
  kErrors = 3,
  kResize = 4,
  kClose = 255,
};

// The older ones carry no status but the text of a failure; those with base64 in the name carry
// text messages whose first character is the channel's digit.
constexpr std::array<std::string_view, 7> kProtocols = {
    "v5.channel.k8s.io", "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "v3.channel.k8s.io",
    "v2.channel.k8s.io", "channel.k8s.io",    "base64.channel.k8s.io"};

class WebSocketCommand final : public CommandClient {
 public:
  explicit WebSocketCommand(http::WebSocket socket)
      : socket_(std::move(socket)),
        base64_(socket_.subprotocol().find("base64") != std::string::npos),
        with_status_(socket_.subprotocol().starts_with("v4") ||
                     socket_.subprotocol().starts_with("v5")),
        with_close_(socket_.subprotocol().starts_with("v5")) {}

  Task<void> pump_input(client::ExecSession& process) override {
    bool taken = true;
    for (;;) {
      auto message = co_await socket_.read();
      if (!message || !*message) co_return;
      std::string data = std::move((*message)->data);
      if (data.empty()) continue;
      auto channel = static_cast<unsigned char>(data.front());
      data.erase(0, 1);
      if (base64_) {
        auto decoded = schema::decode_base64(data);
        if (!decoded) continue;
        data = std::move(*decoded);
        channel = static_cast<unsigned char>(channel - '0');
      }
      if (channel == kStdin && !data.empty()) {
        // A process that takes no more input may still have something to say.
        if (taken) taken = (co_await process.write_stdin(std::move(data))).has_value();
      } else if (channel == kResize) {
        Json size = Json::parse(data, nullptr, false);
        (void)co_await process.resize(static_cast<int>(int_or(size, "Width")),
                                      static_cast<int>(int_or(size, "Height")));
      } else if (with_close_ && channel == kClose && !data.empty() && data.front() == kStdin) {
        (void)co_await process.close_stdin();
      }
    }
  }

  Task<Result<void>> write(client::StreamChannel channel, std::string_view data) override {
    return send(channel == client::StreamChannel::kStderr ? kStderr : kStdout, data);
  }

  Task<Result<void>> send(Channel channel, std::string_view data) {
    char first = static_cast<char>(base64_ ? '0' + channel : channel);
    if (base64_) {
      std::string text = first + schema::encode_base64(data);
      co_return co_await socket_.write_text(text);
    }
    co_return co_await socket_.write_binary(std::string_view(&first, 1), data);
  }

  Task<void> finish(const CommandEnd& end) override {
    std::string text = with_status_ ? command_status(end) : command_text(end);
    if (!text.empty()) (void)co_await send(kErrors, text);
    co_await socket_.close(1000);
  }

  Task<void> wait_gone() override { return socket_.wait_ended(); }

 private:
  http::WebSocket socket_;
  bool base64_, with_status_, with_close_;
};

}  // namespace

std::span<const std::string_view> command_websocket_protocols() {
  return kProtocols;
}

Task<std::unique_ptr<CommandClient>> make_websocket_command(http::WebSocket socket,
                                                            CommandStreams streams) {
  auto command = std::make_unique<WebSocketCommand>(std::move(socket));
  (void)co_await command->send(streams.out ? kStdout : streams.err ? kStderr : kErrors, {});
  co_return command;
}

}  // namespace moth::server::streams
