#include "runtime/network/sysctl.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "api/base/log.h"

namespace moth::network {

Result<> write_sysctl(const std::string& name, std::string_view value) {
  std::string path = "/proc/sys/" + name;
  int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return fail(Error::from_errno(errno, "open " + path));
  ssize_t written = ::write(fd, value.data(), value.size());
  int error = errno;
  ::close(fd);
  if (written < 0) return fail(Error::from_errno(error, "write " + path));
  return {};
}

Result<std::string> read_sysctl(const std::string& name) {
  std::string path = "/proc/sys/" + name;
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(Error::from_errno(errno, "open " + path));
  char text[256];
  ssize_t got = ::read(fd, text, sizeof text);
  int error = errno;
  ::close(fd);
  if (got < 0) return fail(Error::from_errno(error, "read " + path));
  std::string value(text, static_cast<std::size_t>(got));
  while (!value.empty() && value.back() == '\n') value.pop_back();
  return value;
}

void try_sysctl(const std::string& name, std::string_view value) {
  auto now = read_sysctl(name);
  if (!now || *now == value) return;
  if (auto done = write_sysctl(name, value); !done)
    log::warning("a kernel setting could not be changed", log::field("setting", name),
                 log::field("value", value), log::field("error", done.error().message));
}

}  // namespace moth::network
