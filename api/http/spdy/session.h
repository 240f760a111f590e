#pragma once
// A SPDY/3.1 connection over any Stream, as Kubernetes uses it: many two-way streams with headers
// on one connection, without HTTP semantics. Server and client side.
//
// Flow control. Kubernetes' clients know no windows: the only brake is that we stop reading from
// the connection while a stream holds more unread bytes than SessionOptions::stream_buffer (all
// streams then wait, as with upstream's implementation). A peer that shows that it knows windows
// (it sends SETTINGS or WINDOW_UPDATE) gets updates and has its own windows respected.
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/message.h"
#include "api/http/spdy/frame.h"
#include "api/http/stream.h"

namespace moth::http::spdy {

struct SessionOptions {
  std::size_t max_streams = 256;             // open at once; more are refused
  std::size_t stream_buffer = 256 * 1024;    // unread bytes of one stream
  std::size_t session_buffer = 1024 * 1024;  // of all streams together
  // When nothing came for so long, the peer is asked for a sign of life; 0: never.
  std::chrono::milliseconds ping_interval{0};
  // After this time without any byte the connection is cut; only with ping_interval.
  std::chrono::milliseconds silence_limit{90'000};
};

struct SessionState;
struct StreamState;

// One stream. Destroying it before both sides have finished resets it. Does not keep the session's
// connection alive: when the session is destroyed its calls return errors. io executor.
class SessionStream final : public Stream {
 public:
  SessionStream(std::shared_ptr<SessionState> session, std::shared_ptr<StreamState> stream);
  ~SessionStream() override;

  const Headers& headers() const;
  std::uint32_t id() const;
  asio::any_io_executor executor() const override;
  Task<Result<std::size_t>> read_some(char* data, std::size_t size) override;
  using Stream::write;
  Task<Result<void>> write(std::vector<std::string_view> parts) override;
  Task<void> shutdown_write() override;
  void close() override { reset(ResetStatus::kCancel); }
  void reset(ResetStatus status);

 private:
  std::shared_ptr<SessionState> session_;
  std::shared_ptr<StreamState> stream_;
};

class Session {
 public:
  enum class Role { kServer, kClient };

  // Reads from the start on, so that pings are answered while nobody awaits anything.
  Session(RawStream connection, Role role, SessionOptions options = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();  // cuts the connection

  // The next stream that the peer opened; it is told that it was taken. Null when the peer has gone
  // properly, an error when the connection broke. One caller at a time. Cancellable.
  Task<Result<std::unique_ptr<SessionStream>>> accept();
  // Does not wait for the peer's answer.
  Task<Result<std::unique_ptr<SessionStream>>> open(Headers headers);
  // GOAWAY after everything that was written, then the end of our side; waits up to `patience` for
  // the peer's end.
  Task<void> close(std::chrono::milliseconds patience = std::chrono::milliseconds(1000));
  // Completes when the connection has ended in whatever way. Cancellable.
  Task<void> wait_ended();
  bool ended() const;
  std::size_t streams() const;

 private:
  std::shared_ptr<SessionState> state_;
};

}  // namespace moth::http::spdy
