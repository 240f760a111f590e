#include "runtime/shim/exec_session.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "runtime/os/pidfd.h"
#include "runtime/os/subprocess.h"
#include "runtime/shim/protocol.h"
#include "runtime/shim/status_pipe.h"

namespace moth::shim {

namespace {

// Starting a command takes milliseconds; a frozen container must not hold the caller for ever.
constexpr auto kStartPatience = std::chrono::seconds(30);

class Session final : public ExecSession {
 public:
  Session(os::Process process, os::UniqueFd terminal)
      : process_(std::move(process)),
        terminal_(std::move(terminal)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (terminal_) {
      ::fcntl(terminal_.get(), F_SETFL, O_NONBLOCK);
      outputs_[0] = terminal_.duplicate();
    } else {
      outputs_[0] = std::move(process_.stdout_pipe());
      outputs_[1] = std::move(process_.stderr_pipe());
    }
    for (const os::UniqueFd& output : outputs_) watch(output.get());
    watch(process_.pidfd());
  }

  ~Session() override {
    if (waited_) return;
    kill();
    // A killed command is gone in no time; the process' own destructor makes sure of the helper.
    pollfd poller{process_.pidfd(), POLLIN, 0};
    ::poll(&poller, 1, 50);
  }

  Task<Result<Chunk>> read() override {
    while (true) {
      // Asked first: what was written before the end is in the pipes by then.
      const bool ended = has_ended();
      for (int i = 0; i < 2; ++i) {
        Chunk chunk = take(i);
        if (chunk.kind != Chunk::Kind::kEnd) co_return chunk;
      }
      // Processes that it left behind may hold the pipes; their output is not awaited.
      if (ended || (!outputs_[0] && !outputs_[1])) co_return Chunk{};
      co_await os::wait_readable(epoll_.get());
    }
  }

  Task<Result<void>> write(std::string data) override {
    std::string_view rest = data;
    const int fd = terminal_ ? terminal_.get() : process_.stdin_pipe().get();
    while (!rest.empty() && fd >= 0) {
      const ssize_t n = ::write(fd, rest.data(), rest.size());
      if (n > 0) {
        rest.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EAGAIN) {
        co_await os::wait_writable(fd);
      } else if (errno != EINTR) {
        co_return fail(Error::of(Reason::kGone, "the command takes no more input"));
      }
    }
    co_return Result<void>{};
  }

  Task<Result<void>> close_stdin() override {
    process_.stdin_pipe().reset();
    co_return Result<void>{};
  }

  Task<Result<void>> resize(std::uint16_t columns, std::uint16_t rows) override {
    winsize size{};
    size.ws_col = columns;
    size.ws_row = rows;
    if (terminal_) ::ioctl(terminal_.get(), TIOCSWINSZ, &size);
    co_return Result<void>{};
  }

  Task<Result<int>> wait() override {
    MOTH_CO_ASSIGN(const os::ExitStatus status, co_await process_.wait());
    waited_ = true;
    co_return status.shell_code();
  }

  // Asks the helper, which kills the command and reaps it.
  void kill() override { (void)process_.signal(SIGTERM); }

  const os::Process& process() const { return process_; }

 private:
  void watch(int fd) {
    if (fd < 0) return;
    epoll_event wanted{};
    wanted.events = EPOLLIN;
    wanted.data.fd = fd;
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &wanted);
  }

  bool has_ended() const {
    epoll_event events[4];
    const int n = ::epoll_wait(epoll_.get(), events, 4, 0);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd == process_.pidfd()) return true;
    }
    return false;
  }

  // What is there of one output, kEnd when there is nothing now.
  Chunk take(int index) {
    os::UniqueFd& fd = outputs_[index];
    char bytes[16 * 1024];
    while (fd) {
      const ssize_t n = ::read(fd.get(), bytes, sizeof bytes);
      if (n > 0) {
        return {index == 0 ? Chunk::Kind::kStdout : Chunk::Kind::kStderr,
                std::string(bytes, static_cast<std::size_t>(n))};
      }
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      fd.reset();  // epoll forgets a closed descriptor
    }
    return {};
  }

  os::Process process_;
  os::UniqueFd terminal_;  // the master end
  os::UniqueFd outputs_[2];
  os::UniqueFd epoll_;
  bool waited_ = false;
};

