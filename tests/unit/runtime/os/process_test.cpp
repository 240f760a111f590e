#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "runtime/os/inotify.h"
#include "runtime/os/kernel_features.h"
#include "runtime/os/namespaces.h"
#include "runtime/os/pidfd.h"
#include "runtime/os/proc.h"
#include "runtime/os/subprocess.h"
#include "tests/unit/runtime/os/run_task.h"
#include "tests/unit/runtime/os/temp_dir.h"

namespace moth::os {
namespace {

using namespace std::chrono_literals;
using test::run_task;
using test::TempDir;

SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"/bin/sh", "-c", script};
  return options;
}

TEST(Subprocess, CapturesOutputAndCode) {
  const auto result = run_task(run(shell("echo out; echo err >&2; exit 3"))).value();
  EXPECT_EQ(result.out, "out\n");
  EXPECT_EQ(result.err, "err\n");
  EXPECT_EQ(result.status.code, 3);
  EXPECT_FALSE(result.truncated);
  EXPECT_EQ(result.status.describe(), "exit status 3");
}

TEST(Subprocess, TellsSignals) {
  const auto result = run_task(run(shell("kill -TERM $$"))).value();
  EXPECT_EQ(result.status.signal, SIGTERM);
  EXPECT_EQ(result.status.shell_code(), 143);
}

TEST(Subprocess, FeedsInputLargerThanAPipe) {
  const std::string input(1'000'000, 'x');
  RunLimits limits;
  limits.max_output = 10;
  const auto result = run_task(run(shell("wc -c"), {}, input)).value();
  EXPECT_EQ(std::stol(result.out), 1'000'000);
  // A child that does not read is no harm.
  EXPECT_EQ(run_task(run(shell("exit 5"), limits, input)).value().status.code, 5);
}

TEST(Subprocess, BoundsOutput) {
  RunLimits limits;
  limits.max_output = 1000;
  const auto result = run_task(run(shell("seq 1 100000"), limits)).value();
  EXPECT_EQ(result.out.size(), 1000u);
  EXPECT_TRUE(result.truncated);
  EXPECT_TRUE(result.status.success());
}

TEST(Subprocess, KillsAfterTheTimeout) {
  RunLimits limits;
  limits.timeout = 100ms;
  const auto start = std::chrono::steady_clock::now();
  const auto result = run_task(run(shell("exec sleep 30"), limits)).value();
  EXPECT_TRUE(result.timed_out);
  EXPECT_EQ(result.status.signal, SIGKILL);
  EXPECT_LT(std::chrono::steady_clock::now() - start, 5s);
}

TEST(Subprocess, DoesNotWaitForGrandchildren) {
  const auto start = std::chrono::steady_clock::now();
  // The grandchild ends by itself soon; it holds the pipes until then.
  const auto result = run_task(run(shell("sleep 3 & echo done"))).value();
  EXPECT_EQ(result.out, "done\n");
  EXPECT_LT(std::chrono::steady_clock::now() - start, 2s);
}

TEST(Subprocess, ChildrenInheritNothingElse) {
  const int leak = ::open("/dev/null", O_RDONLY);
  ASSERT_GE(leak, 0);
  const auto result = run_task(run(shell("ls /proc/self/fd"))).value();
  ::close(leak);
  // 0, 1, 2 and the folder that ls reads.
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 4) << result.out;
}

TEST(Subprocess, PassesDescriptorsEnvironmentAndFolder) {
  TempDir dir;
  int pair[2];
  ASSERT_EQ(::pipe2(pair, O_CLOEXEC), 0);
  SpawnOptions options = shell("pwd >&3; echo $NAME >&3; echo [$HOME] >&3");
  options.extra_fds = {{pair[1], 3}};
  options.env = std::vector<std::string>{"NAME=value"};
  options.cwd = dir.path();
  ASSERT_TRUE(run_task(run(options)).value().status.success());
  ::close(pair[1]);
  EXPECT_EQ(read_fd(pair[0], 1000, "pipe").value(), dir.path() + "\nvalue\n[]\n");
  ::close(pair[0]);
}

TEST(Subprocess, ResetsSignals) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto result = run_task(run(shell("grep SigIgn /proc/self/status"))).value();
  const auto ignored = std::stoull(result.out.substr(result.out.find('\t') + 1), nullptr, 16);
  EXPECT_EQ(ignored >> (SIGPIPE - 1) & 1, 0u) << result.out;
}

TEST(Subprocess, MissingProgramIsNamed) {
  SpawnOptions options;
  options.argv = {"moth-no-such-program"};
  const auto result = run_task(run(options));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().reason, Reason::kNotFound);
  EXPECT_NE(result.error().message.find("moth-no-such-program"), std::string::npos);
}

TEST(Subprocess, CheckedGivesTheLastWords) {
  EXPECT_EQ(run_task(run_checked({"/bin/echo", "x"})).value(), "x\n");
  const auto failed =
      run_task(run_checked({"/bin/sh", "-c", "echo one >&2; echo two >&2; exit 1"}));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message, "/bin/sh: two");
  EXPECT_EQ(run_blocking({"/bin/echo", "y"}).value().out, "y\n");
}

