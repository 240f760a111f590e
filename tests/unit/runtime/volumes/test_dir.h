#pragma once
// A folder of the test's own below /tmp; mounts in it are undone at the end.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"

namespace moth::volumes {

class TestDir {
 public:
  TestDir() {
    char name[] = "/tmp/moth-volumes-XXXXXX";
    path_ = ::mkdtemp(name);
    ::chmod(path_.c_str(), 0755);
  }
  ~TestDir() {
    EXPECT_TRUE(os::unmount_below(path_));
    EXPECT_TRUE(os::remove_tree(path_));
  }
  TestDir(const TestDir&) = delete;
  TestDir& operator=(const TestDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  std::string path_;
};

inline struct stat stat_of(const std::string& path) {
  struct stat st {};
  EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
  return st;
}
inline unsigned mode_of(const std::string& path) {
  return stat_of(path).st_mode & 07777;
}
inline std::string link_of(const std::string& path) {
  char target[4096];
  const auto size = ::readlink(path.c_str(), target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : "";
}
inline std::string text_of(const std::string& path) {
  auto text = os::read_file(path);
  return text ? *text : "<" + text.error().message + ">";
}
inline bool is_root() {
  return ::geteuid() == 0;
}

}  // namespace moth::volumes
