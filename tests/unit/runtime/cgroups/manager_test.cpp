#include "runtime/cgroups/manager.h"

#include <unistd.h>

#include <sys/wait.h>

#include <fmt/format.h>

#include <csignal>
#include <thread>

#include "runtime/os/proc.h"
#include "runtime/os/subprocess.h"
#include "tests/unit/runtime/os/temp_dir.h"

namespace moth::cgroups {
namespace {

using namespace std::chrono_literals;
using test::TempDir;

constexpr const char* kHybrid =
    "24 23 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "25 24 0:21 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
    "26 24 0:22 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "27 24 0:23 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
    "28 24 0:24 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n"
    "29 24 0:21 / /elsewhere/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";

TEST(Layout, DecidesPerController) {
  TempDir root;
  ASSERT_TRUE(os::make_dirs(root / "sys/fs/cgroup/unified"));
  ASSERT_TRUE(os::write_file(root / "sys/fs/cgroup/unified/cgroup.controllers", "hugetlb io\n"));
  const Layout layout = detect_layout(kHybrid, root.path()).value();
  ASSERT_EQ(layout.hierarchies.size(), 4u);
  EXPECT_EQ(layout.find("cpuacct")->mount_point, root / "sys/fs/cgroup/cpu");
  EXPECT_FALSE(layout.find("memory")->v2);
  EXPECT_TRUE(layout.find("hugetlb")->v2);
  EXPECT_EQ(layout.find("pids"), nullptr);
  EXPECT_TRUE(layout.has("name=systemd"));
  EXPECT_EQ(layout.describe(), "v1: cpu cpuacct memory name=systemd; v2: hugetlb io");
  EXPECT_FALSE(detect_layout("1 0 8:1 / / rw - ext4 /dev/sda rw\n", root.path()));
}

// A v2 tree of plain files: what is written is seen, what the kernel would make is made beforehand.
class FakeV2 : public testing::Test {
 protected:
  void SetUp() override {
    layout_.hierarchies = {{true, root_.path(), {"cpuset", "cpu", "memory", "pids", "hugetlb"}}};
    for (const char* group : {"", "/moth-t", "/moth-t/burstable", "/moth-t/burstable/pod1"}) {
      for (const char* file : {"cgroup.subtree_control", "cgroup.procs", "cpu.weight", "cpu.max",
                               "memory.max", "memory.swap.max", "pids.max", "hugetlb.2MB.max"}) {
        ASSERT_TRUE(os::make_dirs(root_.path() + group));
        ASSERT_TRUE(os::write_file(root_.path() + group + "/" + file, ""));
      }
    }
    manager_ = make_file_manager(layout_);
  }
  std::string value(const std::string& file) { return os::read_file(root_ / file).value(); }

