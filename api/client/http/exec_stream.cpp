#include "api/client/http/exec_stream.h"

#include <fmt/format.h>

#include <boost/system/system_error.hpp>
#include <charconv>

#include "api/base/json.h"
#include "api/base/task_scope.h"

namespace moth::client {
namespace {

constexpr char kStdin = 0, kStdout = 1, kStderr = 2, kStatus = 3, kResize = 4;
constexpr std::size_t kPiece = 32 * 1024;
constexpr auto kPingEvery = std::chrono::seconds(5);

}  // namespace

void ExecInput::push(std::string_view bytes) {
  bytes_.append(bytes);
  changed_.notify();
}

void ExecInput::finish() {
  finished_ = true;
  changed_.notify();
}

void ExecInput::resize(int width, int height) {
  width_ = width;
  height_ = height;
  resized_ = true;
  changed_.notify();
}

Result<ExecEnd> parse_exec_status(std::string_view text) {
  Json status = Json::parse(text, nullptr, false);
  if (!status.is_object())
    return fail(Error::of(Reason::kInternalError, "the server's last word is no Status"));
  ExecEnd end;
  if (string_or(status, "status") == "Success") return end;
  end.exit_code = 1;
  end.message = string_or(status, "message");
  if (string_or(status, "reason") != "NonZeroExitCode") return end;
  const Json* causes = find_path(status, "details", "causes");
  if (!causes || !causes->is_array()) return end;
  for (const Json& cause : *causes) {
    if (string_or(cause, "reason") != "ExitCode") continue;
    std::string code = string_or(cause, "message");
    std::from_chars(code.data(), code.data() + code.size(), end.exit_code);
    end.message = fmt::format("command terminated with exit code {}", end.exit_code);
  }
  return end;
}

// The sending half runs beside the receiving one and ends with it.
class ExecSession {
 public:
  static Task<void> send_input(http::WebSocket* socket, std::shared_ptr<ExecInput> input,
                               std::function<void()> drained) {
    bool told_end = false;
    for (;;) {
      if (input->resized_) {
        input->resized_ = false;
        std::string size =
            fmt::format("{{\"Width\":{},\"Height\":{}}}\n", input->width_, input->height_);
        if (!co_await socket->write_binary(std::string_view(&kResize, 1), size)) co_return;
      }
      if (!input->bytes_.empty()) {
        std::string piece = input->bytes_.substr(0, kPiece);
        input->bytes_.erase(0, piece.size());
        if (!co_await socket->write_binary(std::string_view(&kStdin, 1), piece)) co_return;
        if (drained) drained();
        continue;
      }
      if (input->finished_ && !told_end) {
        told_end = true;
        if (!co_await socket->write_binary(std::string_view("\xff\0", 2))) co_return;
      }
      if (!input->resized_ && input->bytes_.empty()) co_await input->changed_.wait();
    }
  }

  // Keeps proxies on the way from closing a connection whose command is silent.
  static Task<void> ping(http::WebSocket* socket) {
    RealClock clock;
    while (socket->open()) {
      co_await clock.sleep_for(kPingEvery);
      if (!co_await socket->ping()) co_return;
    }
  }

  static Task<Result<ExecEnd>> receive(http::WebSocket* socket, const OutputSinks* output) {
    ExecEnd end;
    bool have_status = false;
    for (;;) {
      auto message = co_await socket->read();
      if (!message) {
        if (have_status) co_return end;
        co_return fail(
            std::move(std::move(message).error().with_context("error reading from error stream")));
      }
      if (!*message) co_return end;
      const std::string& data = (*message)->data;
      if (data.empty()) continue;
      std::string_view payload = std::string_view(data).substr(1);
      switch (data[0]) {
        case kStdout:
          if (output->out) output->out(payload);
          break;
        case kStderr:
          if (output->err) output->err(payload);
          break;
        case kStatus: {
          if (payload.empty()) break;
          auto parsed = parse_exec_status(payload);
          if (!parsed) co_return fail(std::move(parsed).error());
          end = *std::move(parsed);
          have_status = true;
          break;
        }
        default:
          co_return fail(
              Error::of(Reason::kInternalError,
                        fmt::format("the server sent data on the unknown channel {}",
                                    static_cast<int>(static_cast<unsigned char>(data[0])))));
      }
    }
  }
};

Task<Result<ExecEnd>> run_exec(http::WebSocket socket, std::shared_ptr<ExecInput> input,
                               OutputSinks output) {
  TaskScope scope(socket.executor());
  if (input) scope.spawn("exec input", ExecSession::send_input(&socket, input, output.drained));
  scope.spawn("exec ping", ExecSession::ping(&socket));
  std::exception_ptr cancelled;
  Result<ExecEnd> end = ExecEnd{};
  try {
    end = co_await ExecSession::receive(&socket, &output);
  } catch (const boost::system::system_error&) {
    cancelled = std::current_exception();
  }
  // A write in progress may be cut off by this: the session is over.
  scope.cancel();
  co_await scope.join();
  if (cancelled) std::rethrow_exception(cancelled);
  co_await socket.close();
  co_return end;
}

}  // namespace moth::client
