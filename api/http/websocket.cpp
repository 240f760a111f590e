// The framing is our own instead of Beast's websocket::stream: that one insists on doing the HTTP
// handshake itself, needs Asio-style templates of its stream, and costs 20 s of compile time.
#include "api/http/websocket.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>
#include <deque>
#include <exception>

#include "api/base/notifier.h"
#include "api/http/websocket_frame.h"

namespace moth::http {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;
constexpr std::size_t kMaxPendingControl = 4096;
// Longer than the pause between two window probes of the kernel: a peer that takes no data but is
// there is never taken for gone.
constexpr std::chrono::minutes kGoneAfter{5};

Error violation(std::string_view why) {
  return Error::bad_request(fmt::format("websocket: protocol violation: {}", why));
}

Error broken() {
  return Error::of(Reason::kServiceUnavailable, "websocket: connection is closed");
}

}  // namespace

struct WebSocket::State {
  State(RawStream connection, Role side, std::string protocol, WebSocketOptions given)
      : stream(std::move(connection)),
        role(side),
        subprotocol(std::move(protocol)),
        options(given),
        incoming(stream->executor()),
        room(stream->executor()),
        ending(stream->executor()),
        writer_left(stream->executor()) {}

  RawStream stream;
  Role role;
  std::string subprotocol;
  WebSocketOptions options;

  // Receiving.
  std::string buffer;  // bytes that are not parsed yet
  std::deque<WebSocketMessage> queue;
  std::size_t queued = 0;  // bytes in `queue`
  bool reading_ended = false;
  Error reading_error;  // valid when reading_failed
  bool reading_failed = false;
  bool dropping = false;  // close() was called: messages no longer matter
  std::uint16_t close_code = 0;
  std::string close_reason;
  Notifier incoming;
  Notifier room;
  Notifier ending;
  std::chrono::steady_clock::time_point last_heard = std::chrono::steady_clock::now();

  // Sending.
  bool writing = false;
  bool write_broken = false;
  bool close_sent = false;
  std::string pending_control;  // frames that the current writer sends when it is through
  Notifier writer_left;

  std::string encode(Opcode opcode, std::string_view payload);
  Task<Result<void>> send(Opcode opcode, std::string_view first, std::string_view second);
  Task<Result<void>> transmit(std::vector<std::string_view> parts);
  Task<void> send_control(Opcode opcode, std::string payload);

  Task<Result<void>> need(std::size_t size);
  Task<Result<void>> receive();
  Task<Result<bool>> control_frame(Opcode opcode, std::string payload);
  void finish(Result<void> outcome);
  void abort() {
    write_broken = true;
    stream->close();
    room.notify();
  }
  Task<void> keep_alive();
};

namespace {

using StatePtr = std::shared_ptr<WebSocket::State>;

FrameMask random_mask() {
  FrameMask mask{};
  RAND_bytes(mask.data(), static_cast<int>(mask.size()));
  return mask;
}

// Marks the sender's place; a write that is left by an exception leaves half a frame behind.
struct Writing {
  WebSocket::State& state;
  bool complete = false;
  explicit Writing(WebSocket::State& owner) : state(owner) { state.writing = true; }
  ~Writing() {
    state.writing = false;
    if (!complete) state.abort();
    state.writer_left.notify();
  }
};

Task<void> read_loop(StatePtr state) {
  auto outcome = co_await state->receive();
  state->finish(std::move(outcome));
}

Task<void> ping_loop(StatePtr state) {
  co_await state->keep_alive();
}

}  // namespace

std::string WebSocket::State::encode(Opcode opcode, std::string_view payload) {
  if (role == Role::kServer) {
    return frame_header(opcode, true, payload.size(), std::nullopt) + std::string(payload);
  }
  FrameMask mask = random_mask();
  std::string frame = frame_header(opcode, true, payload.size(), mask);
  std::size_t start = frame.size();
  frame += payload;
  apply_mask(frame.data() + start, payload.size(), mask);
  return frame;
}

