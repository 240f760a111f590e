#include "runtime/shim/status_pipe.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace moth::shim {

Result<StatusPipe> make_status_pipe() {
  int pair[2];
  if (::pipe2(pair, O_CLOEXEC) != 0) return fail(Error::from_errno(errno, "pipe"));
  StatusPipe pipe{os::UniqueFd(pair[0]), os::UniqueFd(pair[1])};
  ::fcntl(pipe.ours.get(), F_SETFL, O_NONBLOCK);
  return pipe;
}

Task<bool> readable_until(int fd, MonoTime deadline) {
  const auto executor = co_await asio::this_coro::executor;
  auto descriptor =
      std::make_shared<asio::posix::stream_descriptor>(executor, ::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  asio::steady_timer timer(executor, deadline);
  // The timer's handler may run after this coroutine: it shares the descriptor.
  auto late = std::make_shared<bool>(false);
  timer.async_wait([descriptor, late](const boost::system::error_code& error) {
    if (error) return;
    *late = true;
    boost::system::error_code ignored;
    descriptor->cancel(ignored);
  });
  boost::system::error_code error;
  co_await descriptor->async_wait(asio::posix::stream_descriptor::wait_read,
                                  asio::redirect_error(asio::use_awaitable, error));
  timer.cancel();
  if (!error) co_return true;
  if (*late) co_return false;
  throw boost::system::system_error(error);
}

Task<Result<std::vector<std::string>>> StatusReader::next(MonoTime deadline) {
  bool end = false;
  while (!end && buffered_.find('\n') == std::string::npos) {
    if (!co_await readable_until(fd_.get(), deadline)) {
      co_return fail(Error::timeout("the shim gave no answer in time"));
    }
    char bytes[512];
    const ssize_t n = ::read(fd_.get(), bytes, sizeof bytes);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (n < 0) co_return fail(Error::from_errno(errno, "read the status of the shim"));
    if (n == 0 || buffered_.size() > 4096) end = true;
    buffered_.append(bytes, static_cast<std::size_t>(n));
  }
  const std::size_t newline = std::min(buffered_.find('\n'), buffered_.size());
  const std::string line = buffered_.substr(0, newline);
  buffered_.erase(0, newline + 1);
  std::vector<std::string> words;
  for (std::size_t at = 0; at < line.size();) {
    const std::size_t space = std::min(line.find(' ', at), line.size());
    if (space > at) words.push_back(line.substr(at, space - at));
    at = space + 1;
  }
  co_return words;
}

Failure failure_of(const std::vector<std::string>& words) {
  if (words.size() < 3 || words[0] != "failed") return {};
  return {words[1], std::atoi(words[2].c_str())};
}

}  // namespace moth::shim
