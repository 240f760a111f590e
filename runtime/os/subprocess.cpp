#include "runtime/os/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "api/base/log.h"
#include "runtime/os/pidfd.h"

extern char** environ;

namespace moth::os {

namespace {

// A write to a child that left must be an EPIPE, not the end of the daemon.
void ignore_sigpipe() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction current {};
    if (::sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
      ::signal(SIGPIPE, SIG_IGN);
    }
  });
}

// posix_spawn's settings, freed on every path.
struct SpawnSettings {
  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
};

struct ChildEnds {
  std::vector<UniqueFd> kept;  // open until the child has them
};

// Above every number that a child can want, so that one dup2 never overwrites another's source.
constexpr int kSafeNumber = 200;

Result<void> give(SpawnSettings& settings, ChildEnds& ends, int fd, int number) {
  UniqueFd high(::fcntl(fd, F_DUPFD_CLOEXEC, kSafeNumber));
  if (!high) return fail(Error::from_errno(errno, "duplicate a descriptor for a child"));
  ::posix_spawn_file_actions_adddup2(&settings.actions, high.get(), number);
  ends.kept.push_back(std::move(high));
  return {};
}

Result<void> connect(SpawnSettings& settings, ChildEnds& ends, const Stdio& stdio, int number,
                     UniqueFd& our_end) {
  const bool input = number == STDIN_FILENO;
  switch (stdio.kind) {
    case Stdio::Kind::kInherit:
      return give(settings, ends, number, number);
    case Stdio::Kind::kFd:
      return give(settings, ends, stdio.fd, number);
    case Stdio::Kind::kNull:
    case Stdio::Kind::kFile: {
      const char* path = stdio.kind == Stdio::Kind::kNull ? "/dev/null" : stdio.path.c_str();
      const int flags = input ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND;
      UniqueFd fd(::open(path, flags | O_CLOEXEC, 0600));
      if (!fd) return fail(Error::from_errno(errno, fmt::format("open {}", path)));
      return give(settings, ends, fd.get(), number);
    }
    case Stdio::Kind::kPipe: {
      int pair[2];
      if (::pipe2(pair, O_CLOEXEC) != 0) return fail(Error::from_errno(errno, "pipe"));
      const UniqueFd their_end(pair[input ? 0 : 1]);
      our_end = UniqueFd(pair[input ? 1 : 0]);
      ::fcntl(our_end.get(), F_SETFL, O_NONBLOCK);
      if (input) ignore_sigpipe();
      return give(settings, ends, their_end.get(), number);
    }
  }
  return {};
}

std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> result;
  result.reserve(strings.size() + 1);
  for (const auto& text : strings) result.push_back(const_cast<char*>(text.c_str()));
  result.push_back(nullptr);
  return result;
}

void set_attributes(SpawnSettings& settings, const SpawnOptions& options) {
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (options.new_session) flags |= POSIX_SPAWN_SETSID;
  ::posix_spawnattr_setsigmask(&settings.attributes, &none);
  ::posix_spawnattr_setsigdefault(&settings.attributes, &all);
  ::posix_spawnattr_setflags(&settings.attributes, flags);
}

Result<ExitStatus> reap(int pidfd) {
  siginfo_t info{};
  int rc;
  do {
    rc = ::waitid(P_PIDFD, static_cast<id_t>(pidfd), &info, WEXITED);
  } while (rc != 0 && errno == EINTR);
  if (rc != 0) return fail(Error::from_errno(errno, "wait for a child"));
  ExitStatus status;
  (info.si_code == CLD_EXITED ? status.code : status.signal) = info.si_status;
  return status;
}

}  // namespace

std::string ExitStatus::describe() const {
  if (signal == 0) return fmt::format("exit status {}", code);
  const char* text = ::sigdescr_np(signal);
  return fmt::format("signal: {}", text ? text : std::to_string(signal));
}

Result<std::string> find_program(const std::string& name) {
  if (name.empty()) return fail(Error::of(Reason::kNotFound, "no program was named"));
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), X_OK) == 0) return name;
    return fail(Error::from_errno(errno, name));
  }
  const char* variable = std::getenv("PATH");
  // The sbin folders are missing in many users' PATH, and runc lives there.
  const std::string path = fmt::format(
      "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", variable ? variable : "");
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t colon = std::min(path.find(':', at), path.size());
    const std::string candidate = path.substr(at, colon - at) + "/" + name;
    at = colon + 1;
    if (candidate.front() == '/' && candidate.size() > name.size() + 1 &&
        ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return fail(Error::of(Reason::kNotFound,
                        fmt::format("the program \"{}\" is not installed (not in PATH)", name)));
}

