#pragma once
// Image archives: `docker save` tarballs and OCI layouts, as tar (also gzip, zstd) or directory.
// Blocking.
#include <map>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "runtime/images/bytes.h"
#include "runtime/images/registry.h"
#include "runtime/images/store.h"

namespace moth::images {

struct LoadOptions {
  // Name for an image that the archive does not name; with one image it replaces the archive's.
  std::string name;
  Platform platform;
  std::uint64_t max_bytes = 64ULL << 30;
  // Whether the manifest's digest becomes a name of the image (name@digest).
  bool keep_digest = true;
  // Chain ids of the archive's stack that are present under another one (see build.h).
  std::map<std::string, std::string> layer_aliases;
};

struct Loaded {
  ImagePtr image;
  std::vector<std::string> names;  // canonical names given by the archive
};

// Every image of the archive for the platform. Nothing is added when any of them is broken, but
// layers that were unpacked stay until the next prune.
Result<std::vector<Loaded>> load_archive(Store& store, ByteSource& input,
                                         const LoadOptions& options = {});
Result<std::vector<Loaded>> load_layout(Store& store, const std::string& directory,
                                        const LoadOptions& options = {});

enum class ArchiveFormat { kDocker, kOci };

// Writes images with all their names as one tar archive. Layers are packed anew, so their diff ids
// (and the image ids of the copy) are not the original's.
Result<void> save_archive(const Store& store, const std::vector<ImagePtr>& images,
                          ArchiveFormat format, const ByteSink& sink);

// Writes one image as an OCI layout directory with plain layers. Returns the diff ids of the packed
// layers, bottom first.
Result<std::vector<std::string>> save_layout(const Store& store, const ImagePtr& image,
                                             const std::string& directory);

}  // namespace moth::images
