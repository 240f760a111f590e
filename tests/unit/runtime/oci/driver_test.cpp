// Real containers with runc. Everything carries the number of this process and is removed at the
// end.
#include "runtime/oci/driver.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <functional>
#include <map>

#include "api/base/json.h"
#include "api/base/log.h"
#include "runtime/os/pidfd.h"
#include "runtime/os/proc.h"
#include "runtime/os/subprocess.h"
#include "tests/unit/runtime/os/temp_dir.h"

namespace moth::oci {
namespace {

using namespace std::chrono_literals;
using shim::Chunk;
using ContainerPtr = std::unique_ptr<shim::Container>;

class RealContainers : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "containers need root";
    if (!os::find_program("runc")) GTEST_SKIP() << "runc is not installed";
    if (!os::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
    cgroups_ = cgroups::make_manager().value();
    make_rootfs();
    driver_ = new_driver();
  }

  void TearDown() override {
    if (!driver_) return;
    EXPECT_TRUE(cgroups_->remove(root_));
    EXPECT_FALSE(cgroups_->exists(root_));
    EXPECT_EQ(os::list_dir(dir_ / "state").value().size(), 0u);
  }

  // Runs a test's coroutine on control, then removes its containers.
  void run(const std::function<Task<void>()>& body) {
    asio::co_spawn(executors_.control(), run_and_clean(body),
                   [&](const std::exception_ptr&) { executors_.stop(); });
    executors_.run();
  }
  Task<void> run_and_clean(const std::function<Task<void>()>& body) {
    try {
      co_await body();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    for (const auto& [id, bundle] : bundles_) driver_->remove(id, bundle, group(id));
    co_await driver_->removed();
    co_await driver_->stop();
  }

  void make_rootfs() {
    const std::string rootfs = dir_ / "rootfs";
    for (const char* folder : {"bin", "proc", "sys", "dev", "etc", "tmp"}) {
      ASSERT_TRUE(os::make_dirs(rootfs + "/" + folder));
    }
    const auto copied = os::run_blocking({"cp", "/bin/busybox", rootfs + "/bin/busybox"});
    ASSERT_TRUE(copied && copied->status.success());
    for (const char* name : {"sh", "echo", "cat", "sleep", "seq", "dd", "stty", "tty", "id", "ps",
                             "grep", "head", "tr", "ls", "kill", "true", "pwd"}) {
      ASSERT_EQ(::symlink("busybox", (rootfs + "/bin/" + name).c_str()), 0);
    }
    ASSERT_TRUE(os::write_file(rootfs + "/etc/passwd", "root:x:0:0::/root:/bin/sh\n"));
  }

  std::unique_ptr<Driver> new_driver() {
    DriverOptions options;
    options.programs.shim = MOTH_BIN_DIR "/moth-shim";
    options.programs.runtime = "runc";
    options.programs.runtime_root = dir_ / "state";
    options.host = host_facts(os::detect_kernel_features(), cgroups_->layout());
    auto driver = Driver::create(executors_, *cgroups_, options);
    EXPECT_TRUE(driver) << driver.error().message;
    return std::move(*driver);
  }

  std::string group(const std::string& id) const { return root_ + "/" + id; }

  CreateRequest request(const std::string& name, std::vector<std::string> args) {
    CreateRequest request;
    request.config.id = fmt::format("moth-test-{}-{}", ::getpid(), name);
    request.config.args = std::move(args);
    request.config.env = {"PATH=/bin", "GREETING=hello", "HOME=/root"};
    request.config.rootfs = dir_ / "rootfs";
    request.config.read_only_rootfs = true;
    request.config.cgroups_path = group(request.config.id);
    request.config.seccomp.kind = Seccomp::Kind::kRuntimeDefault;
    request.bundle = dir_ / name;
    request.log_path = dir_ / (name + ".log");
    EXPECT_TRUE(os::make_dirs(request.bundle));
    bundles_[request.config.id] = request.bundle;
    return request;
  }
  CreateRequest shell(const std::string& name, const std::string& script) {
    return request(name, {"sh", "-c", script});
  }

  std::string log_of(const std::string& name) {
    return os::read_file(dir_ / (name + ".log")).value_or("");
  }
  // The log without times.
  std::string log_text(const std::string& name) {
    std::string text, line;
    for (char c : log_of(name)) {
      line += c;
      if (c != '\n') continue;
      text += line.substr(line.find(' ') + 1);
      line.clear();
    }
    return text;
  }

  Executors executors_;
  test::TempDir dir_;
  const std::string root_ = fmt::format("/moth-test-oci-{}", ::getpid());
  std::map<std::string, std::string> bundles_;
  std::unique_ptr<cgroups::Manager> cgroups_;
  std::unique_ptr<Driver> driver_;
};

// gtest's ASSERT returns, which a coroutine cannot.
#define CO_ASSERT(condition)                   \
  if (!(condition)) {                          \
    ADD_FAILURE() << "failed: " << #condition; \
    co_return;                                 \
  }
#define CO_START(variable, request)                                   \
  auto variable##_started = co_await driver_->start(request);         \
  if (!variable##_started) {                                          \
    ADD_FAILURE() << "start: " << variable##_started.error().message; \
    co_return;                                                        \
  }                                                                   \
  const ContainerPtr variable = std::move(*variable##_started)

Task<std::string> read_all(shim::Streams& streams) {
  std::string all;
  while (true) {
    const auto chunk = co_await streams.read();
    if (!chunk || chunk->kind == Chunk::Kind::kEnd) co_return all;
    all += chunk->data;
  }
}

Task<std::string> read_until(shim::Streams& streams, std::string what) {
  std::string all;
  while (all.find(what) == std::string::npos) {
    const auto chunk = co_await streams.read();
    if (!chunk || chunk->kind == Chunk::Kind::kEnd) break;
    all += chunk->data;
  }
  co_return all;
}

TEST_F(RealContainers, RunsLogsAndExits) {
  run([&]() -> Task<void> {
    CO_START(container, shell("c", "echo out; echo err >&2; printf tail; exit 7"));
    const auto exit = co_await container->wait();
    CO_ASSERT(exit);
    EXPECT_EQ(exit->exit_code, 7);
    EXPECT_EQ(exit->signal, 0);
    EXPECT_FALSE(exit->unknown);
    EXPECT_EQ(exit->oom_kills, 0u);
    EXPECT_GE(exit->finished_at, exit->started_at);
    EXPECT_LT(std::chrono::system_clock::now() - exit->started_at, 60s);
    const std::string log = log_text("c");
    EXPECT_NE(log.find("stdout F out\n"), std::string::npos) << log;
    EXPECT_NE(log.find("stderr F err\n"), std::string::npos) << log;
    EXPECT_NE(log.find("stdout P tail\n"), std::string::npos) << log;
    EXPECT_EQ((co_await container->wait())->exit_code, 7);
    EXPECT_EQ(container->signal(SIGTERM).error().reason, Reason::kNotFound);
    EXPECT_FALSE(co_await container->attach());
  });
}

TEST_F(RealContainers, TellsSignals) {
  run([&]() -> Task<void> {
    CO_START(container, request("c", {"sleep", "100"}));
    EXPECT_GT(container->started().pid, 0);
    CO_ASSERT(container->signal(SIGKILL));
    const auto exit = co_await container->wait();
    CO_ASSERT(exit);
    EXPECT_EQ(exit->exit_code, 137);
    EXPECT_EQ(exit->signal, SIGKILL);
  });
}

TEST_F(RealContainers, CountsOomKills) {
  run([&]() -> Task<void> {
    CreateRequest wanted =
        request("c", {"dd", "if=/dev/zero", "of=/dev/null", "bs=200M", "count=1"});
    wanted.config.limits.memory_bytes = 16 << 20;
    CO_START(container, std::move(wanted));
    const auto exit = co_await container->wait();
    CO_ASSERT(exit);
    EXPECT_EQ(exit->exit_code, 137);
    EXPECT_EQ(exit->oom_kills, 1u);
  });
}

TEST_F(RealContainers, KeepsTheWordsOfTheRuntime) {
  run([&]() -> Task<void> {
    const auto started = co_await driver_->start(request("c", {"no-such-program"}));
    EXPECT_FALSE(started);
    EXPECT_NE(started.error().message.find(
                  "exec: \"no-such-program\": executable file not found in $PATH"),
              std::string::npos)
        << started.error().message;
    const auto adopted = co_await driver_->adopt("x", dir_ / "c");
    EXPECT_EQ(adopted.error().reason, Reason::kNotFound);
  });
}

TEST_F(RealContainers, AttachesWithInput) {
  run([&]() -> Task<void> {
    CreateRequest wanted = request("c", {"cat"});
    wanted.with_stdin = true;
    CO_START(container, std::move(wanted));
    auto streams = co_await container->attach();
    CO_ASSERT(streams);
    EXPECT_TRUE(co_await (*streams)->write("hello\n"));
    EXPECT_EQ(co_await read_until(**streams, "hello\n"), "hello\n");
    // More than pipe and socket hold: the writer waits, nothing is lost on the way in.
    std::string big(300'000, 'x');
    big += "\n";
    EXPECT_TRUE(co_await (*streams)->write(big));
    EXPECT_TRUE(co_await (*streams)->close_stdin());
    std::size_t got = (co_await read_all(**streams)).size();
    EXPECT_EQ(got, big.size());
    EXPECT_EQ((co_await container->wait())->exit_code, 0);
  });
}

TEST_F(RealContainers, StdinOnceEndsWithItsClient) {
  run([&]() -> Task<void> {
    CreateRequest wanted = request("c", {"cat"});
    wanted.with_stdin = wanted.stdin_once = true;
    CO_START(container, std::move(wanted));
    {
      auto streams = co_await container->attach();
      CO_ASSERT(streams);
      EXPECT_TRUE(co_await (*streams)->write("once\n"));
      co_await read_until(**streams, "once\n");
    }
    EXPECT_EQ((co_await container->wait())->exit_code, 0);
    EXPECT_EQ(log_text("c"), "stdout F once\n");
  });
}

TEST_F(RealContainers, TerminalAndResize) {
  run([&]() -> Task<void> {
    CreateRequest wanted = shell("c", "read x; stty size; tty; echo got $x");
    wanted.config.tty = wanted.with_stdin = true;
    CO_START(container, std::move(wanted));
    auto streams = co_await container->attach();
    CO_ASSERT(streams);
    EXPECT_TRUE(co_await (*streams)->resize(132, 43));
    EXPECT_TRUE(co_await (*streams)->write("word\n"));
    const std::string seen = co_await read_all(**streams);
    EXPECT_NE(seen.find("43 132\r\n"), std::string::npos) << seen;
    EXPECT_NE(seen.find("got word\r\n"), std::string::npos) << seen;
    EXPECT_EQ((co_await container->wait())->exit_code, 0);
  });
}

TEST_F(RealContainers, SlowClientsLoseAndNobodyWaits) {
  run([&]() -> Task<void> {
    CreateRequest wanted = shell(
        "c", "sleep 0.3; dd if=/dev/zero bs=1M count=20 2>/dev/null | tr '\\0' x; echo end >&2");
    wanted.log_max_bytes = 1 << 20;
    wanted.log_max_files = 2;
    CO_START(container, std::move(wanted));
    auto silent = co_await container->attach();  // never reads
    CO_ASSERT(silent);
    const auto exit = co_await container->wait();
    CO_ASSERT(exit);
    EXPECT_EQ(exit->exit_code, 0);
    EXPECT_LT((co_await read_all(**silent)).size(), 20u << 20);
  });
}

TEST_F(RealContainers, RotatesItsLog) {
  run([&]() -> Task<void> {
    CreateRequest wanted = shell("c", "seq 1 20000");
    wanted.log_max_bytes = 64 * 1024;
    wanted.log_max_files = 3;
    CO_START(container, std::move(wanted));
    co_await container->wait();
    struct stat st {};
    for (const char* name : {"c.log", "c.log.1", "c.log.2"}) {
      EXPECT_EQ(::stat((dir_ / name).c_str(), &st), 0) << name;
      EXPECT_LE(st.st_size, 64 * 1024) << name;
    }
    EXPECT_FALSE(os::exists(dir_ / "c.log.3"));
    const std::string text = log_text("c");
    EXPECT_NE(text.find("stdout F 20000\n"), std::string::npos);
    // The files join without a gap.
    const std::string older = os::read_file(dir_ / "c.log.1").value();
    const int last = std::stoi(older.substr(older.find_last_of(' ') + 1));
    EXPECT_EQ(text.substr(0, text.find('\n')), fmt::format("stdout F {}", last + 1));
  });
}

TEST_F(RealContainers, SplitsLongLines) {
  run([&]() -> Task<void> {
    CO_START(container, shell("c", "head -c 40000 /dev/zero | tr '\\0' y; echo; echo next"));
    co_await container->wait();
    const std::string text = log_text("c");
    std::string joined;
    std::size_t partial = 0;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t end = text.find('\n', at);
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      EXPECT_LE(line.size(), 16 * 1024 + 9u);
      partial += line[7] == 'P';
      joined += line.substr(9) + (line[7] == 'F' ? "\n" : "");
    }
    EXPECT_EQ(joined, std::string(40000, 'y') + "\nnext\n");
    EXPECT_GE(partial, 2u);
  });
}

TEST_F(RealContainers, ExecEntersAsTheContainer) {
  run([&]() -> Task<void> {
    CreateRequest wanted = request("c", {"sleep", "100"});
    wanted.config.uid = 0;
    wanted.config.capabilities_drop = {"ALL"};
    wanted.config.capabilities_add = {"KILL"};
    wanted.config.no_new_privs = true;
    wanted.config.cwd = "/tmp";
    wanted.config.limits.pids = 50;
    wanted.config.rlimits = {{"RLIMIT_NOFILE", 777, 555}};
    CO_START(container, std::move(wanted));
    shim::ExecRequest exec;
    exec.argv = {"sh", "-c",
                 "pwd; ulimit -Sn; ulimit -Hn; echo $GREETING $EXTRA; cat; grep -E "
                 "'CapEff|NoNewPrivs|Seccomp:' "
                 "/proc/self/status; cat /proc/self/cgroup >&2; exit 4"};
    exec.with_stdin = true;
    exec.extra_env = {"EXTRA=more"};
    auto session = co_await container->exec(std::move(exec));
    if (!session) ADD_FAILURE() << session.error().message;
    CO_ASSERT(session);
    EXPECT_TRUE(co_await (*session)->write("typed\n"));
    EXPECT_TRUE(co_await (*session)->close_stdin());
    std::string out, err;
    while (true) {
      const auto chunk = co_await (*session)->read();
      CO_ASSERT(chunk);
      if (chunk->kind == Chunk::Kind::kEnd) break;
      (chunk->kind == Chunk::Kind::kStdout ? out : err) += chunk->data;
    }
    EXPECT_EQ(out,
              "/tmp\n555\n777\nhello "
              "more\ntyped\nCapEff:\t0000000000000020\nNoNewPrivs:\t1\nSeccomp:\t2\n");
    // In the container's own cgroup namespace its group is the root.
    EXPECT_NE(err.find(":memory:/\n"), std::string::npos) << err;
    EXPECT_EQ(err.find(".."), std::string::npos) << err;
    EXPECT_EQ((co_await (*session)->wait()).value(), 4);
  });
}

TEST_F(RealContainers, ExecAsUserAndTerminal) {
  run([&]() -> Task<void> {
    CreateRequest wanted = request("c", {"sleep", "100"});
    wanted.config.uid = 1000;
    wanted.config.gid = 1001;
    wanted.config.additional_gids = {10, 44};
    CO_START(container, std::move(wanted));
    shim::ExecRequest exec;
    exec.argv = {"sh", "-c",
                 "read x; id; stty size; tty; grep CapEff /proc/self/status; kill -9 $$"};
    exec.tty = exec.with_stdin = true;
    auto session = co_await container->exec(std::move(exec));
    if (!session) ADD_FAILURE() << session.error().message;
    CO_ASSERT(session);
    EXPECT_TRUE(co_await (*session)->resize(100, 30));
    EXPECT_TRUE(co_await (*session)->write("go\n"));
    const std::string out = co_await read_all(**session);
    EXPECT_NE(out.find("uid=1000 gid=1001"), std::string::npos) << out;
    EXPECT_NE(out.find("30 100"), std::string::npos) << out;
    EXPECT_NE(out.find("/dev/pts/0"), std::string::npos) << out;
    EXPECT_NE(out.find("CapEff:\t0000000000000000"), std::string::npos) << out;
    EXPECT_EQ((co_await (*session)->wait()).value(), 137);
  });
}

TEST_F(RealContainers, ExecErrorsAndProbes) {
  run([&]() -> Task<void> {
    CO_START(container, request("c", {"sleep", "100"}));
    const auto missing = co_await container->run_command({"nothing"}, 5s, 100);
    CO_ASSERT(!missing);
    EXPECT_EQ(missing.error().reason, Reason::kNotFound);
    EXPECT_EQ(missing.error().message,
              "exec failed: unable to start container process: exec: \"nothing\": executable file "
              "not found in $PATH");
    const auto folder = co_await container->run_command({"/etc"}, 5s, 100);
    EXPECT_EQ(folder.error().reason, Reason::kForbidden);

    const auto probe =
        co_await container->run_command({"sh", "-c", "echo a; echo b >&2; exit 2"}, 5s, 3);
    CO_ASSERT(probe);
    EXPECT_EQ(probe->exit_code, 2);
    EXPECT_EQ(probe->output, "a\nb");
    EXPECT_FALSE(probe->timed_out);

    const auto late = co_await container->run_command({"sleep", "77"}, 200ms, 100);
    CO_ASSERT(late);
    EXPECT_TRUE(late->timed_out);
    // The command itself is gone as well, not the helper alone.
    const auto left = co_await container->run_command({"ps"}, 5s, 10'000);
    CO_ASSERT(left);
    EXPECT_EQ(left->output.find("sleep 77"), std::string::npos) << left->output;

    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(co_await container->run_command({"true"}, 5s, 10));
    const auto spent = std::chrono::steady_clock::now() - start;
    RecordProperty("exec_us", static_cast<int>(spent / 20us));
    std::printf("one exec: %d us\n", static_cast<int>(spent / 20us));

    CO_ASSERT(container->signal(SIGKILL));
    co_await container->wait();
    EXPECT_FALSE(co_await container->run_command({"true"}, 5s, 10));
  });
}

TEST_F(RealContainers, OutliveTheDaemon) {
  run([&]() -> Task<void> {
    CreateRequest wanted = shell("c", "echo one; read x; echo two; exit 9");
    wanted.with_stdin = true;
    const std::string id = wanted.config.id;
    shim::Started started;
    {
      CO_START(container, std::move(wanted));
      started = container->started();
    }
    co_await driver_->stop();
    driver_ = new_driver();  // the next daemon
    auto adopted = co_await driver_->adopt(id, dir_ / "c");
    CO_ASSERT(adopted);
    EXPECT_EQ((*adopted)->started().pid, started.pid);
    EXPECT_EQ((*adopted)->started().started_at, started.started_at);
    EXPECT_EQ((co_await (*adopted)->run_command({"echo", "in"}, 5s, 100))->output, "in\n");
    auto streams = co_await (*adopted)->attach();
    CO_ASSERT(streams);
    EXPECT_TRUE(co_await (*streams)->write("go\n"));
    EXPECT_EQ((co_await (*adopted)->wait())->exit_code, 9);
    EXPECT_EQ(log_text("c"), "stdout F one\nstdout F two\n");
    // It ended while nobody looked.
    auto later = co_await driver_->adopt(id, dir_ / "c");
    CO_ASSERT(later);
    const auto exit = co_await (*later)->wait();
    CO_ASSERT(exit);
    EXPECT_EQ(exit->exit_code, 9);
    EXPECT_FALSE(exit->unknown);
  });
}

TEST_F(RealContainers, LostShimEndsItsContainer) {
  run([&]() -> Task<void> {
    CO_START(container, request("c", {"sleep", "100"}));
    const shim::Started started = container->started();
    auto shim = os::ProcessHandle::open(started.shim_pid, started.shim_start_time);
    CO_ASSERT(shim);
    CO_ASSERT(shim->signal(SIGTERM));  // which it ignores
    EXPECT_TRUE(co_await container->run_command({"true"}, 5s, 10));
    EXPECT_TRUE(shim->alive());
    CO_ASSERT(shim->signal(SIGKILL));
    const auto exit = co_await container->wait();
    CO_ASSERT(exit);
    EXPECT_TRUE(exit->unknown);
    EXPECT_EQ(exit->exit_code, 137);
    EXPECT_FALSE(os::ProcessHandle::open(started.pid, started.start_time));
  });
}

TEST_F(RealContainers, WaitCanBeCancelledAndRepeated) {
  run([&]() -> Task<void> {
    CO_START(container, request("c", {"sleep", "100"}));
    asio::cancellation_signal signal;
    bool aborted = false;
    asio::steady_timer done(executors_.control(), 10s);
    asio::co_spawn(executors_.control(), container->wait(),
                   asio::bind_cancellation_slot(signal.slot(),
                                                [&](std::exception_ptr thrown, Result<shim::Exit>) {
                                                  aborted = static_cast<bool>(thrown);
                                                  done.cancel();
                                                }));
    co_await container->run_command({"true"}, 5s, 10);
    signal.emit(asio::cancellation_type::all);
    boost::system::error_code ignored;
    co_await done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    EXPECT_TRUE(aborted);
    CO_ASSERT(container->signal(SIGKILL));
    EXPECT_EQ((co_await container->wait())->exit_code, 137);
  });
}

TEST_F(RealContainers, SharedProcessNamespace) {
  run([&]() -> Task<void> {
    const std::string record = dir_ / "pause.state";
    const auto pause = co_await driver_->start_pause(record, root_ + "/pause", "", "", "");
    if (!pause) ADD_FAILURE() << pause.error().message;
    CO_ASSERT(pause);
    EXPECT_EQ(driver_->adopt_pause(record)->pid, pause->pid);
    CreateRequest wanted = shell("c",
                                 "cat /proc/1/comm; ls -A /proc/1/root/; echo $$ > /dev/null; kill "
                                 "1; (sleep 0.05 &); echo end");
    wanted.config.pid_namespace = fmt::format("/proc/{}/ns/pid", pause->pid);
    CO_START(container, std::move(wanted));
    EXPECT_EQ((co_await container->wait())->exit_code, 0);
    const std::string log = log_text("c");
    EXPECT_EQ(log.find("stdout F pause\n"), 0u) << log;
    EXPECT_EQ(log.find("stdout F bin"), std::string::npos) << log;  // nothing of the host's root
    EXPECT_NE(log.find("stdout F end\n"), std::string::npos) << log;
    auto handle = os::ProcessHandle::open(pause->pid, pause->start_time);
    CO_ASSERT(handle);
    EXPECT_EQ(os::process_status_field(pause->pid, "CapEff").value(), "0000000000000000");
    CO_ASSERT(handle->signal(SIGTERM));
    co_await handle->wait_gone();
    EXPECT_FALSE(driver_->adopt_pause(record));
    EXPECT_TRUE(cgroups_->kill_all(root_ + "/pause", 5s));
  });
}

TEST_F(RealContainers, ManyAtOnce) {
  constexpr int kCount = 20;
  run([&]() -> Task<void> {
    std::vector<ContainerPtr> containers;
    const auto start = std::chrono::steady_clock::now();
    asio::steady_timer all(executors_.control(), 120s);
    for (int i = 0; i < kCount; ++i) {
      asio::co_spawn(executors_.control(),
                     driver_->start(request(fmt::format("c{}", i), {"sleep", "100"})),
                     [&](std::exception_ptr thrown, Result<ContainerPtr> started) {
                       EXPECT_TRUE(!thrown && started);
                       if (started) containers.push_back(std::move(*started));
                       if (containers.size() == kCount) all.cancel();
                     });
    }
    boost::system::error_code ignored;
    co_await all.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    const auto spent = std::chrono::steady_clock::now() - start;
    std::printf("%d containers: %d ms\n", kCount, static_cast<int>(spent / 1ms));
    EXPECT_EQ(containers.size(), static_cast<std::size_t>(kCount));
    std::uint64_t pss = 0;
    for (const ContainerPtr& container : containers) {
      const std::string smaps =
          os::read_file(fmt::format("/proc/{}/smaps_rollup", container->started().shim_pid))
              .value();
      pss += std::stoull(smaps.substr(smaps.find("\nPss:") + 5));
      EXPECT_TRUE(container->signal(SIGKILL));
      EXPECT_EQ((co_await container->wait())->exit_code, 137);
    }
    std::printf("shim: %d KiB PSS\n", static_cast<int>(pss / kCount));
    EXPECT_LE(pss / kCount, 100u);
  });
}

}  // namespace
}  // namespace moth::oci
