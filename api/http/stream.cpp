#include "api/http/stream.h"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <cstring>
#include <exception>

#include "api/base/notifier.h"
#include "api/base/task_scope.h"

namespace moth::http {

Task<Result<void>> Stream::write(std::string_view text) {
  std::vector<std::string_view> parts{text};
  co_return co_await write(std::move(parts));
}

namespace {

class PrependedStream final : public Stream {
 public:
  PrependedStream(std::string head, RawStream inner)
      : head_(std::move(head)), inner_(std::move(inner)) {}
  asio::any_io_executor executor() const override { return inner_->executor(); }
  Task<Result<std::size_t>> read_some(char* data, std::size_t size) override {
    if (offset_ < head_.size()) {
      std::size_t count = std::min(size, head_.size() - offset_);
      std::memcpy(data, head_.data() + offset_, count);
      offset_ += count;
      if (offset_ == head_.size()) {
        head_ = std::string();
        offset_ = 0;
      }
      co_return count;
    }
    co_return co_await inner_->read_some(data, size);
  }
  Task<Result<void>> write(std::vector<std::string_view> parts) override {
    return inner_->write(std::move(parts));
  }
  Task<void> shutdown_write() override { return inner_->shutdown_write(); }
  void close() override { inner_->close(); }

 private:
  std::string head_;
  std::size_t offset_ = 0;
  RawStream inner_;
};

// One direction of a pipe in memory.
struct Channel {
  Channel(const asio::any_io_executor& executor, std::size_t room)
      : capacity(room), changed(executor) {}
  std::string bytes;
  std::size_t capacity;
  bool ended = false;   // the writer has finished
  bool broken = false;  // either side closed
  Notifier changed;
};

class PipeEnd final : public Stream {
 public:
  PipeEnd(asio::any_io_executor executor, std::shared_ptr<Channel> in, std::shared_ptr<Channel> out)
      : executor_(std::move(executor)), in_(std::move(in)), out_(std::move(out)) {}
  ~PipeEnd() override { end(); }

  asio::any_io_executor executor() const override { return executor_; }
  Task<Result<std::size_t>> read_some(char* data, std::size_t size) override {
    auto channel = in_;
    for (;;) {
      if (closed_) co_return fail(gone());
      if (!channel->bytes.empty()) break;
      if (channel->ended || channel->broken) co_return std::size_t{0};
      co_await channel->changed.wait();
    }
    std::size_t count = std::min(size, channel->bytes.size());
    std::memcpy(data, channel->bytes.data(), count);
    channel->bytes.erase(0, count);
    channel->changed.notify();
    co_return count;
  }
  Task<Result<void>> write(std::vector<std::string_view> parts) override {
    auto channel = out_;
    for (std::string_view part : parts) {
      while (!part.empty()) {
        if (channel->broken || channel->ended) co_return fail(gone());
        std::size_t room = channel->capacity - std::min(channel->capacity, channel->bytes.size());
        std::size_t count = std::min(room, part.size());
        channel->bytes += part.substr(0, count);
        part.remove_prefix(count);
        if (count > 0)
          channel->changed.notify();
        else
          co_await channel->changed.wait();
      }
    }
    co_return Result<void>();
  }
  Task<void> shutdown_write() override {
    out_->ended = true;
    out_->changed.notify();
    co_return;
  }
  void close() override { end(); }

 private:
  static Error gone() {
    return Error::of(Reason::kServiceUnavailable, "io: read/write on closed pipe");
  }
  void end() {
    if (closed_) return;
    closed_ = true;
    in_->broken = out_->broken = true;
    in_->changed.notify();
    out_->changed.notify();
  }

  asio::any_io_executor executor_;
  std::shared_ptr<Channel> in_, out_;
  bool closed_ = false;
};

// One direction of splice(). A failure closes both ends, which ends the other direction as well.
Task<void> pump(Stream& from, Stream& to) {
  std::vector<char> buffer(32 * 1024);
  for (;;) {
    auto count = co_await from.read_some(buffer.data(), buffer.size());
    if (count && *count == 0) {
      co_await to.shutdown_write();
      co_return;
    }
    if (!count || !co_await to.write(std::string_view(buffer.data(), *count))) break;
  }
  from.close();
  to.close();
}

// Closes both when the splicing coroutine ends in whatever way.
struct CloseBoth {
  Stream& a;
  Stream& b;
  ~CloseBoth() {
    a.close();
    b.close();
  }
};

}  // namespace

RawStream prepend(std::string head, RawStream stream) {
  if (head.empty()) return stream;
  return std::make_unique<PrependedStream>(std::move(head), std::move(stream));
}

std::pair<RawStream, RawStream> memory_pipe(asio::any_io_executor executor, std::size_t capacity) {
  auto there = std::make_shared<Channel>(executor, capacity);
  auto back = std::make_shared<Channel>(executor, capacity);
  return {std::make_unique<PipeEnd>(executor, there, back),
          std::make_unique<PipeEnd>(executor, back, there)};
}

namespace {

struct Splice {
  Splice(RawStream first, RawStream second, const asio::any_io_executor& executor)
      : a(std::move(first)), b(std::move(second)), ended(executor) {}
  RawStream a, b;
  Notifier ended;
  bool back_ended = false;
};

Task<void> pump_back(std::shared_ptr<Splice> both) {
  co_await pump(*both->b, *both->a);
  both->back_ended = true;
  both->ended.notify();
}

}  // namespace

Task<void> splice(RawStream a, RawStream b) {
  auto executor = a->executor();
  auto both = std::make_shared<Splice>(std::move(a), std::move(b), executor);
  // The second direction runs by itself and keeps the streams alive; when this coroutine is
  // cancelled, closing the streams ends it.
  CloseBoth close_both{*both->a, *both->b};
  asio::co_spawn(executor, pump_back(both), [both](const std::exception_ptr&) {
    both->back_ended = true;
    both->ended.notify();
  });
  co_await pump(*both->a, *both->b);
  while (!both->back_ended) co_await both->ended.wait();
}

}  // namespace moth::http
