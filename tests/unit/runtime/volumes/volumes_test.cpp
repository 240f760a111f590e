// emptyDir, hostPath, subPath and fsGroup on a real file system.
#include <sys/socket.h>
#include <sys/un.h>

#include "runtime/volumes/empty_dir.h"
#include "runtime/volumes/host_path.h"
#include "runtime/volumes/ownership.h"
#include "runtime/volumes/sub_path.h"
#include "tests/unit/runtime/volumes/test_dir.h"

namespace moth::volumes {
namespace {

TEST(EmptyDir, IsOpenToEverybodyAndKept) {
  TestDir dir;
  ASSERT_TRUE(setup_empty_dir(dir / "v", {}));
  EXPECT_EQ(mode_of(dir / "v"), 0777u);
  ASSERT_TRUE(os::write_file(dir / "v/file", "x"));
  ASSERT_TRUE(setup_empty_dir(dir / "v", {}));
  EXPECT_EQ(text_of(dir / "v/file"), "x");
  ASSERT_TRUE(remove_volume_dir(dir / "v"));
  EXPECT_FALSE(os::exists(dir / "v"));
  EXPECT_TRUE(remove_volume_dir(dir / "v"));
}

TEST(EmptyDir, InMemoryHasItsSize) {
  if (!is_root()) GTEST_SKIP() << "needs root to mount";
  TestDir dir;
  const EmptyDir spec{.medium = "Memory", .size_bytes = 4u << 20, .fs_group = 4711};
  ASSERT_TRUE(setup_empty_dir(dir / "v", spec));
  auto usage = os::fs_usage(dir / "v");
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->capacity, 4u << 20);
  EXPECT_EQ(stat_of(dir / "v").st_gid, 4711u);
  EXPECT_EQ(mode_of(dir / "v"), 03777u);
  ASSERT_TRUE(os::write_file(dir / "v/file", "x"));
  ASSERT_TRUE(setup_empty_dir(dir / "v", spec));  // not mounted over
  EXPECT_EQ(text_of(dir / "v/file"), "x");
  ASSERT_TRUE(remove_volume_dir(dir / "v"));
  EXPECT_FALSE(os::exists(dir / "v"));
}

TEST(EmptyDir, RefusesUnknownMedia) {
  TestDir dir;
  EXPECT_FALSE(setup_empty_dir(dir / "v", {.medium = "Tape"}));
}

TEST(HostPath, ChecksTypesWithUpstreamsWords) {
  TestDir dir;
  ASSERT_TRUE(os::write_file(dir / "file", ""));
  EXPECT_TRUE(check_host_path(dir / "nothing", ""));
  EXPECT_TRUE(check_host_path(dir / "file", "File"));
  EXPECT_TRUE(check_host_path(dir.path(), "Directory"));
  EXPECT_TRUE(check_host_path("/dev/null", "CharDevice"));
  auto wrong = [&](const std::string& path, const char* type) {
    auto checked = check_host_path(path, type);
    return checked ? std::string("accepted") : checked.error().message;
  };
  const std::string file = dir / "file";
  EXPECT_EQ(wrong(file, "Directory"),
            "hostPath type check failed: " + file + " is not a directory");
  EXPECT_EQ(wrong(dir / "no", "File"),
            "hostPath type check failed: " + (dir / "no") + " is not a file");
  EXPECT_EQ(wrong(file, "Socket"), "hostPath type check failed: " + file + " is not a socket file");
  EXPECT_EQ(wrong(file, "BlockDevice"),
            "hostPath type check failed: " + file + " is not a block device");
  EXPECT_EQ(wrong(file, "CharDevice"),
            "hostPath type check failed: " + file + " is not a character device");
  EXPECT_EQ(wrong(file, "Tape"), "Tape is an invalid volume type");
}

TEST(HostPath, MakesWhatTheTypeAsksFor) {
  TestDir dir;
  EXPECT_TRUE(check_host_path(dir / "a/b", "DirectoryOrCreate"));
  EXPECT_EQ(mode_of(dir / "a/b"), 0755u);
  EXPECT_TRUE(check_host_path(dir / "a/file", "FileOrCreate"));
  EXPECT_EQ(mode_of(dir / "a/file"), 0644u);
  EXPECT_FALSE(check_host_path(dir / "c/file", "FileOrCreate"));  // its folder is missing
  EXPECT_FALSE(check_host_path(dir / "a/file", "DirectoryOrCreate"));
}

TEST(SubPath, RefusesAbsoluteAndBackwards) {
  EXPECT_TRUE(check_sub_path("a/b"));
  EXPECT_TRUE(check_sub_path("a..b"));
  EXPECT_EQ(check_sub_path("/a").error().message,
            "error SubPath `/a` must not be an absolute path");
  EXPECT_EQ(check_sub_path("a/../b").error().message,
            "unable to provision SubPath `a/../b`: must not contain '..'");
}

class SubPathMounts : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!is_root()) GTEST_SKIP() << "needs root to mount";
    ASSERT_TRUE(os::make_dirs(dir_ / "volume/real"));
    ASSERT_TRUE(os::write_file(dir_ / "volume/real/file", "inside"));
    ASSERT_TRUE(os::make_dirs(dir_ / "secret"));
    ASSERT_TRUE(os::write_file(dir_ / "secret/file", "outside"));
  }
  Result<> bind(const std::string& sub_path, const std::string& name) {
    return bind_sub_path(dir_ / "volume", sub_path, dir_ / ("targets/" + name));
  }
  void link(const std::string& to, const std::string& name) {
    ASSERT_EQ(::symlink(to.c_str(), (dir_ / ("volume/" + name)).c_str()), 0);
  }
  TestDir dir_;
};

