#pragma once
// Byte sources for the blocking side, and a bounded pipe that feeds one from a coroutine.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "api/base/notifier.h"
#include "api/base/result.h"
#include "api/base/task.h"

namespace moth::images {

// A stream of bytes, read by one thread. read() blocks.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // The next piece, valid until the next call; empty at the end.
  virtual Result<std::string_view> read() = 0;
};

// A file from the beginning; the descriptor is owned.
Result<std::unique_ptr<ByteSource>> open_file_source(const std::string& path);
std::unique_ptr<ByteSource> file_source(int owned_fd);
std::unique_ptr<ByteSource> memory_source(std::string bytes);

// One coroutine writes, one thread reads. At most `capacity` bytes wait between them.
class BytePipe : public std::enable_shared_from_this<BytePipe> {
 public:
  // `writer` is the executor of the writing coroutine.
  BytePipe(asio::any_io_executor writer, std::size_t capacity);

  // Waits while the pipe is full. False when the reader has gone.
  Task<bool> write(std::string bytes);
  // The end of the stream, or the reason why it broke off.
  void finish();
  void fail(Error error);

  // The reading end; when it is destroyed the writer stops.
  std::unique_ptr<ByteSource> reader();

 private:
  class Reader;
  Result<std::string> take();
  void abandon();

  asio::any_io_executor writer_;
  const std::size_t capacity_;
  Notifier space_;  // on the writer's executor
  std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<std::string> queue_;
  std::size_t queued_ = 0;
  bool finished_ = false;
  bool abandoned_ = false;
  std::optional<Error> error_;
};

}  // namespace moth::images
