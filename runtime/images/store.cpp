#include "runtime/images/store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <map>

#include "api/base/json.h"
#include "api/base/log.h"
#include "runtime/images/digest.h"
#include "runtime/os/fs.h"
#include "runtime/os/unique_fd.h"

namespace moth::images {
namespace {

using Catalog = std::map<std::string, ImagePtr>;  // by id

constexpr std::size_t kShortestId = 12;
constexpr std::size_t kMaxConfig = 8 << 20;

bool is_hex(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

void insert_sorted(std::vector<std::string>& list, const std::string& item) {
  auto it = std::lower_bound(list.begin(), list.end(), item);
  if (it == list.end() || *it != item) list.insert(it, item);
}

bool erase_item(std::vector<std::string>& list, const std::string& item) {
  auto it = std::find(list.begin(), list.end(), item);
  if (it == list.end()) return false;
  list.erase(it);
  return true;
}

bool contains(const std::vector<std::string>& list, const std::string& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

std::vector<std::string> read_strings(const Json& object, std::string_view key) {
  std::vector<std::string> list;
  if (const Json* member = find_member(object, key); member && member->is_array()) {
    for (const Json& item : *member) {
      if (item.is_string()) list.push_back(item.get<std::string>());
    }
  }
  return list;
}

Result<void> sync_directory(const std::string& path) {
  os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd || ::fsync(fd.get()) != 0) return fail(Error::from_errno(errno, "sync " + path));
  return {};
}

ImagePtr find_name(const Catalog& images, const std::string& canonical) {
  bool digest = canonical.find('@') != std::string::npos;
  for (const auto& [id, image] : images) {
    if (contains(digest ? image->digests : image->names, canonical)) return image;
  }
  return nullptr;
}

ImagePtr find_id(const Catalog& images, std::string_view text) {
  if (text.starts_with("sha256:")) text.remove_prefix(7);
  if (text.size() < kShortestId || text.size() > 64 || !is_hex(text)) return nullptr;
  std::string from = fmt::format("sha256:{}", text);
  auto it = images.lower_bound(from);
  if (it == images.end() || !it->first.starts_with(from)) return nullptr;
  auto next = std::next(it);
  if (next != images.end() && next->first.starts_with(from)) return nullptr;  // ambiguous
  return it->second;
}

// Images are shared and never change: a changed one takes its place.
ImagePtr replace(Catalog& images, const ImagePtr& image,
                 const std::function<void(Image&)>& change) {
  auto copy = std::make_shared<Image>(*image);
  change(*copy);
  images[copy->id] = copy;
  return copy;
}

// Gives `name` up wherever it is, but at `keeper`.
void take_name(Catalog& images, const std::string& name, const std::string& keeper) {
  ImagePtr holder = find_name(images, name);
  if (!holder || holder->id == keeper) return;
  replace(images, holder, [&](Image& image) { erase_item(image.names, name); });
}

// The same image came again: what was known of it stays.
void merge(const Image& known, Image& added) {
  for (const std::string& name : known.names) insert_sorted(added.names, name);
  for (const std::string& digest : known.digests) insert_sorted(added.digests, digest);
  added.layers = known.layers;
  added.size_bytes = known.size_bytes;
  added.stored_at = known.stored_at;
  added.local = added.local && known.local;
  // Once anyone may use it, anyone may.
  if (known.pulled_with.empty()) added.pulled_with.clear();
  if (added.pulled_with.empty()) return;
  for (const std::string& who : known.pulled_with) insert_sorted(added.pulled_with, who);
}

Error no_such_image(std::string_view what) {
  return Error::of(Reason::kNotFound, fmt::format("no such image: {}", what));
}

}  // namespace

struct Store::State {
  std::string root;
  os::UniqueFd lock_file;
  // Held by whoever changes something, disk access included. Only such a holder changes `images`
  // and `layers`, so it may read them without `mutex`.
  std::mutex writer;
  std::mutex mutex;  // guards the maps; held for moments
  Catalog images;
  std::map<std::string, LayerInfo> layers;  // by chain id
  std::map<std::string, int> pins;          // by chain id
  std::atomic<std::uint64_t> next_ingest{1};

