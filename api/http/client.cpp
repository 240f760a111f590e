#include "api/http/client.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

#include "api/base/await_on.h"
#include "api/http/client_state.h"
#include "api/http/deadline.h"

namespace moth::http {
namespace {

constexpr std::size_t kPiece = 32 * 1024;
constexpr std::size_t kRefusalLimit = 1024 * 1024;

using ClientStatePtr = std::shared_ptr<Client::State>;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Location relative to `base`.
std::string resolve_location(const Url& base, std::string_view location) {
  if (location.find("://") != std::string_view::npos) return std::string(location);
  std::string origin = base.scheme + "://" +
                       (base.unix_path.empty() ? base.authority() : percent_encode(base.unix_path));
  if (location.starts_with("//")) return base.scheme + ":" + std::string(location);
  if (location.starts_with('/')) return origin + std::string(location);
  std::string_view folder = std::string_view(base.target).substr(0, base.target.find('?'));
  folder = folder.substr(0, folder.rfind('/') + 1);
  return origin + std::string(folder) + std::string(location);
}

// perform() and whatever redirects it leads to.
Task<Result<ResponseStatePtr>> perform_following(ClientStatePtr client, ClientRequest request,
                                                 MonoTime until) {
  for (int left = request.max_redirects;; --left) {
    auto answer = co_await perform(client, request, until);
    if (!answer) co_return answer;
    const Response& head = (*answer)->head;
    bool follow = request.max_redirects > 0 && is_redirect(head.status) &&
                  (request.method == "GET" || request.method == "HEAD") &&
                  head.headers.has("Location");
    if (!follow) co_return answer;
    if (left <= 0) {
      co_return fail(Error::of(
          Reason::kServiceUnavailable,
          fmt::format("{}: stopped after {} redirects", (*answer)->what, request.max_redirects)));
    }
    auto from = parse_url(request.url);
    request.url = resolve_location(*from, head.headers.get("Location"));
    auto to = parse_url(request.url);
    if (!to) co_return fail(std::move(to).error());
    if (to->authority() != from->authority() || to->scheme != from->scheme) {
      request.headers.remove("Authorization");
      request.headers.remove("Cookie");
      request.headers.remove("Host");
    }
    (*answer)->release();
  }
}

Task<Result<std::string>> drain(ResponseStatePtr answer, std::size_t limit, MonoTime until) {
  std::string body;
  auto length = answer->parser.content_length();
  SocketStream* stream = answer->connection ? answer->connection->stream.get() : nullptr;
  Deadline deadline(answer->client->io, stream ? time_left(until) : std::chrono::milliseconds(0),
                    [stream] { stream->close(); });
  for (std::size_t size = 0;;) {
    std::size_t room = std::max<std::size_t>(4096, std::min<std::size_t>(size, 1024 * 1024));
    if (length) room = std::min<std::size_t>(kPiece, static_cast<std::size_t>(*length) - size + 1);
    body.resize(size + room);
    auto count = co_await answer->read_body(body.data() + size, room);
    if (deadline.expired()) {
      co_return fail(std::move(timeout_error("reading body").with_context(answer->what)));
    }
    if (!count) co_return fail(std::move(count).error());
    size += *count;
    if (size > limit) {
      answer->release();
      co_return fail(Error::of(
          Reason::kRequestEntityTooLarge,
          fmt::format("{}: the response body is larger than {} bytes", answer->what, limit)));
    }
    if (*count == 0) {
      body.resize(size);
      co_return body;
    }
  }
}

Task<Result<Response>> request_on_io(ClientStatePtr client, ClientRequest request) {
  MonoTime until = deadline_after(request.timeout);
  std::size_t limit = request.body_limit;
  auto answer = co_await perform_following(client, std::move(request), until);
  if (!answer) co_return fail(std::move(answer).error());
  auto body = co_await drain(*answer, limit, until);
  if (!body) co_return fail(std::move(body).error());
  Response response = std::move((*answer)->head);
  response.body = std::move(*body);
  co_return response;
}

Task<Result<ResponseStatePtr>> open_on_io(ClientStatePtr client, ClientRequest request) {
  MonoTime until = deadline_after(request.timeout);
  co_return co_await perform_following(std::move(client), std::move(request), until);
}

// The bare connection under an answered 101, with what came behind its header.
RawStream take_stream(ResponseStream::State& answer) {
  ClientConnectionPtr connection = std::move(answer.connection);
  std::string early(connection->input());
  return prepend(std::move(early), std::move(connection->stream));
}

Task<Result<Upgraded>> upgrade_on_io(ClientStatePtr client, ClientRequest request) {
  MonoTime until = deadline_after(request.timeout);
  auto answer = co_await perform(client, std::move(request), until);
  if (!answer) co_return fail(std::move(answer).error());
  Upgraded upgraded;
  if ((*answer)->head.status == 101) {
    upgraded.stream = take_stream(**answer);
  } else {
    auto body = co_await drain(*answer, kRefusalLimit, until);
    if (body) (*answer)->head.body = std::move(*body);
  }
  upgraded.response = std::move((*answer)->head);
  co_return upgraded;
}

std::string random_key() {
  std::array<unsigned char, 16> bytes{};
  RAND_bytes(bytes.data(), static_cast<int>(bytes.size()));
  std::array<unsigned char, 32> encoded{};
  int size = EVP_EncodeBlock(encoded.data(), bytes.data(), static_cast<int>(bytes.size()));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

Task<Result<WebSocket>> websocket_on_io(ClientStatePtr client, ClientRequest request,
                                        std::vector<std::string> subprotocols,
                                        WebSocketOptions options) {
  if (request.url.starts_with("ws")) request.url.replace(0, 2, "http");
  std::string key = random_key();
  std::string offered;
  for (const std::string& protocol : subprotocols) {
    offered += (offered.empty() ? "" : ", ") + protocol;
  }
  request.method = "GET";
  request.headers.set("Connection", "Upgrade");
  request.headers.set("Upgrade", "websocket");
  request.headers.set("Sec-WebSocket-Version", "13");
  request.headers.set("Sec-WebSocket-Key", key);
  if (!offered.empty()) request.headers.set("Sec-WebSocket-Protocol", offered);
  auto upgraded = co_await upgrade_on_io(std::move(client), std::move(request));
  if (!upgraded) co_return fail(std::move(upgraded).error());
  const Response& answer = upgraded->response;
  if (!upgraded->stream) {
    if (answer.status >= 400) co_return fail(error_from_response(answer));
    co_return fail(Error::of(Reason::kServiceUnavailable,
                             fmt::format("websocket: bad handshake: the server answered {} {}",
                                         answer.status, status_phrase(answer.status))));
  }
  std::string chosen(answer.headers.get("Sec-WebSocket-Protocol"));
  bool known = chosen.empty();
  for (const std::string& protocol : subprotocols) known = known || protocol == chosen;
  if (answer.headers.get("Sec-WebSocket-Accept") != websocket_accept(key) ||
      !answer.headers.has_token("Upgrade", "websocket") || !known) {
    co_return fail(Error::of(Reason::kServiceUnavailable,
                             "websocket: bad handshake: the server's answer does not match"));
  }
  co_return WebSocket(std::move(upgraded->stream), WebSocket::Role::kClient, std::move(chosen),
                      options);
}

Task<Result<RawStream>> dial_on_io(ClientStatePtr client, Url url) {
  auto connection = co_await client->connect(std::move(url), MonoTime::max());
  if (!connection) co_return fail(std::move(connection).error());
  co_return RawStream(std::move((*connection)->stream));
}

}  // namespace

Task<Result<std::size_t>> ResponseStream::State::read_body(char* data, std::size_t size) {
  if (ended || size == 0) co_return std::size_t{0};
  if (!connection) {
    co_return fail(Error::of(Reason::kServiceUnavailable, what + ": the stream is closed"));
  }
  SocketStream* stream = connection->stream.get();
  Deadline deadline(client->io, read_timeout, [stream] { stream->close(); });
  for (;;) {
    std::size_t used = 0;
    std::size_t produced = 0;
    auto outcome = parser.feed_body(connection->input(), used, data, size, produced);
    connection->consume(used);
    std::string why;
    if (outcome == Parser::Outcome::kMore && produced == 0) {
      auto more = co_await connection->fill();
      if (more && *more) continue;
      if (!more)
        why = deadline.expired() ? "i/o timeout" : more.error().message;
      else if (parser.feed_end() == Parser::Outcome::kDone)
        outcome = Parser::Outcome::kDone;
      else
        why = "unexpected EOF";
    } else if (outcome == Parser::Outcome::kMalformed ||
               outcome == Parser::Outcome::kHeaderTooLarge) {
      why = "malformed chunked encoding: " + parser.error_text();
    }
    if (!why.empty()) {
      connection.reset();
      co_return fail(Error::of(deadline.expired() ? Reason::kTimeout : Reason::kServiceUnavailable,
                               fmt::format("{}: {}", what, why)));
    }
    if (produced == 0 && !parser.done()) continue;
    if (parser.done()) {
      ended = true;
      release();
    }
    co_return produced;
  }
}

void ResponseStream::State::release() {
  if (!connection) return;
  bool reusable = ended && parser.keep_alive() && connection->input().empty();
  if (reusable) client->give_back(std::move(connection));
  connection.reset();
}

ResponseStream::ResponseStream(std::shared_ptr<State> state) : state_(std::move(state)) {}
ResponseStream::ResponseStream(ResponseStream&&) noexcept = default;

ResponseStream& ResponseStream::operator=(ResponseStream&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

ResponseStream::~ResponseStream() {
  if (!state_ || !state_->connection) return;
  asio::any_io_executor io = state_->client->io;
  asio::dispatch(io, [state = std::move(state_)] { state->release(); });
}

int ResponseStream::status() const {
  return state_->head.status;
}
const Headers& ResponseStream::headers() const {
  return state_->head.headers;
}

std::optional<std::uint64_t> ResponseStream::content_length() const {
  return state_->parser.content_length();
}

Task<Result<std::size_t>> ResponseStream::read_some(char* data, std::size_t size) {
  State& state = *state_;
  if (state.pending_used < state.pending.size()) {
    std::size_t count = std::min(size, state.pending.size() - state.pending_used);
    state.pending.copy(data, count, state.pending_used);
    state.pending_used += count;
    co_return count;
  }
  co_return co_await await_on(state.client->io, state.read_body(data, size));
}

Task<Result<std::string>> ResponseStream::read_piece() {
  std::string piece(kPiece, '\0');
  auto count = co_await read_some(piece.data(), piece.size());
  if (!count) co_return fail(std::move(count).error());
  piece.resize(*count);
  co_return piece;
}

Task<Result<std::optional<std::string>>> ResponseStream::read_line(std::size_t limit) {
  State& state = *state_;
  std::size_t scanned = state.pending_used;
  for (;;) {
    auto end = state.pending.find('\n', scanned);
    if (end != std::string::npos) {
      std::string line = state.pending.substr(state.pending_used, end - state.pending_used);
      state.pending_used = end + 1;
      co_return std::optional<std::string>(std::move(line));
    }
    state.pending.erase(0, state.pending_used);
    state.pending_used = 0;
    scanned = state.pending.size();
    if (scanned > limit) {
      co_return fail(
          Error::of(Reason::kRequestEntityTooLarge,
                    fmt::format("{}: a line is longer than {} bytes", state.what, limit)));
    }
    state.pending.resize(scanned + kPiece);
    auto count = co_await await_on(state.client->io,
                                   state.read_body(state.pending.data() + scanned, kPiece));
    state.pending.resize(scanned + (count ? *count : 0));
    if (!count) co_return fail(std::move(count).error());
    if (*count == 0) break;
  }
  if (state.pending.empty()) co_return std::optional<std::string>();
  co_return std::optional<std::string>(std::exchange(state.pending, std::string()));
}

Task<Result<std::string>> ResponseStream::read_all(std::size_t limit) {
  std::string body;
  for (;;) {
    auto piece = co_await read_piece();
    if (!piece) co_return fail(std::move(piece).error());
    if (piece->empty()) co_return body;
    if (body.size() + piece->size() > limit) {
      co_return fail(Error::of(
          Reason::kRequestEntityTooLarge,
          fmt::format("{}: the response body is larger than {} bytes", state_->what, limit)));
    }
    body += *piece;
  }
}

Task<Result<Response>> ResponseStream::collect(std::size_t limit) {
  auto body = co_await read_all(limit);
  if (!body) co_return fail(std::move(body).error());
  Response response;
  response.status = status();
  response.headers = headers();
  response.body = std::move(*body);
  co_return response;
}

Client::Client(asio::any_io_executor io, asio::any_io_executor blocking, ClientOptions options)
    : state_(std::make_shared<State>(std::move(io), std::move(blocking), std::move(options))) {}

Client::~Client() {
  asio::any_io_executor io = state_->io;
  asio::dispatch(io, [state = std::move(state_)] {
    state->closed = true;
    state->idle.clear();
    state->expiry.cancel();
  });
}

Task<Result<Response>> Client::request(ClientRequest request) {
  auto state = state_;
  co_return co_await await_on(state->io, request_on_io(state, std::move(request)));
}

Task<Result<ResponseStream>> Client::open(ClientRequest request) {
  auto state = state_;
  auto answer = co_await await_on(state->io, open_on_io(state, std::move(request)));
  if (!answer) co_return fail(std::move(answer).error());
  co_return ResponseStream(std::move(*answer));
}

Task<Result<WebSocket>> Client::websocket(ClientRequest request,
                                          std::vector<std::string> subprotocols,
                                          WebSocketOptions options) {
  auto state = state_;
  co_return co_await await_on(
      state->io, websocket_on_io(state, std::move(request), std::move(subprotocols), options));
}

Task<Result<Upgraded>> Client::upgrade(ClientRequest request) {
  auto state = state_;
  co_return co_await await_on(state->io, upgrade_on_io(state, std::move(request)));
}

Task<Result<RawStream>> Client::dial(Url url) {
  auto state = state_;
  co_return co_await await_on(state->io, dial_on_io(state, std::move(url)));
}

asio::any_io_executor Client::io() const {
  return state_->io;
}
std::size_t Client::idle_connections() const {
  return state_->idle_count();
}

}  // namespace moth::http
