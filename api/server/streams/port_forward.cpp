#include "api/server/streams/port_forward.h"

#include <fmt/format.h>

#include <array>
#include <boost/asio/this_coro.hpp>
#include <charconv>
#include <map>

#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/http/deadline.h"
#include "api/http/spdy/session.h"
#include "api/server/streams/limits.h"

namespace moth::server::streams {
namespace {

using http::spdy::SessionStream;

constexpr std::array<std::string_view, 1> kSpdyProtocols = {"portforward.k8s.io"};
constexpr std::size_t kMaxPorts = 64;
// How long a client that was told of the end may keep its side open.
constexpr std::chrono::seconds kLinger{60};

Result<int> parse_port(std::string_view text) {
  int port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size()) {
    return fail(Error::bad_request(fmt::format("unable to parse \"{}\" as a port", text)));
  }
  if (port < 1 || port > 65535) {
    return fail(Error::bad_request(fmt::format("port \"{}\" must be > 0 and < 65536", text)));
  }
  return port;
}

// One connection of the client: the stream of its bytes and the one for what goes wrong.
struct Pair {
  explicit Pair(const asio::any_io_executor& executor) : complete(executor) {}
  std::unique_ptr<SessionStream> errors, data;
  Notifier complete;
  bool whole() const { return errors && data; }
};

using PairPtr = std::shared_ptr<Pair>;

// From the pod to the client. The client waits for the end of both streams, in this order.
Task<void> copy_down(http::Stream& pod, Pair& pair) {
  std::vector<char> buffer(kPiece);
  for (;;) {
    auto count = co_await pod.read_some(buffer.data(), buffer.size());
    if (!count || *count == 0) break;
    if (!co_await pair.data->write(std::string_view(buffer.data(), *count))) {
      pod.close();
      break;
    }
  }
  co_await pair.data->shutdown_write();
  co_await pair.errors->shutdown_write();
}

// From the client to the pod. Goes on reading when the pod takes no more: resetting the stream
// could destroy what the client has not read yet.
Task<void> copy_up(http::Stream& pod, Pair& pair) {
  std::vector<char> buffer(kPiece);
  bool taken = true;
  for (;;) {
    auto count = co_await pair.data->read_some(buffer.data(), buffer.size());
    if (!count) {
      pod.close();
      co_return;
    }
    if (*count == 0) break;
    if (taken) taken = (co_await pod.write(std::string_view(buffer.data(), *count))).has_value();
  }
  co_await pod.shutdown_write();
}

Task<void> refuse(Pair& pair, std::string text) {
  if (pair.errors) {
    (void)co_await pair.errors->write(text);
    co_await pair.errors->shutdown_write();
  }
  if (!pair.data) co_return;
  co_await pair.data->shutdown_write();
  std::array<char, 4096> nowhere{};
  for (;;) {
    auto count = co_await pair.data->read_some(nowhere.data(), nowhere.size());
    if (!count || *count == 0) co_return;
  }
}

std::string forward_error(const ForwardTarget& target, int port, const Error& error) {
  return fmt::format("error forwarding port {} to pod {}, uid : {}", port, target.pod,
                     error.message);
}

// The SPDY connection of one client. Outlives its tasks: run() joins them.
class Forwarder {
 public:
  Forwarder(http::RawStream connection, ForwardTarget target)
      : executor_(connection->executor()),
        session_(std::move(connection), http::spdy::Session::Role::kServer, spdy_options()),
        target_(std::move(target)),
        scope_(executor_) {}

  Task<void> run() {
    // Cancelled from outside, the tasks must be gone before this object is.
    std::exception_ptr thrown;
    try {
      co_await accept_all();
    } catch (...) {
      thrown = std::current_exception();
    }
    // A cancelled coroutine could not await anything any more.
    co_await asio::this_coro::throw_if_cancelled(false);
    scope_.cancel();
    co_await scope_.join();
    co_await asio::this_coro::throw_if_cancelled(true);
    if (thrown) std::rethrow_exception(thrown);
  }

