#pragma once
// Layers between their archive form and a directory. Blocking; no shared state.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "runtime/images/bytes.h"
#include "runtime/images/decompress.h"

namespace moth::images {

struct UnpackOptions {
  DecompressLimits limits;
  std::uint64_t max_entries = 4'000'000;
};

struct UnpackResult {
  std::string digest;   // of the bytes as they came
  std::string diff_id;  // of the plain tar
  std::uint64_t compressed_bytes = 0;
  std::uint64_t size_bytes = 0;  // contents of regular files
  std::uint64_t entries = 0;
  std::uint64_t skipped_devices = 0;  // nodes below /dev, which the runtime makes itself
};

// Reads a layer (tar; gzip, zstd or plain) and writes it below `directory`, which must exist and be
// empty, in one pass. Whiteouts become overlay's own (character device 0:0;
// trusted.overlay.opaque).
//
// No entry reaches outside `directory`, whatever its name and whatever symbolic links came before
// it: ".." is refused, links are resolved as inside a chroot. Device nodes are refused except the
// harmless standard ones; those below /dev are skipped. Of extended attributes security.capability
// and user.* are kept. On error the directory holds rubbish: delete it.
Result<UnpackResult> unpack_layer(ByteSource& input, const std::string& directory,
                                  const UnpackOptions& options = {});

// As unpack_layer, and refuses content whose digest or diff id is another one ("" : not checked).
Result<UnpackResult> unpack_verified(ByteSource& input, const std::string& directory,
                                     const std::string& digest, const std::string& diff_id,
                                     const UnpackOptions& options = {});

struct PackResult {
  std::string diff_id;
  std::uint64_t size_bytes = 0;
};

// Receives the tar piece by piece.
using ByteSink = std::function<Result<void>(std::string_view bytes)>;

// Writes an unpacked layer as tar, overlay's whiteouts turned back. The same directory always gives
// the same bytes (entries sorted, numeric owners), though not those that it was unpacked from.
Result<PackResult> pack_layer(const std::string& directory, const ByteSink& sink);

}  // namespace moth::images
