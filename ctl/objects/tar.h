#pragma once
// tar archives as `cp` needs them: ustar with long names (GNU's and pax'), regular files, folders,
// symbolic links. Entries of other types are passed over.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ctl/cli/failure.h"

namespace moth::ctl {

struct TarEntry {
  enum class Type { kFile, kFolder, kLink, kOther };
  std::string name;
  Type type = Type::kFile;
  std::string target;  // of a link
  std::uint64_t size = 0;
  unsigned mode = 0644;
  std::int64_t modified = 0;  // seconds since 1970
};

// The header blocks of an entry; its content follows, padded to whole blocks.
std::string tar_header(const TarEntry& entry);
// Zeros up to the next block behind content of that size.
std::string tar_padding(std::uint64_t size);
// The end mark of an archive.
std::string tar_end();

// Takes an archive apart as its bytes come. Fails when they are no archive.
class TarReader {
 public:
  // `entry` is told of each entry, then `content` of the pieces of a file.
  TarReader(std::function<Outcome<>(const TarEntry&)> entry,
            std::function<Outcome<>(std::string_view)> content)
      : entry_(std::move(entry)), content_(std::move(content)) {}

  Outcome<> add(std::string_view bytes);
  // All entries were complete.
  bool complete() const { return left_ == 0 && block_.empty(); }
  std::size_t entries() const { return entries_; }

 private:
  Outcome<> block();
  Outcome<> finish_special();

  std::function<Outcome<>(const TarEntry&)> entry_;
  std::function<Outcome<>(std::string_view)> content_;
  std::string block_;       // a header that is not whole yet
  std::uint64_t left_ = 0;  // of the present entry's content
  std::uint64_t padding_ = 0;
  char special_ = 0;  // the content is a name: 'L', 'K', 'x'
  std::string special_text_;
  std::string long_name_, long_target_;  // for the next entry
  bool wanted_ = false;                  // the content goes to content_
  std::size_t entries_ = 0;
};

}  // namespace moth::ctl
