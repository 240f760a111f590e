#pragma once
// Internal: the client's pool, its connections and one response in progress. All on the io
// executor, except for ResponseStream::State::pending, which belongs to whoever calls the
// ResponseStream.
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/http/client.h"
#include "api/http/parser.h"
#include "api/http/socket_stream.h"

namespace moth::http {

struct ClientConnection {
  std::unique_ptr<SocketStream> stream;
  std::string origin;  // key in the pool
  std::string buffer;
  std::size_t consumed = 0;
  bool reused = false;
  bool answered = false;  // bytes of the current answer have come
  MonoTime idle_since{};

  std::string_view input() const { return std::string_view(buffer).substr(consumed); }
  void consume(std::size_t count);
  // Appends what comes next; false at the end of the stream.
  Task<Result<bool>> fill();
};
using ClientConnectionPtr = std::unique_ptr<ClientConnection>;

struct Client::State : std::enable_shared_from_this<Client::State> {
  State(asio::any_io_executor io_executor, asio::any_io_executor blocking_executor,
        ClientOptions given);

  asio::any_io_executor io, blocking;
  ClientOptions options;
  std::map<std::string, std::vector<ClientConnectionPtr>, std::less<>> idle;
  asio::steady_timer expiry;
  bool expiry_armed = false;
  bool closed = false;

  // A kept connection that still works, or null.
  ClientConnectionPtr take(const std::string& origin);
  void give_back(ClientConnectionPtr connection);
  // Dials, with TLS when the URL says so. Error texts without the request's prefix.
  Task<Result<ClientConnectionPtr>> connect(Url url, MonoTime until);
  std::size_t idle_count() const;

 private:
  void arm_expiry();
  void expire();
};

struct ResponseStream::State {
  std::shared_ptr<Client::State> client;
  ClientConnectionPtr connection;  // null once the body has ended
  Response head;
  Parser parser;
  std::string what;  // `Get "https://..."`, for errors
  std::chrono::milliseconds read_timeout{0};
  bool ended = false;
  std::string pending;  // bytes that were read but not handed out
  std::size_t pending_used = 0;

  // On io.
  Task<Result<std::size_t>> read_body(char* data, std::size_t size);
  void release();  // back to the pool, or closed
};
using ResponseStatePtr = std::shared_ptr<ResponseStream::State>;

// Sends `request` and reads the header of the answer, on io. `until` bounds all of it.
Task<Result<ResponseStatePtr>> perform(std::shared_ptr<Client::State> client, ClientRequest request,
                                       MonoTime until);

MonoTime deadline_after(std::chrono::milliseconds timeout);
// For Deadline: 0 when there is none, at least 1 ms otherwise.
std::chrono::milliseconds time_left(MonoTime until);
Error timeout_error(std::string_view doing);

}  // namespace moth::http
