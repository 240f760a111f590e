// Reading image archives.
#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "runtime/images/archive.h"
#include "runtime/images/digest.h"
#include "runtime/images/members.h"

namespace moth::images {
namespace {

constexpr int kMaxIndexDepth = 4;
constexpr std::size_t kMaxImages = 256;

// One image found in an archive, before its layers are unpacked.
struct Found {
  std::string config;
  std::string manifest_digest;  // OCI only
  std::vector<std::string> layer_members;
  std::vector<std::string> layer_digests;  // OCI only
  std::vector<std::string> names;          // canonical
};

std::string blob_member(std::string_view digest) {
  return fmt::format("blobs/sha256/{}", digest_hex(digest));
}

Result<std::string> read_verified(const Members& members, const std::string& digest) {
  MOTH_ASSIGN(std::string text, members.read(blob_member(digest)));
  std::string actual = sha256_digest(text);
  if (actual != digest) {
    return fail(Error::bad_request(
        fmt::format("archive: blob {} has the digest {}: refused", digest, actual)));
  }
  return text;
}

class Finder {
 public:
  Finder(const Members& members, const Platform& platform)
      : members_(members), platform_(platform) {}

  Result<std::vector<Found>> find() {
    if (members_.has("index.json")) {
      MOTH_ASSIGN(std::string index, members_.read("index.json"));
      MOTH_TRY(oci_index(index));
      if (!found_.empty()) {
        if (members_.has("manifest.json")) MOTH_TRY(docker_names());
        return std::move(found_);
      }
    }
    if (members_.has("manifest.json")) {
      MOTH_TRY(docker());
      return std::move(found_);
    }
    return fail(Error::bad_request(
        "not an image archive: it has neither manifest.json (docker save) nor index.json (OCI "
        "layout)"));
  }

 private:
  // The top index of a layout lists images, one entry each.
  Result<void> oci_index(const std::string& text) {
    Json document = Json::parse(text, nullptr, false);
    const Json* list = find_member(document, "manifests");
    if (!list || !list->is_array() || list->size() > kMaxImages) {
      return fail(Error::bad_request("archive: index.json: manifests must be a list of images"));
    }
    std::optional<Error> no_match;
    for (const Json& entry : *list) {
      std::string digest = string_or(entry, "digest");
      if (!valid_digest(digest)) {
        return fail(Error::bad_request("archive: index.json: an entry has no valid digest"));
      }
      if (list->size() > 1 && foreign(entry)) continue;
      auto taken = oci_entry(digest, names_of(entry), 0);
      if (taken) continue;
      if (taken.error().reason != Reason::kNotFound) return fail(std::move(taken).error());
      no_match = std::move(taken).error();
    }
    if (found_.empty() && no_match) return fail(std::move(*no_match));
    return {};
  }

  bool foreign(const Json& entry) const {
    const Json* platform = find_member(entry, "platform");
    if (!platform) return false;
    std::string_view wanted =
        platform_.architecture.empty() ? host_architecture() : platform_.architecture;
    return string_or(*platform, "architecture") != wanted || string_or(*platform, "os") != "linux";
  }

  static std::vector<std::string> names_of(const Json& entry) {
    std::vector<std::string> names;
    const Json* annotations = find_member(entry, "annotations");
    if (!annotations) return names;
    for (const char* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
      std::string text = string_or(*annotations, key);
      // A bare tag ("latest") names no image.
      if (text.find_first_of(":/@") == std::string::npos) continue;
      if (auto reference = parse_reference(text)) {
        names.push_back(reference->canonical());
        break;
      }
    }
    return names;
  }

  Result<void> oci_entry(const std::string& digest, std::vector<std::string> names, int depth) {
    if (depth > kMaxIndexDepth) return fail(Error::bad_request("archive: indexes nest too deep"));
    MOTH_ASSIGN(std::string text, read_verified(members_, digest));
    if (is_index(text)) {
      MOTH_ASSIGN(Descriptor chosen, choose_platform(text, platform_));
      return oci_entry(chosen.digest, std::move(names), depth + 1);
    }
    MOTH_ASSIGN(Manifest manifest, parse_manifest(text));
    Found image;
    MOTH_ASSIGN(image.config, read_verified(members_, manifest.config.digest));
    image.manifest_digest = digest;
    image.names = std::move(names);
    for (const Descriptor& layer : manifest.layers) {
      image.layer_members.push_back(blob_member(layer.digest));
      image.layer_digests.push_back(layer.digest);
    }
    found_.push_back(std::move(image));
    return {};
  }

  Result<Json> docker_manifest() const {
    MOTH_ASSIGN(std::string text, members_.read("manifest.json"));
    Json document = Json::parse(text, nullptr, false);
    if (!document.is_array() || document.size() > kMaxImages) {
      return fail(Error::bad_request("archive: manifest.json: a list of images is expected"));
    }
    return document;
  }

  static std::vector<std::string> repo_tags(const Json& entry) {
    std::vector<std::string> names;
    const Json* tags = find_member(entry, "RepoTags");
    if (!tags || !tags->is_array()) return names;
    for (const Json& tag : *tags) {
      if (!tag.is_string()) continue;
      if (auto reference = parse_reference(tag.get<std::string>())) {
        names.push_back(reference->canonical());
      }
    }
    return names;
  }

