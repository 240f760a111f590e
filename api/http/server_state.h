#pragma once
// Internal: the server's shared state and one connection of it. Everything on the io executor.
#include <chrono>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "api/http/parser.h"
#include "api/http/server.h"
#include "api/http/socket_stream.h"

namespace moth::http {

struct Listener {
  std::string name;
  bool tls = false;
  int family = 0;
  std::string unix_path;
  std::unique_ptr<SocketStream::Socket> socket;
};

struct Server::State : std::enable_shared_from_this<Server::State> {
  State(asio::any_io_executor io, Handler function, ServerOptions given);

  asio::any_io_executor executor;
  Handler handler;
  ServerOptions options;
  TaskScope tasks;  // accept loops, one task per connection, the sweeper
  std::vector<std::shared_ptr<Listener>> listeners;
  TlsContextPtr tls;
  std::list<std::shared_ptr<Exchange::Connection>> connections;
  Notifier connection_ended;
  std::uint64_t requests = 0;
  bool started = false;
  bool stopping = false;
  bool sweeping = false;

  void start_accepting(const std::shared_ptr<Listener>& listener);
  void admit(int fd, const std::shared_ptr<Listener>& listener);
  bool close_longest_idle();
  std::chrono::milliseconds sweep_interval() const;
};

// Reads requests, calls the handler, writes answers. Owned by its own task and by the streams that
// it handed out; the server's list only refers to it while it runs.
class Exchange::Connection : public std::enable_shared_from_this<Exchange::Connection> {
 public:
  enum class Phase { kHandshake, kIdle, kHeader, kBody, kHandler, kStream, kUpgraded, kLingering };
  enum class Answer { kNone, kSent, kStreaming, kUpgraded };

  Connection(std::shared_ptr<Server::State> server, std::unique_ptr<SocketStream> stream,
             std::shared_ptr<Listener> listener);

  Task<void> run();

  // For Exchange.
  Task<void> send(Response response);
  Task<Result<void>> start_stream(int status, Headers headers, OnDisconnect on_disconnect);
  Task<Result<void>> start_upgrade(int status, const Headers& headers);
  Task<Result<std::size_t>> read_body(char* data, std::size_t size);
  Task<void> wait_closed();

  // For StreamWriter.
  Task<Result<void>> write_chunk(std::vector<SharedText> texts, std::string_view text);
  Task<Result<void>> finish_stream();

  // Bytes behind the upgrade request first, then the socket's.
  Task<Result<std::size_t>> read_raw(char* data, std::size_t size);

  // Server::stop and the sweeper.
  void begin_stop();
  void end_streams();
  MonoTime deadline() const { return deadline_; }
  MonoTime idle_since() const { return idle_since_; }
  Phase phase() const { return phase_; }
  SocketStream& stream() { return *stream_; }
  bool client_gone() const { return closed_; }
  Answer answer() const { return answer_; }
  const asio::any_io_executor& executor() const { return server_->executor; }

  Request request;
  TaskScope tasks;  // run(), and what watches for the client's end

 private:
  enum class Next { kRequest, kEnd };

  Task<bool> prepare();
  Task<Next> serve_one();
  Task<bool> read_header();
  Task<bool> read_whole_body();
  Result<void> decode_body();
  Task<void> call_handler();
  Task<bool> drain_body();
  Task<void> refuse(Response response);
  Task<void> linger();
  Task<void> discard_input();
  Task<bool> fill();
  Task<bool> fill_body();
  Task<void> say_continue();
  Task<void> monitor();
  void start_monitor();
  void mark_closed();
  void set_phase(Phase phase, std::chrono::milliseconds limit);
  void reset_request();
  std::string head(int status, const Headers& headers, std::string_view framing) const;
  std::string_view input() const { return std::string_view(buffer_).substr(consumed_); }
  void consume(std::size_t count);

  std::shared_ptr<Server::State> server_;
  std::unique_ptr<SocketStream> stream_;
  std::shared_ptr<Listener> listener_;
  Parser parser_;
  std::string buffer_;
  std::size_t consumed_ = 0;
  std::string remote_;
  std::shared_ptr<const PeerCertificate> peer_;
  std::string peer_error_;
  std::optional<UnixPeer> unix_peer_;

  Phase phase_ = Phase::kHandshake;
  MonoTime deadline_ = MonoTime::max();
  MonoTime idle_since_{};
  Answer answer_ = Answer::kNone;
  bool stream_finished_ = false;
  bool chunked_ = true;
  bool keep_alive_ = true;
  bool continue_wanted_ = false;
  bool monitoring_ = false;
  bool cancel_on_close_ = false;
  bool input_ended_ = false;
  bool closed_ = false;  // the client has gone or the server stops
  Notifier changed_;     // input arrived, the client has gone, monitoring ended
};

struct StreamWriter::State {
  std::shared_ptr<Exchange::Connection> connection;
};

}  // namespace moth::http
