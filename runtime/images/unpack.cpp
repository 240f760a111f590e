#include "runtime/images/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "runtime/images/digest.h"
#include "runtime/images/extractor.h"
#include "runtime/images/tar_locale.h"
#include "runtime/images/tar_reader.h"

namespace moth::images {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kWhiteoutMeta = ".wh..wh.";
constexpr std::size_t kMaxXattr = 64 * 1024;

// Passes bytes on and digests them.
class DigestSource final : public ByteSource {
 public:
  explicit DigestSource(ByteSource& input) : input_(input) {}
  Result<std::string_view> read() override {
    MOTH_ASSIGN(std::string_view piece, input_.read());
    hash_.update(piece);
    bytes_ += piece.size();
    return piece;
  }
  // Reads to the end: readers of an archive stop at its end mark.
  Result<std::string> finish() {
    while (true) {
      MOTH_ASSIGN(std::string_view piece, read());
      if (piece.empty()) return hash_.finish();
    }
  }
  std::uint64_t bytes() const { return bytes_; }

 private:
  ByteSource& input_;
  Sha256 hash_;
  std::uint64_t bytes_ = 0;
};

bool harmless_device(mode_t type, dev_t device) {
  if (type != S_IFCHR) return false;
  constexpr std::array<std::pair<unsigned, unsigned>, 6> kKnown = {
      {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}}};
  return std::any_of(kKnown.begin(), kKnown.end(), [&](const auto& known) {
    return major(device) == known.first && minor(device) == known.second;
  });
}