  // Newer `docker save` writes both forms; the tags are complete only in the old one.
  Result<void> docker_names() {
    MOTH_ASSIGN(Json document, docker_manifest());
    for (const Json& entry : document) {
      auto config = members_.read(string_or(entry, "Config"));
      if (!config) continue;
      for (Found& image : found_) {
        if (image.config != *config) continue;
        for (std::string& name : repo_tags(entry)) {
          if (std::find(image.names.begin(), image.names.end(), name) == image.names.end()) {
            image.names.push_back(std::move(name));
          }
        }
      }
    }
    return {};
  }

  Result<void> docker() {
    MOTH_ASSIGN(Json document, docker_manifest());
    for (const Json& entry : document) {
      Found image;
      MOTH_ASSIGN(image.config, members_.read(string_or(entry, "Config")));
      image.names = repo_tags(entry);
      const Json* layers = find_member(entry, "Layers");
      if (!layers || !layers->is_array()) {
        return fail(Error::bad_request("archive: manifest.json: Layers is missing"));
      }
      for (const Json& layer : *layers) {
        if (!layer.is_string()) {
          return fail(Error::bad_request("archive: manifest.json: Layers must hold file names"));
        }
        image.layer_members.push_back(layer.get<std::string>());
      }
      found_.push_back(std::move(image));
    }
    return {};
  }

  const Members& members_;
  const Platform& platform_;
  std::vector<Found> found_;
};

Result<std::vector<std::string>> unpack_layers(Store& store, const Members& members,
                                               const Found& image, const ImageConfig& config,
                                               const LoadOptions& options) {
  if (config.diff_ids.size() != image.layer_members.size()) {
    return fail(Error::bad_request(
        fmt::format("archive: the configuration lists {} layers, the manifest {}",
                    config.diff_ids.size(), image.layer_members.size())));
  }
  std::vector<std::string> chain = chain_ids(config.diff_ids);
  UnpackOptions unpack;
  unpack.limits.max_bytes = options.max_bytes;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    auto alias = options.layer_aliases.find(chain[i]);
    if (alias != options.layer_aliases.end() && store.layer(alias->second)) {
      chain[i] = alias->second;
      continue;
    }
    if (store.layer(chain[i])) continue;
    MOTH_ASSIGN(auto ingest, store.begin_ingest());
    MOTH_ASSIGN(auto source, members.open(image.layer_members[i]));
    std::string digest = image.layer_digests.empty() ? "" : image.layer_digests[i];
    auto unpacked = unpack_verified(*source, ingest->diff(), digest, config.diff_ids[i], unpack);
    if (!unpacked) {
      return fail(std::move(
          unpacked.error().with_context(fmt::format("archive: {}", image.layer_members[i]))));
    }
    MOTH_TRY(store.commit_layer(std::move(ingest), chain[i], *unpacked));
  }
  return chain;
}

struct Ready {
  Store::NewImage image;
  std::vector<std::string> names;
  std::string manifest_digest;
};

Result<Loaded> add(Store& store, Ready ready) {
  Loaded loaded;
  std::string first = ready.names.empty() ? "" : ready.names.front();
  ready.image.name = first;
  auto reference = parse_reference(first);
  if (reference && !ready.manifest_digest.empty() && reference->digest.empty()) {
    ready.image.repo_digest = reference->name() + "@" + ready.manifest_digest;
  }
  MOTH_ASSIGN(loaded.image, store.add_image(std::move(ready.image)));
  for (std::size_t i = 1; i < ready.names.size(); ++i) {
    MOTH_ASSIGN(loaded.image, store.tag(loaded.image->id, ready.names[i]));
  }
  loaded.names = std::move(ready.names);
  return loaded;
}

Result<std::vector<Loaded>> load_members(Store& store, const Members& members,
                                         const LoadOptions& options) {
  std::string wanted_name;
  if (!options.name.empty()) {
    MOTH_ASSIGN(Reference reference, parse_reference(options.name));
    wanted_name = reference.canonical();
  }
  Finder finder(members, options.platform);
  MOTH_ASSIGN(std::vector<Found> found, finder.find());
  std::vector<LayerPin> pins;
  std::vector<Ready> ready;
  for (Found& image : found) {
    MOTH_ASSIGN(ImageConfig config, parse_image_config(image.config));
    pins.push_back(store.pin(chain_ids(config.diff_ids)));
    MOTH_ASSIGN(auto chain, unpack_layers(store, members, image, config, options));
    if (!wanted_name.empty() && (found.size() == 1 || image.names.empty())) {
      image.names = {wanted_name};
    }
    Ready& entry = ready.emplace_back();
    entry.image.config = std::move(image.config);
    entry.image.layers = std::move(chain);
    entry.image.local = true;
    entry.names = std::move(image.names);
    if (options.keep_digest) entry.manifest_digest = std::move(image.manifest_digest);
  }
  std::vector<Loaded> loaded;
  for (Ready& entry : ready) {
    MOTH_ASSIGN(Loaded one, add(store, std::move(entry)));
    loaded.push_back(std::move(one));
  }
  return loaded;
}

}  // namespace

Result<std::vector<Loaded>> load_archive(Store& store, ByteSource& input,
                                         const LoadOptions& options) {
  MOTH_ASSIGN(auto scratch, store.begin_ingest());
  MOTH_ASSIGN(auto members, spool_members(input, scratch->path(), options.max_bytes));
  return load_members(store, *members, options);
}

Result<std::vector<Loaded>> load_layout(Store& store, const std::string& directory,
                                        const LoadOptions& options) {
  MOTH_ASSIGN(auto members, directory_members(directory));
  return load_members(store, *members, options);
}

}  // namespace moth::images
