#pragma once
// A folder of this test process, removed with everything in it.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"

namespace moth::test {

class TempDir {
 public:
  TempDir() {
    char name[] = "/tmp/moth-test-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~TempDir() {
    EXPECT_TRUE(os::unmount_below(path_));
    const auto removed = os::remove_tree(path_);
    EXPECT_TRUE(removed) << (removed ? "" : removed.error().message);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace moth::test
