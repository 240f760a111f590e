// port-forward over plain WebSocket channels, as the Python and JavaScript clients do it: channel
// 2i carries the bytes of the i-th port, channel 2i + 1 what went wrong; the first message on each
// is the port's number, low byte first.
#include <fmt/format.h>

#include <array>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/this_coro.hpp>

#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/schema/base64.h"
#include "api/server/streams/limits.h"
#include "api/server/streams/port_forward.h"

namespace moth::server::streams {
namespace {

constexpr std::array<std::string_view, 4> kProtocols = {
    "v4.channel.k8s.io", "v4.base64.channel.k8s.io", "portforward.k8s.io", "channel.k8s.io"};

class ChannelForwarder {
 public:
  ChannelForwarder(http::WebSocket socket, std::vector<int> ports, ForwardTarget target)
      : socket_(std::move(socket)),
        base64_(socket_.subprotocol().find("base64") != std::string::npos),
        target_(std::move(target)),
        ports_(std::move(ports)),
        pods_(ports_.size()),
        failed_(ports_.size()),
        left_(ports_.size()),
        changed_(socket_.executor()),
        scope_(socket_.executor()) {}

  Task<void> run() {
    using namespace asio::experimental::awaitable_operators;
    std::exception_ptr thrown;
    bool finished = false;
    try {
      for (std::size_t i = 0; i < ports_.size(); ++i) {
        std::array<char, 2> number{static_cast<char>(ports_[i]), static_cast<char>(ports_[i] >> 8)};
        for (std::size_t channel : {2 * i, 2 * i + 1}) {
          (void)co_await send(channel, std::string_view(number.data(), number.size()));
        }
      }
      for (std::size_t i = 0; i < ports_.size(); ++i) scope_.spawn("port-forward", serve(i));
      auto ended = co_await (all_done() || pump() || socket_.wait_ended());
      finished = ended.index() == 0;
    } catch (...) {
      thrown = std::current_exception();
    }
    // A cancelled coroutine could not await anything any more.
    co_await asio::this_coro::throw_if_cancelled(false);
    scope_.cancel();
    co_await scope_.join();
    co_await asio::this_coro::throw_if_cancelled(true);
    if (finished) co_await socket_.close(1000);
    if (thrown) std::rethrow_exception(thrown);
  }

 private:
  Task<Result<void>> send(std::size_t channel, std::string_view data) {
    if (base64_) {
      std::string text = static_cast<char>('0' + channel) + schema::encode_base64(data);
      co_return co_await socket_.write_text(text);
    }
    char first = static_cast<char>(channel);
    co_return co_await socket_.write_binary(std::string_view(&first, 1), data);
  }

  Task<void> all_done() {
    while (left_ > 0) co_await changed_.wait();
  }

  Task<void> serve(std::size_t i) {
    auto pod = co_await target_.dial(ports_[i]);
    if (pod) {
      pods_[i] = std::move(*pod);
      changed_.notify();
      std::vector<char> buffer(kPiece);
      for (;;) {
        auto count = co_await pods_[i]->read_some(buffer.data(), buffer.size());
        if (!count || *count == 0) break;
        if (!co_await send(2 * i, std::string_view(buffer.data(), *count))) break;
      }
      pods_[i]->close();
    } else {
      std::string text = fmt::format("error forwarding port {} to pod {}, uid : {}", ports_[i],
                                     target_.pod, pod.error().message);
      (void)co_await send(2 * i + 1, text);
      failed_[i] = true;
    }
    --left_;
    changed_.notify();
  }

  Task<void> pump() {
    for (;;) {
      auto message = co_await socket_.read();
      if (!message || !*message) co_return;
      std::string data = std::move((*message)->data);
      if (data.empty()) continue;
      std::size_t channel = static_cast<unsigned char>(data.front());
      data.erase(0, 1);
      if (base64_) {
        auto decoded = schema::decode_base64(data);
        if (!decoded || channel < '0') continue;
        channel -= '0';
        data = std::move(*decoded);
      }
      if (channel % 2 != 0 || channel / 2 >= pods_.size()) continue;
      auto& pod = pods_[channel / 2];
      // Bytes that come before the pod answered wait here, and the rest in the socket.
      while (!pod && !failed_[channel / 2]) co_await changed_.wait();
      if (pod) (void)co_await pod->write(data);
    }
  }

  http::WebSocket socket_;
  bool base64_;
  ForwardTarget target_;
  std::vector<int> ports_;
  std::vector<http::RawStream> pods_;  // by port; null until dialed
  std::vector<bool> failed_;           // by port
  std::size_t left_;
  Notifier changed_;
  TaskScope scope_;
};

}  // namespace

std::span<const std::string_view> forward_channel_protocols() {
  return kProtocols;
}

Task<void> forward_channels(http::WebSocket socket, std::vector<int> ports, ForwardTarget target) {
  ChannelForwarder forwarder(std::move(socket), std::move(ports), std::move(target));
  co_await forwarder.run();
}

}  // namespace moth::server::streams