EntryMeta read_meta(archive_entry* entry) {
  EntryMeta meta;
  meta.uid = static_cast<std::uint32_t>(archive_entry_uid(entry));
  meta.gid = static_cast<std::uint32_t>(archive_entry_gid(entry));
  meta.mode = archive_entry_mode(entry) & 07777;
  meta.mtime = {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
  archive_entry_xattr_reset(entry);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  while (archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
    std::string_view key = name ? name : "";
    bool wanted = key == "security.capability" ||
                  (key.starts_with("user.") && !key.starts_with("user.overlay."));
    if (wanted && size <= kMaxXattr) {
      meta.xattrs.emplace_back(key, std::string(static_cast<const char*>(value), size));
    }
  }
  return meta;
}

class LayerReader {
 public:
  LayerReader(ByteSource& tar, Extractor& extractor, const UnpackOptions& options,
              UnpackResult& result)
      : archive_(tar, "layer"), extractor_(extractor), options_(options), result_(result) {}

  Result<void> run() {
    MOTH_TRY(archive_.open("not a tar archive", true));
    while (true) {
      MOTH_ASSIGN(archive_entry * entry, archive_.next("damaged tar archive"));
      if (!entry) return extractor_.finish();
      if (++result_.entries > options_.max_entries) {
        return fail(Error::of(Reason::kRequestEntityTooLarge,
                              fmt::format("layer: more than {} files", options_.max_entries)));
      }
      MOTH_TRY(take(entry));
    }
  }

 private:
  Result<void> take(archive_entry* entry) {
    const char* raw = archive_entry_pathname(entry);
    if (!raw) return fail(archive_.error("a file name cannot be read"));
    MOTH_ASSIGN(std::string path, clean_path(raw));
    auto slash = path.rfind('/');
    std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    std::string parent = slash == std::string::npos ? "" : path.substr(0, slash);
    if (name.starts_with(kWhiteout)) return take_whiteout(parent, name);

    const EntryMeta meta = read_meta(entry);
    if (const char* target = archive_entry_hardlink(entry)) {
      MOTH_ASSIGN(std::string clean, clean_path(target));
      return extractor_.hardlink(path, clean);
    }
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        return extractor_.directory(path, meta);
      case AE_IFLNK:
        return take_symlink(path, entry, meta);
      case AE_IFREG:
        return take_regular(path, entry, meta);
      case AE_IFIFO:
        return extractor_.node(path, S_IFIFO, 0, meta);
      case AE_IFCHR:
      case AE_IFBLK:
        return take_device(path, entry, meta);
      case AE_IFSOCK:
        return {};
      default:
        return fail(Error::bad_request(fmt::format("layer: \"{}\" is of an unknown type", path)));
    }
  }

  Result<void> take_whiteout(const std::string& parent, const std::string& name) {
    if (name == kOpaque) return extractor_.opaque(parent);
    if (name.starts_with(kWhiteoutMeta)) return {};  // aufs' own bookkeeping
    std::string hidden = name.substr(kWhiteout.size());
    if (hidden.empty() || hidden == "." || hidden == "..") {
      return fail(
          Error::bad_request(fmt::format("layer: \"{}/{}\" is no valid whiteout", parent, name)));
    }
    return extractor_.whiteout(parent.empty() ? hidden : parent + "/" + hidden);
  }

  Result<void> take_symlink(const std::string& path, archive_entry* entry, const EntryMeta& meta) {
    const char* target = archive_entry_symlink(entry);
    if (path.empty() || !target || !*target) {
      return fail(
          Error::bad_request(fmt::format("layer: the symbolic link \"{}\" has no target", path)));
    }
    return extractor_.symlink(path, target, meta);
  }

  Result<void> take_regular(const std::string& path, archive_entry* entry, const EntryMeta& meta) {
    if (path.empty()) return fail(Error::bad_request("layer: the root is not a directory"));
    auto size = static_cast<std::uint64_t>(std::max<la_int64_t>(0, archive_entry_size(entry)));
    if (size >
        options_.limits.max_bytes - std::min(options_.limits.max_bytes, result_.size_bytes)) {
      return fail(Error::of(
          Reason::kRequestEntityTooLarge,
          fmt::format("layer: files of more than {} bytes in all", options_.limits.max_bytes)));
    }
    result_.size_bytes += size;
    return extractor_.regular(path, meta, [&](int fd) { return write_content(fd, path, size); });
  }

  Result<void> write_content(int fd, const std::string& path, std::uint64_t size) {
    std::uint64_t written_to = 0;
    while (true) {
      const void* buffer = nullptr;
      std::size_t count = 0;
      la_int64_t offset = 0;
      int code = archive_read_data_block(archive_.get(), &buffer, &count, &offset);
      if (code == ARCHIVE_EOF) break;
      if (code < ARCHIVE_WARN) return fail(archive_.error(fmt::format("\"{}\"", path)));
      const char* data = static_cast<const char*>(buffer);
      auto position = static_cast<std::uint64_t>(offset);
      if (offset < 0 || position + count > size) {
        return fail(Error::bad_request(fmt::format("layer: \"{}\" has a wrong size", path)));
      }
      while (count > 0) {
        ssize_t done = ::pwrite(fd, data, count, static_cast<off_t>(position));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return fail(Error::from_errno(errno, fmt::format("write \"{}\"", path)));
        data += done;
        count -= static_cast<std::size_t>(done);
        position += static_cast<std::uint64_t>(done);
      }
      written_to = position;
    }
    // A sparse file may end in a hole.
    if (written_to < size && ::ftruncate(fd, static_cast<off_t>(size)) != 0) {
      return fail(Error::from_errno(errno, fmt::format("truncate \"{}\"", path)));
    }
    return {};
  }

  Result<void> take_device(const std::string& path, archive_entry* entry, const EntryMeta& meta) {
    mode_t type = archive_entry_filetype(entry) == AE_IFCHR ? S_IFCHR : S_IFBLK;
    dev_t device = makedev(archive_entry_rdevmajor(entry), archive_entry_rdevminor(entry));
    if (path.starts_with("dev/")) {
      ++result_.skipped_devices;
      return {};
    }
    if (harmless_device(type, device)) return extractor_.node(path, type, device, meta);
    return fail(Error::of(
        Reason::kForbidden,
        fmt::format("layer: \"{}\" is a device node ({} {}:{}): images must not bring their own",
                    path, type == S_IFCHR ? "char" : "block", major(device), minor(device))));
  }

  TarReader archive_;
  Extractor& extractor_;
  const UnpackOptions& options_;
  UnpackResult& result_;
};

}  // namespace

Result<UnpackResult> unpack_layer(ByteSource& input, const std::string& directory,
                                  const UnpackOptions& options) {
  TarLocale locale;
  MOTH_ASSIGN(os::DirFd root, os::DirFd::open(directory));
  Extractor extractor(std::move(root));
  UnpackResult result;
  DigestSource compressed(input);
  auto plain = decompress(compressed, options.limits);
  DigestSource tar(*plain);
  LayerReader reader(tar, extractor, options, result);
  MOTH_TRY(reader.run());
  MOTH_ASSIGN(result.diff_id, tar.finish());
  MOTH_ASSIGN(result.digest, compressed.finish());
  result.compressed_bytes = compressed.bytes();
  return result;
}

Result<UnpackResult> unpack_verified(ByteSource& input, const std::string& directory,
                                     const std::string& digest, const std::string& diff_id,
                                     const UnpackOptions& options) {
  MOTH_ASSIGN(UnpackResult result, unpack_layer(input, directory, options));
  if (!digest.empty() && result.digest != digest) {
    return fail(Error::bad_request(
        fmt::format("layer: the content's digest is {}, but {} was asked for: refused",
                    result.digest, digest)));
  }
  if (!diff_id.empty() && result.diff_id != diff_id) {
    return fail(Error::bad_request(
        fmt::format("layer: the unpacked content's digest is {}, but the image says {}: refused",
                    result.diff_id, diff_id)));
  }
  return result;
}

}  // namespace moth::images