Task<Result<void>> WebSocket::State::transmit(std::vector<std::string_view> parts) {
  auto written = co_await stream->write(std::move(parts));
  while (written && !pending_control.empty()) {
    std::string control = std::exchange(pending_control, std::string());
    written = co_await stream->write(std::string_view(control));
  }
  co_return written;
}

Task<Result<void>> WebSocket::State::send(Opcode opcode, std::string_view first,
                                          std::string_view second) {
  while (writing && !write_broken) co_await writer_left.wait();
  if (write_broken || close_sent) co_return fail(broken());
  Writing place(*this);
  if (opcode == Opcode::kClose) close_sent = true;
  std::string head;
  std::vector<std::string_view> parts;
  if (role == Role::kServer) {
    head = frame_header(opcode, true, first.size() + second.size(), std::nullopt);
    parts = {head, first, second};
  } else {
    FrameMask mask = random_mask();
    head = frame_header(opcode, true, first.size() + second.size(), mask);
    std::size_t start = head.size();
    head.reserve(start + first.size() + second.size());
    head += first;
    head += second;
    apply_mask(head.data() + start, head.size() - start, mask);
    parts = {head};
  }
  auto written = co_await transmit(std::move(parts));
  place.complete = written.has_value();
  co_return written;
}

// From the reading side, which must never wait for a writer that itself waits for the peer.
Task<void> WebSocket::State::send_control(Opcode opcode, std::string payload) {
  if (write_broken || close_sent) co_return;
  if (opcode == Opcode::kClose) close_sent = true;
  std::string frame = encode(opcode, payload);
  if (writing) {
    // A peer that floods us with pings while it reads nothing gets fewer answers.
    if (pending_control.size() < kMaxPendingControl || opcode == Opcode::kClose) {
      pending_control += frame;
    }
    co_return;
  }
  Writing place(*this);
  std::vector<std::string_view> parts{frame};
  place.complete = (co_await transmit(std::move(parts))).has_value();
}

Task<Result<void>> WebSocket::State::need(std::size_t size) {
  std::array<char, kReadSize> piece;
  while (buffer.size() < size) {
    auto count = co_await stream->read_some(piece.data(), piece.size());
    if (!count) co_return fail(std::move(count).error());
    if (*count == 0) {
      co_return fail(Error::of(Reason::kServiceUnavailable,
                               "websocket: close 1006 (abnormal closure): unexpected EOF"));
    }
    buffer.append(piece.data(), *count);
    last_heard = std::chrono::steady_clock::now();
  }
  co_return Result<void>();
}

Task<void> WebSocket::State::keep_alive() {
  while (!reading_ended && !write_broken) {
    auto next = std::chrono::steady_clock::now() + options.ping_interval;
    if (co_await ending.wait_until(next) || reading_ended) continue;
    if (stream->unacknowledged() > kGoneAfter) {
      abort();
    } else if (!writing && std::chrono::steady_clock::now() - last_heard >= options.ping_interval) {
      (void)co_await send(Opcode::kPing, {}, {});
    }
  }
}

// True: the peer closed.
Task<Result<bool>> WebSocket::State::control_frame(Opcode opcode, std::string payload) {
  if (opcode == Opcode::kPing) {
    co_await send_control(Opcode::kPong, std::move(payload));
    co_return false;
  }
  if (opcode != Opcode::kClose) co_return false;
  if (payload.size() == 1) co_return fail(violation("close frame of one byte"));
  std::uint16_t code = 1005;
  if (payload.size() >= 2) {
    code = static_cast<std::uint16_t>(static_cast<unsigned char>(payload[0]) << 8 |
                                      static_cast<unsigned char>(payload[1]));
    if (!valid_close_code(code)) co_return fail(violation("bad close code"));
    if (!valid_utf8(std::string_view(payload).substr(2))) {
      co_return fail(violation("close reason is not UTF-8"));
    }
    close_reason = payload.substr(2);
  }
  close_code = code;
  co_await send_control(Opcode::kClose, code == 1005 ? std::string() : close_payload(code, ""));
  co_return true;
}

