// Getting a connection, speaking one request over it, reading the answer's header.
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/post.hpp>

#include "api/http/client_state.h"
#include "api/http/deadline.h"

namespace moth::http {
namespace {

constexpr std::size_t kReadSize = 16 * 1024;

using Chunk = std::array<char, kReadSize>;

std::string base64(std::string_view text) {
  std::string encoded(4 * ((text.size() + 2) / 3) + 1, '\0');
  int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                             reinterpret_cast<const unsigned char*>(text.data()),
                             static_cast<int>(text.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return encoded;
}

std::string origin_of(const Url& url) {
  return url.scheme + "://" + url.authority();
}

// "Get", as Go words it.
std::string verb(const std::string& method) {
  std::string text = method;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] >= 'A' && text[i] <= 'Z') text[i] = static_cast<char>(text[i] - 'A' + 'a');
  }
  return text;
}

std::string shown_url(const Url& url) {
  std::string user = url.user.empty()       ? ""
                     : url.password.empty() ? url.user + "@"
                                            : url.user + ":***@";
  std::string host = url.unix_path.empty() ? url.host_header() : percent_encode(url.unix_path);
  return url.scheme + "://" + user + host + url.target;
}

bool has_body(const ClientRequest& request) {
  return request.body_source || !request.body.empty() || request.method == "POST" ||
         request.method == "PUT" || request.method == "PATCH";
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  for (char c : value) out.push_back(c == '\r' || c == '\n' || c == '\0' ? ' ' : c);
  out += "\r\n";
}

std::string request_head(const ClientRequest& request, const Url& url,
                         const ClientOptions& options) {
  std::string head;
  head.reserve(512);
  head += request.method;
  head += ' ';
  head += url.target;
  head += " HTTP/1.1\r\n";
  if (!request.headers.has("Host")) append_line(head, "Host", url.host_header());
  if (!request.headers.has("User-Agent")) append_line(head, "User-Agent", options.user_agent);
  if (!url.user.empty() && !request.headers.has("Authorization")) {
    append_line(head, "Authorization", "Basic " + base64(url.user + ":" + url.password));
  }
  for (const Header& line : request.headers) {
    if (iequals(line.name, "Content-Length") || iequals(line.name, "Transfer-Encoding")) continue;
    append_line(head, line.name, line.value);
  }
  if (request.body_source && !request.body_size) {
    append_line(head, "Transfer-Encoding", "chunked");
  } else if (has_body(request)) {
    append_line(head, "Content-Length",
                std::to_string(request.body_source ? *request.body_size : request.body.size()));
  }
  head += "\r\n";
  return head;
}

Task<Result<void>> write_body(SocketStream& stream, const ClientRequest& request) {
  std::vector<char> piece(64 * 1024);
  std::uint64_t left = request.body_size.value_or(0);
  for (;;) {
    auto count = co_await request.body_source(piece.data(), piece.size());
    if (!count) co_return fail(std::move(count).error());
    std::string_view bytes(piece.data(), *count);
    if (request.body_size) {
      if (bytes.size() > left || (bytes.empty() && left > 0)) {
        co_return fail(Error::internal(fmt::format(
            "http: ContentLength={} with Body length {}", *request.body_size,
            bytes.empty() ? *request.body_size - left : *request.body_size - left + bytes.size())));
      }
      left -= bytes.size();
      if (!bytes.empty()) MOTH_CO_TRY(co_await stream.write(bytes));
      if (left == 0) co_return Result<void>();
      continue;
    }
    std::string prefix = fmt::format("{:x}\r\n", bytes.size());
    std::vector<std::string_view> parts{prefix, bytes, "\r\n"};
    MOTH_CO_TRY(co_await stream.write(std::move(parts)));
    if (bytes.empty()) co_return Result<void>();
  }
}

Task<Result<void>> write_request(ClientConnection& connection, const ClientRequest& request,
                                 const Url& url, const ClientOptions& options) {
  std::string head = request_head(request, url, options);
  std::vector<std::string_view> parts{head};
  if (!request.body_source) parts.emplace_back(request.body);
  MOTH_CO_TRY(co_await connection.stream->write(std::move(parts)));
  if (request.body_source) co_return co_await write_body(*connection.stream, request);
  co_return Result<void>();
}

