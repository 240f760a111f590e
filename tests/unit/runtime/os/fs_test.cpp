#include "runtime/os/fs.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>

#include "tests/unit/runtime/os/temp_dir.h"

namespace moth::os {
namespace {

using test::TempDir;

mode_t mode_of(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st.st_mode & 07777;
}

TEST(Fs, WritesReadsAndBounds) {
  TempDir dir;
  ASSERT_TRUE(write_file(dir / "a", "hello", 0640));
  EXPECT_EQ(mode_of(dir / "a"), 0640u);
  EXPECT_EQ(read_file(dir / "a").value(), "hello");
  EXPECT_EQ(read_file(dir / "a", 4).error().reason, Reason::kRequestEntityTooLarge);
  EXPECT_EQ(read_file_tail(dir / "a", 3).value(), "llo");
  EXPECT_EQ(read_file_tail(dir / "a", 30).value(), "hello");
  const auto missing = read_file(dir / "none");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().os_errno, ENOENT);
  EXPECT_EQ(missing.error().reason, Reason::kNotFound);
  EXPECT_NE(missing.error().message.find(dir / "none"), std::string::npos);
}

TEST(Fs, ADirectoryIsHeldByOneAtATime) {
  TempDir dir;
  auto first = lock_directory(dir.path());
  ASSERT_TRUE(first && *first);
  auto second = lock_directory(dir.path());
  ASSERT_TRUE(second);
  EXPECT_FALSE(*second);
  first->reset();
  second = lock_directory(dir.path());
  EXPECT_TRUE(second && *second);
  EXPECT_FALSE(lock_directory(dir / "missing"));
}

TEST(Fs, AtomicWriteReplacesAndLeavesNoTemporary) {
  TempDir dir;
  ASSERT_TRUE(write_file_atomic(dir / "f", "one"));
  ASSERT_TRUE(write_file_atomic(dir / "f", "two", 0600));
  EXPECT_EQ(read_file(dir / "f").value(), "two");
  EXPECT_EQ(mode_of(dir / "f"), 0600u);
  EXPECT_EQ(list_dir(dir.path()).value().size(), 1u);
  EXPECT_FALSE(write_file_atomic(dir / "no/f", "x"));
}

TEST(Fs, MakeDirsIgnoresUmask) {
  TempDir dir;
  const mode_t old = ::umask(077);
  ASSERT_TRUE(make_dirs(dir / "a/b//c/", 0775));
  ::umask(old);
  EXPECT_EQ(mode_of(dir / "a"), 0775u);
  EXPECT_EQ(mode_of(dir / "a/b/c"), 0775u);
  ASSERT_TRUE(make_dirs(dir / "a/b/c"));
  ASSERT_TRUE(write_file(dir / "file", ""));
  EXPECT_FALSE(make_dirs(dir / "file/x"));
  EXPECT_FALSE(make_dirs(dir / "file"));
}

TEST(Fs, RemoveTreeNeverFollowsLinks) {
  TempDir dir;
  ASSERT_TRUE(make_dirs(dir / "keep"));
  ASSERT_TRUE(write_file(dir / "keep/precious", "x"));
  ASSERT_TRUE(make_dirs(dir / "gone/sub"));
  ASSERT_EQ(::symlink((dir / "keep").c_str(), (dir / "gone/link").c_str()), 0);
  ASSERT_EQ(::symlink((dir / "keep/precious").c_str(), (dir / "gone/sub/link").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir / "gone/fifo").c_str(), 0600), 0);
  ASSERT_TRUE(remove_tree(dir / "gone"));
  EXPECT_FALSE(exists(dir / "gone"));
  EXPECT_TRUE(exists(dir / "keep/precious"));
  EXPECT_TRUE(remove_tree(dir / "gone"));
  // A link itself is removed, not what it points to.
  ASSERT_EQ(::symlink((dir / "keep").c_str(), (dir / "l").c_str()), 0);
  ASSERT_TRUE(remove_tree(dir / "l"));
  EXPECT_TRUE(exists(dir / "keep/precious"));
}

