#include "api/http/spdy/session.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <deque>
#include <exception>
#include <map>

#include "api/base/clock.h"
#include "api/base/notifier.h"
#include "api/http/spdy/header_block.h"

namespace moth::http::spdy {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;
constexpr std::size_t kDataFrame = 32 * 1024;  // streams take turns after so many bytes
constexpr std::int64_t kInitialWindow = 64 * 1024;
// Control frames that wait for the connection. A peer that makes us answer more without reading is
// cut off.
constexpr std::size_t kMaxPending = 256 * 1024;

Error closed_error() {
  return Error::of(Reason::kServiceUnavailable, "spdy: the connection is closed");
}

Error reset_error() {
  return Error::of(Reason::kServiceUnavailable, "spdy: the stream was reset");
}

}  // namespace

struct StreamState {
  StreamState(const asio::any_io_executor& executor, std::uint32_t number, Headers lines)
      : id(number), headers(std::move(lines)), changed(executor) {}

  std::uint32_t id;
  Headers headers;
  std::string buffer;  // received, from `offset` on not read yet
  std::size_t offset = 0;
  bool remote_ended = false, local_ended = false, reset = false;
  std::int64_t send_window = kInitialWindow;
  std::size_t unreported = 0;  // read by the user since the last WINDOW_UPDATE
  Notifier changed;

  std::size_t unread() const { return buffer.size() - offset; }
};

using StreamStatePtr = std::shared_ptr<StreamState>;

struct SessionState : std::enable_shared_from_this<SessionState> {
  SessionState(RawStream stream, Session::Role side, SessionOptions given)
      : connection(std::move(stream)),
        role(side),
        options(given),
        opened(connection->executor()),
        room(connection->executor()),
        writer_left(connection->executor()),
        ending(connection->executor()),
        window_changed(connection->executor()),
        next_id(side == Session::Role::kClient ? 1 : 2) {}

  RawStream connection;
  Session::Role role;
  SessionOptions options;

  // Receiving.
  FrameReader reader;
  HeaderInflater inflater;
  std::map<std::uint32_t, StreamStatePtr> streams;  // not finished by both sides
  std::deque<StreamStatePtr> waiting;               // opened by the peer, not accepted yet
  std::uint32_t last_peer_id = 0;
  bool ended = false, failed = false;
  Error error;
  MonoTime last_heard = std::chrono::steady_clock::now();
  Notifier opened, room;

  // Sending.
  HeaderDeflater deflater;
  bool writing = false, going_away = false, write_broken = false;
  std::string pending;  // control frames
  Notifier writer_left;
  Notifier ending;
  Notifier window_changed;
  bool windows = false;  // the peer knows flow control
  std::int64_t initial_window = kInitialWindow;
  std::int64_t send_window = kInitialWindow;  // of the connection
  std::size_t unreported = 0;
  std::uint32_t next_id;
  std::uint32_t next_ping = 2;

  void queue(const Frame& frame);
  Task<void> flush();
  Task<Result<void>> transmit(std::vector<std::string_view> parts);
  Task<Result<void>> send_data(StreamStatePtr stream, std::string_view data, bool fin);
  Task<void> receive_all();
  Result<void> take(Frame frame);
  Result<void> take_new_stream(const Frame& frame);
  Result<void> take_data(Frame frame);
  void take_settings(const Frame& frame);
  void end_stream(const StreamStatePtr& stream);
  void reset_stream(const StreamStatePtr& stream, ResetStatus status);
  void finish(Result<void> outcome);
  void abort();
  bool crowded() const;
  void consumed(const StreamStatePtr& stream, std::size_t count);
  Task<void> keep_alive();
  asio::any_io_executor executor() const { return connection->executor(); }
};

namespace {

using StatePtr = std::shared_ptr<SessionState>;

// Marks the sender's place; a write that is left by an exception leaves half a frame behind.
struct Writing {
  SessionState& state;
  bool complete = false;
  explicit Writing(SessionState& owner) : state(owner) { state.writing = true; }
  ~Writing() {
    state.writing = false;
    if (!complete) state.abort();
    state.writer_left.notify();
  }
};

Task<void> read_loop(StatePtr state) {
  co_await state->receive_all();
}

Task<void> flush_loop(StatePtr state) {
  co_await state->flush();
}

Task<void> ping_loop(StatePtr state) {
  co_await state->keep_alive();
}

}  // namespace

void SessionState::abort() {
  write_broken = true;
  connection->close();
  room.notify();
  window_changed.notify();
}