Task<Result<void>> read_head(ResponseStream::State& answer, const std::string& method,
                             std::size_t limit) {
  ClientConnection& connection = *answer.connection;
  for (;;) {
    answer.head = Response();
    answer.parser.reset(answer.head, limit, method == "HEAD");
    for (;;) {
      std::size_t used = 0;
      auto outcome = answer.parser.feed_header(connection.input(), used);
      connection.consume(used);
      if (outcome == Parser::Outcome::kHeader || outcome == Parser::Outcome::kDone) break;
      if (outcome != Parser::Outcome::kMore) {
        co_return fail(Error::of(
            Reason::kServiceUnavailable,
            outcome == Parser::Outcome::kHeaderTooLarge
                ? fmt::format("net/http: server response headers exceeded {} "
                              "bytes; aborted",
                              limit)
                : "net/http: HTTP/1.x transport connection broken: " + answer.parser.error_text()));
      }
      auto more = co_await connection.fill();
      if (!more) co_return fail(std::move(more).error());
      if (!*more) {
        co_return fail(
            Error::of(Reason::kServiceUnavailable, connection.answered ? "unexpected EOF" : "EOF"));
      }
    }
    bool interim = answer.head.status < 200 && answer.head.status != 101;
    if (!interim) co_return Result<void>();
  }
}

bool may_repeat(const ClientRequest& request) {
  if (request.body_source) return false;
  const std::string& method = request.method;
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" ||
         method == "OPTIONS";
}

// One request over one connection.
Task<Result<void>> attempt(ResponseStatePtr answer, const ClientRequest& request, const Url& url,
                           MonoTime until) {
  Client::State& client = *answer->client;
  answer->connection->answered = false;
  SocketStream* stream = answer->connection->stream.get();
  Deadline deadline(client.io, time_left(until), [stream] { stream->close(); });
  auto written = co_await write_request(*answer->connection, request, url, client.options);
  // A server that refuses a body answers before it has read it all, and then closes.
  bool may_have_answered = !written && written.error().os_errno != 0 && !stream->closed();
  Result<void> outcome = written;
  if (written || may_have_answered) {
    auto read = co_await read_head(*answer, request.method, client.options.header_limit);
    if (written || read) outcome = std::move(read);
  }
  if (deadline.expired()) co_return fail(timeout_error("awaiting headers"));
  co_return outcome;
}

}  // namespace

MonoTime deadline_after(std::chrono::milliseconds timeout) {
  return timeout.count() > 0 ? std::chrono::steady_clock::now() + timeout : MonoTime::max();
}

std::chrono::milliseconds time_left(MonoTime until) {
  if (until == MonoTime::max()) return std::chrono::milliseconds(0);
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      until - std::chrono::steady_clock::now());
  return std::max(left, std::chrono::milliseconds(1));
}

Error timeout_error(std::string_view doing) {
  Error error =
      Error::of(Reason::kTimeout,
                fmt::format("context deadline exceeded (Client.Timeout exceeded while {})", doing));
  error.os_errno = ETIMEDOUT;
  return error;
}

void ClientConnection::consume(std::size_t count) {
  consumed += count;
  if (consumed == buffer.size()) {
    buffer.clear();
    consumed = 0;
  }
}

Task<Result<bool>> ClientConnection::fill() {
  buffer.erase(0, consumed);
  consumed = 0;
  std::size_t used = buffer.size();
  buffer.resize(used + kReadSize);
  auto count = co_await stream->read_some(buffer.data() + used, kReadSize);
  buffer.resize(used + (count ? *count : 0));
  if (!count) co_return fail(std::move(count).error());
  answered = answered || *count > 0;
  co_return *count > 0;
}

Client::State::State(asio::any_io_executor io_executor, asio::any_io_executor blocking_executor,
                     ClientOptions given)
    : io(std::move(io_executor)),
      blocking(std::move(blocking_executor)),
      options(std::move(given)),
      expiry(io) {}

ClientConnectionPtr Client::State::take(const std::string& origin) {
  auto found = idle.find(origin);
  if (found == idle.end()) return nullptr;
  ClientConnectionPtr usable;
  while (!usable && !found->second.empty()) {
    usable = std::move(found->second.back());  // the warmest
    found->second.pop_back();
    if (usable->stream->stale()) usable.reset();
  }
  if (found->second.empty()) idle.erase(found);
  if (usable) usable->reused = true;
  return usable;
}

