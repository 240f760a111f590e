#pragma once
// Stream: a two-way byte stream (TCP, TLS, unix socket, or one end of a pipe in memory).
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/base/result.h"
#include "api/base/task.h"

namespace moth::http {

// All methods run on executor(). At most one read and one write at a time; a read and a write may
// overlap. Cancelling the caller throws operation_aborted out of the pending call: a cancelled read
// loses no bytes, after a cancelled write the stream must be closed. Buffers must outlive the call.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual asio::any_io_executor executor() const = 0;
  // Waits for bytes; 0 means that the peer has finished writing.
  virtual Task<Result<std::size_t>> read_some(char* data, std::size_t size) = 0;
  // Writes all parts in order. Ends with an error when the peer takes nothing for the stream's
  // write timeout or has gone.
  virtual Task<Result<void>> write(std::vector<std::string_view> parts) = 0;
  Task<Result<void>> write(std::string_view text);
  // Says "no more" to the peer (FIN, close_notify); reading goes on.
  virtual Task<void> shutdown_write() = 0;
  // Ends everything at once; pending calls return an error. May be called repeatedly.
  virtual void close() = 0;
  // How long the peer's machine has not acknowledged what was sent to it; 0 when nothing waits for
  // that or when it is not known.
  virtual std::chrono::milliseconds unacknowledged() const { return std::chrono::milliseconds(0); }
};

using RawStream = std::unique_ptr<Stream>;

// Puts `head` in front of what `stream` delivers.
RawStream prepend(std::string head, RawStream stream);

// Two connected ends; what one writes the other reads. At most `capacity` bytes wait in each
// direction.
std::pair<RawStream, RawStream> memory_pipe(asio::any_io_executor executor,
                                            std::size_t capacity = 65536);

// Copies both ways until both directions ended or one broke, then closes both.
Task<void> splice(RawStream a, RawStream b);

}  // namespace moth::http
