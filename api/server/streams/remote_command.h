#pragma once
// exec and attach: a process of the node on one side, a client on the other, which speaks one of
// many protocols. io executor.
#include <memory>
#include <string>
#include <string_view>

#include "api/client/node_api.h"
#include "api/http/server.h"
#include "api/http/spdy/session.h"
#include "api/http/websocket.h"

namespace moth::server::streams {

struct CommandStreams {
  bool in = false, out = false, err = false, tty = false;
};

// How a command ended: with a code, or it could not be run.
struct CommandEnd {
  int exit_code = 0;
  std::optional<Error> error;
};

// The Status that clients read (protocols from version 4 on), and the bare text that older ones
// read: empty for success.
std::string command_status(const CommandEnd& end);
std::string command_text(const CommandEnd& end);

// The client's end of a command. Every method may be running at the same time as the others, each
// of them once.
class CommandClient {
 public:
  virtual ~CommandClient() = default;
  // Input and sizes go to `process`; returns when the client has gone.
  virtual Task<void> pump_input(client::ExecSession& process) = 0;
  virtual Task<Result<void>> write(client::StreamChannel channel, std::string_view data) = 0;
  // Tells how it ended and closes properly. The last call.
  virtual Task<void> finish(const CommandEnd& end) = 0;
  // Completes when the connection has ended, also while nobody reads its input.
  virtual Task<void> wait_gone() = 0;
};

// Subprotocols of exec and attach over WebSocket and over SPDY, the newest first.
std::span<const std::string_view> command_websocket_protocols();
std::span<const std::string_view> command_spdy_protocols();

// Sends the empty first message that upstream sends.
Task<std::unique_ptr<CommandClient>> make_websocket_command(http::WebSocket socket,
                                                            CommandStreams streams);
// Waits until the client has opened its streams; an error when it does not within 30 s.
Task<Result<std::unique_ptr<CommandClient>>> make_spdy_command(http::RawStream connection,
                                                               std::string protocol,
                                                               CommandStreams streams);

// Connects both until the process ends, which the client is told, or the client goes.
Task<void> run_command(CommandClient& client, client::ExecSession& process, CommandStreams streams);

}  // namespace moth::server::streams