// Never waits: the reading side must go on, whatever the peer does with what we send. Header blocks
// are deflated in the order of this call, which is the order on the wire.
void SessionState::queue(const Frame& frame) {
  if (ended || write_broken) return;
  pending += encode(frame);
  if (pending.size() > kMaxPending) {
    abort();
    return;
  }
  if (writing) return;  // the present writer sends it when it is through
  writing = true;       // nobody comes in between
  asio::co_spawn(executor(), flush_loop(shared_from_this()), [](const std::exception_ptr&) {});
}

Task<void> SessionState::flush() {
  Writing place(*this);
  place.complete = (co_await transmit({})).has_value();
}

Task<Result<void>> SessionState::transmit(std::vector<std::string_view> parts) {
  Result<void> written;
  if (!parts.empty()) written = co_await connection->write(std::move(parts));
  while (written && !pending.empty()) {
    std::string control = std::exchange(pending, std::string());
    written = co_await connection->write(std::string_view(control));
  }
  co_return written;
}

Task<Result<void>> SessionState::send_data(StreamStatePtr stream, std::string_view data, bool fin) {
  do {
    while (writing && !write_broken) co_await writer_left.wait();
    while (windows && !data.empty() && !ended && !stream->reset &&
           (stream->send_window <= 0 || send_window <= 0)) {
      co_await window_changed.wait();
    }
    if (writing && !write_broken) continue;
    if (write_broken || ended) co_return fail(failed ? error : closed_error());
    if (stream->reset) co_return fail(reset_error());
    std::size_t size = std::min(data.size(), kDataFrame);
    if (windows && !data.empty()) {
      size = std::min(size, static_cast<std::size_t>(std::min(stream->send_window, send_window)));
    }
    bool last = size == data.size();
    Writing place(*this);
    std::string head = data_header(stream->id, size, fin && last);
    std::vector<std::string_view> parts{head, data.substr(0, size)};
    stream->send_window -= static_cast<std::int64_t>(size);
    send_window -= static_cast<std::int64_t>(size);
    auto written = co_await transmit(std::move(parts));
    place.complete = written.has_value();
    if (!written) co_return written;
    data.remove_prefix(size);
    if (last) break;
  } while (true);
  co_return Result<void>();
}

bool SessionState::crowded() const {
  std::size_t all = 0;
  for (const auto& [id, stream] : streams) {
    if (stream->unread() > options.stream_buffer) return true;
    all += stream->unread();
  }
  return all > options.session_buffer;
}

Task<void> SessionState::receive_all() {
  std::array<char, kReadSize> piece;
  for (;;) {
    while (crowded() && !write_broken) co_await room.wait();
    auto count = co_await connection->read_some(piece.data(), piece.size());
    if (!count) {
      finish(fail(std::move(count).error()));
      co_return;
    }
    if (*count == 0) {
      finish({});
      co_return;
    }
    last_heard = std::chrono::steady_clock::now();
    reader.feed(std::string_view(piece.data(), *count));
    for (;;) {
      auto frame = reader.next();
      Result<void> taken;
      if (!frame) {
        taken = fail(std::move(frame).error());
      } else if (*frame) {
        taken = take(std::move(**frame));
      } else {
        break;
      }
      if (taken) continue;
      Frame goodbye;
      goodbye.type = FrameType::kGoAway;
      goodbye.stream = last_peer_id;
      goodbye.number = 1;
      queue(goodbye);
      finish(std::move(taken));
      co_return;
    }
  }
}

Result<void> SessionState::take(Frame frame) {
  auto found = streams.find(frame.stream);
  StreamStatePtr stream = found == streams.end() ? nullptr : found->second;
  switch (frame.type) {
    case FrameType::kData:
      return take_data(std::move(frame));
    case FrameType::kSynStream:
      return take_new_stream(frame);
    case FrameType::kSynReply:
    case FrameType::kHeaders: {
      // Read although nobody asks for them: the inflater must see every block.
      auto block = inflater.inflate(frame.payload);
      if (!block) return fail(block.error());
      if (stream && frame.fin()) {
        stream->remote_ended = true;
        end_stream(stream);
      }
      return {};
    }
    case FrameType::kRstStream:
      if (stream) {
        stream->reset = true;
        end_stream(stream);
        window_changed.notify();
      }
      return {};
    case FrameType::kPing:
      // Ours are even, a server's, or odd, a client's; the others are the peer's and want an echo.
      if ((frame.stream % 2 == 1) == (role == Session::Role::kServer)) queue(frame);
      return {};
    case FrameType::kWindowUpdate:
      windows = true;
      if (frame.stream == 0) send_window += frame.number & 0x7fffffffu;
      if (stream) stream->send_window += frame.number & 0x7fffffffu;
      window_changed.notify();
      return {};
    case FrameType::kSettings:
      take_settings(frame);
      return {};
    case FrameType::kGoAway:
      return {};
  }
  return {};
}

