#include "daemon/store/data_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "daemon/store/sqlite_backend.h"

namespace moth::store {
namespace {

Result<> make_directory(const std::string& path) {
  std::error_code error;
  auto parent = std::filesystem::path(path).parent_path();
  if (!parent.empty()) std::filesystem::create_directories(parent, error);
  if (error) return fail(Error::from_errno(error.value(), "create " + parent.string()));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return fail(Error::from_errno(errno, "create " + path));
  }
  return {};
}

std::string holder(int file) {
  std::array<char, 32> text{};
  ssize_t length = ::pread(file, text.data(), text.size(), 0);
  std::string pid(text.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  while (!pid.empty() && pid.back() == '\n') pid.pop_back();
  return pid.empty() ? "unknown" : pid;
}

}  // namespace

Result<DataLock> DataLock::take(const std::string& data_dir) {
  MOTH_TRY(make_directory(data_dir));
  std::string path = data_dir + "/" + kLockFile;
  int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return fail(Error::from_errno(errno, "open " + path));
  DataLock lock(file);
  if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return fail(Error::from_errno(errno, "lock " + path));
    return fail(Error::unavailable(
        fmt::format("another daemon (pid {}) uses the data directory {}; stop it, or give this one "
                    "a directory and an instance name of its own",
                    holder(file), data_dir)));
  }
  std::string pid = fmt::format("{}\n", ::getpid());
  // The pid is for people only: a full disk must not keep the daemon from starting.
  if (::ftruncate(file, 0) == 0) (void)!::pwrite(file, pid.data(), pid.size(), 0);
  return lock;
}

DataLock::DataLock(DataLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

DataLock& DataLock::operator=(DataLock&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

DataLock::~DataLock() {
  if (file_ >= 0) ::close(file_);
}

}  // namespace moth::store
