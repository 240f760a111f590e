#pragma once
// Decompression of a byte source: gzip (several members), zstd (several frames) or plain, told by
// the first bytes. Blocking.
#include <cstdint>
#include <memory>

#include "api/base/result.h"
#include "runtime/images/bytes.h"

namespace moth::images {

struct DecompressLimits {
  std::uint64_t max_bytes = 64ULL << 30;  // of output
  // Output may exceed `ratio` times the input only below `ratio_free_bytes`.
  std::uint64_t ratio = 400;
  std::uint64_t ratio_free_bytes = 512ULL << 20;
};

// Refuses output beyond the limits. `input` must outlive the result.
std::unique_ptr<ByteSource> decompress(ByteSource& input, DecompressLimits limits = {});

// For tests and archives: the whole input as gzip or zstd.
enum class Compression { kNone, kGzip, kZstd };
Result<std::string> compress(std::string_view bytes, Compression kind);

}  // namespace moth::images
