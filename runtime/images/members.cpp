#include "runtime/images/members.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <map>
#include <vector>

#include "runtime/images/decompress.h"
#include "runtime/images/tar_locale.h"
#include "runtime/images/tar_reader.h"
#include "runtime/os/fs.h"

namespace moth::images {
namespace {

constexpr std::size_t kMaxMembers = 100'000;
constexpr int kMaxLinks = 8;

// "a/./b/../c" -> "a/c"; nothing leads above the top.
std::string normalise(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    auto slash = path.find('/');
    std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (part == "..") {
      if (!parts.empty()) parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  return fmt::format("{}", fmt::join(parts, "/"));
}

Error missing(const std::string& name) {
  return Error::bad_request(fmt::format("archive: \"{}\" is missing", name));
}

class DirectoryMembers final : public Members {
 public:
  explicit DirectoryMembers(os::DirFd root) : root_(std::move(root)) {}
  bool has(const std::string& name) const override {
    return root_.open_in_root(normalise(name), O_PATH).has_value();
  }
  Result<std::unique_ptr<ByteSource>> open(const std::string& name) const override {
    auto file = root_.open_in_root(normalise(name), O_RDONLY);
    if (!file) return fail(missing(name));
    return file_source(file->release());
  }

 private:
  os::DirFd root_;
};

class SpooledMembers final : public Members {
 public:
  explicit SpooledMembers(std::string scratch) : scratch_(std::move(scratch)) {}

  bool has(const std::string& name) const override { return find(name) != nullptr; }
  Result<std::unique_ptr<ByteSource>> open(const std::string& name) const override {
    const std::string* path = find(name);
    if (!path) return fail(missing(name));
    return open_file_source(*path);
  }

  std::string add_file(const std::string& name) {
    std::string path = fmt::format("{}/{}", scratch_, files_.size());
    files_[name] = path;
    return path;
  }
  void add_link(const std::string& name, std::string target) { links_[name] = std::move(target); }
  std::size_t size() const { return files_.size() + links_.size(); }

 private:
  const std::string* find(const std::string& name) const {
    std::string at = normalise(name);
    for (int i = 0; i < kMaxLinks; ++i) {
      if (auto file = files_.find(at); file != files_.end()) return &file->second;
      auto link = links_.find(at);
      if (link == links_.end()) return nullptr;
      at = link->second;
    }
    return nullptr;
  }

  std::string scratch_;
  std::map<std::string, std::string> files_;
  std::map<std::string, std::string> links_;
};

constexpr const char* kNoArchive = "not an image archive (tar expected)";

Result<void> write_member(const TarReader& reader, const std::string& path) {
  os::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file) return fail(Error::from_errno(errno, "create " + path));
  if (archive_read_data_into_fd(reader.get(), file.get()) >= ARCHIVE_WARN) return {};
  if (errno == ENOSPC) return fail(Error::from_errno(ENOSPC, "write " + path));
  return fail(reader.error(kNoArchive));
}

}  // namespace

Result<std::string> Members::read(const std::string& name, std::size_t limit) const {
  MOTH_ASSIGN(auto source, open(name));
  std::string text;
  while (true) {
    MOTH_ASSIGN(std::string_view piece, source->read());
    if (piece.empty()) return text;
    if (text.size() + piece.size() > limit) {
      return fail(Error::of(Reason::kRequestEntityTooLarge,
                            fmt::format("archive: \"{}\" is larger than {} bytes", name, limit)));
    }
    text += piece;
  }
}

Result<std::unique_ptr<Members>> directory_members(const std::string& directory) {
  MOTH_ASSIGN(os::DirFd root, os::DirFd::open(directory));
  return std::unique_ptr<Members>(std::make_unique<DirectoryMembers>(std::move(root)));
}

Result<std::unique_ptr<Members>> spool_members(ByteSource& input, const std::string& scratch,
                                               std::uint64_t max_bytes) {
  TarLocale locale;
  DecompressLimits limits;
  limits.max_bytes = max_bytes;
  auto plain = decompress(input, limits);
  TarReader reader(*plain, "archive");
  MOTH_TRY(reader.open(kNoArchive, false));
  auto members = std::make_unique<SpooledMembers>(scratch);
  std::uint64_t declared = 0;
  while (true) {
    MOTH_ASSIGN(archive_entry * entry, reader.next(kNoArchive));
    if (!entry) break;
    const char* raw = archive_entry_pathname(entry);
    if (!raw) return fail(reader.error(kNoArchive));
    std::string name = normalise(raw);
    if (members->size() >= kMaxMembers) {
      return fail(Error::bad_request(fmt::format("archive: more than {} files", kMaxMembers)));
    }
    auto slash = name.rfind('/');
    std::string folder = slash == std::string::npos ? "" : name.substr(0, slash);
    if (const char* target = archive_entry_hardlink(entry)) {
      members->add_link(name, normalise(target));
    } else if (const char* link = archive_entry_symlink(entry)) {
      members->add_link(name, normalise(folder + "/" + link));
    } else if (archive_entry_filetype(entry) == AE_IFREG) {
      // Sparse members would let a small archive claim any size.
      declared += static_cast<std::uint64_t>(std::max<la_int64_t>(0, archive_entry_size(entry)));
      if (declared > max_bytes) {
        return fail(Error::of(Reason::kRequestEntityTooLarge,
                              fmt::format("archive: more than {} bytes", max_bytes)));
      }
      MOTH_TRY(write_member(reader, members->add_file(name)));
    }
  }
  return std::unique_ptr<Members>(std::move(members));
}

}  // namespace moth::images
