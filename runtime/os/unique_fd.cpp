#include "runtime/os/unique_fd.h"

#include <fcntl.h>
#include <unistd.h>

namespace moth::os {

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = fd;
}

UniqueFd UniqueFd::duplicate() const {
  return UniqueFd(::fcntl(fd_, F_DUPFD_CLOEXEC, 3));
}

}  // namespace moth::os
