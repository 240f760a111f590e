#include "runtime/shim/attach_streams.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

#include "runtime/os/pidfd.h"
#include "runtime/shim/protocol.h"

namespace moth::shim {

Result<os::UniqueFd> connect_to_shim(const std::string& bundle) {
  // A socket's path has room for 107 characters alone: go through the folder's descriptor.
  os::UniqueFd folder(::open(bundle.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return fail(Error::from_errno(errno, fmt::format("open folder {}", bundle)));
  os::UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return fail(Error::from_errno(errno, "socket"));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = fmt::format("/proc/self/fd/{}/" MOTH_SHIM_ATTACH, folder.get());
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno == ECONNREFUSED ? ENOENT : errno;
    return fail(Error::from_errno(error, fmt::format("connect to the shim of {}", bundle)));
  }
  return socket;
}

Task<Result<void>> send_frame(int fd, char type, std::string_view payload) {
  iovec parts[2] = {{&type, 1}, {const_cast<char*>(payload.data()), payload.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  while (::sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      co_await os::wait_writable(fd);
      continue;
    }
    co_return fail(Error::of(Reason::kGone, "the container ended"));
  }
  co_return Result<void>{};
}

Task<Result<Frame>> receive_frame(int fd) {
  char bytes[MOTH_SHIM_MAX_FRAME];
  while (true) {
    const ssize_t n = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n > 0) co_return Frame{bytes[0], std::string(bytes + 1, static_cast<std::size_t>(n) - 1)};
    if (n == 0 || errno == ECONNRESET) co_return Frame{};
    if (errno == EINTR) continue;
    if (errno != EAGAIN) co_return fail(Error::from_errno(errno, "read from the shim"));
    co_await os::wait_readable(fd);
  }
}

namespace {

class AttachStreams final : public Streams {
 public:
  explicit AttachStreams(os::UniqueFd connection) : connection_(std::move(connection)) {}

  Task<Result<Chunk>> read() override {
    while (true) {
      MOTH_CO_ASSIGN(Frame frame, co_await receive_frame(connection_.get()));
      if (frame.type == MOTH_SHIM_STDOUT) {
        co_return Chunk{Chunk::Kind::kStdout, std::move(frame.payload)};
      }
      if (frame.type == MOTH_SHIM_STDERR) {
        co_return Chunk{Chunk::Kind::kStderr, std::move(frame.payload)};
      }
      if (frame.type == 0) co_return Chunk{};
    }
  }

  Task<Result<void>> write(std::string data) override {
    std::string_view rest = data;
    while (!rest.empty()) {
      const std::string_view part = rest.substr(0, MOTH_SHIM_MAX_FRAME - 1);
      rest.remove_prefix(part.size());
      MOTH_CO_TRY(co_await send_frame(connection_.get(), MOTH_SHIM_STDIN, part));
    }
    co_return Result<void>{};
  }

  Task<Result<void>> close_stdin() override {
    Result<void> sent = co_await send_frame(connection_.get(), MOTH_SHIM_STDIN_CLOSE, {});
    co_return sent;
  }

  Task<Result<void>> resize(std::uint16_t columns, std::uint16_t rows) override {
    const char size[4] = {static_cast<char>(columns >> 8), static_cast<char>(columns),
                          static_cast<char>(rows >> 8), static_cast<char>(rows)};
    Result<void> sent = co_await send_frame(connection_.get(), MOTH_SHIM_RESIZE,
                                            std::string_view(size, sizeof size));
    co_return sent;
  }

 private:
  os::UniqueFd connection_;
};

}  // namespace

std::unique_ptr<Streams> make_attach_streams(os::UniqueFd connection) {
  return std::make_unique<AttachStreams>(std::move(connection));
}

}  // namespace moth::shim
