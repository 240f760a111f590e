#include "runtime/os/mounts.h"

#include <fmt/format.h>

#include "tests/unit/runtime/os/temp_dir.h"

namespace moth::os {
namespace {

using test::TempDir;

TEST(Mounts, ParsesMountinfo) {
  const auto entries = parse_mountinfo(
      "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root "
      "rw,errors=continue\n"
      "broken line\n"
      "25 28 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n");
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[0].id, 36);
  EXPECT_EQ(entries[0].root, "/mnt1");
  EXPECT_EQ(entries[0].target, "/mnt 2");
  EXPECT_EQ(entries[0].fs_type, "ext3");
  EXPECT_EQ(entries[0].super_options, "rw,errors=continue");
  EXPECT_TRUE(entries[0].shared);
  EXPECT_FALSE(entries[1].shared);
  EXPECT_EQ(entries[1].super_options, "rw,cpu");
}

class RootMounts : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  }
};

TEST_F(RootMounts, TmpfsAndUnmountBelow) {
  TempDir dir;
  ASSERT_TRUE(make_dirs(dir / "m"));
  ASSERT_TRUE(mount_tmpfs(dir / "m", {.size_bytes = 1 << 20, .mode = 0700}));
  EXPECT_TRUE(is_mount_point(dir / "m").value());
  ASSERT_TRUE(make_dirs(dir / "m/inner"));
  ASSERT_TRUE(mount_tmpfs(dir / "m/inner"));
  EXPECT_FALSE(write_file(dir / "m/big", std::string(2 << 20, 'x')));
  EXPECT_EQ(mounts_below(dir.path()).value().size(), 2u);
  ASSERT_TRUE(unmount_below(dir.path()));
  EXPECT_EQ(mounts_below(dir.path()).value().size(), 0u);
  EXPECT_FALSE(is_mount_point(dir / "m").value());
  EXPECT_TRUE(unmount(dir / "m"));
  EXPECT_TRUE(unmount(dir / "nothing"));
}

TEST_F(RootMounts, ReadOnlyBindIsRecursive) {
  TempDir dir;
  ASSERT_TRUE(make_dirs(dir / "source/inner"));
  ASSERT_TRUE(mount_tmpfs(dir / "source/inner"));
  ASSERT_TRUE(make_dirs(dir / "target"));
  const auto bound = bind_mount(dir / "source", dir / "target", {.read_only = true});
  ASSERT_TRUE(bound) << bound.error().message;
  EXPECT_FALSE(write_file(dir / "target/a", ""));
  EXPECT_FALSE(write_file(dir / "target/inner/a", ""));
  EXPECT_TRUE(write_file(dir / "source/inner/a", "seen"));
  EXPECT_EQ(read_file(dir / "target/inner/a").value(), "seen");
}

TEST_F(RootMounts, OverlayOfManyLayersWithLongPaths) {
  TempDir dir;
  OverlayOptions overlay;
  for (int i = 0; i < 100; ++i) {
    const std::string layer = dir / fmt::format("layers/{}{}/diff", std::string(64, 'a'), i);
    ASSERT_TRUE(make_dirs(layer));
    ASSERT_TRUE(write_file(layer + "/common", std::to_string(i)));
    ASSERT_TRUE(write_file(layer + fmt::format("/only{}", i), ""));
    overlay.lowers.push_back(layer);
  }
  overlay.upper = dir / "upper";
  overlay.work = dir / "work";
  for (const auto* path : {&overlay.upper, &overlay.work}) ASSERT_TRUE(make_dirs(*path));
  ASSERT_TRUE(make_dirs(dir / "merged"));
  const auto mounted = mount_overlay(dir / "merged", overlay);
  ASSERT_TRUE(mounted) << mounted.error().message;
  EXPECT_EQ(read_file(dir / "merged/common").value(), "0");
  EXPECT_TRUE(exists(dir / "merged/only99"));
  ASSERT_TRUE(write_file(dir / "merged/new", "x"));
  EXPECT_EQ(read_file(dir / "upper/new").value(), "x");
}

TEST_F(RootMounts, OverlayReadOnlyAndErrors) {
  TempDir dir;
  for (const char* name : {"a", "b", "m", "m2"}) ASSERT_TRUE(make_dirs(dir / name));
  ASSERT_TRUE(write_file(dir / "b/f", "x"));
  ASSERT_TRUE(mount_overlay(dir / "m", {.lowers = {dir / "a", dir / "b"}}));
  EXPECT_EQ(read_file(dir / "m/f").value(), "x");
  EXPECT_FALSE(write_file(dir / "m/new", ""));
  ASSERT_TRUE(mount_overlay(dir / "m2", {.lowers = {dir / "b"}}));
  EXPECT_FALSE(write_file(dir / "m2/new", ""));
  EXPECT_FALSE(mount_overlay(dir / "m", {}));
  EXPECT_FALSE(mount_overlay(dir / "m", {.lowers = {dir / "none", dir / "b"}}));
}

}  // namespace
}  // namespace moth::os