TEST(Fs, RemoveTreeCopesWithAnyDepth) {
  TempDir dir;
  ASSERT_TRUE(make_dirs(dir / "deep"));
  int fd = ::open((dir / "deep").c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 600; ++i) {
    ASSERT_EQ(::mkdirat(fd, "d", 0755), 0) << i;
    const int next = ::openat(fd, "d", O_RDONLY | O_DIRECTORY);
    ::close(fd);
    fd = next;
  }
  ::close(fd);
  const auto removed = remove_tree(dir / "deep");
  ASSERT_TRUE(removed) << removed.error().message;
  EXPECT_FALSE(exists(dir / "deep"));
}

TEST(Fs, RemoveTreeStopsAtMounts) {
  if (::geteuid() != 0) GTEST_SKIP() << "mounting needs root";
  TempDir dir;
  ASSERT_TRUE(make_dirs(dir / "tree/mnt"));
  ASSERT_TRUE(mount_tmpfs(dir / "tree/mnt"));
  ASSERT_TRUE(write_file(dir / "tree/mnt/data", "x"));
  const auto refused = remove_tree(dir / "tree");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, Reason::kConflict);
  EXPECT_TRUE(exists(dir / "tree/mnt/data"));
  // A bind mount of the same device is one as well.
  ASSERT_TRUE(make_dirs(dir / "source"));
  ASSERT_TRUE(write_file(dir / "source/data", "x"));
  ASSERT_TRUE(make_dirs(dir / "tree2/b"));
  ASSERT_TRUE(bind_mount(dir / "source", dir / "tree2/b"));
  EXPECT_FALSE(remove_tree(dir / "tree2"));
  EXPECT_TRUE(exists(dir / "source/data"));
}

TEST(Fs, TreeUsageCountsHardLinksOnce) {
  TempDir dir;
  ASSERT_TRUE(make_dirs(dir / "t/sub"));
  ASSERT_TRUE(write_file(dir / "t/sub/a", std::string(100'000, 'x')));
  const auto before = tree_usage(dir / "t").value();
  EXPECT_GE(before.bytes, 100'000u);
  EXPECT_EQ(before.inodes, 3u);
  ASSERT_EQ(::link((dir / "t/sub/a").c_str(), (dir / "t/b").c_str()), 0);
  EXPECT_EQ(tree_usage(dir / "t").value().inodes, 3u);
}

TEST(Fs, ListsSorted) {
  TempDir dir;
  for (const char* name : {"c", "a", "b"}) ASSERT_TRUE(write_file(dir / name, ""));
  const auto entries = list_dir(dir.path()).value();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[2].name, "c");
  EXPECT_FALSE(list_dir(dir.path(), 2));
}

TEST(DirFd, StaysInside) {
  TempDir dir;
  ASSERT_TRUE(write_file(dir / "secret", "outside"));
  ASSERT_TRUE(make_dirs(dir / "root/etc"));
  ASSERT_TRUE(write_file(dir / "root/etc/passwd", "inside"));
  ASSERT_EQ(::symlink("/etc/passwd", (dir / "root/abs").c_str()), 0);
  ASSERT_EQ(::symlink("../../../../secret", (dir / "root/up").c_str()), 0);
  ASSERT_EQ(::mkfifo((dir / "root/fifo").c_str(), 0600), 0);
  const DirFd root = DirFd::open(dir / "root").value();
  EXPECT_EQ(root.read_in_root("/etc/passwd").value(), "inside");
  EXPECT_EQ(root.read_in_root("abs").value(), "inside");
  EXPECT_FALSE(root.read_in_root("up"));
  EXPECT_FALSE(root.read_in_root("/fifo"));
  EXPECT_FALSE(root.open_no_links("abs", O_RDONLY));
  ASSERT_TRUE(root.open_no_links("/etc/passwd", O_RDONLY));
}

TEST(DirFd, MakesFoldersInside) {
  TempDir dir;
  ASSERT_TRUE(make_dirs(dir / "root"));
  ASSERT_TRUE(make_dirs(dir / "outside"));
  ASSERT_EQ(::symlink("/inner", (dir / "root/link").c_str()), 0);
  ASSERT_TRUE(make_dirs(dir / "root/inner"));
  const DirFd root = DirFd::open(dir / "root").value();
  ASSERT_TRUE(root.make_dirs_in_root("link/a/../b/c", 0700));
  EXPECT_EQ(mode_of(dir / "root/inner/b/c"), 0700u);
}

}  // namespace
}  // namespace moth::os