TEST_F(SubPathMounts, BindsFoldersAndFiles) {
  ASSERT_TRUE(bind("real", "0"));
  EXPECT_EQ(text_of(dir_ / "targets/0/file"), "inside");
  ASSERT_TRUE(bind("real/file", "1"));
  EXPECT_EQ(text_of(dir_ / "targets/1"), "inside");
  // Again: kept as it is.
  auto before = os::mounts_below(dir_ / "targets");
  ASSERT_TRUE(bind("real", "0"));
  auto after = os::mounts_below(dir_ / "targets");
  ASSERT_TRUE(before && after);
  EXPECT_EQ(before->size(), after->size());
}

TEST_F(SubPathMounts, MakesAMissingPathWithTheVolumesMode) {
  ASSERT_EQ(::chmod((dir_ / "volume").c_str(), 02770), 0);
  ASSERT_TRUE(bind("new/deep", "0"));
  EXPECT_EQ(mode_of(dir_ / "volume/new"), 02770u);
  EXPECT_EQ(mode_of(dir_ / "volume/new/deep"), 02770u);
  ASSERT_TRUE(os::write_file(dir_ / "targets/0/x", "1"));
  EXPECT_EQ(text_of(dir_ / "volume/new/deep/x"), "1");
}

TEST_F(SubPathMounts, FollowsLinksInsideOnly) {
  link("real", "good");
  link("../secret", "up");
  link(dir_ / "secret", "absolute");
  link("real/../../secret", "sneaky");
  ASSERT_TRUE(bind("good/file", "0"));
  EXPECT_EQ(text_of(dir_ / "targets/0"), "inside");
  for (const char* bad : {"up", "up/file", "absolute", "absolute/file", "sneaky/file", "up/new"}) {
    auto bound = bind(bad, "bad");
    ASSERT_FALSE(bound) << bad;
    EXPECT_NE(bound.error().message.find("leads out of the volume"), std::string::npos)
        << bound.error().message;
  }
  EXPECT_FALSE(os::exists(dir_ / "secret/new"));
}

TEST(FsGroup, ChangesTheTreeButNoLinkTarget) {
  if (!is_root()) GTEST_SKIP() << "needs root to give files to a group";
  TestDir dir;
  ASSERT_TRUE(os::make_dirs(dir / "v/sub", 0700));
  ASSERT_TRUE(os::write_file(dir / "v/sub/file", "", 0600));
  ASSERT_TRUE(os::write_file(dir / "outside", "", 0600));
  ASSERT_EQ(::symlink((dir / "outside").c_str(), (dir / "v/link").c_str()), 0);
  ASSERT_TRUE(apply_fs_group(dir / "v", 4711));
  EXPECT_EQ(mode_of(dir / "v"), 02770u);
  EXPECT_EQ(mode_of(dir / "v/sub"), 02770u);
  EXPECT_EQ(mode_of(dir / "v/sub/file"), 0660u);
  EXPECT_EQ(stat_of(dir / "v/sub/file").st_gid, 4711u);
  EXPECT_EQ(stat_of(dir / "v/link").st_gid, 4711u);
  EXPECT_EQ(stat_of(dir / "outside").st_gid, 0u);
  EXPECT_EQ(mode_of(dir / "outside"), 0600u);
}

TEST(FsGroup, OnRootMismatchStopsAtAFittingRoot) {
  if (!is_root()) GTEST_SKIP() << "needs root to give files to a group";
  TestDir dir;
  ASSERT_TRUE(os::make_dirs(dir / "v", 0755));
  ASSERT_TRUE(apply_fs_group(dir / "v", 4711, {.on_root_mismatch = true}));
  ASSERT_TRUE(os::write_file(dir / "v/file", "", 0600));
  ASSERT_EQ(::chown((dir / "v/file").c_str(), 0, 0), 0);
  ASSERT_TRUE(apply_fs_group(dir / "v", 4711, {.on_root_mismatch = true}));
  EXPECT_EQ(stat_of(dir / "v/file").st_gid, 0u);
  ASSERT_TRUE(apply_fs_group(dir / "v", 4711, {.read_only = true}));
  EXPECT_EQ(stat_of(dir / "v/file").st_gid, 4711u);
  EXPECT_EQ(mode_of(dir / "v/file"), 0640u);
}

}  // namespace
}  // namespace moth::volumes
