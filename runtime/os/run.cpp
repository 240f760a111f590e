// run(): a program to its end, its output captured.
#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <memory>
#include <optional>

#include "runtime/os/pidfd.h"
#include "runtime/os/subprocess.h"

namespace moth::os {

namespace {

using asio::posix::stream_descriptor;

// Shared by the coroutines of one run(), all on one strand.
struct Capture {
  explicit Capture(const asio::any_io_executor& executor)
      : in(executor), out(executor), err(executor), deadline(executor) {}
  stream_descriptor in, out, err;
  asio::steady_timer deadline;
  std::string input;
  std::size_t max_output = 0;
  RunResult result;
  bool over = false;
};

// Reads what is there; false at the end of the stream.
bool take(Capture& capture, stream_descriptor& from, std::string& into) {
  char buffer[16 * 1024];
  while (true) {
    const ssize_t n = ::read(from.native_handle(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    const std::size_t room = capture.max_output - std::min(capture.max_output, into.size());
    into.append(buffer, std::min(room, static_cast<std::size_t>(n)));
    capture.result.truncated |= static_cast<std::size_t>(n) > room;
  }
}

Task<void> pump(std::shared_ptr<Capture> capture, stream_descriptor& from, std::string& into) {
  boost::system::error_code error;
  while (!capture->over) {
    co_await from.async_wait(stream_descriptor::wait_read,
                             asio::redirect_error(asio::use_awaitable, error));
    if (error || capture->over || !take(*capture, from, into)) break;
  }
}

Task<void> feed(std::shared_ptr<Capture> capture) {
  boost::system::error_code error;
  std::size_t done = 0;
  while (done < capture->input.size()) {
    co_await capture->in.async_wait(stream_descriptor::wait_write,
                                    asio::redirect_error(asio::use_awaitable, error));
    if (error || capture->over) break;
    const ssize_t n = ::write(capture->in.native_handle(), capture->input.data() + done,
                              capture->input.size() - done);
    if (n < 0 && errno != EAGAIN && errno != EINTR) break;
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  boost::system::error_code ignored;
  capture->in.close(ignored);
}

Task<void> kill_at_deadline(std::shared_ptr<Capture> capture, UniqueFd pidfd, pid_t group) {
  boost::system::error_code error;
  co_await capture->deadline.async_wait(asio::redirect_error(asio::use_awaitable, error));
  if (error || capture->over) co_return;
  capture->result.timed_out = true;
  (void)pidfd_signal(pidfd.get(), SIGKILL);
  if (group > 0) ::kill(-group, SIGKILL);
}

// Ends the helpers on every way out, also by an exception.
struct Ending {
  std::shared_ptr<Capture> capture;
  ~Ending() {
    capture->over = true;
    boost::system::error_code ignored;
    capture->in.close(ignored);
    capture->out.close(ignored);
    capture->err.close(ignored);
    capture->deadline.cancel();
  }
};

Task<Result<RunResult>> run_on_strand(SpawnOptions options, RunLimits limits, std::string input) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  options.stdin_from = input.empty() ? options.stdin_from : Stdio::pipe();
  options.stdout_to = Stdio::pipe();
  options.stderr_to = Stdio::pipe();
  MOTH_CO_ASSIGN(Process process, Process::spawn(options));
  auto capture = std::make_shared<Capture>(executor);
  Ending ending{capture};
  capture->input = std::move(input);
  capture->max_output = limits.max_output;
  capture->out.assign(process.stdout_pipe().release());
  capture->err.assign(process.stderr_pipe().release());
  asio::co_spawn(executor, pump(capture, capture->out, capture->result.out), asio::detached);
  asio::co_spawn(executor, pump(capture, capture->err, capture->result.err), asio::detached);
  if (process.stdin_pipe()) {
    capture->in.assign(process.stdin_pipe().release());
    asio::co_spawn(executor, feed(capture), asio::detached);
  }
  UniqueFd pidfd(::fcntl(process.pidfd(), F_DUPFD_CLOEXEC, 3));
  capture->deadline.expires_after(limits.timeout);
  asio::co_spawn(
      executor,
      kill_at_deadline(capture, std::move(pidfd), options.new_session ? process.pid() : -1),
      asio::detached);
  MOTH_CO_ASSIGN(capture->result.status, co_await process.wait());
  // What it wrote before its end is in the pipes; grandchildren that keep them open are not
  // awaited.
  if (capture->out.is_open()) take(*capture, capture->out, capture->result.out);
  if (capture->err.is_open()) take(*capture, capture->err, capture->result.err);
  co_return std::move(capture->result);
}

std::string last_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  return text.substr(text.find_last_of('\n') + 1);
}

}  // namespace

Task<Result<RunResult>> run(SpawnOptions options, RunLimits limits, std::string input) {
  // A strand, since the caller's executor may be a pool.
  asio::any_io_executor strand = asio::make_strand(co_await asio::this_coro::executor);
  Result<RunResult> result = co_await asio::co_spawn(
      strand, run_on_strand(std::move(options), limits, std::move(input)), asio::use_awaitable);
  co_return result;
}

Task<Result<std::string>> run_checked(std::vector<std::string> argv, RunLimits limits) {
  SpawnOptions options;
  options.argv = std::move(argv);
  const std::string name = options.argv.empty() ? std::string() : options.argv.front();
  Result<RunResult> result = co_await run(std::move(options), limits, {});
  if (!result) co_return fail(std::move(result).error());
  if (result->timed_out) {
    co_return fail(Error::timeout(fmt::format("{}: killed, it took too long", name)));
  }
  if (!result->status.success()) {
    std::string why = last_line(result->err);
    if (why.empty()) why = result->status.describe();
    co_return fail(Error::of(Reason::kInternalError, fmt::format("{}: {}", name, why)));
  }
  co_return std::move(result->out);
}

Result<RunResult> run_blocking(std::vector<std::string> argv, RunLimits limits) {
  SpawnOptions options;
  options.argv = std::move(argv);
  asio::io_context context{1};
  std::optional<Result<RunResult>> result;
  asio::co_spawn(context, run_on_strand(std::move(options), limits, {}),
                 [&](const std::exception_ptr& thrown, Result<RunResult> got) {
                   if (!thrown) result.emplace(std::move(got));
                 });
  context.run();
  if (result) return *std::move(result);
  return fail(Error::internal("a subprocess could not be waited for"));
}

}  // namespace moth::os
