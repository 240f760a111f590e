#pragma once
// The files of an image archive, by name: a directory, or a tar stream that is spooled to disk
// first (its manifest may come last). Blocking. Internal to runtime/images.
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/base/result.h"
#include "runtime/images/bytes.h"

namespace moth::images {

class Members {
 public:
  virtual ~Members() = default;
  virtual bool has(const std::string& name) const = 0;
  virtual Result<std::unique_ptr<ByteSource>> open(const std::string& name) const = 0;
  // A small one, whole.
  Result<std::string> read(const std::string& name, std::size_t limit = 8 << 20) const;
};

Result<std::unique_ptr<Members>> directory_members(const std::string& directory);

// Reads `input` (compressed or not) to its end, writing its files below `scratch`, an existing
// directory that the caller removes.
Result<std::unique_ptr<Members>> spool_members(ByteSource& input, const std::string& scratch,
                                               std::uint64_t max_bytes);

}  // namespace moth::images
