// The store of a process that is killed at any moment: after each restart every acknowledged write
// is there and revisions have not gone back. The child is this test program itself.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/detached.hpp>
#include <cstdlib>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "tests/unit/daemon/store/fixture.h"

namespace moth::store {
namespace {

constexpr int kWriters = 16;
constexpr const char* kDirVariable = "MOTH_STORE_TEST_DIR";
constexpr const char* kSeedVariable = "MOTH_STORE_TEST_SEED";
constexpr const char* kPipeVariable = "MOTH_STORE_TEST_PIPE";

// What a child tells of one acknowledged write: "<name> <value, or -1 when deleted> <revision>\n".
void tell(int pipe, const std::string& name, int value, std::uint64_t revision) {
  std::string line = name + " " + std::to_string(value) + " " + std::to_string(revision) + "\n";
  (void)!::write(pipe, line.data(), line.size());
}

// A writer owns a few names. Values only grow, so that what is found after the kill can be judged.
Task<void> write_for_ever(Store& store, const resources::ResourceDef& def, int writer, int seed,
                          int pipe) {
  std::mt19937 random(static_cast<unsigned>(seed * 100 + writer));
  std::string prefix = "w" + std::to_string(writer) + "-";
  for (int value = seed * 1'000'000;; ++value) {
    std::string name = prefix + std::to_string(random() % 4);
    ObjectPtr latest = store.latest(def, "default", name);
    unsigned choice = random() % 10;
    bool remove = latest && choice == 0;
    bool lazy = latest && !remove && choice < 4;
    auto durability = lazy ? Durability::kLazy : Durability::kDurable;
    Json pod = make_pod("default", name, value);
    pod["spec"]["padding"] = std::string(random() % 3000, 'x');
    auto staged = remove   ? store.stage_delete(def, latest, durability)
                  : latest ? store.stage_update(def, pod, latest, durability)
                           : store.stage_create(def, pod, durability);
    if (!staged) std::_Exit(3);
    auto outcome = co_await (*staged)->committed();
    if (!outcome) std::_Exit(4);
    std::uint64_t revision = (*staged)->object()->meta().resource_version;
    // A lazy write may be lost, its revision may not be given out again.
    tell(pipe, lazy ? "-" : name, remove ? -1 : value, revision);
  }
}

int number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : -1;
}

class CrashTest : public StoreTest {
 protected:
  CrashTest() { clock = nullptr; }
  StoreOptions real_options(const std::string& dir) {
    StoreOptions with = options();
    with.data_dir = dir;
    with.clock = &real_clock;
    with.revision_block = 500;
    with.lazy_flush_interval = std::chrono::milliseconds(30);
    return with;
  }
  RealClock real_clock;
};

TEST_F(CrashTest, DISABLED_Child) {
  const char* dir = std::getenv(kDirVariable);
  ASSERT_NE(dir, nullptr);
  auto opened = open(real_options(dir));
  if (!opened) {
    ::dprintf(2, "%s\n", opened.error().message.c_str());
    std::_Exit(2);
  }
  int pipe = number_of(kPipeVariable);
  for (int i = 0; i < kWriters; ++i) {
    loop.spawn(write_for_ever(*store, pods(), i, number_of(kSeedVariable), pipe), asio::detached);
  }
  loop.run_until([] { return false; });
}

struct Child {
  pid_t pid = -1;
  int pipe = -1;
};

Child start_child(const std::string& test, const std::string& dir, int seed) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  pid_t pid = ::fork();
  if (pid == 0) {
    // Only what a child of a process with threads may call, but for setenv: this one has none yet.
    int out = ::dup(ends[1]);
    ::setenv(kDirVariable, dir.c_str(), 1);
    ::setenv(kSeedVariable, std::to_string(seed).c_str(), 1);
    ::setenv(kPipeVariable, std::to_string(out).c_str(), 1);
    int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ::dup2(null, STDOUT_FILENO);
    std::string filter = "--gtest_filter=" + test;
    ::execl("/proc/self/exe", "store_test", "--gtest_also_run_disabled_tests", filter.c_str(),
            static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ends[1]);
  return {pid, ends[0]};
}

struct Known {
  int value = 0;
  std::uint64_t revision = 0;
};

// Reads until the writers are gone; a last line may be cut short.
void read_acknowledged(int pipe, std::map<std::string, Known>& known, std::uint64_t& highest) {
  std::string text;
  std::array<char, 65536> buffer;
  for (ssize_t n = 0; (n = ::read(pipe, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(n));
  }
  text.resize(text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1);
  std::istringstream lines(text);
  std::string name;
  Known entry;
  while (lines >> name >> entry.value >> entry.revision) {
    highest = std::max(highest, entry.revision);
    if (name != "-") known[name] = entry;
  }
}

TEST_F(CrashTest, NothingAcknowledgedIsLostToKill9) {
  TempDir dir;
  std::map<std::string, Known> known;
  std::uint64_t highest = 0;
  std::mt19937 random(std::random_device{}());
  std::size_t rounds = 0, silent = 0;
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(8);
  for (; std::chrono::steady_clock::now() < end && rounds < 40; ++rounds) {
    std::uint64_t before = highest;
    Child child = start_child("CrashTest.DISABLED_Child", dir.path(), static_cast<int>(rounds) + 1);
    ASSERT_GT(child.pid, 0);
    // The reader runs beside, lest a full pipe stops the writers; the kill comes at any moment.
    std::thread reader([&] { read_acknowledged(child.pipe, known, highest); });
    std::this_thread::sleep_for(std::chrono::milliseconds(60 + random() % 200));
    ::kill(child.pid, SIGKILL);
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    reader.join();
    ::close(child.pipe);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself: " << status;
    silent += highest == before;

    auto opened = open(real_options(dir.path()));
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_GE(store->revision(), highest);
    for (const auto& [name, entry] : known) {
      ObjectPtr found = store->get(pods(), "default", name);
      if (!found) {
        // Gone by a delete that was not acknowledged in time, or was the last one acknowledged.
        continue;
      }
      EXPECT_GE(found->meta().resource_version, entry.revision) << name;
      if (entry.value >= 0) {
        EXPECT_GE(value_of("default", name), entry.value) << name;
      }
      EXPECT_LE(found->meta().resource_version, store->revision());
    }
    // A writer works on one name at a time, so that at most one write of each was on its way.
    std::map<std::string, int> missing;
    for (const auto& [name, entry] : known) {
      if (entry.value >= 0 && !store->get(pods(), "default", name)) {
        ++missing[name.substr(0, name.find('-'))];
      }
    }
    for (const auto& [writer, count] : missing) EXPECT_LE(count, 1) << writer;
    // What is there now is what the next round builds upon.
    for (auto& [name, entry] : known) {
      ObjectPtr found = store->get(pods(), "default", name);
      entry = found ? Known{value_of("default", name), found->meta().resource_version}
                    : Known{-1, entry.revision};
    }
    highest = std::max(highest, store->revision());
    if (random() % 3 == 0) {
      ASSERT_TRUE(loop.run(store->close()));
    }
    store.reset();
  }
  EXPECT_GT(rounds, 5u);
  EXPECT_LT(silent, rounds / 2) << "most children were killed before their first write";
}

// A file system without space, in a mount namespace of the child's own.
TEST_F(CrashTest, DISABLED_FullDiskChild) {
  const char* dir = std::getenv(kDirVariable);
  ASSERT_NE(dir, nullptr);
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("none", dir, "tmpfs", 0, "size=2m") != 0) {
    std::_Exit(77);
  }
  ASSERT_TRUE(open(real_options(std::string(dir) + "/state")));
  int acknowledged = 0;
  std::string text;
  for (; acknowledged < 1000 && text.empty(); ++acknowledged) {
    Json pod = make_pod("default", "p" + std::to_string(acknowledged));
    pod["spec"]["text"] = std::string(20'000, 'x');
    auto created = finish(store->stage_create(pods(), pod, Durability::kDurable));
    if (!created) text = created.error().message;
  }
  --acknowledged;
  EXPECT_NE(text.find("the store is read-only: no space left for "), std::string::npos) << text;
  EXPECT_GT(acknowledged, 10);
  EXPECT_FALSE(create("default", "later"));
  EXPECT_EQ(store->count(pods()), static_cast<std::size_t>(acknowledged));
  store.reset();
  // It starts on the full disk too, for reading; with space again nothing is missing.
  auto full = open(real_options(std::string(dir) + "/state"));
  EXPECT_TRUE(full) << full.error().message;
  store.reset();
  ASSERT_EQ(::mount("none", dir, "tmpfs", MS_REMOUNT, "size=32m"), 0);
  auto opened = open(real_options(std::string(dir) + "/state"));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_GE(store->count(pods()), static_cast<std::size_t>(acknowledged));
  for (int i = 0; i < acknowledged; ++i) {
    EXPECT_NE(store->get(pods(), "default", "p" + std::to_string(i)), nullptr) << i;
  }
  EXPECT_TRUE(create("default", "later"));
  store.reset();
}

TEST_F(CrashTest, AFileSystemWithoutSpace) {
  TempDir dir;
  Child child = start_child("CrashTest.DISABLED_FullDiskChild", dir.path(), 0);
  int status = 0;
  ::waitpid(child.pid, &status, 0);
  ::close(child.pipe);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "mounting a tmpfs needs CAP_SYS_ADMIN";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace moth::store
