// exec and attach over SPDY: a stream each for input, output, errors, sizes and the outcome.
#include <fmt/format.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/base/json.h"
#include "api/server/streams/limits.h"
#include "api/server/streams/remote_command.h"

namespace moth::server::streams {
namespace {

constexpr std::array<std::string_view, 4> kProtocols = {"v4.channel.k8s.io", "v3.channel.k8s.io",
                                                        "v2.channel.k8s.io", "channel.k8s.io"};
constexpr std::size_t kMaxResize = 1024;

class SpdyCommand final : public CommandClient {
 public:
  SpdyCommand(http::RawStream connection, std::string protocol, CommandStreams streams)
      : session_(std::move(connection), http::spdy::Session::Role::kServer, spdy_options()),
        with_status_(protocol.starts_with("v4")) {
    bool with_resize = with_status_ || protocol.starts_with("v3");
    expected_ = 1 + streams.in + streams.out + streams.err + (streams.tty && with_resize);
  }

  Task<Result<void>> collect() {
    while (expected_ > 0) {
      auto stream = co_await session_.accept();
      if (!stream) co_return fail(std::move(stream).error());
      if (!*stream) co_return fail(Error::bad_request("the client opened too few streams"));
      std::string_view type = (*stream)->headers().get("streamtype");
      auto* place = type == "error"    ? &errors_
                    : type == "stdin"  ? &input_
                    : type == "stdout" ? &output_
                    : type == "stderr" ? &error_output_
                    : type == "resize" ? &sizes_
                                       : nullptr;
      if (!place || *place) {
        (*stream)->reset(http::spdy::ResetStatus::kRefusedStream);
        continue;
      }
      *place = std::move(*stream);
      --expected_;
    }
    co_return Result<void>();
  }

  Task<void> pump_input(client::ExecSession& process) override {
    using namespace asio::experimental::awaitable_operators;
    co_await (pump_stdin(process) && pump_sizes(process) && session_.wait_ended());
  }

  Task<Result<void>> write(client::StreamChannel channel, std::string_view data) override {
    auto& stream = channel == client::StreamChannel::kStderr ? error_output_ : output_;
    if (!stream) co_return Result<void>();
    co_return co_await stream->write(data);
  }

  Task<void> finish(const CommandEnd& end) override {
    // All output has its end before the outcome is told.
    if (output_) co_await output_->shutdown_write();
    if (error_output_) co_await error_output_->shutdown_write();
    std::string text = with_status_ ? command_status(end) : command_text(end);
    if (errors_) {
      if (!text.empty()) (void)co_await errors_->write(text);
      co_await errors_->shutdown_write();
    }
    co_await session_.close(std::chrono::seconds(5));
  }

  Task<void> wait_gone() override { return session_.wait_ended(); }

 private:
  Task<void> pump_stdin(client::ExecSession& process) {
    if (!input_) co_return;
    std::vector<char> buffer(kPiece);
    bool taken = true;
    for (;;) {
      auto count = co_await input_->read_some(buffer.data(), buffer.size());
      if (!count) co_return;
      if (*count == 0) break;
      // A process that takes no more input may still have something to say.
      if (!taken) continue;
      taken = (co_await process.write_stdin(std::string(buffer.data(), *count))).has_value();
    }
    (void)co_await process.close_stdin();
  }

  // JSON objects, one after the other.
  Task<void> pump_sizes(client::ExecSession& process) {
    if (!sizes_) co_return;
    std::string text;
    std::array<char, 256> piece{};
    for (;;) {
      auto count = co_await sizes_->read_some(piece.data(), piece.size());
      if (!count || *count == 0) co_return;
      text.append(piece.data(), *count);
      for (auto end = text.find('}'); end != std::string::npos; end = text.find('}')) {
        Json size = Json::parse(text.substr(0, end + 1), nullptr, false);
        text.erase(0, end + 1);
        if (!size.is_object()) continue;
        (void)co_await process.resize(static_cast<int>(int_or(size, "Width")),
                                      static_cast<int>(int_or(size, "Height")));
      }
      if (text.size() > kMaxResize) text.clear();
    }
  }

  http::spdy::Session session_;
  bool with_status_;
  int expected_ = 0;
  std::unique_ptr<http::spdy::SessionStream> errors_, input_, output_, error_output_, sizes_;
};

Task<void> wait_for(asio::steady_timer& timer) {
  co_await timer.async_wait(asio::use_awaitable);
}

}  // namespace

std::span<const std::string_view> command_spdy_protocols() {
  return kProtocols;
}

Task<Result<std::unique_ptr<CommandClient>>> make_spdy_command(http::RawStream connection,
                                                               std::string protocol,
                                                               CommandStreams streams) {
  using namespace asio::experimental::awaitable_operators;
  asio::steady_timer timer(connection->executor(), kStreamCreationTimeout);
  auto command = std::make_unique<SpdyCommand>(std::move(connection), std::move(protocol), streams);
  auto collected = co_await (command->collect() || wait_for(timer));
  if (collected.index() == 1) {
    co_return fail(Error::timeout("timed out waiting for client to create streams"));
  }
  if (auto& outcome = std::get<0>(collected); !outcome) co_return fail(outcome.error());
  co_return command;
}

}  // namespace moth::server::streams