  TempDir root_;
  Layout layout_;
  std::unique_ptr<Manager> manager_;
};

TEST_F(FakeV2, SetsLimits) {
  Limits limits;
  limits.cpu_shares = 1024;
  limits.cpu_quota_micros = 150'000;
  limits.memory_bytes = 64 << 20;
  limits.pids = 50;
  const auto made = manager_->ensure_group("/moth-t/burstable/pod1", limits);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(value("moth-t/burstable/pod1/cpu.weight"), "39");
  EXPECT_EQ(value("moth-t/burstable/pod1/cpu.max"), "150000 100000");
  EXPECT_EQ(value("moth-t/burstable/pod1/memory.max"), "67108864");
  EXPECT_EQ(value("moth-t/burstable/pod1/memory.swap.max"), "0");
  EXPECT_EQ(value("moth-t/burstable/pod1/pids.max"), "50");
  // Every level above passes its controllers on (the last one written to the fake file
  // starts it).
  EXPECT_EQ(value("cgroup.subtree_control").substr(0, 5), "+pids");
  EXPECT_EQ(value("moth-t/burstable/cgroup.subtree_control").substr(0, 5), "+pids");
  EXPECT_EQ(value("moth-t/burstable/pod1/cgroup.subtree_control"), "");
}

TEST_F(FakeV2, EnablesOnlyWhatIsMissing) {
  ASSERT_TRUE(os::write_file(root_ / "cgroup.subtree_control", "cpuset memory pids"));
  ASSERT_TRUE(manager_->ensure_group("/moth-t", {}));
  EXPECT_EQ(value("cgroup.subtree_control").substr(0, 4), "+cpu");
  EXPECT_EQ(value("moth-t/cgroup.subtree_control"), "");
}

TEST_F(FakeV2, ReadsUsage) {
  const std::string group = root_ / "moth-t/burstable/pod1";
  ASSERT_TRUE(os::write_file(group + "/cpu.stat",
                             "usage_usec 1500\nuser_usec 1000\nnr_periods 5\nnr_throttled 2\n"
                             "throttled_usec 7\n"));
  ASSERT_TRUE(os::write_file(group + "/memory.current", "1000000\n"));
  ASSERT_TRUE(os::write_file(group + "/memory.stat",
                             "anon 600000\nfile 400000\ninactive_file 300000\npgfault 11\n"
                             "pgmajfault 3\n"));
  ASSERT_TRUE(os::write_file(group + "/memory.events", "low 0\noom 2\noom_kill 1\n"));
  ASSERT_TRUE(os::write_file(group + "/pids.current", "4\n"));
  const auto reader = manager_->usage_reader("/moth-t/burstable/pod1").value();
  const Usage usage = reader->read().value();
  EXPECT_EQ(usage.cpu_ns, 1'500'000u);
  EXPECT_EQ(usage.memory_bytes, 1'000'000u);
  EXPECT_EQ(usage.working_set_bytes, 700'000u);
  EXPECT_EQ(usage.rss_bytes, 600'000u);
  EXPECT_EQ(usage.pids, 4u);
  EXPECT_EQ(usage.oom_kills, 1u);
  EXPECT_EQ(usage.page_faults, 11u);
  EXPECT_EQ(usage.major_page_faults, 3u);
  EXPECT_EQ(usage.cpu_throttled_periods, 2u);
  EXPECT_EQ(usage.cpu_throttled_ns, 7000u);
  EXPECT_EQ(manager_->oom_kills("/moth-t/burstable/pod1").value(), 1u);
  EXPECT_FALSE(manager_->usage_reader("/moth-t/none"));
}

TEST_F(FakeV2, RefusesBadPaths) {
  for (const char* path : {"", "/", "relative", "/a/../b", "/a//b", "/a/"}) {
    EXPECT_FALSE(manager_->ensure_group(path, {})) << path;
    EXPECT_FALSE(manager_->remove(path)) << path;
  }
}

TEST(Usage, StatValue) {
  EXPECT_EQ(stat_value("cache 1\ntotal_cache 2\n", "cache"), 1u);
  EXPECT_EQ(stat_value("cache 1\ntotal_cache 2", "total_cache"), 2u);
  EXPECT_EQ(stat_value("cachex 1\n", "cache"), std::nullopt);
  EXPECT_EQ(stat_value("", "cache"), std::nullopt);
}

// The machine's own hierarchies.
class RealGroups : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "cgroups need root";
    auto made = make_manager();
    ASSERT_TRUE(made) << made.error().message;
    manager_ = std::move(*made);
    if (!manager_->layout().has("memory")) GTEST_SKIP() << "no memory controller here";
  }
  void TearDown() override {
    if (!manager_) return;
    EXPECT_TRUE(manager_->kill_all(root_, 5s));
    const auto removed = manager_->remove(root_);
    EXPECT_TRUE(removed) << removed.error().message;
    for (const Hierarchy& hierarchy : manager_->layout().hierarchies) {
      EXPECT_FALSE(os::exists(hierarchy.mount_point + root_)) << hierarchy.mount_point;
    }
  }
  // A process in `path`, in every hierarchy.
  os::Process process_in(const std::string& path, const std::string& script) {
    os::SpawnOptions options;
    std::string join;
    for (const std::string& file : manager_->join_files(path)) {
      join += fmt::format("echo 0 > {} && ", file);
    }
    options.argv = {"/bin/sh", "-c", join + "echo ready && " + script};
    options.stdout_to = os::Stdio::pipe();
    os::Process process = os::Process::spawn(options).value();
    char ready[16];
    while (::read(process.stdout_pipe().get(), ready, sizeof ready) < 0 && errno == EAGAIN) {
      ::usleep(1000);
    }
    return process;
  }

  const std::string root_ = fmt::format("/moth-test-{}", ::getpid());
  std::unique_ptr<Manager> manager_;
};

TEST_F(RealGroups, CreatesLimitsCountsKillsRemoves) {
  const std::string pod = root_ + "/burstable/pod1";
  Limits limits;
  limits.cpu_shares = 512;
  limits.cpu_quota_micros = 50'000;
  limits.memory_bytes = 64 << 20;
  limits.pids = 20;
  const auto made = manager_->ensure_group(pod, limits);
  ASSERT_TRUE(made) << made.error().message;
  ASSERT_TRUE(manager_->ensure_group(pod, limits));
  EXPECT_TRUE(manager_->exists(pod));
  for (const Hierarchy& hierarchy : manager_->layout().hierarchies) {
    EXPECT_TRUE(os::exists(hierarchy.mount_point + pod)) << hierarchy.mount_point;
  }
  const Hierarchy* memory = manager_->layout().find("memory");
  const std::string file =
      memory->mount_point + pod + (memory->v2 ? "/memory.max" : "/memory.limit_in_bytes");
  EXPECT_EQ(os::read_file(file).value(), "67108864\n");
  // Down, up and away again, which memsw makes an affair of order.
  for (const std::int64_t bytes : {32 << 20, 128 << 20}) {
    Limits changed;
    changed.memory_bytes = bytes;
    const auto set = manager_->set_limits(pod, changed);
    ASSERT_TRUE(set) << set.error().message;
    EXPECT_EQ(os::read_file(file).value(), fmt::format("{}\n", bytes));
  }
  limits.memory_bytes = kUnlimited;
  ASSERT_TRUE(manager_->set_limits(pod, limits));
  EXPECT_FALSE(manager_->set_limits(root_ + "/none", limits));
  EXPECT_EQ(manager_->children(root_).value(), std::vector<std::string>{"burstable"});

  os::Process process = process_in(pod, "while :; do :; done");
  const auto found = manager_->processes(root_).value();
  EXPECT_EQ(found, std::vector<pid_t>{process.pid()});
  const auto refused = manager_->remove(root_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kConflict);
  EXPECT_EQ(manager_->processes(pod).value().size(), 1u) << "the task left its limits";

  auto reader = manager_->usage_reader(pod).value();
  EXPECT_GT(reader->read_brief()->memory_bytes, 0u);
  while (reader->read_brief()->cpu_ns == 0) ::usleep(1000);
  EXPECT_EQ(reader->read()->pids, 1u);
  process.detach();  // reaped below
  std::thread reaper([&] { ::waitpid(process.pid(), nullptr, 0); });
  EXPECT_TRUE(manager_->kill_all(root_, 5s));
  reaper.join();
  ASSERT_TRUE(manager_->remove(root_));
  EXPECT_TRUE(manager_->remove(root_));
  EXPECT_FALSE(manager_->exists(root_));
  EXPECT_EQ(reader->read().error().reason, Reason::kNotFound);
}

TEST_F(RealGroups, CountsOomKills) {
  const std::string group = root_ + "/oom";
  Limits limits;
  limits.memory_bytes = 16 << 20;
  ASSERT_TRUE(manager_->ensure_group(group, limits));
  EXPECT_EQ(manager_->oom_kills(group).value(), 0u);
  os::Process process = process_in(group, "exec dd if=/dev/zero of=/dev/null bs=200M count=1");
  siginfo_t info{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(process.pid()), &info, WEXITED), 0);
  process.detach();
  EXPECT_EQ(info.si_status, SIGKILL);
  EXPECT_EQ(manager_->oom_kills(group).value(), 1u);
}

}  // namespace
}  // namespace moth::cgroups