 private:
  Task<void> accept_all() {
    for (;;) {
      auto stream = co_await session_.accept();
      if (!stream || !*stream) co_return;
      take(std::move(*stream));
    }
  }

  void take(std::unique_ptr<SessionStream> stream) {
    std::string type(stream->headers().get("streamtype"));
    auto port = parse_port(stream->headers().get("port"));
    if (!port || (type != "data" && type != "error")) {
      stream->reset(http::spdy::ResetStatus::kRefusedStream);
      return;
    }
    // Clients of long ago name no request: the error stream comes first, its data stream next.
    std::string request(stream->headers().get("requestid"));
    if (request.empty()) {
      request = fmt::format("#{}", type == "error" ? stream->id() : stream->id() - 2);
    }
    PairPtr& pair = pairs_[request];
    if (!pair) {
      pair = std::make_shared<Pair>(executor_);
      scope_.spawn("port-forward connection", serve(pair, request, *port));
    }
    auto& place = type == "data" ? pair->data : pair->errors;
    if (place) {
      stream->reset(http::spdy::ResetStatus::kRefusedStream);
      return;
    }
    place = std::move(stream);
    if (pair->whole()) pair->complete.notify();
  }

  Task<void> serve(PairPtr pair, std::string request, int port) {
    auto deadline = std::chrono::steady_clock::now() + kStreamCreationTimeout;
    bool late = false;
    while (!pair->whole() && !late) late = !co_await pair->complete.wait_until(deadline);
    pairs_.erase(request);
    if (!pair->whole()) {
      co_await refuse(*pair, fmt::format("(request={}) timeout waiting for streams", request));
      co_return;
    }
    auto pod = co_await target_.dial(port);
    if (!pod) {
      http::Deadline linger(executor_, kLinger, [pair] { pair->data->close(); });
      co_await refuse(*pair, forward_error(target_, port, pod.error()));
      co_return;
    }
    TaskScope up(executor_);
    up.spawn("port-forward upload", copy_up(**pod, *pair));
    std::exception_ptr thrown;
    try {
      co_await copy_down(**pod, *pair);
    } catch (...) {
      thrown = std::current_exception();
      up.cancel();
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    {
      http::Deadline linger(executor_, kLinger, [pair] { pair->data->close(); });
      // The pod's end may not be waited for either.
      http::Stream* stream = pod->get();
      http::Deadline stuck(executor_, kLinger, [stream] { stream->close(); });
      if (thrown) pair->data->close();
      co_await up.join();
    }
    co_await asio::this_coro::throw_if_cancelled(true);
    if (thrown) std::rethrow_exception(thrown);
  }

  asio::any_io_executor executor_;
  http::spdy::Session session_;
  ForwardTarget target_;
  std::map<std::string, PairPtr> pairs_;  // not served yet
  TaskScope scope_;
};

}  // namespace

std::span<const std::string_view> forward_spdy_protocols() {
  return kSpdyProtocols;
}

Result<std::vector<int>> forward_ports(const http::Query& query) {
  std::vector<int> ports;
  for (const char* name : {"ports", "port"}) {
    for (const std::string& value : query.all(name)) {
      std::string_view rest = value;
      while (!rest.empty()) {
        auto comma = rest.find(',');
        MOTH_ASSIGN(int port, parse_port(rest.substr(0, comma)));
        ports.push_back(port);
        rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
      }
    }
  }
  if (ports.empty()) return fail(Error::bad_request("query parameter \"port\" is required"));
  if (ports.size() > kMaxPorts) {
    return fail(Error::bad_request(fmt::format("ports: at most {} ports", kMaxPorts)));
  }
  return ports;
}

Task<void> forward_spdy(http::RawStream connection, ForwardTarget target) {
  Forwarder forwarder(std::move(connection), std::move(target));
  co_await forwarder.run();
}

}  // namespace moth::server::streams
