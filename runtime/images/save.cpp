// Writing image archives.
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <map>
#include <memory>
#include <set>

#include "api/base/json.h"
#include "runtime/images/archive.h"
#include "runtime/images/digest.h"
#include "runtime/os/fs.h"

namespace moth::images {
namespace {

constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";
constexpr const char* kConfigType = "application/vnd.oci.image.config.v1+json";
constexpr const char* kLayerType = "application/vnd.oci.image.layer.v1.tar";

// Where the members of an archive go.
class Output {
 public:
  virtual ~Output() = default;
  virtual Result<void> file(const std::string& name, std::string_view content) = 0;
  // The layer directory packed; `folder` + hex of its diff id + `suffix` is the name.
  virtual Result<PackResult> layer(const std::string& directory, const std::string& folder,
                                   const std::string& suffix) = 0;
  virtual Result<void> close() { return {}; }
};

std::string layer_name(const std::string& folder, const PackResult& packed,
                       const std::string& suffix) {
  return fmt::format("{}{}{}", folder, digest_hex(packed.diff_id), suffix);
}

class DirectoryOutput final : public Output {
 public:
  explicit DirectoryOutput(std::string root) : root_(std::move(root)) {}

  Result<void> file(const std::string& name, std::string_view content) override {
    MOTH_TRY(folder_of(name));
    return os::write_file(root_ + "/" + name, content);
  }
  Result<PackResult> layer(const std::string& directory, const std::string& folder,
                           const std::string& suffix) override {
    MOTH_TRY(folder_of(folder));
    std::string partial = root_ + "/" + folder + ".partial";
    os::UniqueFd out(::open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!out) return fail(Error::from_errno(errno, "create " + partial));
    MOTH_ASSIGN(PackResult packed, pack_layer(directory, [&](std::string_view piece) {
                  return os::write_fd(out.get(), piece, partial);
                }));
    std::string path = root_ + "/" + layer_name(folder, packed, suffix);
    if (::rename(partial.c_str(), path.c_str()) != 0) {
      return fail(Error::from_errno(errno, "rename " + partial));
    }
    return packed;
  }

 private:
  Result<void> folder_of(const std::string& name) {
    auto slash = name.rfind('/');
    return os::make_dirs(slash == std::string::npos ? root_ : root_ + "/" + name.substr(0, slash));
  }
  std::string root_;
};

// A tar member's size stands before its content, so a layer is packed twice: once to know its size
// and name, once to write it. That costs processor time, but no disk.
class TarOutput final : public Output {
 public:
  explicit TarOutput(const ByteSink& sink) : sink_(sink), tar_(archive_write_new()) {
    archive_write_set_format_pax_restricted(tar_.get());
    archive_write_set_bytes_per_block(tar_.get(), 1 << 18);
    archive_write_set_bytes_in_last_block(tar_.get(), 1);
    open_ = archive_write_open(tar_.get(), this, nullptr, write_callback, nullptr) == ARCHIVE_OK;
  }

  Result<void> file(const std::string& name, std::string_view content) override {
    MOTH_TRY(header(name, content.size()));
    return data(content);
  }
  Result<PackResult> layer(const std::string& directory, const std::string& folder,
                           const std::string& suffix) override {
    MOTH_ASSIGN(PackResult packed,
                pack_layer(directory, [](std::string_view) { return Result<void>(); }));
    std::string name = layer_name(folder, packed, suffix);
    if (!written_.insert(name).second) return packed;
    MOTH_TRY(header(name, packed.size_bytes));
    MOTH_ASSIGN(PackResult again,
                pack_layer(directory, [this](std::string_view piece) { return data(piece); }));
    if (again.diff_id != packed.diff_id) {
      return fail(Error::internal("a layer changed while it was written"));
    }
    return packed;
  }
  Result<void> close() override {
    return archive_write_close(tar_.get()) == ARCHIVE_OK ? Result<void>() : fail(error());
  }

 private:
  struct Free {
    void operator()(archive* tar) const { archive_write_free(tar); }
  };

  static la_ssize_t write_callback(archive* tar, void* self, const void* buffer, std::size_t size) {
    auto* output = static_cast<TarOutput*>(self);
    auto done = output->sink_(std::string_view(static_cast<const char*>(buffer), size));
    if (done) return static_cast<la_ssize_t>(size);
    output->sink_error_ = std::move(done).error();
    archive_set_error(tar, EIO, "sink");
    return -1;
  }
  Error error() const {
    if (sink_error_) return *sink_error_;
    const char* text = archive_error_string(tar_.get());
    return Error::internal(fmt::format("writing the archive: {}", text ? text : "unknown"));
  }
  Result<void> header(const std::string& name, std::uint64_t size) {
    if (!open_) return fail(error());
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> entry(archive_entry_new(),
                                                                   archive_entry_free);
    archive_entry_copy_pathname(entry.get(), name.c_str());
    archive_entry_set_mode(entry.get(), S_IFREG | 0644);
    archive_entry_set_size(entry.get(), static_cast<la_int64_t>(size));
    archive_entry_set_mtime(entry.get(), 0, 0);
    if (archive_write_header(tar_.get(), entry.get()) < ARCHIVE_WARN) return fail(error());
    return {};
  }
  Result<void> data(std::string_view piece) {
    while (!piece.empty()) {
      la_ssize_t done = archive_write_data(tar_.get(), piece.data(), piece.size());
      if (done <= 0) return fail(error());
      piece.remove_prefix(static_cast<std::size_t>(done));
    }
    return {};
  }