void SessionState::take_settings(const Frame& frame) {
  windows = true;
  for (const auto& [id, value] : frame.settings) {
    if (id != kSettingInitialWindow) continue;
    auto wanted = static_cast<std::int64_t>(std::min(value, 0x7fffffffu));
    for (auto& [number, stream] : streams) stream->send_window += wanted - initial_window;
    initial_window = wanted;
  }
  window_changed.notify();
}

Result<void> SessionState::take_new_stream(const Frame& frame) {
  MOTH_ASSIGN(std::string block, inflater.inflate(frame.payload));
  MOTH_ASSIGN(Headers headers, decode_headers(block));
  bool peers = (frame.stream % 2 == 1) == (role == Session::Role::kServer);
  if (!peers || frame.stream <= last_peer_id) {
    return fail(Error::bad_request("spdy: protocol violation: stream id out of order"));
  }
  last_peer_id = frame.stream;
  auto stream = std::make_shared<StreamState>(executor(), frame.stream, std::move(headers));
  stream->send_window = initial_window;
  if (streams.size() >= options.max_streams || going_away) {
    reset_stream(stream, ResetStatus::kRefusedStream);
    return {};
  }
  stream->remote_ended = frame.fin();
  streams.emplace(frame.stream, stream);
  Frame reply;
  reply.type = FrameType::kSynReply;
  reply.stream = frame.stream;
  reply.payload = deflater.deflate(encode_headers({}));
  queue(reply);
  waiting.push_back(std::move(stream));
  opened.notify();
  return {};
}

Result<void> SessionState::take_data(Frame frame) {
  auto found = streams.find(frame.stream);
  if (found == streams.end()) {
    // For a stream that was reset a moment ago: dropped, and the window given back.
    consumed(nullptr, frame.payload.size());
    return {};
  }
  StreamStatePtr stream = found->second;
  if (stream->remote_ended) {
    reset_stream(stream, ResetStatus::kProtocolError);
    return {};
  }
  stream->buffer += frame.payload;
  if (frame.fin()) {
    stream->remote_ended = true;
    end_stream(stream);
  }
  stream->changed.notify();
  return {};
}

// Tells a peer that knows windows that it may send more.
void SessionState::consumed(const StreamStatePtr& stream, std::size_t count) {
  auto report = [this](std::uint32_t id, std::size_t& sum) {
    if (!windows || sum < static_cast<std::size_t>(kInitialWindow) / 2) return;
    Frame update;
    update.type = FrameType::kWindowUpdate;
    update.stream = id;
    update.number = static_cast<std::uint32_t>(sum);
    sum = 0;
    queue(update);
  };
  unreported += count;
  report(0, unreported);
  if (!stream || stream->remote_ended) return;
  stream->unreported += count;
  report(stream->id, stream->unreported);
}

void SessionState::end_stream(const StreamStatePtr& stream) {
  stream->changed.notify();
  if (!stream->reset && !(stream->remote_ended && stream->local_ended)) return;
  streams.erase(stream->id);
  room.notify();
}

void SessionState::reset_stream(const StreamStatePtr& stream, ResetStatus status) {
  if (stream->reset || (stream->remote_ended && stream->local_ended)) return;
  stream->reset = true;
  Frame frame;
  frame.type = FrameType::kRstStream;
  frame.stream = stream->id;
  frame.number = static_cast<std::uint32_t>(status);
  queue(frame);
  end_stream(stream);
  window_changed.notify();
}

void SessionState::finish(Result<void> outcome) {
  if (ended) return;
  ended = true;
  if (!outcome) {
    failed = true;
    error = std::move(outcome).error();
  }
  for (auto& [id, stream] : streams) stream->changed.notify();
  opened.notify();
  ending.notify();
  window_changed.notify();
  writer_left.notify();
}

Task<void> SessionState::keep_alive() {
  using std::chrono::steady_clock;
  while (!ended) {
    if (co_await ending.wait_until(steady_clock::now() + options.ping_interval)) continue;
    auto silent = steady_clock::now() - last_heard;
    // While we do not read for lack of room, silence says nothing; a ping still finds out that the
    // peer's machine does not know the connection any more.
    if (silent >= options.silence_limit && !crowded()) {
      finish(fail(Error::of(Reason::kServiceUnavailable, "spdy: the peer gives no sign of life")));
      abort();
    } else if (silent >= options.ping_interval) {
      Frame ping;
      ping.type = FrameType::kPing;
      ping.stream = role == Session::Role::kServer ? next_ping : next_ping - 1;
      next_ping += 2;
      queue(ping);
    }
  }
}

SessionStream::SessionStream(std::shared_ptr<SessionState> session,
                             std::shared_ptr<StreamState> stream)
    : session_(std::move(session)), stream_(std::move(stream)) {}