Result<Process> Process::spawn(const SpawnOptions& options) {
  if (options.argv.empty()) return fail(Error::bad_request("spawn: no program"));
  MOTH_ASSIGN(const std::string program, find_program(options.argv.front()));
  SpawnSettings settings;
  ChildEnds ends;
  Process process;
  MOTH_TRY(connect(settings, ends, options.stdin_from, STDIN_FILENO, process.stdin_));
  MOTH_TRY(connect(settings, ends, options.stdout_to, STDOUT_FILENO, process.stdout_));
  MOTH_TRY(connect(settings, ends, options.stderr_to, STDERR_FILENO, process.stderr_));
  int next = 3;
  for (const auto& [ours, number] : options.extra_fds) {
    if (number != next++) return fail(Error::bad_request("spawn: descriptor numbers have gaps"));
    MOTH_TRY(give(settings, ends, ours, number));
  }
  ::posix_spawn_file_actions_addclosefrom_np(&settings.actions, next);
  if (!options.cwd.empty()) {
    ::posix_spawn_file_actions_addchdir_np(&settings.actions, options.cwd.c_str());
  }
  set_attributes(settings, options);
  std::vector<char*> argv = pointers(options.argv);
  std::vector<char*> env;
  if (options.env) env = pointers(*options.env);
  pid_t pid = -1;
  const int error = ::posix_spawn(&pid, program.c_str(), &settings.actions, &settings.attributes,
                                  argv.data(), options.env ? env.data() : environ);
  if (error != 0) return fail(Error::from_errno(error, fmt::format("start {}", program)));
  process.pid_ = pid;
  // Nobody else reaps our children, so the number is still the child's.
  auto fd = pidfd_open(pid);
  if (!fd) {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    process.reaped_ = true;
    return fail(std::move(fd).error());
  }
  process.pidfd_ = std::move(*fd);
  return process;
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      reaped_(other.reaped_),
      pidfd_(std::move(other.pidfd_)),
      stdin_(std::move(other.stdin_)),
      stdout_(std::move(other.stdout_)),
      stderr_(std::move(other.stderr_)) {}

Process& Process::operator=(Process&& other) noexcept {
  if (this != &other) {
    end_and_reap();
    pid_ = std::exchange(other.pid_, -1);
    reaped_ = other.reaped_;
    pidfd_ = std::move(other.pidfd_);
    stdin_ = std::move(other.stdin_);
    stdout_ = std::move(other.stdout_);
    stderr_ = std::move(other.stderr_);
  }
  return *this;
}

Process::~Process() {
  end_and_reap();
}

void Process::end_and_reap() {
  if (pid_ < 0 || reaped_ || !pidfd_) return;
  (void)pidfd_signal(pidfd_.get(), SIGKILL);
  // A killed process ends at once, unless the kernel holds it (a dead network file system): then it
  // stays a zombie-to-be rather than that the caller hangs with it.
  pollfd poller{pidfd_.get(), POLLIN, 0};
  if (::poll(&poller, 1, 100) == 1) {
    (void)reap(pidfd_.get());
  } else {
    log::warning("a killed child does not end", log::field("pid", pid_));
  }
  reaped_ = true;
}

void Process::detach() {
  reaped_ = true;
}

Result<void> Process::signal(int number) const {
  if (reaped_) return fail(Error::from_errno(ENOENT, fmt::format("process {}", pid_)));
  return pidfd_signal(pidfd_.get(), number);
}

Task<Result<ExitStatus>> Process::wait() {
  co_await wait_readable(pidfd_.get());
  reaped_ = true;
  co_return reap(pidfd_.get());
}

Result<std::optional<ExitStatus>> Process::try_wait() {
  pollfd poller{pidfd_.get(), POLLIN, 0};
  if (::poll(&poller, 1, 0) != 1) return std::optional<ExitStatus>{};
  reaped_ = true;
  MOTH_ASSIGN(ExitStatus status, reap(pidfd_.get()));
  return std::optional<ExitStatus>(status);
}

}  // namespace moth::os
