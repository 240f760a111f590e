#pragma once
// The attach socket of a shim. Internal to this folder.
#include <memory>
#include <string>

#include "runtime/os/unique_fd.h"
#include "runtime/shim/container.h"

namespace moth::shim {

// A connection to the shim of `bundle`, non-blocking. NotFound when no shim listens there.
Result<os::UniqueFd> connect_to_shim(const std::string& bundle);
// One frame; waits while the socket is full. Gone when the shim left.
Task<Result<void>> send_frame(int fd, char type, std::string_view payload);
// One frame: its type and payload; type 0 at the end.
struct Frame {
  char type = 0;
  std::string payload;
};
Task<Result<Frame>> receive_frame(int fd);

std::unique_ptr<Streams> make_attach_streams(os::UniqueFd connection);

}  // namespace moth::shim
