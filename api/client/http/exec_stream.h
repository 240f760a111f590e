#pragma once
// The client's side of exec and attach: WebSocket subprotocol v5.channel.k8s.io. Everything on the
// WebSocket's executor.
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/base/notifier.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/http/websocket.h"

namespace moth::client {

inline constexpr std::string_view kExecProtocol = "v5.channel.k8s.io";

// How a remote command ended.
struct ExecEnd {
  int exit_code = 0;
  std::string message;  // of the Status when it failed
};

// What is typed in here and goes to the remote command. Shared by whoever reads the keyboard and
// the session that sends.
class ExecInput {
 public:
  explicit ExecInput(asio::any_io_executor executor) : changed_(std::move(executor)) {}
  void push(std::string_view bytes);
  void finish();  // end of file
  void resize(int width, int height);
  // Bytes that wait; whoever produces faster than the network takes pauses above some bound.
  std::size_t waiting() const { return bytes_.size(); }

 private:
  friend class ExecSession;
  Notifier changed_;
  std::string bytes_;
  bool finished_ = false;
  int width_ = 0, height_ = 0;
  bool resized_ = false;
};

struct OutputSinks {
  std::function<void(std::string_view bytes)> out, err;
  // Called after some input was sent (waiting() became smaller); may be null.
  std::function<void()> drained;
};

// Runs the session to its end; `input` may be null (no stdin, no terminal). Errors: a connection
// that broke, a frame that is none of the protocol.
Task<Result<ExecEnd>> run_exec(http::WebSocket socket, std::shared_ptr<ExecInput> input,
                               OutputSinks output);

// Reads the Status of channel 3.
Result<ExecEnd> parse_exec_status(std::string_view text);

}  // namespace moth::client
