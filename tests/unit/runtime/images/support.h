#pragma once
// Helpers of the image tests: a temporary directory, tar archives made entry by entry, a running
// set of executors.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "api/base/executors.h"
#include "api/base/result.h"
#include "runtime/images/unpack.h"

namespace moth::images::testing {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct TarEntry {
  std::string path;
  char type =
      'f';  // f file, d directory, l symbolic link, h hard link, c char device, b block, p fifo
  std::string content;  // of a file, or the link's target
  unsigned mode = 0644;
  unsigned uid = 0, gid = 0;
  unsigned major = 0, minor = 0;
  std::vector<std::pair<std::string, std::string>> xattrs;
  long mtime = 1'600'000'000;
  std::int64_t declared_size = -1;  // instead of the content's
};

std::string make_tar(const std::vector<TarEntry>& entries);

Result<UnpackResult> unpack(const std::string& bytes, const std::string& directory,
                            const UnpackOptions& options = {});

std::string read_all(const std::string& path);
void write_all(const std::string& path, std::string_view content);

// A docker archive with one image of the given layers (tars).
struct TestImage {
  std::string archive;
  std::string id;
  std::vector<std::string> diff_ids;
};
TestImage make_docker_archive(const std::vector<std::string>& layers,
                              const std::vector<std::string>& tags);

bool is_root();
// Runs a shell command; its exit code.
int shell(const std::string& command);
std::string shell_output(const std::string& command);

// Executors whose control runs on a thread of its own.
class Loop {
 public:
  Loop();
  ~Loop();
  Executors& executors() { return executors_; }
  // Runs a coroutine on control to its end and returns its value.
  void run(std::function<Task<void>()> body);

 private:
  Executors executors_;
  std::thread thread_;
};

template <class T>
T await_on_loop(Loop& loop, std::function<Task<T>()> body) {
  std::optional<T> value;
  loop.run([&]() -> Task<void> { value.emplace(co_await body()); });
  return std::move(*value);
}

}  // namespace moth::images::testing