TEST(Subprocess, DestructorEndsTheChild) {
  pid_t pid = -1;
  {
    SpawnOptions options;
    options.argv = {"sleep", "30"};
    auto process = Process::spawn(options);
    ASSERT_TRUE(process);
    pid = process->pid();
  }
  EXPECT_EQ(::kill(pid, 0), -1);
}

TEST(ProcessHandle, KnowsTheStartTime) {
  SpawnOptions options;
  options.argv = {"sleep", "30"};
  auto process = Process::spawn(options);
  ASSERT_TRUE(process);
  const auto start = process_start_time(process->pid());
  ASSERT_TRUE(start);
  EXPECT_FALSE(ProcessHandle::open(process->pid(), *start + 1));
  auto handle = ProcessHandle::open(process->pid(), *start);
  ASSERT_TRUE(handle);
  EXPECT_TRUE(handle->alive());
  ASSERT_TRUE(handle->signal(SIGKILL));
  run_task(handle->wait_gone());
  EXPECT_FALSE(handle->alive());
  // Dead but not reaped: gone for us.
  EXPECT_FALSE(ProcessHandle::open(process->pid(), *start));
  EXPECT_EQ(run_task(process->wait()).value().signal, SIGKILL);
  EXPECT_EQ(process_start_time(process->pid()).error().reason, Reason::kNotFound);
}

TEST(Proc, KnowsTheMachine) {
  EXPECT_EQ(boot_id().value().size(), 36u);
  EXPECT_GT(memory_info().value().total, 100u << 20);
  EXPECT_GE(cpu_count(), 1);
  EXPECT_FALSE(kernel_version().empty());
  EXPECT_FALSE(os_release().pretty_name.empty());
  EXPECT_EQ(process_state(::getpid()).value(), 'R');
  const auto started = start_time_to_wall(process_start_time(::getpid()).value());
  EXPECT_LT(std::chrono::system_clock::now() - started, 10min);
  EXPECT_GT(std::chrono::system_clock::now() - started, -1s);
  const auto times = cpu_times().value();
  EXPECT_GT(times.total_ns, times.busy_ns);
  EXPECT_EQ(process_status_field(::getpid(), "Pid").value(), std::to_string(::getpid()));
}

TEST(KernelFeatures, FitsThisMachine) {
  const KernelFeatures features = detect_kernel_features();
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  EXPECT_TRUE(features.pidfd && features.openat2 && features.seccomp);
  for (const std::string& problem : features.problems()) ADD_FAILURE() << problem;
  EXPECT_FALSE(KernelFeatures().problems().empty());
}

Task<std::string> next_event(FileWatcher& watcher, const std::string& dir) {
  std::string seen;
  asio::steady_timer timer(co_await asio::this_coro::executor, 5s);
  auto id = watcher.add(dir, IN_CREATE | IN_MOVED_TO, [&](std::uint32_t, std::string_view name) {
    seen += std::string(name) + " ";
    if (name == "b") timer.cancel();
  });
  EXPECT_TRUE(id);
  EXPECT_TRUE(write_file(dir + "/a", ""));
  EXPECT_TRUE(write_file(dir + "/b", ""));
  try {
    co_await timer.async_wait(asio::use_awaitable);
  } catch (const boost::system::system_error&) {
  }
  watcher.remove(*id);
  EXPECT_TRUE(write_file(dir + "/c", ""));
  co_return seen;
}

TEST(FileWatcher, TellsNewFilesUntilRemoved) {
  TempDir dir;
  asio::io_context context{1};
  auto watcher = FileWatcher::create(context.get_executor());
  ASSERT_TRUE(watcher);
  std::string seen;
  asio::co_spawn(context, next_event(**watcher, dir.path()),
                 [&](std::exception_ptr, std::string names) {
                   seen = names;
                   watcher->reset();
                 });
  context.run();
  EXPECT_EQ(seen, "a b ");
}

TEST(Namespaces, ArePinned) {
  if (::geteuid() != 0) GTEST_SKIP() << "namespaces need root";
  TempDir dir;
  const std::string path = dir / "uts";
  EXPECT_FALSE(is_pinned_namespace(path));
  const auto pinned = pin_namespace(NamespaceKind::kUts, path, "moth-test-host");
  ASSERT_TRUE(pinned) << pinned.error().message;
  EXPECT_TRUE(is_pinned_namespace(path));
  EXPECT_EQ(pin_namespace(NamespaceKind::kUts, path).error().reason, Reason::kAlreadyExists);
  const auto inside = run_blocking({"nsenter", "--uts=" + path, "hostname"});
  ASSERT_TRUE(inside);
  EXPECT_EQ(inside->out, "moth-test-host\n");
  EXPECT_NE(host_name(), "moth-test-host");
  ASSERT_TRUE(unpin_namespace(path));
  EXPECT_FALSE(exists(path));
  EXPECT_TRUE(unpin_namespace(path));
}

}  // namespace
}  // namespace moth::os
