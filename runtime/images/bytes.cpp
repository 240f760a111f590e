#include "runtime/images/bytes.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

namespace moth::images {
namespace {

constexpr std::size_t kPiece = 256 * 1024;

class FileSource final : public ByteSource {
 public:
  explicit FileSource(int fd) : fd_(fd), buffer_(kPiece, '\0') {}
  ~FileSource() override { ::close(fd_); }
  Result<std::string_view> read() override {
    while (true) {
      ssize_t got = ::read(fd_, buffer_.data(), buffer_.size());
      if (got >= 0) return std::string_view(buffer_.data(), static_cast<std::size_t>(got));
      if (errno != EINTR) return fail(Error::from_errno(errno, "read"));
    }
  }

 private:
  int fd_;
  std::string buffer_;
};

class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::string bytes) : bytes_(std::move(bytes)) {}
  Result<std::string_view> read() override {
    if (std::exchange(done_, true)) return std::string_view();
    return std::string_view(bytes_);
  }

 private:
  std::string bytes_;
  bool done_ = false;
};

}  // namespace

std::unique_ptr<ByteSource> file_source(int owned_fd) {
  return std::make_unique<FileSource>(owned_fd);
}

std::unique_ptr<ByteSource> memory_source(std::string bytes) {
  return std::make_unique<MemorySource>(std::move(bytes));
}

Result<std::unique_ptr<ByteSource>> open_file_source(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(Error::from_errno(errno, "open " + path));
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  return file_source(fd);
}

class BytePipe::Reader final : public ByteSource {
 public:
  explicit Reader(std::shared_ptr<BytePipe> pipe) : pipe_(std::move(pipe)) {}
  ~Reader() override { pipe_->abandon(); }
  Result<std::string_view> read() override {
    auto piece = pipe_->take();
    if (!piece) return ::moth::fail(std::move(piece).error());
    current_ = std::move(*piece);
    return std::string_view(current_);
  }

 private:
  std::shared_ptr<BytePipe> pipe_;
  std::string current_;
};

BytePipe::BytePipe(asio::any_io_executor writer, std::size_t capacity)
    : writer_(writer), capacity_(capacity), space_(writer) {}

Task<bool> BytePipe::write(std::string bytes) {
  auto keep = shared_from_this();
  while (true) {
    {
      std::lock_guard lock(mutex_);
      if (abandoned_) co_return false;
      if (queued_ < capacity_) {
        queued_ += bytes.size();
        if (!bytes.empty()) queue_.push_back(std::move(bytes));
        filled_.notify_one();
        co_return true;
      }
    }
    co_await space_.wait();
  }
}

void BytePipe::finish() {
  std::lock_guard lock(mutex_);
  finished_ = true;
  filled_.notify_one();
}

void BytePipe::fail(Error error) {
  std::lock_guard lock(mutex_);
  if (!finished_ && !error_) error_ = std::move(error);
  filled_.notify_one();
}

std::unique_ptr<ByteSource> BytePipe::reader() {
  return std::make_unique<Reader>(shared_from_this());
}

Result<std::string> BytePipe::take() {
  std::string piece;
  {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [this] { return !queue_.empty() || finished_ || error_; });
    if (queue_.empty()) {
      if (error_) return ::moth::fail(*error_);
      return std::string();
    }
    piece = std::move(queue_.front());
    queue_.pop_front();
    queued_ -= piece.size();
  }
  asio::post(writer_, [self = shared_from_this()] { self->space_.notify(); });
  return piece;
}

void BytePipe::abandon() {
  {
    std::lock_guard lock(mutex_);
    abandoned_ = true;
    queue_.clear();
    queued_ = 0;
  }
  asio::post(writer_, [self = shared_from_this()] { self->space_.notify(); });
}

}  // namespace moth::images
