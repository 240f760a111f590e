#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>

#include "runtime/images/digest.h"
#include "runtime/images/tar_locale.h"
#include "runtime/images/unpack.h"
#include "runtime/os/fs.h"

namespace moth::images {
namespace {

struct WriterFree {
  void operator()(archive* writer) const { archive_write_free(writer); }
};
struct EntryFree {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

struct SinkState {
  const ByteSink* sink;
  Sha256 hash;
  std::uint64_t bytes = 0;
  Error error;
  bool failed = false;
};

la_ssize_t write_callback(archive* writer, void* data, const void* buffer, std::size_t size) {
  auto* state = static_cast<SinkState*>(data);
  std::string_view piece(static_cast<const char*>(buffer), size);
  state->hash.update(piece);
  state->bytes += size;
  if (auto written = (*state->sink)(piece); !written) {
    state->error = std::move(written).error();
    state->failed = true;
    archive_set_error(writer, EIO, "sink");
    return -1;
  }
  return static_cast<la_ssize_t>(size);
}

bool has_opaque_mark(const std::string& path) {
  char value = 0;
  return ::lgetxattr(path.c_str(), "trusted.overlay.opaque", &value, 1) == 1 && value == 'y';
}

void copy_xattrs(const std::string& path, archive_entry* entry) {
  std::string names(4096, '\0');
  ssize_t length = ::llistxattr(path.c_str(), names.data(), names.size());
  if (length <= 0) return;
  std::string_view rest(names.data(), static_cast<std::size_t>(length));
  while (!rest.empty()) {
    std::string name(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(rest.size(), name.size() + 1));
    if (name != "security.capability" && !name.starts_with("user.")) continue;
    std::string value(64 * 1024, '\0');
    ssize_t size = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (size >= 0) {
      archive_entry_xattr_add_entry(entry, name.c_str(), value.data(),
                                    static_cast<std::size_t>(size));
    }
  }
}

class Packer {
 public:
  Packer(std::string root, archive* writer, SinkState& state)
      : root_(std::move(root)), writer_(writer), state_(state) {}

  Result<void> directory(const std::string& path) {
    std::string full = full_path(path);
    if (has_opaque_mark(full)) MOTH_TRY(marker(join(path, ".wh..wh..opq")));
    MOTH_ASSIGN(std::vector<os::DirEntry> entries, os::list_dir(full));
    for (const os::DirEntry& entry : entries) MOTH_TRY(take(join(path, entry.name), entry.name));
    return {};
  }

  Result<void> header_of(const std::string& path, const struct stat& info) {
    auto entry = begin(path, info);
    copy_xattrs(full_path(path), entry.get());
    return write_header(entry.get(), path);
  }

 private:
  using Entry = std::unique_ptr<archive_entry, EntryFree>;

  static std::string join(const std::string& path, const std::string& name) {
    return path.empty() ? name : path + "/" + name;
  }
  std::string full_path(const std::string& path) const { return join(root_, path); }

  Error writer_error(const std::string& path) {
    if (state_.failed) return state_.error;
    const char* text = archive_error_string(writer_);
    return Error::internal(fmt::format("packing \"{}\": {}", path, text ? text : "unknown"));
  }

  static Entry begin(const std::string& path, const struct stat& info) {
    Entry entry(archive_entry_new());
    archive_entry_copy_pathname(entry.get(), path.empty() ? "./" : path.c_str());
    archive_entry_set_mode(entry.get(), info.st_mode);
    archive_entry_set_uid(entry.get(), info.st_uid);
    archive_entry_set_gid(entry.get(), info.st_gid);
    archive_entry_set_mtime(entry.get(), info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
    archive_entry_set_size(entry.get(), S_ISREG(info.st_mode) ? info.st_size : 0);
    return entry;
  }

  Result<void> write_header(archive_entry* entry, const std::string& path) {
    if (archive_write_header(writer_, entry) < ARCHIVE_WARN) return fail(writer_error(path));
    return {};
  }

  Result<void> marker(const std::string& path) {
    struct stat info {};
    info.st_mode = S_IFREG | 0600;
    return write_header(begin(path, info).get(), path);
  }

  Result<void> take(const std::string& path, const std::string& name) {
    struct stat info {};
    std::string full = full_path(path);
    if (::lstat(full.c_str(), &info) != 0) return fail(Error::from_errno(errno, full));
    if (S_ISCHR(info.st_mode) && info.st_rdev == 0) {
      return marker(path.substr(0, path.size() - name.size()) + ".wh." + name);
    }
    if (S_ISSOCK(info.st_mode)) return {};
    if (S_ISDIR(info.st_mode)) {
      MOTH_TRY(header_of(path, info));
      return directory(path);
    }
    if (S_ISREG(info.st_mode) && info.st_nlink > 1) {
      auto [it, first] = linked_.try_emplace({info.st_dev, info.st_ino}, path);
      if (!first) {
        auto entry = begin(path, info);
        archive_entry_set_size(entry.get(), 0);
        archive_entry_copy_hardlink(entry.get(), it->second.c_str());
        return write_header(entry.get(), path);
      }
    }
    auto entry = begin(path, info);
    if (S_ISLNK(info.st_mode)) {
      std::array<char, 4097> target{};
      ssize_t length = ::readlink(full.c_str(), target.data(), target.size() - 1);
      if (length < 0) return fail(Error::from_errno(errno, full));
      archive_entry_copy_symlink(entry.get(), target.data());
    } else if (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)) {
      archive_entry_set_rdev(entry.get(), info.st_rdev);
    }
    if (!S_ISLNK(info.st_mode)) copy_xattrs(full, entry.get());
    MOTH_TRY(write_header(entry.get(), path));
    return S_ISREG(info.st_mode) ? content(full, path) : Result<void>();
  }

  Result<void> content(const std::string& full, const std::string& path) {
    os::UniqueFd file(::open(full.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return fail(Error::from_errno(errno, full));
    while (true) {
      ssize_t got = ::read(file.get(), buffer_.data(), buffer_.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(Error::from_errno(errno, full));
      if (got == 0) return {};
      if (archive_write_data(writer_, buffer_.data(), static_cast<std::size_t>(got)) != got) {
        return fail(writer_error(path));
      }
    }
  }

  std::string root_;
  archive* writer_;
  SinkState& state_;
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;
  std::string buffer_ = std::string(256 * 1024, '\0');
};

}  // namespace

Result<PackResult> pack_layer(const std::string& directory, const ByteSink& sink) {
  TarLocale locale;
  SinkState state{&sink, {}, 0, {}, false};
  std::unique_ptr<archive, WriterFree> writer(archive_write_new());
  archive_write_set_format_pax_restricted(writer.get());
  archive_write_set_bytes_per_block(writer.get(), 1 << 18);
  archive_write_set_bytes_in_last_block(writer.get(), 1);
  if (archive_write_open(writer.get(), &state, nullptr, write_callback, nullptr) != ARCHIVE_OK) {
    return fail(Error::internal("the tar writer could not be opened"));
  }
  Packer packer(directory, writer.get(), state);
  struct stat info {};
  if (::lstat(directory.c_str(), &info) != 0) return fail(Error::from_errno(errno, directory));
  MOTH_TRY(packer.header_of("", info));
  MOTH_TRY(packer.directory(""));
  if (archive_write_close(writer.get()) != ARCHIVE_OK) {
    if (state.failed) return fail(state.error);
    const char* text = archive_error_string(writer.get());
    return fail(Error::internal(fmt::format("packing: {}", text ? text : "unknown")));
  }
  return PackResult{state.hash.finish(), state.bytes};
}

}  // namespace moth::images