  const ByteSink& sink_;
  std::unique_ptr<archive, Free> tar_;
  bool open_ = false;
  std::set<std::string> written_;
  std::optional<Error> sink_error_;
};

// The configuration with the packed layers' diff ids, and a history that lists exactly that many
// non-empty layers: buildah builds on nothing else.
Json rewrite_config(const std::string& text, const std::vector<std::string>& diff_ids) {
  Json config = Json::parse(text, nullptr, false);
  config["rootfs"] = {{"type", "layers"}, {"diff_ids", diff_ids}};
  std::size_t layers = 0;
  const Json* history = find_member(config, "history");
  if (history && history->is_array()) {
    for (const Json& entry : *history) {
      if (!bool_or(entry, "empty_layer")) ++layers;
    }
  }
  if (layers != diff_ids.size()) {
    Json fresh = Json::array();
    for (std::size_t i = 0; i < diff_ids.size(); ++i) fresh.push_back({{"created_by", "layer"}});
    config["history"] = std::move(fresh);
  }
  return config;
}

struct Written {
  std::string config_text;
  std::vector<PackResult> layers;
  std::vector<std::string> diff_ids() const {
    std::vector<std::string> list;
    for (const PackResult& layer : layers) list.push_back(layer.diff_id);
    return list;
  }
};

Result<Written> write_layers(const Store& store, const Image& image, Output& output,
                             const std::string& folder, const std::string& suffix) {
  Written written;
  for (const std::string& directory : store.layer_directories(image)) {
    MOTH_ASSIGN(PackResult packed, output.layer(directory, folder, suffix));
    written.layers.push_back(std::move(packed));
  }
  MOTH_ASSIGN(std::string original, store.read_config(image.id));
  written.config_text = rewrite_config(original, written.diff_ids()).dump();
  return written;
}

Result<std::vector<std::string>> write_oci(const Store& store, const std::vector<ImagePtr>& images,
                                           Output& output) {
  Json index = {{"schemaVersion", 2}, {"manifests", Json::array()}};
  std::vector<std::string> diff_ids;
  for (const ImagePtr& image : images) {
    MOTH_ASSIGN(Written written, write_layers(store, *image, output, "blobs/sha256/", ""));
    diff_ids = written.diff_ids();
    std::string config_digest = sha256_digest(written.config_text);
    Json layers = Json::array();
    for (const PackResult& layer : written.layers) {
      layers.push_back(
          {{"mediaType", kLayerType}, {"digest", layer.diff_id}, {"size", layer.size_bytes}});
    }
    Json manifest = {{"schemaVersion", 2},
                     {"mediaType", kManifestType},
                     {"config",
                      {{"mediaType", kConfigType},
                       {"digest", config_digest},
                       {"size", written.config_text.size()}}},
                     {"layers", std::move(layers)}};
    std::string manifest_text = manifest.dump();
    std::string manifest_digest = sha256_digest(manifest_text);
    MOTH_TRY(output.file(fmt::format("blobs/sha256/{}", digest_hex(config_digest)),
                         written.config_text));
    MOTH_TRY(
        output.file(fmt::format("blobs/sha256/{}", digest_hex(manifest_digest)), manifest_text));
    Json entry = {
        {"mediaType", kManifestType}, {"digest", manifest_digest}, {"size", manifest_text.size()}};
    if (image->names.empty()) index["manifests"].push_back(entry);
    for (const std::string& name : image->names) {
      entry["annotations"] = {{"io.containerd.image.name", name},
                              {"org.opencontainers.image.ref.name", name}};
      index["manifests"].push_back(entry);
    }
  }
  MOTH_TRY(output.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})"));
  MOTH_TRY(output.file("index.json", index.dump()));
  return diff_ids;
}

Result<void> write_docker(const Store& store, const std::vector<ImagePtr>& images, Output& output) {
  Json manifest = Json::array();
  std::set<std::string> configs;
  for (const ImagePtr& image : images) {
    MOTH_ASSIGN(Written written, write_layers(store, *image, output, "", ".tar"));
    std::string config_name =
        fmt::format("{}.json", digest_hex(sha256_digest(written.config_text)));
    if (configs.insert(config_name).second) {
      MOTH_TRY(output.file(config_name, written.config_text));
    }
    Json layers = Json::array();
    for (const PackResult& layer : written.layers) layers.push_back(layer_name("", layer, ".tar"));
    manifest.push_back(
        {{"Config", config_name}, {"RepoTags", image->names}, {"Layers", std::move(layers)}});
  }
  return output.file("manifest.json", manifest.dump());
}

}  // namespace

Result<void> save_archive(const Store& store, const std::vector<ImagePtr>& images,
                          ArchiveFormat format, const ByteSink& sink) {
  TarOutput output(sink);
  if (format == ArchiveFormat::kOci) {
    MOTH_TRY(write_oci(store, images, output));
  } else {
    MOTH_TRY(write_docker(store, images, output));
  }
  return output.close();
}

Result<std::vector<std::string>> save_layout(const Store& store, const ImagePtr& image,
                                             const std::string& directory) {
  DirectoryOutput output(directory);
  return write_oci(store, {image}, output);
}

}  // namespace moth::images
