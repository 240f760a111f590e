#pragma once
// Store: images and their unpacked layers below one directory.
//
//   <root>/blobs/sha256/<hex>       image configurations (small, whole, verified)
//   <root>/layers/<chain hex>/diff  one layer, unpacked once, shared by all images that have it
//   <root>/layers/<chain hex>/layer.json  {"diffID", "size", "digest"}
//   <root>/images.json              names, digests, layers; replaced atomically
//   <root>/ingest/                  whatever is being written; emptied when the store opens
//
// A layer appears by rename after syncfs, an image only when all its layers are there: nothing
// half-written ever counts. Compressed layers are not kept.
//
// Thread-safe. list, find, layer*, pin and root only touch memory, under a mutex that is never held
// across disk access; everything else belongs on the blocking executor. One process owns a root
// (flock).
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"
#include "runtime/images/image.h"
#include "runtime/images/reference.h"
#include "runtime/images/unpack.h"

namespace moth::images {

struct LayerInfo {
  std::string chain_id;
  std::string diff_id;
  std::string digest;  // of the compressed form it came from; may be empty
  std::uint64_t size_bytes = 0;
};

struct Removed {
  std::vector<std::string> untagged;  // canonical names
  std::vector<std::string> deleted;   // image ids
  std::uint64_t freed_bytes = 0;
};

// Keeps layers from being deleted while it lives (a pull in progress, a mounted root file system).
using LayerPin = std::shared_ptr<const void>;

class Store {
 public:
  // Opens or makes the store and clears what a crash left half-written.
  static Result<std::unique_ptr<Store>> open(std::string root);
  ~Store();

  const std::string& root() const;

  std::vector<ImagePtr> list() const;  // by id
  // By reference (name, name@digest), or by id, whole or abbreviated to 12 hex digits or more.
  // Null when there is none.
  ImagePtr find(const Reference& reference) const;
  ImagePtr find(std::string_view reference_or_id) const;

  // Adds or replaces a name; the image that had it keeps its other names.
  Result<ImagePtr> tag(const std::string& id, const std::string& canonical_name);
  // The credential with this fingerprint may use the image too; "" : everyone may.
  Result<void> grant(const std::string& id, const std::string& fingerprint);
  // By name: removes the name, and the image when that was its last one. By id: all names and the
  // image. Layers that nothing needs any more are deleted; pinned ones stay until prune_layers.
  Result<Removed> remove(const std::string& reference_or_id);
  // Removes images without a name, or all (`all`), except those that `in_use` names by id.
  Result<Removed> prune(const std::set<std::string>& in_use, bool all);
  // Deletes layers that no image and no pin needs.
  Result<std::uint64_t> prune_layers();

  // Directories of the layers, bottom first.
  std::vector<std::string> layer_directories(const Image& image) const;
  std::string layer_directory(std::string_view chain_id) const;
  std::optional<LayerInfo> layer(const std::string& chain_id) const;
  LayerPin pin(const std::vector<std::string>& chain_ids);

  class Ingest;
  Result<std::unique_ptr<Ingest>> begin_ingest();
  // Makes `ingest`'s content the layer `chain_id`. A layer that is there already wins.
  Result<LayerInfo> commit_layer(std::unique_ptr<Ingest> ingest, const std::string& chain_id,
                                 const UnpackResult& unpacked);
  // The raw configuration of an image.
  Result<std::string> read_config(const std::string& image_id) const;
  // Registers an image whose configuration was written and whose layers are there. `name`,
  // `repo_digest` (name@digest) and `pulled_with` may be empty. `layers` are chain ids of the
  // store, which may differ from those of the configuration (see build.h).
  struct NewImage {
    std::string config;  // raw JSON
    std::string name;
    std::string repo_digest;
    std::string pulled_with;
    bool local = false;
    std::vector<std::string> layers;  // empty: the chain ids of the configuration
  };
  Result<ImagePtr> add_image(NewImage image);

  std::uint64_t layer_bytes() const;  // all layers on disk

 private:
  struct State;
  explicit Store(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

// An empty directory on the store's file system, with a folder `diff` for a layer's content.
class Store::Ingest {
 public:
  explicit Ingest(std::string path);
  ~Ingest();  // removes what is left
  Ingest(const Ingest&) = delete;
  Ingest& operator=(const Ingest&) = delete;
  const std::string& path() const { return path_; }
  std::string diff() const { return path_ + "/diff"; }

 private:
  std::string path_;
};

}  // namespace moth::images