std::vector<std::string> exec_argv(const ExecTarget& target, const ExecRequest& request) {
  const ExecContext& context = target.context;
  std::vector<std::string> argv = {
      target.shim_program,
      "--exec",
      "--pid",
      fmt::format("{}", target.started.pid),
      "--start-time",
      fmt::format("{}", target.started.start_time),
      "--uid",
      fmt::format("{}", context.uid),
      "--gid",
      fmt::format("{}", context.gid),
      "--capabilities",
      fmt::format("{:x}", context.capabilities),
      "--cwd",
      context.cwd,
      "--oom-score-adj",
      fmt::format("{}", std::max(context.oom_score_adj, target.oom_score_adj_floor))};
  auto add = [&](std::string name, std::string value) {
    argv.push_back(std::move(name));
    argv.push_back(std::move(value));
  };
  if (!context.groups.empty()) add("--groups", fmt::format("{}", fmt::join(context.groups, ",")));
  if (!context.seccomp_bpf_path.empty()) add("--seccomp", context.seccomp_bpf_path);
  for (const std::string& file : context.join_files) add("--join", file);
  if (context.no_new_privs) argv.push_back("--no-new-privs");
  if (request.tty) argv.push_back("--tty");
  argv.push_back("--");
  argv.insert(argv.end(), request.argv.begin(), request.argv.end());
  return argv;
}

// In the words of runc, which users know from other clusters.
Error exec_error(const Failure& failure, const ExecTarget& target, const std::string& program) {
  if (failure.stage == "exec") {
    const bool searched = program.find('/') == std::string::npos;
    std::string why = failure.number == ENOENT && searched
                          ? std::string("executable file not found in $PATH")
                          : Error::from_errno(failure.number, "x").message.substr(3);
    // As Go words it.
    if (!why.empty() && why[0] >= 'A' && why[0] <= 'Z') why[0] = static_cast<char>(why[0] + 32);
    Error error =
        Error::of(failure.number == ENOENT ? Reason::kNotFound : Reason::kForbidden,
                  fmt::format("exec failed: unable to start container process: exec: \"{}\": {}",
                              program, why));
    error.os_errno = failure.number;
    return error;
  }
  if (failure.stage == "pidfd") {
    return Error::of(Reason::kConflict, "exec failed: cannot exec in a stopped container");
  }
  std::string what = fmt::format("exec failed: {}", failure.stage);
  if (failure.stage == "cwd") what += fmt::format(" {}", target.context.cwd);
  Error error = Error::from_errno(failure.number, what);
  error.reason = Reason::kInternalError;
  return error;
}

Result<os::UniqueFd> receive_terminal(int socket) {
  char byte = 0;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  const cmsghdr* header = n == 1 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (!header || header->cmsg_type != SCM_RIGHTS) {
    return fail(Error::internal("exec failed: no terminal came from the container"));
  }
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return os::UniqueFd(fd);
}

struct Launch {
  os::Process process;
  os::UniqueFd status, console;
};

