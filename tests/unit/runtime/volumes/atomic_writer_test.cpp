#include "runtime/volumes/atomic_writer.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/unit/runtime/volumes/test_dir.h"

namespace moth::volumes {
namespace {

AtomicWriteOptions at(int second) {
  return {std::nullopt, WallTime(std::chrono::seconds(1'735'830'245 + second))};
}

std::vector<std::string> names_in(const std::string& path) {
  std::vector<std::string> names;
  auto entries = os::list_dir(path);
  EXPECT_TRUE(entries);
  for (const auto& entry : *entries) names.push_back(entry.name);
  return names;
}

TEST(AtomicWriter, HasTheLayoutThatProgramsWatch) {
  TestDir dir;
  auto written =
      write_atomically(dir.path(), {{"app.conf", {"one", 0644}}, {"sub/x", {"two", 0600}}}, at(0));
  ASSERT_TRUE(written);
  EXPECT_TRUE(*written);
  const std::string data = link_of(dir / "..data");
  EXPECT_EQ(data, "..2025_01_02_15_04_05.000000000");
  EXPECT_EQ(link_of(dir / "app.conf"), "..data/app.conf");
  EXPECT_EQ(link_of(dir / "sub"), "..data/sub");
  EXPECT_EQ(text_of(dir / "sub/x"), "two");
  EXPECT_EQ(mode_of(dir / (data + "/app.conf")), 0644u);
  EXPECT_EQ(mode_of(dir / (data + "/sub/x")), 0600u);
  EXPECT_EQ(mode_of(dir / data), 0755u);
}

TEST(AtomicWriter, LeavesTheSameContentAlone) {
  TestDir dir;
  const Payload payload{{"a", {"1", 0644}}};
  ASSERT_TRUE(write_atomically(dir.path(), payload, at(0)));
  const std::string data = link_of(dir / "..data");
  auto again = write_atomically(dir.path(), payload, at(1));
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again);
  EXPECT_EQ(link_of(dir / "..data"), data);
}

TEST(AtomicWriter, ReplacesAddsAndRemoves) {
  TestDir dir;
  ASSERT_TRUE(write_atomically(dir.path(), {{"a", {"1", 0644}}, {"b/c", {"2", 0644}}}, at(0)));
  auto changed = write_atomically(dir.path(), {{"a", {"9", 0644}}, {"d", {"4", 0400}}}, at(1));
  ASSERT_TRUE(changed);
  EXPECT_TRUE(*changed);
  EXPECT_EQ(text_of(dir / "a"), "9");
  EXPECT_EQ(names_in(dir.path()),
            (std::vector<std::string>{"..2025_01_02_15_04_06.000000000", "..data", "a", "d"}));
  // A mode alone is a change too.
  changed = write_atomically(dir.path(), {{"a", {"9", 0600}}, {"d", {"4", 0400}}}, at(2));
  ASSERT_TRUE(changed);
  EXPECT_TRUE(*changed);
  EXPECT_EQ(mode_of(dir / "..data/a"), 0600u);
}

TEST(AtomicWriter, EmptiesAndFillsAgain) {
  TestDir dir;
  ASSERT_TRUE(write_atomically(dir.path(), {}, at(0)));
  EXPECT_EQ(names_in(dir.path()).size(), 2u);
  ASSERT_TRUE(write_atomically(dir.path(), {{"late", {"x", 0644}}}, at(1)));
  EXPECT_EQ(text_of(dir / "late"), "x");
  ASSERT_TRUE(write_atomically(dir.path(), {}, at(2)));
  EXPECT_FALSE(os::exists(dir / "late"));
}

TEST(AtomicWriter, ClearsWhatACrashLeft) {
  TestDir dir;
  const Payload payload{{"a", {"1", 0644}}};
  ASSERT_TRUE(write_atomically(dir.path(), payload, at(0)));
  ASSERT_TRUE(os::make_dirs(dir / "..2024_01_01_00_00_00.000000000"));
  ASSERT_TRUE(os::write_file(dir / "..2024_01_01_00_00_00.000000000/a", "half"));
  ASSERT_EQ(::symlink("nowhere", (dir / "..data_tmp").c_str()), 0);
  ASSERT_TRUE(os::remove_file(dir / "a"));
  auto repaired = write_atomically(dir.path(), payload, at(1));
  ASSERT_TRUE(repaired);
  EXPECT_FALSE(*repaired);
  EXPECT_EQ(text_of(dir / "a"), "1");
  EXPECT_EQ(names_in(dir.path()).size(), 3u);
}

TEST(AtomicWriter, GivesFilesToTheGroup) {
  if (!is_root()) GTEST_SKIP() << "needs root to give files to a group";
  TestDir dir;
  AtomicWriteOptions options = at(0);
  options.fs_group = 4711;
  ASSERT_TRUE(write_atomically(dir.path(), {{"s/key", {"1", 0400}}}, options));
  const std::string data = dir / link_of(dir / "..data");
  EXPECT_EQ(stat_of(data + "/s/key").st_gid, 4711u);
  EXPECT_EQ(mode_of(data + "/s/key"), 0440u);
  EXPECT_EQ(mode_of(data + "/s"), 02755u);
  auto again = write_atomically(dir.path(), {{"s/key", {"1", 0400}}}, options);
  ASSERT_TRUE(again);
  EXPECT_FALSE(*again);
}

TEST(AtomicWriter, RefusesBadPathsBeforeItWrites) {
  TestDir dir;
  EXPECT_FALSE(write_atomically(dir.path(), {{"ok", {}}, {"../out", {}}}, at(0)));
  EXPECT_TRUE(names_in(dir.path()).empty());
}

// A reader that opens the folder behind ..data once sees one version in all files.
TEST(AtomicWriter, ReadersSeeOneVersion) {
  TestDir dir;
  auto version = [](int n) {
    const std::string text = std::to_string(n);
    return Payload{{"a", {text, 0644}}, {"b", {text, 0644}}};
  };
  ASSERT_TRUE(write_atomically(dir.path(), version(0), at(0)));
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::thread reader([&] {
    while (!stop) {
      auto data = os::DirFd::open(dir / "..data");
      if (!data) continue;
      auto a = data->read_in_root("a"), b = data->read_in_root("b");
      if (!a || !b) continue;  // deleted meanwhile: a newer version is there
      EXPECT_EQ(*a, *b);
      ++reads;
    }
  });
  for (int n = 1; n < 200; ++n) ASSERT_TRUE(write_atomically(dir.path(), version(n), at(n)));
  while (reads == 0) std::this_thread::yield();
  stop = true;
  reader.join();
}

}  // namespace
}  // namespace moth::volumes
