// One connection: reading requests and answering them.
#include <fmt/format.h>

#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <ctime>

#include "api/base/log.h"
#include "api/http/gzip.h"
#include "api/http/server_state.h"

namespace moth::http {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;
constexpr std::size_t kMonitorLimit = 16 * 1024;  // pipelined bytes taken in while a stream runs
constexpr std::size_t kDrainLimit = 256 * 1024;   // unread body bytes that are worth skipping
constexpr std::size_t kLingerLimit = 4 * 1024 * 1024;
constexpr std::size_t kBufferKept = 16 * 1024;  // capacity that an idle connection may keep
constexpr std::chrono::milliseconds kLingerTime{1000};

// The Date header's text, made once a second.
std::string_view http_date() {
  static thread_local std::time_t made_at = 0;
  static thread_local std::array<char, 64> text{};
  static thread_local std::size_t size = 0;
  std::time_t now = std::time(nullptr);
  if (now != made_at) {
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    made_at = now;
  }
  return {text.data(), size};
}

// A line break inside a value would let it invent headers.
void append_header_text(std::string& out, std::string_view text) {
  for (char c : text) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
}

bool bodiless(int status) {
  return status < 200 || status == 204 || status == 304;
}

Error too_large(std::size_t limit) {
  return Error::of(Reason::kRequestEntityTooLarge,
                   fmt::format("Request entity too large: limit is {}", limit));
}

Error client_gone_error() {
  return Error::of(Reason::kServiceUnavailable, "the client has closed the connection");
}

// Where bytes go that nobody wants. Shared by all, since nothing ever looks at them.
std::array<char, kReadSize>& nowhere() {
  static thread_local std::array<char, kReadSize> bytes;
  return bytes;
}

}  // namespace

Exchange::Connection::Connection(std::shared_ptr<Server::State> server,
                                 std::unique_ptr<SocketStream> stream,
                                 std::shared_ptr<Listener> listener)
    : tasks(server->executor),
      server_(std::move(server)),
      stream_(std::move(stream)),
      listener_(std::move(listener)),
      changed_(server_->executor) {
  set_phase(Phase::kHandshake, server_->options.header_timeout);
}

void Exchange::Connection::set_phase(Phase phase, std::chrono::milliseconds limit) {
  phase_ = phase;
  deadline_ = limit.count() > 0 ? std::chrono::steady_clock::now() + limit : MonoTime::max();
}

void Exchange::Connection::consume(std::size_t count) {
  consumed_ += count;
  if (consumed_ == buffer_.size()) {
    buffer_.clear();
    consumed_ = 0;
  }
}

Task<void> Exchange::Connection::run() {
  auto self = shared_from_this();
  if (co_await prepare()) {
    while (co_await serve_one() == Next::kRequest) {
    }
  }
  mark_closed();
  stream_->close();
}