Result<Launch> launch(const ExecTarget& target, const ExecRequest& request, bool merge_output) {
  if (request.argv.empty()) return fail(Error::bad_request("exec failed: no command"));
  MOTH_ASSIGN(StatusPipe status, make_status_pipe());
  os::SpawnOptions options;
  options.argv = exec_argv(target, request);
  options.env = target.context.env;
  options.env->insert(options.env->end(), request.extra_env.begin(), request.extra_env.end());
  options.extra_fds = {{status.theirs.get(), MOTH_SHIM_STATUS_FD}};
  os::UniqueFd our_console, their_console;
  os::UniqueFd merged_read, merged_write;
  if (request.tty) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
      return fail(Error::from_errno(errno, "socketpair"));
    }
    our_console.reset(pair[0]);
    their_console.reset(pair[1]);
    options.extra_fds.emplace_back(their_console.get(), MOTH_SHIM_CONSOLE_FD);
  } else {
    if (request.with_stdin) options.stdin_from = os::Stdio::pipe();
    options.stdout_to = os::Stdio::pipe();
    options.stderr_to = os::Stdio::pipe();
    if (merge_output) {
      int pair[2];
      if (::pipe2(pair, O_CLOEXEC) != 0) return fail(Error::from_errno(errno, "pipe"));
      merged_read.reset(pair[0]);
      merged_write.reset(pair[1]);
      ::fcntl(merged_read.get(), F_SETFL, O_NONBLOCK);
      options.stdout_to = options.stderr_to = os::Stdio::of_fd(merged_write.get());
    }
  }
  MOTH_ASSIGN(os::Process process, os::Process::spawn(options));
  if (merged_read) process.stdout_pipe() = std::move(merged_read);
  return Launch{std::move(process), std::move(status.ours), std::move(our_console)};
}

Task<Result<std::unique_ptr<Session>>> start_session(const ExecTarget& target, ExecRequest request,
                                                     bool merge_output) {
  const std::string program = request.argv.empty() ? std::string() : request.argv.front();
  MOTH_CO_ASSIGN(Launch launched, launch(target, request, merge_output));
  // The pipe closes without a word when the command replaces the helper.
  StatusReader status(std::move(launched.status));
  MOTH_CO_ASSIGN(const std::vector<std::string> words,
                 co_await status.next(std::chrono::steady_clock::now() + kStartPatience));
  if (const Failure failure = failure_of(words); !failure.stage.empty()) {
    (void)co_await launched.process.wait();
    co_return fail(exec_error(failure, target, program));
  }
  os::UniqueFd terminal;
  if (request.tty) {
    MOTH_CO_ASSIGN(terminal, receive_terminal(launched.console.get()));
  }
  co_return std::make_unique<Session>(std::move(launched.process), std::move(terminal));
}

}  // namespace

Task<Result<std::unique_ptr<ExecSession>>> start_exec(const ExecTarget& target,
                                                      ExecRequest request) {
  MOTH_CO_ASSIGN(std::unique_ptr<Session> session,
                 co_await start_session(target, std::move(request), false));
  co_return std::unique_ptr<ExecSession>(std::move(session));
}

Task<Result<ProbeResult>> run_exec(const ExecTarget& target, std::vector<std::string> argv,
                                   Duration timeout, std::size_t max_output) {
  const MonoTime deadline = std::chrono::steady_clock::now() + timeout;
  ExecRequest request;
  request.argv = std::move(argv);
  MOTH_CO_ASSIGN(std::unique_ptr<Session> session,
                 co_await start_session(target, std::move(request), true));
  ProbeResult result;
  // Its own handle: the timer's handler may run after the session is gone.
  auto pidfd =
      std::make_shared<os::UniqueFd>(::fcntl(session->process().pidfd(), F_DUPFD_CLOEXEC, 3));
  auto timed_out = std::make_shared<bool>(false);
  asio::steady_timer timer(co_await asio::this_coro::executor, deadline);
  timer.async_wait([pidfd, timed_out](const boost::system::error_code& error) {
    if (error) return;
    *timed_out = true;
    (void)os::pidfd_signal(pidfd->get(), SIGTERM);
  });
  while (true) {
    MOTH_CO_ASSIGN(const Chunk chunk, co_await session->read());
    if (chunk.kind == Chunk::Kind::kEnd) break;
    const std::size_t room = max_output - std::min(max_output, result.output.size());
    result.output.append(chunk.data, 0, room);
  }
  MOTH_CO_ASSIGN(result.exit_code, co_await session->wait());
  timer.cancel();
  result.timed_out = *timed_out;
  co_return result;
}

}  // namespace moth::shim