  std::string path(std::string_view tail) const { return fmt::format("{}/{}", root, tail); }
  std::string layer_path(std::string_view chain_id) const {
    return fmt::format("{}/layers/{}", root, digest_hex(chain_id));
  }
  std::string blob_path(std::string_view digest) const {
    return fmt::format("{}/blobs/sha256/{}", root, digest_hex(digest));
  }
  std::string scratch_path() { return fmt::format("{}/ingest/{}", root, next_ingest.fetch_add(1)); }

  Result<void> prepare();
  Result<void> read_layers();
  void read_images();
  Result<void> drop_stray_blobs();
  ImagePtr read_image(const Json& entry);
  std::uint64_t size_of(const std::vector<std::string>& chain) const;
  Result<void> publish(Catalog next);
  std::vector<std::string> take_unneeded_layers(std::uint64_t& freed);
  Result<void> delete_images(const std::vector<ImagePtr>& doomed, Removed& removed);
};

Result<void> Store::State::prepare() {
  for (const char* folder : {"blobs/sha256", "layers", "ingest"}) {
    MOTH_TRY(os::make_dirs(path(folder), 0700));
  }
  lock_file.reset(::open(path("lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock_file) return fail(Error::from_errno(errno, "open " + path("lock")));
  if (::flock(lock_file.get(), LOCK_EX | LOCK_NB) != 0) {
    return fail(Error::of(Reason::kConflict,
                          fmt::format("the image store {} is in use by another process", root)));
  }
  MOTH_ASSIGN(auto leftovers, os::list_dir(path("ingest")));
  for (const auto& entry : leftovers) {
    if (auto gone = os::remove_tree(path("ingest/" + entry.name)); !gone) {
      log::warning("a leftover of an interrupted pull stays", log::field("path", entry.name),
                   log::field("error", gone.error().message));
    }
  }
  return {};
}

Result<void> Store::State::read_layers() {
  MOTH_ASSIGN(auto entries, os::list_dir(path("layers")));
  for (const auto& entry : entries) {
    LayerInfo info;
    info.chain_id = "sha256:" + entry.name;
    auto text = os::read_file(path("layers/" + entry.name + "/layer.json"));
    Json document = text ? Json::parse(*text, nullptr, false) : Json();
    if (!valid_digest(info.chain_id) || !document.is_object()) {
      log::warning("removing an incomplete layer", log::field("layer", entry.name));
      MOTH_TRY(os::remove_tree(path("layers/" + entry.name)));
      continue;
    }
    info.diff_id = string_or(document, "diffID");
    info.digest = string_or(document, "digest");
    info.size_bytes = static_cast<std::uint64_t>(int_or(document, "size"));
    layers.emplace(info.chain_id, std::move(info));
  }
  return {};
}

ImagePtr Store::State::read_image(const Json& entry) {
  auto image = std::make_shared<Image>();
  image->id = string_or(entry, "id");
  image->names = read_strings(entry, "names");
  image->digests = read_strings(entry, "digests");
  image->layers = read_strings(entry, "layers");
  image->pulled_with = read_strings(entry, "pulledWith");
  image->local = bool_or(entry, "local");
  image->stored_at = WallTime(std::chrono::seconds(int_or(entry, "stored")));
  for (const std::string& chain : image->layers) {
    if (!layers.contains(chain)) return nullptr;
  }
  auto text = os::read_file(blob_path(image->id), kMaxConfig);
  if (!valid_digest(image->id) || !text || sha256_digest(*text) != image->id) return nullptr;
  auto config = parse_image_config(*text);
  if (!config) return nullptr;
  image->config = std::move(*config);
  image->size_bytes = size_of(image->layers);
  return image;
}

void Store::State::read_images() {
  auto text = os::read_file(path("images.json"), 64 << 20);
  if (!text) return;
  Json document = Json::parse(*text, nullptr, false);
  const Json* list = find_member(document, "images");
  if (!list || !list->is_array()) {
    // Layers are found again by their chain ids when the images are pulled anew.
    log::error("images.json is damaged and set aside", log::field("path", path("images.json")));
    ::rename(path("images.json").c_str(), path("images.json.damaged").c_str());
    return;
  }
  for (const Json& entry : *list) {
    if (ImagePtr image = read_image(entry)) {
      images[image->id] = image;
    } else {
      log::warning("an image with missing parts is dropped",
                   log::field("image", string_or(entry, "id")));
    }
  }
}

Result<void> Store::State::drop_stray_blobs() {
  MOTH_ASSIGN(auto blobs, os::list_dir(path("blobs/sha256")));
  for (const auto& blob : blobs) {
    if (!images.contains("sha256:" + blob.name)) {
      MOTH_TRY(os::remove_file(path("blobs/sha256/" + blob.name)));
    }
  }
  return {};
}

std::uint64_t Store::State::size_of(const std::vector<std::string>& chain) const {
  std::uint64_t total = 0;
  for (const std::string& id : chain) {
    if (auto it = layers.find(id); it != layers.end()) total += it->second.size_bytes;
  }
  return total;
}

// On disk first, then for everyone to see.
Result<void> Store::State::publish(Catalog next) {
  Json list = Json::array();
  for (const auto& [id, image] : next) {
    list.push_back({{"id", id},
                    {"names", image->names},
                    {"digests", image->digests},
                    {"layers", image->layers},
                    {"local", image->local},
                    {"pulledWith", image->pulled_with},
                    {"stored", std::chrono::duration_cast<std::chrono::seconds>(
                                   image->stored_at.time_since_epoch())
                                   .count()}});
  }
  Json document = {{"version", 1}, {"images", std::move(list)}};
  MOTH_TRY(os::write_file_atomic(path("images.json"), document.dump(1), 0600));
  std::lock_guard lock(mutex);
  images = std::move(next);
  return {};
}

// Moves the layers that nothing needs out of the way (quick); the caller, who holds `writer`,
// deletes them after letting go of it (slow).
std::vector<std::string> Store::State::take_unneeded_layers(std::uint64_t& freed) {
  std::set<std::string> needed;
  for (const auto& [id, image] : images) needed.insert(image->layers.begin(), image->layers.end());
  std::vector<LayerInfo> doomed;
  {
    std::lock_guard lock(mutex);
    for (auto it = layers.begin(); it != layers.end();) {
      bool keep = needed.contains(it->first) || pins.contains(it->first);
      if (!keep) doomed.push_back(it->second);
      it = keep ? std::next(it) : layers.erase(it);
    }
  }
  std::vector<std::string> trash;
  for (const LayerInfo& layer : doomed) {
    std::string grave = scratch_path();
    if (::rename(layer_path(layer.chain_id).c_str(), grave.c_str()) != 0) {
      log::warning("a layer cannot be removed", log::field("layer", layer.chain_id),
                   log::field("errno", errno));
      continue;
    }
    freed += layer.size_bytes;
    trash.push_back(std::move(grave));
  }
  return trash;
}

Result<void> Store::State::delete_images(const std::vector<ImagePtr>& doomed, Removed& removed) {
  std::vector<std::string> trash;
  {
    std::lock_guard changing(writer);
    Catalog next = images;
    for (const ImagePtr& image : doomed) {
      auto it = next.find(image->id);
      if (it == next.end()) continue;
      const Image& current = *it->second;
      removed.untagged.insert(removed.untagged.end(), current.names.begin(), current.names.end());
      removed.deleted.push_back(image->id);
      next.erase(it);
    }
    MOTH_TRY(publish(std::move(next)));
    for (const std::string& id : removed.deleted) MOTH_TRY(os::remove_file(blob_path(id)));
    trash = take_unneeded_layers(removed.freed_bytes);
  }
  for (const std::string& grave : trash) MOTH_TRY(os::remove_tree(grave));
  return {};
}

Store::Store(std::shared_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;

Result<std::unique_ptr<Store>> Store::open(std::string root) {
  auto state = std::make_shared<State>();
  state->root = std::move(root);
  MOTH_TRY(state->prepare());
  MOTH_TRY(state->read_layers());
  state->read_images();
  MOTH_TRY(state->drop_stray_blobs());
  return std::unique_ptr<Store>(new Store(std::move(state)));
}

const std::string& Store::root() const {
  return state_->root;
}

std::vector<ImagePtr> Store::list() const {
  std::lock_guard lock(state_->mutex);
  std::vector<ImagePtr> images;
  for (const auto& [id, image] : state_->images) images.push_back(image);
  return images;
}

ImagePtr Store::find(const Reference& reference) const {
  std::lock_guard lock(state_->mutex);
  for (const std::string& candidate : local_candidates(reference)) {
    if (ImagePtr image = find_name(state_->images, candidate)) return image;
  }
  return nullptr;
}

ImagePtr Store::find(std::string_view reference_or_id) const {
  if (auto reference = parse_reference(reference_or_id)) {
    if (ImagePtr image = find(*reference)) return image;
  }
  std::lock_guard lock(state_->mutex);
  return find_id(state_->images, reference_or_id);
}

Result<ImagePtr> Store::tag(const std::string& id, const std::string& canonical_name) {
  std::lock_guard changing(state_->writer);
  Catalog next = state_->images;
  auto it = next.find(id);
  if (it == next.end()) return fail(no_such_image(id));
  if (contains(it->second->names, canonical_name)) return it->second;
  take_name(next, canonical_name, id);
  ImagePtr tagged =
      replace(next, it->second, [&](Image& image) { insert_sorted(image.names, canonical_name); });
  MOTH_TRY(state_->publish(std::move(next)));
  return tagged;
}

Result<void> Store::grant(const std::string& id, const std::string& fingerprint) {
  std::lock_guard changing(state_->writer);
  Catalog next = state_->images;
  auto it = next.find(id);
  if (it == next.end()) return fail(no_such_image(id));
  const std::vector<std::string>& known = it->second->pulled_with;
  if (known.empty() || contains(known, fingerprint)) return {};
  replace(next, it->second, [&](Image& image) {
    if (fingerprint.empty()) {
      image.pulled_with.clear();
    } else {
      insert_sorted(image.pulled_with, fingerprint);
    }
  });
  return state_->publish(std::move(next));
}

Result<Removed> Store::remove(const std::string& reference_or_id) {
  Removed removed;
  ImagePtr image;
  auto reference = parse_reference(reference_or_id);
  {
    std::lock_guard changing(state_->writer);
    Catalog next = state_->images;
    std::string name;
    if (reference) {
      for (const std::string& candidate : local_candidates(*reference)) {
        if ((image = find_name(next, candidate))) {
          name = candidate;
          break;
        }
      }
    }
    if (!image) image = find_id(next, reference_or_id);
    if (!image) return fail(no_such_image(reference_or_id));
    bool other_names =
        !name.empty() && name.find('@') == std::string::npos && image->names.size() > 1;
    if (other_names) {
      replace(next, image, [&](Image& changed) { erase_item(changed.names, name); });
      removed.untagged.push_back(name);
      MOTH_TRY(state_->publish(std::move(next)));
      return removed;
    }
  }
  MOTH_TRY(state_->delete_images({image}, removed));
  return removed;
}

Result<Removed> Store::prune(const std::set<std::string>& in_use, bool all) {
  std::vector<ImagePtr> doomed;
  for (const ImagePtr& image : list()) {
    if (!in_use.contains(image->id) && (all || image->names.empty())) doomed.push_back(image);
  }
  Removed removed;
  MOTH_TRY(state_->delete_images(doomed, removed));
  return removed;
}

Result<std::uint64_t> Store::prune_layers() {
  Removed removed;
  std::vector<std::string> trash;
  {
    std::lock_guard changing(state_->writer);
    trash = state_->take_unneeded_layers(removed.freed_bytes);
  }
  for (const std::string& grave : trash) MOTH_TRY(os::remove_tree(grave));
  return removed.freed_bytes;
}

std::string Store::layer_directory(std::string_view chain_id) const {
  return state_->layer_path(chain_id) + "/diff";
}

std::vector<std::string> Store::layer_directories(const Image& image) const {
  std::vector<std::string> directories;
  for (const std::string& chain : image.layers) directories.push_back(layer_directory(chain));
  return directories;
}

std::optional<LayerInfo> Store::layer(const std::string& chain_id) const {
  std::lock_guard lock(state_->mutex);
  auto it = state_->layers.find(chain_id);
  return it == state_->layers.end() ? std::nullopt : std::optional(it->second);
}

LayerPin Store::pin(const std::vector<std::string>& chain_ids) {
  std::lock_guard lock(state_->mutex);
  for (const std::string& chain : chain_ids) ++state_->pins[chain];
  // The value is of no meaning, its end is.
  return LayerPin(new int(0), [state = state_, chain_ids](const void* value) {
    delete static_cast<const int*>(value);
    std::lock_guard guard(state->mutex);
    for (const std::string& chain : chain_ids) {
      auto it = state->pins.find(chain);
      if (it != state->pins.end() && --it->second == 0) state->pins.erase(it);
    }
  });
}

Result<std::unique_ptr<Store::Ingest>> Store::begin_ingest() {
  auto ingest = std::make_unique<Ingest>(state_->scratch_path());
  MOTH_TRY(os::make_dirs(ingest->path(), 0700));
  MOTH_TRY(os::make_dirs(ingest->diff(), 0755));
  return ingest;
}

Result<LayerInfo> Store::commit_layer(std::unique_ptr<Ingest> ingest, const std::string& chain_id,
                                      const UnpackResult& unpacked) {
  if (auto present = layer(chain_id)) return *present;
  LayerInfo info{chain_id, unpacked.diff_id, unpacked.digest, unpacked.size_bytes};
  Json document = {{"diffID", info.diff_id}, {"digest", info.digest}, {"size", info.size_bytes}};
  MOTH_TRY(os::write_file(ingest->path() + "/layer.json", document.dump(), 0600));
  os::UniqueFd directory(::open(ingest->path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory || ::syncfs(directory.get()) != 0) {
    return fail(Error::from_errno(errno, "sync " + ingest->path()));
  }
  std::lock_guard changing(state_->writer);
  if (auto present = layer(chain_id)) return *present;
  if (::rename(ingest->path().c_str(), state_->layer_path(chain_id).c_str()) != 0) {
    return fail(Error::from_errno(errno, "rename " + ingest->path()));
  }
  MOTH_TRY(sync_directory(state_->path("layers")));
  std::lock_guard lock(state_->mutex);
  state_->layers.emplace(chain_id, info);
  return info;
}

Result<std::string> Store::read_config(const std::string& image_id) const {
  return os::read_file(state_->blob_path(image_id), kMaxConfig);
}

Result<ImagePtr> Store::add_image(NewImage image) {
  auto added = std::make_shared<Image>();
  added->id = sha256_digest(image.config);
  MOTH_ASSIGN(added->config, parse_image_config(image.config));
  added->layers = image.layers.empty() ? chain_ids(added->config.diff_ids) : image.layers;
  added->stored_at = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  if (!image.name.empty()) added->names.push_back(image.name);
  if (!image.repo_digest.empty()) added->digests.push_back(image.repo_digest);
  if (!image.pulled_with.empty()) added->pulled_with.push_back(image.pulled_with);

  added->local = image.local;
  std::lock_guard changing(state_->writer);
  for (const std::string& chain : added->layers) {
    if (!state_->layers.contains(chain)) {
      return fail(
          Error::internal(fmt::format("layer {} of image {} is missing", chain, added->id)));
    }
  }
  added->size_bytes = state_->size_of(added->layers);
  MOTH_TRY(os::write_file_atomic(state_->blob_path(added->id), image.config, 0600));
  Catalog next = state_->images;
  if (auto it = next.find(added->id); it != next.end()) merge(*it->second, *added);
  if (!image.name.empty()) take_name(next, image.name, added->id);
  next[added->id] = added;
  MOTH_TRY(state_->publish(std::move(next)));
  return ImagePtr(added);
}

std::uint64_t Store::layer_bytes() const {
  std::lock_guard lock(state_->mutex);
  std::uint64_t total = 0;
  for (const auto& [id, layer] : state_->layers) total += layer.size_bytes;
  return total;
}

Store::Ingest::Ingest(std::string path) : path_(std::move(path)) {}
Store::Ingest::~Ingest() {
  if (auto gone = os::remove_tree(path_); !gone) {
    log::warning("cannot remove", log::field("path", path_),
                 log::field("error", gone.error().message));
  }
}

}  // namespace moth::images
