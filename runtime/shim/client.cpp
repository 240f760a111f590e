#include "runtime/shim/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>

#include "runtime/os/fs.h"
#include "runtime/os/pidfd.h"
#include "runtime/os/proc.h"
#include "runtime/os/subprocess.h"
#include "runtime/shim/exec_session.h"
#include "runtime/shim/protocol.h"
#include "runtime/shim/records.h"
#include "runtime/shim/shim_container.h"
#include "runtime/shim/status_pipe.h"

namespace moth::shim {

namespace {

// What kubelet gives its own processes: the last to be killed.
constexpr int kShimOomScoreAdj = -999;

std::vector<std::string> start_argv(const Programs& programs, const StartRequest& request,
                                    int oom_score_adj) {
  std::vector<std::string> argv = {programs.shim,
                                   "--run",
                                   "--id",
                                   request.id,
                                   "--bundle",
                                   request.bundle,
                                   "--runtime",
                                   programs.runtime,
                                   "--log",
                                   request.log_path,
                                   "--log-max-bytes",
                                   fmt::format("{}", request.log_max_bytes),
                                   "--log-max-files",
                                   fmt::format("{}", request.log_max_files),
                                   "--oom-score-adj",
                                   fmt::format("{}", oom_score_adj)};
  auto add = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    argv.push_back(name);
    argv.push_back(value);
  };
  add("--runtime-root", programs.runtime_root);
  add("--oom-file", request.oom_file);
  for (const std::string& file : request.shim_join_files) add("--join", file);
  if (request.tty) argv.push_back("--tty");
  if (request.stdin_once) argv.push_back("--stdin-once");
  if (request.with_stdin) argv.push_back("--stdin");
  return argv;
}

Error start_error(const Failure& failure, const StartRequest& request) {
  if (failure.stage != "runtime") {
    Error error = Error::from_errno(
        failure.number, fmt::format("start container {}: shim: {}", request.id, failure.stage));
    error.reason = Reason::kInternalError;
    return error;
  }
  std::string words = runtime_error(request.bundle);
  if (words.empty()) words = fmt::format("the OCI runtime ended with status {}", failure.number);
  return Error::of(Reason::kInternalError, std::move(words));
}

// Starts a shim and leaves it: its first process forks and ends at once.
Task<Result<StatusReader>> launch(std::vector<std::string> argv) {
  MOTH_CO_ASSIGN(StatusPipe status, make_status_pipe());
  os::SpawnOptions options;
  options.argv = std::move(argv);
  options.env.emplace();
  // runc looks for helpers (criu, newuidmap) in PATH and is content without anything else.
  options.env->push_back("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
  options.extra_fds = {{status.theirs.get(), MOTH_SHIM_STATUS_FD}};
  options.cwd = "/";
  MOTH_CO_ASSIGN(os::Process process, os::Process::spawn(options));
  status.theirs.reset();
  MOTH_CO_ASSIGN(const os::ExitStatus ended, co_await process.wait());
  if (ended.code == 2) {
    co_return fail(Error::internal("moth-shim refused its arguments: is it of another version?"));
  }
  co_return StatusReader(std::move(status.ours));
}

std::uint64_t to_number(const std::string& text) {
  return std::strtoull(text.c_str(), nullptr, 10);
}

// The words of "started <pid> <start> <ns>".
bool take_started(const std::vector<std::string>& words, Started& started) {
  if (words.size() < 4 || words[0] != "started") return false;
  started.pid = static_cast<pid_t>(to_number(words[1]));
  started.start_time = to_number(words[2]);
  started.started_at = wall_of_ns(to_number(words[3]));
  return true;
}

// Ends a start that takes too long: the shim, and the runtime in the shim's process group.
void abandon(const Started& started) {
  auto shim = os::ProcessHandle::open(started.shim_pid, started.shim_start_time);
  if (shim) ::kill(-started.shim_pid, SIGKILL);
}

}  // namespace

Client::Client(Programs programs, int oom_score_adj_floor)
    : programs_(std::move(programs)), oom_score_adj_floor_(oom_score_adj_floor) {}

Task<Result<std::unique_ptr<Container>>> Client::start(StartRequest request, ExecContext exec) {
  const MonoTime deadline = std::chrono::steady_clock::now() + request.timeout;
  MOTH_CO_ASSIGN(StatusReader status,
                 co_await launch(start_argv(programs_, request,
                                            std::max(kShimOomScoreAdj, oom_score_adj_floor_))));
  Started started;
  while (true) {
    auto words = co_await status.next(deadline);
    if (!words) {
      abandon(started);
      co_return fail(
          Error::timeout(fmt::format("start container {}: {}", request.id, words.error().message)));
    }
    if (words->empty()) {
      co_return fail(Error::internal(fmt::format("start container {}: the shim died", request.id)));
    }
    if (const Failure failure = failure_of(*words); !failure.stage.empty()) {
      co_return fail(start_error(failure, request));
    }
    if (words->size() >= 3 && words->front() == "shim") {
      started.shim_pid = static_cast<pid_t>(to_number((*words)[1]));
      started.shim_start_time = to_number((*words)[2]);
    }
    if (take_started(*words, started)) break;
  }
  ExecTarget target{programs_.shim, started, std::move(exec), oom_score_adj_floor_};
  co_return std::make_unique<ShimContainer>(std::move(request.id), std::move(request.bundle),
                                            std::move(target));
}

Result<std::unique_ptr<Container>> Client::adopt(std::string id, std::string bundle,
                                                 ExecContext exec) {
  MOTH_ASSIGN(const Started started, read_state(bundle + "/" MOTH_SHIM_STATE));
  ExecTarget target{programs_.shim, started, std::move(exec), oom_score_adj_floor_};
  return std::make_unique<ShimContainer>(std::move(id), std::move(bundle), std::move(target));
}

Task<Result<Started>> Client::start_pause(PauseRequest request) {
  std::vector<std::string> argv = {
      programs_.shim,    "--pause",
      "--record",        request.record_path,
      "--oom-score-adj", fmt::format("{}", std::max(request.oom_score_adj, oom_score_adj_floor_))};
  for (const std::string& file : request.join_files) {
    argv.push_back("--join");
    argv.push_back(file);
  }
  for (const std::string* name :
       {&request.net_namespace, &request.ipc_namespace, &request.uts_namespace}) {
    if (name->empty()) continue;
    argv.push_back("--namespace");
    argv.push_back(*name);
  }
  MOTH_CO_ASSIGN(StatusReader status, co_await launch(std::move(argv)));
  MOTH_CO_ASSIGN(const std::vector<std::string> words,
                 co_await status.next(std::chrono::steady_clock::now() + std::chrono::seconds(30)));
  Started started;
  if (take_started(words, started)) {
    started.shim_pid = started.pid;
    started.shim_start_time = started.start_time;
    co_return started;
  }
  const Failure failure = failure_of(words);
  if (failure.stage.empty()) {
    co_return fail(Error::internal("start the shared process namespace: the shim died"));
  }
  co_return fail(Error::from_errno(
      failure.number, fmt::format("start the shared process namespace: {}", failure.stage)));
}

Result<Started> Client::adopt_pause(const std::string& record_path) {
  MOTH_ASSIGN(const Started started, read_state(record_path));
  MOTH_TRY(os::ProcessHandle::open(started.pid, started.start_time));
  return started;
}

}  // namespace moth::shim