void Client::State::give_back(ClientConnectionPtr connection) {
  if (closed || options.max_idle_per_origin == 0 || connection->stream->closed()) return;
  auto& list = idle[connection->origin];
  if (list.size() >= options.max_idle_per_origin) list.erase(list.begin());
  connection->buffer = std::string();
  connection->consumed = 0;
  connection->idle_since = std::chrono::steady_clock::now();
  list.push_back(std::move(connection));
  arm_expiry();
}

std::size_t Client::State::idle_count() const {
  std::size_t count = 0;
  for (const auto& [origin, list] : idle) count += list.size();
  return count;
}

// One timer for the pool, armed while it holds something, so an unused client costs nothing.
void Client::State::arm_expiry() {
  if (expiry_armed || idle.empty()) return;
  expiry_armed = true;
  expiry.expires_after(options.idle_timeout);
  expiry.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    auto state = weak.lock();
    if (error || !state) return;
    state->expiry_armed = false;
    state->expire();
    state->arm_expiry();
  });
}

void Client::State::expire() {
  MonoTime limit = std::chrono::steady_clock::now() - options.idle_timeout;
  for (auto entry = idle.begin(); entry != idle.end();) {
    std::erase_if(entry->second, [&](const ClientConnectionPtr& connection) {
      return connection->idle_since <= limit || connection->stream->stale();
    });
    entry = entry->second.empty() ? idle.erase(entry) : std::next(entry);
  }
}

Task<Result<ClientConnectionPtr>> Client::State::connect(Url url, MonoTime until) {
  DialOptions dial{options.dial_timeout, options.write_timeout};
  if (until != MonoTime::max()) dial.dial_timeout = std::min(dial.dial_timeout, time_left(until));
  auto stream = co_await dial_url(io, blocking, url, dial);
  if (!stream) co_return fail(std::move(stream).error());
  if (url.tls()) {
    if (!options.tls) {
      auto made = TlsContext::client({});
      if (!made) co_return fail(made.error());
      options.tls = std::move(*made);
    }
    SocketStream* raw = stream->get();
    Deadline deadline(io, dial.dial_timeout, [raw] { raw->close(); });
    auto secured = co_await raw->connect_tls(options.tls, url.host);
    if (deadline.expired()) {
      co_return fail(Error::of(Reason::kTimeout, "net/http: TLS handshake timeout"));
    }
    if (!secured) co_return fail(std::move(secured).error());
  }
  auto connection = std::make_unique<ClientConnection>();
  connection->stream = std::move(*stream);
  connection->origin = origin_of(url);
  co_return connection;
}

Task<Result<ResponseStatePtr>> perform(std::shared_ptr<Client::State> client, ClientRequest request,
                                       MonoTime until) {
  auto url = parse_url(request.url);
  if (!url) co_return fail(std::move(url).error());
  auto answer = std::make_shared<ResponseStream::State>();
  answer->client = client;
  answer->what = fmt::format("{} \"{}\"", verb(request.method), shown_url(*url));
  answer->read_timeout = request.read_timeout;
  Result<void> outcome;
  for (bool fresh = false;;) {
    answer->connection = fresh ? nullptr : client->take(origin_of(*url));
    if (!answer->connection) {
      auto connected = co_await client->connect(*url, until);
      if (!connected) co_return fail(std::move(connected.error().with_context(answer->what)));
      answer->connection = std::move(*connected);
    }
    outcome = co_await attempt(answer, request, *url, until);
    // A kept connection may have been closed by the server just now; then nothing has been
    // answered.
    bool lost_race = !outcome && outcome.error().reason != Reason::kTimeout &&
                     answer->connection->reused && !answer->connection->answered;
    if (!lost_race || fresh || !may_repeat(request)) break;
    fresh = true;
  }
  if (!outcome) co_return fail(std::move(outcome.error().with_context(answer->what)));
  if (answer->parser.done() && answer->head.status != 101) {
    answer->ended = true;
    answer->release();
  }
  co_return answer;
}

}  // namespace moth::http
