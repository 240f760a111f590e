#include "runtime/os/pidfd.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <csignal>

#include "runtime/os/proc.h"

namespace moth::os {

namespace {

Task<void> wait_for(int fd, asio::posix::stream_descriptor::wait_type what) {
  // A duplicate, since Asio closes what it is given and a descriptor may be registered once alone.
  const int own = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (own < 0) {
    throw boost::system::system_error(errno, boost::system::system_category(), "dup");
  }
  asio::posix::stream_descriptor descriptor(co_await asio::this_coro::executor, own);
  co_await descriptor.async_wait(what, asio::use_awaitable);
}

}  // namespace

Task<void> wait_readable(int fd) {
  return wait_for(fd, asio::posix::stream_descriptor::wait_read);
}
Task<void> wait_writable(int fd) {
  return wait_for(fd, asio::posix::stream_descriptor::wait_write);
}

Result<UniqueFd> pidfd_open(pid_t pid) {
  const long fd = ::syscall(SYS_pidfd_open, pid, 0);
  if (fd >= 0) return UniqueFd(static_cast<int>(fd));
  const int error = errno == ESRCH || errno == EINVAL ? ENOENT : errno;
  return fail(Error::from_errno(error, fmt::format("process {}", pid)));
}

Result<void> pidfd_signal(int pidfd, int number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0) == 0) return {};
  const int error = errno == ESRCH ? ENOENT : errno;
  return fail(Error::from_errno(error, fmt::format("signal {}", number)));
}

Result<ProcessHandle> ProcessHandle::open(pid_t pid, std::optional<std::uint64_t> start_time) {
  // The descriptor first: whatever is read afterwards, if the process is still alive then, is about
  // it.
  MOTH_ASSIGN(UniqueFd fd, pidfd_open(pid));
  ProcessHandle handle(pid, std::move(fd));
  if (start_time) {
    MOTH_ASSIGN(const std::uint64_t actual, process_start_time(pid));
    if (actual != *start_time) {
      return fail(Error::from_errno(ENOENT, fmt::format("process {} is another one", pid)));
    }
  }
  if (!handle.alive()) return fail(Error::from_errno(ENOENT, fmt::format("process {}", pid)));
  return handle;
}

Result<void> ProcessHandle::signal(int number) const {
  return pidfd_signal(fd_.get(), number);
}

bool ProcessHandle::alive() const {
  pollfd poller{fd_.get(), POLLIN, 0};
  return ::poll(&poller, 1, 0) == 0;
}

Task<void> ProcessHandle::wait_gone() const {
  return wait_readable(fd_.get());
}

}  // namespace moth::os