Task<Result<void>> WebSocket::State::receive() {
  WebSocketMessage message;
  bool fragmented = false;
  for (;;) {
    while (queued > options.max_queued && !dropping && !write_broken) co_await room.wait();
    FrameParse parse = parse_frame_header(buffer);
    if (parse.outcome == FrameParse::Outcome::kViolation) {
      co_return fail(violation(parse.violation));
    }
    if (parse.outcome == FrameParse::Outcome::kMore) {
      MOTH_CO_TRY(co_await need(buffer.size() + 1));
      continue;
    }
    const FrameHeader header = parse.header;
    if (header.mask.has_value() != (role == Role::kServer)) {
      co_return fail(violation("frame is masked by the wrong side"));
    }
    if (!header.control()) {
      bool starts = header.opcode != Opcode::kContinuation;
      if (starts == fragmented) co_return fail(violation("fragments out of order"));
      if (header.length > options.max_message - message.data.size()) {
        co_return fail(Error::of(
            Reason::kRequestEntityTooLarge,
            fmt::format("websocket: message is larger than {} bytes", options.max_message)));
      }
      if (starts) message.text = header.opcode == Opcode::kText;
    }
    auto length = static_cast<std::size_t>(header.length);
    MOTH_CO_TRY(co_await need(header.size + length));
    if (header.mask) apply_mask(buffer.data() + header.size, length, *header.mask);
    if (header.control()) {
      std::string payload = buffer.substr(header.size, length);
      buffer.erase(0, header.size + length);
      auto closed = co_await control_frame(header.opcode, std::move(payload));
      if (!closed) co_return fail(std::move(closed).error());
      if (*closed) co_return Result<void>();
      continue;
    }
    message.data.append(buffer, header.size, length);
    buffer.erase(0, header.size + length);
    fragmented = !header.final;
    if (fragmented) continue;
    if (message.text && !valid_utf8(message.data)) {
      co_return fail(violation("text message is not UTF-8"));
    }
    if (!dropping) {
      queued += message.data.size() + 1;
      queue.push_back(std::move(message));
      incoming.notify();
    }
    message = WebSocketMessage();
  }
}

namespace {

Task<void> say_goodbye(StatePtr state, std::uint16_t code, std::string reason) {
  co_await state->send_control(Opcode::kClose, close_payload(code, reason));
  co_await state->stream->shutdown_write();
  state->incoming.notify();
}

}  // namespace

void WebSocket::State::finish(Result<void> outcome) {
  reading_ended = true;
  if (!outcome) {
    reading_failed = true;
    reading_error = std::move(outcome).error();
  }
  incoming.notify();
  ending.notify();
}

WebSocket::WebSocket(RawStream stream, Role role, std::string subprotocol, WebSocketOptions options)
    : state_(std::make_shared<State>(std::move(stream), role, std::move(subprotocol), options)) {
  // Not in a TaskScope: the loop owns what it uses and ends when the stream is closed, which
  // destroying this object does.
  asio::co_spawn(state_->stream->executor(), read_loop(state_),
                 [state = state_](const std::exception_ptr& thrown) {
                   if (thrown) state->finish(fail(broken()));
                   if (!state->reading_failed || state->write_broken || state->close_sent) return;
                   bool too_large = state->reading_error.reason == Reason::kRequestEntityTooLarge;
                   bool ours = too_large || state->reading_error.reason == Reason::kBadRequest;
                   if (!ours) return;
                   asio::co_spawn(
                       state->stream->executor(),
                       say_goodbye(state, too_large ? 1009 : 1002, state->reading_error.message),
                       [](const std::exception_ptr&) {});
                 });
  if (options.ping_interval.count() > 0) {
    asio::co_spawn(state_->stream->executor(), ping_loop(state_), [](const std::exception_ptr&) {});
  }
}

WebSocket::WebSocket(WebSocket&&) noexcept = default;

