#include "api/server/streams/remote_command.h"

#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "api/base/json.h"

namespace moth::server::streams {

std::string command_text(const CommandEnd& end) {
  if (end.error) return end.error->message;
  if (end.exit_code == 0) return "";
  return fmt::format("command terminated with non-zero exit code: exit status {}", end.exit_code);
}

std::string command_status(const CommandEnd& end) {
  if (end.error) {
    Json status = end.error->to_status();
    status["details"]["causes"] = Json::array({{{"message", end.error->message}}});
    return status.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  if (end.exit_code == 0) return R"({"metadata":{},"status":"Success"})";
  return Json{
      {"metadata", Json::object()},
      {"status", "Failure"},
      {"reason", "NonZeroExitCode"},
      {"message", command_text(end)},
      {"details",
       {{"causes",
         Json::array({{{"reason", "ExitCode"}, {"message", std::to_string(end.exit_code)}}})}}}}
      .dump();
}

namespace {

struct Output {
  bool client_there = true;
  CommandEnd end;
};

Task<Output> pump_output(CommandClient& client, client::ExecSession& process,
                         CommandStreams streams) {
  Output result;
  for (;;) {
    auto output = co_await process.read();
    if (!output) {
      result.end.error = std::move(output).error();
      co_return result;
    }
    if (output->data.empty()) {
      result.end.exit_code = output->exit_code;
      co_return result;
    }
    // What the client did not ask for is read all the same, or the process would stand still.
    bool wanted = output->channel == client::StreamChannel::kStderr ? streams.err : streams.out;
    if (!wanted) continue;
    if (!co_await client.write(output->channel, output->data)) {
      result.client_there = false;
      co_return result;
    }
  }
}

}  // namespace

Task<void> run_command(CommandClient& client, client::ExecSession& process,
                       CommandStreams streams) {
  using namespace asio::experimental::awaitable_operators;
  auto ended = co_await (pump_output(client, process, streams) || client.pump_input(process) ||
                         client.wait_gone());
  if (ended.index() != 0) co_return;
  Output output = std::move(std::get<0>(ended));
  if (output.client_there) co_await client.finish(output.end);
}

}  // namespace moth::server::streams