SessionStream::~SessionStream() {
  session_->reset_stream(stream_, ResetStatus::kCancel);
}

const Headers& SessionStream::headers() const {
  return stream_->headers;
}
std::uint32_t SessionStream::id() const {
  return stream_->id;
}
asio::any_io_executor SessionStream::executor() const {
  return session_->executor();
}

Task<Result<std::size_t>> SessionStream::read_some(char* data, std::size_t size) {
  auto session = session_;
  auto stream = stream_;
  while (stream->unread() == 0) {
    if (stream->remote_ended) co_return std::size_t{0};
    if (stream->reset) co_return fail(reset_error());
    if (session->ended) co_return fail(session->failed ? session->error : closed_error());
    co_await stream->changed.wait();
  }
  std::size_t count = std::min(size, stream->unread());
  stream->buffer.copy(data, count, stream->offset);
  stream->offset += count;
  if (stream->unread() == 0) {
    stream->buffer.clear();
    stream->offset = 0;
  } else if (stream->offset > 64 * 1024) {
    stream->buffer.erase(0, stream->offset);
    stream->offset = 0;
  }
  session->consumed(stream, count);
  session->room.notify();
  co_return count;
}

Task<Result<void>> SessionStream::write(std::vector<std::string_view> parts) {
  auto session = session_;
  auto stream = stream_;
  if (stream->local_ended) co_return fail(closed_error());
  for (std::string_view part : parts) {
    if (part.empty()) continue;
    MOTH_CO_TRY(co_await session->send_data(stream, part, false));
  }
  co_return Result<void>();
}

Task<void> SessionStream::shutdown_write() {
  auto session = session_;
  auto stream = stream_;
  if (stream->local_ended || stream->reset) co_return;
  stream->local_ended = true;
  (void)co_await session->send_data(stream, {}, true);
  session->end_stream(stream);
}

void SessionStream::reset(ResetStatus status) {
  session_->reset_stream(stream_, status);
}

Session::Session(RawStream connection, Role role, SessionOptions options)
    : state_(std::make_shared<SessionState>(std::move(connection), role, options)) {
  // Not in a TaskScope: the loops own what they use and end when the connection is closed, which
  // destroying this object does.
  auto done = [state = state_](const std::exception_ptr& thrown) {
    if (thrown) state->finish(fail(closed_error()));
  };
  asio::co_spawn(state_->executor(), read_loop(state_), done);
  if (options.ping_interval.count() > 0) {
    asio::co_spawn(state_->executor(), ping_loop(state_), [](const std::exception_ptr&) {});
  }
}

Session::~Session() {
  state_->abort();
  state_->finish(fail(closed_error()));
  state_->room.notify();
}

Task<Result<std::unique_ptr<SessionStream>>> Session::accept() {
  auto state = state_;
  while (state->waiting.empty() && !state->ended) co_await state->opened.wait();
  if (!state->waiting.empty()) {
    StreamStatePtr stream = std::move(state->waiting.front());
    state->waiting.pop_front();
    co_return std::make_unique<SessionStream>(state, std::move(stream));
  }
  if (state->failed) co_return fail(state->error);
  co_return std::unique_ptr<SessionStream>();
}

Task<Result<std::unique_ptr<SessionStream>>> Session::open(Headers headers) {
  auto state = state_;
  if (state->ended || state->write_broken) co_return fail(closed_error());
  auto stream = std::make_shared<StreamState>(state->executor(), state->next_id, headers);
  stream->send_window = state->initial_window;
  state->next_id += 2;
  state->streams.emplace(stream->id, stream);
  Frame frame;
  frame.type = FrameType::kSynStream;
  frame.stream = stream->id;
  frame.payload = state->deflater.deflate(encode_headers(headers));
  state->queue(frame);
  co_return std::make_unique<SessionStream>(state, std::move(stream));
}

Task<void> Session::close(std::chrono::milliseconds patience) {
  auto state = state_;
  state->going_away = true;
  Frame goodbye;
  goodbye.type = FrameType::kGoAway;
  goodbye.stream = state->last_peer_id;
  state->queue(goodbye);
  auto deadline = std::chrono::steady_clock::now() + patience;
  while (state->writing && !state->write_broken) {
    if (!co_await state->writer_left.wait_until(deadline)) break;
  }
  if (!state->write_broken && !state->ended) {
    co_await state->connection->shutdown_write();
    while (!state->ended) {
      if (!co_await state->ending.wait_until(deadline)) break;
    }
  }
  state->abort();
}

Task<void> Session::wait_ended() {
  auto state = state_;
  while (!state->ended) co_await state->ending.wait();
}

bool Session::ended() const {
  return state_->ended;
}
std::size_t Session::streams() const {
  return state_->streams.size();
}

}  // namespace moth::http::spdy
