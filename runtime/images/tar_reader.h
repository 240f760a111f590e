#pragma once
// TarReader: the entries of a tar archive that comes as bytes, by libarchive. Blocking. Internal to
// runtime/images; a TarLocale is to be alive meanwhile.
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "runtime/images/bytes.h"

struct archive;
struct archive_entry;

namespace moth::images {

class TarReader {
 public:
  // `source` outlives it. `what` begins every error: "layer".
  TarReader(ByteSource& source, std::string what);

  // Once, first. `wrong` says what it is when it is no archive.
  Result<void> open(std::string_view wrong, bool may_be_empty);
  // The next entry, valid until the next call; null at the end.
  Result<archive_entry*> next(std::string_view wrong);
  // For libarchive's functions on the content of the entry.
  archive* get() const { return reader_.get(); }
  // The source's own failure, if it was that; else BadRequest "what: wrong: libarchive's text".
  Error error(std::string_view wrong) const;

 private:
  struct State {
    ByteSource& source;
    std::optional<Error> error;
  };
  struct Free {
    void operator()(archive* reader) const;
  };
  static ssize_t read(archive* reader, void* state, const void** buffer);

  std::string what_;
  std::unique_ptr<State> state_;
  std::unique_ptr<archive, Free> reader_;
};

}  // namespace moth::images