Task<bool> Exchange::Connection::prepare() {
  if (listener_->family == AF_UNIX) {
    remote_ = "@";
    unix_peer_ = stream_->unix_peer();
  } else {
    remote_ = stream_->remote_text();
  }
  if (!listener_->tls) co_return true;
  auto secured = co_await stream_->accept_tls(server_->tls);
  if (!secured) {
    log::debug("TLS handshake failed", log::field("remote", remote_),
               log::field("why", secured.error().message));
    if (secured.error().message.ends_with("http request")) {
      stream_->drop_tls();
      stream_->try_write(
          "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
      co_await discard_input();
    }
    co_return false;
  }
  peer_ = peer_certificate(stream_->ssl(), peer_error_);
  co_return true;
}

void Exchange::Connection::reset_request() {
  request = Request();
  request.remote_address = remote_;
  request.listener = listener_->name;
  request.tls = listener_->tls;
  request.peer = peer_;
  request.peer_error = peer_error_;
  request.unix_peer = unix_peer_;
  parser_.reset(request, server_->options.header_limit);
  answer_ = Answer::kNone;
  stream_finished_ = false;
  cancel_on_close_ = false;
  continue_wanted_ = false;
}

Task<bool> Exchange::Connection::fill() {
  if (monitoring_) {
    std::size_t before = buffer_.size();
    while (monitoring_ && buffer_.size() == before && !input_ended_) co_await changed_.wait();
    if (buffer_.size() != before) co_return true;
  }
  if (input_ended_) co_return false;
  if (consumed_ > 0) {
    buffer_.erase(0, consumed_);
    consumed_ = 0;
  }
  // Resizing would zero the space first; reading into the string's spare room is not to be had.
  std::size_t used = buffer_.size();
  std::size_t room = std::max<std::size_t>(4096, std::min(used, kReadSize));
  buffer_.resize(used + room);
  auto count = co_await stream_->read_some(buffer_.data() + used, room);
  buffer_.resize(used + (count ? *count : 0));
  if (!count || *count == 0) {
    input_ended_ = true;
    co_return false;
  }
  co_return true;
}

Task<bool> Exchange::Connection::read_header() {
  idle_since_ = std::chrono::steady_clock::now();
  bool first = phase_ == Phase::kHandshake;
  set_phase(Phase::kIdle, first ? server_->options.header_timeout : server_->options.idle_timeout);
  for (;;) {
    if (!input().empty()) {
      if (phase_ == Phase::kIdle) set_phase(Phase::kHeader, server_->options.header_timeout);
      std::size_t used = 0;
      Parser::Outcome outcome = parser_.feed_header(input(), used);
      consume(used);
      if (outcome == Parser::Outcome::kHeader || outcome == Parser::Outcome::kDone) co_return true;
      if (outcome == Parser::Outcome::kHeaderTooLarge) {
        keep_alive_ = false;
        co_await refuse(Response::text(431, "431 Request Header Fields Too Large"));
        co_return false;
      }
      if (outcome == Parser::Outcome::kMalformed) {
        keep_alive_ = false;
        co_await refuse(Response::from_error(
            Error::bad_request("malformed HTTP request: " + parser_.error_text())));
        co_return false;
      }
    } else if (buffer_.capacity() > kBufferKept) {
      buffer_ = std::string();
    }
    if (server_->stopping && phase_ == Phase::kIdle) co_return false;
    if (!co_await fill()) co_return false;
  }
}

Task<Exchange::Connection::Next> Exchange::Connection::serve_one() {
  reset_request();
  if (!co_await read_header()) co_return Next::kEnd;
  ++server_->requests;
  keep_alive_ = parser_.keep_alive() && !server_->stopping;
  continue_wanted_ = !parser_.done() && request.headers.has_token("Expect", "100-continue");
  bool streamed =
      !parser_.done() && server_->options.stream_body && server_->options.stream_body(request);
  if (!streamed) {
    if (!co_await read_whole_body()) co_return Next::kEnd;
    if (auto decoded = decode_body(); !decoded) {
      co_await send(Response::from_error(decoded.error()));
      co_return keep_alive_ ? Next::kRequest : Next::kEnd;
    }
  }
  co_await call_handler();
  if (answer_ == Answer::kUpgraded || !keep_alive_ || stream_->closed()) {
    if (answer_ == Answer::kSent && !stream_->closed()) co_await linger();
    co_return Next::kEnd;
  }
  if (!parser_.done() && !co_await drain_body()) co_return Next::kEnd;
  co_return Next::kRequest;
}

Task<void> Exchange::Connection::say_continue() {
  if (!std::exchange(continue_wanted_, false) || !input().empty()) co_return;
  co_await stream_->write(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"));
}

Task<bool> Exchange::Connection::fill_body() {
  co_await say_continue();
  set_phase(Phase::kBody, server_->options.body_timeout);
  co_return co_await fill();
}

Task<bool> Exchange::Connection::read_whole_body() {
  if (parser_.done()) co_return true;
  const std::size_t limit = server_->options.body_limit;
  auto length = parser_.content_length();
  bool fits = !length || *length <= limit;
  std::size_t size = 0;
  std::string& body = request.body;
  while (fits && !parser_.done()) {
    // A promise of bytes is no reason to allocate them all at once.
    std::size_t room = std::max<std::size_t>(kReadSize, size);
    if (length) room = std::min<std::size_t>(room, static_cast<std::size_t>(*length) - size);
    body.resize(size + std::max<std::size_t>(room, 1));
    std::size_t used = 0;
    std::size_t produced = 0;
    auto outcome =
        parser_.feed_body(input(), used, body.data() + size, body.size() - size, produced);
    consume(used);
    size += produced;
    fits = size <= limit;
    if (outcome == Parser::Outcome::kMalformed || outcome == Parser::Outcome::kHeaderTooLarge) {
      keep_alive_ = false;
      co_await refuse(Response::from_error(
          Error::bad_request("malformed HTTP request body: " + parser_.error_text())));
      co_return false;
    }
    if (outcome == Parser::Outcome::kMore && fits && !co_await fill_body()) co_return false;
  }
  if (!fits) {
    keep_alive_ = false;
    body = std::string();
    co_await refuse(Response::from_error(too_large(limit)));
    co_return false;
  }
  body.resize(size);
  co_return true;
}

Result<void> Exchange::Connection::decode_body() {
  const std::string* encoding = request.headers.find("Content-Encoding");
  if (!encoding || request.body.empty() || iequals(*encoding, "identity")) return {};
  if (!iequals(*encoding, "gzip")) {
    return fail(
        Error::of(Reason::kUnsupportedMediaType,
                  fmt::format("Content-Encoding \"{}\" is not supported: use gzip", *encoding)));
  }
  MOTH_ASSIGN(request.body, gunzip(request.body, server_->options.body_limit));
  request.headers.remove("Content-Encoding");
  return {};
}

Task<void> Exchange::Connection::call_handler() {
  set_phase(Phase::kHandler, std::chrono::milliseconds(0));
  std::string failure;
  Exchange exchange(*this);
  try {
    co_await server_->handler(exchange);
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted && tasks.cancelled()) throw;
    failure = error.what();
  } catch (const std::exception& error) {
    failure = error.what();
  }
  if (!failure.empty()) {
    log::error("an HTTP handler ended with an exception", log::field("path", request.path),
               log::field("what", failure));
    if (answer_ == Answer::kStreaming) stream_->close();
  } else if (answer_ == Answer::kStreaming && !stream_finished_) {
    co_await finish_stream();
  }
  if (answer_ == Answer::kNone) {
    failure = failure.empty() ? "the handler gave no answer" : failure;
    co_await send(Response::from_error(Error::internal(failure)));
  }
}

Task<bool> Exchange::Connection::drain_body() {
  for (std::size_t drained = 0; drained < kDrainLimit;) {
    if (continue_wanted_) co_return false;  // the client never sent it
    auto count = co_await read_body(nowhere().data(), nowhere().size());
    if (!count) co_return false;
    if (*count == 0) co_return true;
    drained += *count;
  }
  co_return false;
}

// An answer without a handler, after which the connection is of no more use.
Task<void> Exchange::Connection::refuse(Response response) {
  co_await send(std::move(response));
  co_await linger();
}

// Closing while unread bytes are in the socket makes the kernel send a reset, which can destroy the
// answer before the client has read it.
Task<void> Exchange::Connection::linger() {
  if (parser_.done() && input().empty()) co_return;
  if (!monitoring_) co_await discard_input();
}

Task<void> Exchange::Connection::discard_input() {
  set_phase(Phase::kLingering, kLingerTime);
  co_await stream_->shutdown_write();
  for (std::size_t dropped = 0; dropped < kLingerLimit;) {
    auto count = co_await stream_->read_some(nowhere().data(), nowhere().size());
    if (!count || *count == 0) co_return;
    dropped += *count;
  }
}

std::string Exchange::Connection::head(int status, const Headers& headers,
                                       std::string_view framing) const {
  std::string text;
  text.reserve(256);
  text += "HTTP/1.1 ";
  text += std::to_string(status);
  text += ' ';
  text += status_phrase(status);
  text += "\r\n";
  bool dated = false;
  for (const Header& line : headers) {
    dated = dated || iequals(line.name, "Date");
    append_header_text(text, line.name);
    text += ": ";
    append_header_text(text, line.value);
    text += "\r\n";
  }
  if (!dated && status >= 200) {
    text += "Date: ";
    text += http_date();
    text += "\r\n";
  }
  if (status >= 200 && !keep_alive_) text += "Connection: close\r\n";
  if (status >= 200 && keep_alive_ && request.http_1_0) text += "Connection: keep-alive\r\n";
  text += framing;
  text += "\r\n";
  return text;
}

Task<void> Exchange::Connection::send(Response response) {
  if (answer_ != Answer::kNone) {
    log::error("an HTTP handler answered twice", log::field("path", request.path));
    co_return;
  }
  answer_ = Answer::kSent;
  // Nobody will read a body that a client only sends after "100 Continue".
  if (continue_wanted_) keep_alive_ = false;
  Headers& headers = response.headers;
  if (headers.has_token("Connection", "close")) keep_alive_ = false;
  headers.remove("Connection");
  headers.remove("Transfer-Encoding");
  // The answer to HEAD may announce a body that nobody made.
  if (request.method != "HEAD") headers.remove("Content-Length");
  std::string framing;
  if (!bodiless(response.status) && !headers.has("Content-Length")) {
    framing = fmt::format("Content-Length: {}\r\n", response.body_size());
  }
  std::string header = head(response.status, response.headers, framing);
  std::vector<std::string_view> parts;
  parts.reserve(2 + response.chunks.size());
  parts.emplace_back(header);
  if (request.method != "HEAD" && !bodiless(response.status)) {
    parts.emplace_back(response.body);
    for (const SharedText& chunk : response.chunks) parts.emplace_back(*chunk);
  }
  if (!co_await stream_->write(std::move(parts))) {
    keep_alive_ = false;
    stream_->close();
  }
}

Task<Result<void>> Exchange::Connection::start_stream(int status, Headers headers,
                                                      OnDisconnect on_disconnect) {
  if (answer_ != Answer::kNone) {
    co_return fail(Error::internal("the request has been answered already"));
  }
  answer_ = Answer::kStreaming;
  set_phase(Phase::kStream, std::chrono::milliseconds(0));
  chunked_ = !request.http_1_0;
  if (!chunked_) keep_alive_ = false;
  if (continue_wanted_) keep_alive_ = false;
  headers.remove("Content-Length");
  headers.remove("Transfer-Encoding");
  headers.remove("Connection");
  std::string header = head(status, headers, chunked_ ? "Transfer-Encoding: chunked\r\n" : "");
  cancel_on_close_ = on_disconnect == OnDisconnect::kCancelHandler;
  auto written = co_await stream_->write(std::string_view(header));
  if (!written) {
    mark_closed();
    stream_->close();
    co_return written;
  }
  if (request.method == "HEAD") stream_finished_ = true;
  start_monitor();
  co_return Result<void>();
}

Task<Result<void>> Exchange::Connection::write_chunk(std::vector<SharedText> texts,
                                                     std::string_view text) {
  std::size_t size = text.size();
  for (const SharedText& shared : texts) size += shared->size();
  if (size == 0) co_return Result<void>();  // an empty chunk would end the body
  if (closed_) co_return fail(client_gone_error());
  if (stream_finished_) co_return fail(Error::internal("the stream has ended"));
  std::array<char, 20> prefix{};
  auto end = fmt::format_to(prefix.data(), "{:x}\r\n", size);
  std::vector<std::string_view> parts;
  parts.reserve(texts.size() + 3);
  if (chunked_) parts.emplace_back(prefix.data(), static_cast<std::size_t>(end - prefix.data()));
  if (!text.empty()) parts.push_back(text);
  for (const SharedText& shared : texts) parts.emplace_back(*shared);
  if (chunked_) parts.emplace_back("\r\n");
  auto written = co_await stream_->write(std::move(parts));
  if (!written) {
    mark_closed();
    stream_->close();
  }
  co_return written;
}

Task<Result<void>> Exchange::Connection::finish_stream() {
  cancel_on_close_ = false;
  if (std::exchange(stream_finished_, true)) co_return Result<void>();
  if (stream_->closed()) co_return fail(client_gone_error());
  if (!chunked_) co_return Result<void>();
  auto written = co_await stream_->write(std::string_view("0\r\n\r\n"));
  if (!written) stream_->close();
  co_return written;
}

Task<Result<void>> Exchange::Connection::start_upgrade(int status, const Headers& headers) {
  if (answer_ != Answer::kNone) {
    co_return fail(Error::internal("the request has been answered already"));
  }
  answer_ = Answer::kUpgraded;
  keep_alive_ = true;  // so that head() adds no Connection of its own
  set_phase(Phase::kUpgraded, std::chrono::milliseconds(0));
  std::string header = head(status, headers, "");
  auto written = co_await stream_->write(std::string_view(header));
  if (!written) stream_->close();
  co_return written;
}

Task<Result<std::size_t>> Exchange::Connection::read_body(char* data, std::size_t size) {
  for (;;) {
    if (parser_.done() || size == 0) co_return std::size_t{0};
    std::size_t used = 0;
    std::size_t produced = 0;
    auto outcome = parser_.feed_body(input(), used, data, size, produced);
    consume(used);
    if (outcome == Parser::Outcome::kMalformed || outcome == Parser::Outcome::kHeaderTooLarge) {
      keep_alive_ = false;
      co_return fail(Error::bad_request("malformed HTTP request body: " + parser_.error_text()));
    }
    if (produced > 0) co_return produced;
    if (outcome == Parser::Outcome::kDone) continue;
    Phase before = phase_;
    bool more = co_await fill_body();
    set_phase(before, std::chrono::milliseconds(0));
    if (!more) {
      keep_alive_ = false;
      co_return fail(Error::bad_request("unexpected EOF in the request body"));
    }
  }
}

Task<Result<std::size_t>> Exchange::Connection::read_raw(char* data, std::size_t size) {
  while (input().empty() && monitoring_ && !input_ended_) co_await changed_.wait();
  if (!input().empty()) {
    std::size_t count = std::min(size, input().size());
    input().copy(data, count);
    consume(count);
    co_return count;
  }
  if (input_ended_) co_return std::size_t{0};
  co_return co_await stream_->read_some(data, size);
}

void Exchange::Connection::mark_closed() {
  if (std::exchange(closed_, true)) return;
  changed_.notify();
}

// Keeps a read pending while the handler is busy, so that a client's going is seen at once. What it
// reads meanwhile is the next request's.
Task<void> Exchange::Connection::monitor() {
  auto self = shared_from_this();
  std::array<char, 2048> piece;
  while (buffer_.size() - consumed_ < kMonitorLimit) {
    auto count = co_await stream_->read_some(piece.data(), piece.size());
    if (!count || *count == 0) {
      input_ended_ = true;
      monitoring_ = false;
      mark_closed();
      changed_.notify();
      if (cancel_on_close_) tasks.cancel();
      co_return;
    }
    buffer_.append(piece.data(), *count);
    changed_.notify();
  }
  monitoring_ = false;
  changed_.notify();
}

void Exchange::Connection::start_monitor() {
  if (monitoring_ || input_ended_ || !parser_.done()) return;
  monitoring_ = true;
  tasks.spawn("http disconnect monitor", monitor());
}

Task<void> Exchange::Connection::wait_closed() {
  start_monitor();
  while (!closed_) co_await changed_.wait();
}

void Exchange::Connection::begin_stop() {
  switch (phase_) {
    case Phase::kHandshake:
    case Phase::kIdle:
    case Phase::kLingering:
    case Phase::kUpgraded:
      stream_->close();
      break;
    case Phase::kStream:
      mark_closed();
      break;
    case Phase::kHeader:
    case Phase::kBody:
    case Phase::kHandler:
      keep_alive_ = false;
      break;
  }
}

void Exchange::Connection::end_streams() {
  if (phase_ != Phase::kStream && phase_ != Phase::kUpgraded) return;
  stream_->close();
  tasks.cancel();
}

}  // namespace moth::http