WebSocket& WebSocket::operator=(WebSocket&& other) noexcept {
  if (state_ && state_ != other.state_) state_->abort();
  state_ = std::move(other.state_);
  return *this;
}

WebSocket::~WebSocket() {
  if (!state_) return;
  state_->abort();
  state_->dropping = true;
  state_->room.notify();
}

const std::string& WebSocket::subprotocol() const {
  return state_->subprotocol;
}
asio::any_io_executor WebSocket::executor() const {
  return state_->stream->executor();
}
std::uint16_t WebSocket::close_code() const {
  return state_->close_code;
}
const std::string& WebSocket::close_reason() const {
  return state_->close_reason;
}

bool WebSocket::open() const {
  return !state_->reading_ended && !state_->write_broken && !state_->close_sent;
}

Task<Result<std::optional<WebSocketMessage>>> WebSocket::read() {
  auto state = state_;
  while (state->queue.empty() && !state->reading_ended) co_await state->incoming.wait();
  if (!state->queue.empty()) {
    WebSocketMessage message = std::move(state->queue.front());
    state->queue.pop_front();
    state->queued -= message.data.size() + 1;
    state->room.notify();
    co_return std::optional<WebSocketMessage>(std::move(message));
  }
  if (state->reading_failed) co_return fail(state->reading_error);
  co_return std::optional<WebSocketMessage>();
}

Task<Result<void>> WebSocket::write_binary(std::string_view first, std::string_view second) {
  auto state = state_;
  co_return co_await state->send(Opcode::kBinary, first, second);
}

Task<Result<void>> WebSocket::write_text(std::string_view text) {
  auto state = state_;
  co_return co_await state->send(Opcode::kText, text, {});
}

Task<Result<void>> WebSocket::ping(std::string_view payload) {
  auto state = state_;
  co_return co_await state->send(Opcode::kPing, payload.substr(0, 125), {});
}

Task<void> WebSocket::close(std::uint16_t code, std::string_view reason) {
  auto state = state_;
  state->dropping = true;
  state->queue.clear();
  state->queued = 0;
  state->room.notify();
  std::string payload = close_payload(code, reason);
  if (co_await state->send(Opcode::kClose, payload, {})) {
    auto deadline = std::chrono::steady_clock::now() + state->options.close_timeout;
    while (!state->reading_ended) {
      if (!co_await state->incoming.wait_until(deadline)) break;
    }
  }
  state->abort();
}

void WebSocket::abort() {
  state_->abort();
}

Task<void> WebSocket::wait_ended() {
  auto state = state_;
  while (!state->reading_ended) co_await state->ending.wait();
}

std::string websocket_accept(std::string_view key) {
  std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> encoded{};
  int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

namespace {

class WebSocketStream final : public Stream {
 public:
  explicit WebSocketStream(WebSocket socket) : socket_(std::move(socket)) {}
  asio::any_io_executor executor() const override { return socket_.executor(); }

  Task<Result<std::size_t>> read_some(char* data, std::size_t size) override {
    while (offset_ == current_.size()) {
      auto message = co_await socket_.read();
      if (!message) co_return fail(std::move(message).error());
      if (!*message) co_return std::size_t{0};
      current_ = std::move((*message)->data);
      offset_ = 0;
    }
    std::size_t count = std::min(size, current_.size() - offset_);
    current_.copy(data, count, offset_);
    offset_ += count;
    co_return count;
  }
  Task<Result<void>> write(std::vector<std::string_view> parts) override {
    if (parts.size() == 1) co_return co_await socket_.write_binary(parts[0]);
    std::string whole;
    for (std::string_view part : parts) whole += part;
    co_return co_await socket_.write_binary(whole);
  }
  Task<void> shutdown_write() override { co_await socket_.close(); }
  void close() override { socket_.abort(); }

 private:
  WebSocket socket_;
  std::string current_;
  std::size_t offset_ = 0;
};

}  // namespace

RawStream stream_over_websocket(WebSocket socket) {
  return std::make_unique<WebSocketStream>(std::move(socket));
}

}  // namespace moth::http
