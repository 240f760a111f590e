#include "runtime/volumes/host_path.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>

#include "runtime/os/fs.h"

namespace moth::volumes {

namespace {

struct Type {
  std::string_view name;
  mode_t format;
  std::string_view words;
};

constexpr Type kTypes[] = {
    {"Directory", S_IFDIR, "a directory"},
    {"DirectoryOrCreate", S_IFDIR, "a directory"},
    {"File", S_IFREG, "a file"},
    {"FileOrCreate", S_IFREG, "a file"},
    {"Socket", S_IFSOCK, "a socket file"},
    {"CharDevice", S_IFCHR, "a character device"},
    {"BlockDevice", S_IFBLK, "a block device"},
};

Result<> create(const std::string& path, const std::string& type) {
  if (type == "DirectoryOrCreate") return os::make_dirs(path, 0755);
  if (type == "FileOrCreate") return os::write_file(path, "", 0644);
  return {};
}

}  // namespace

Result<> check_host_path(const std::string& path, const std::string& type) {
  if (path.empty() || path.front() != '/') {
    return fail(
        Error::of(Reason::kInvalid, fmt::format("hostPath \"{}\" must be an absolute path", path)));
  }
  if (type.empty()) return {};
  struct stat st;
  const bool exists = ::stat(path.c_str(), &st) == 0;
  if (!exists) MOTH_TRY(create(path, type));
  for (const Type& known : kTypes) {
    if (known.name != type) continue;
    if (::stat(path.c_str(), &st) == 0 && (st.st_mode & S_IFMT) == known.format) return {};
    return fail(Error::of(Reason::kInvalid, fmt::format("hostPath type check failed: {} is not {}",
                                                        path, known.words)));
  }
  return fail(Error::of(Reason::kInvalid, fmt::format("{} is an invalid volume type", type)));
}

}  // namespace moth::volumes
