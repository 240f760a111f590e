#include "runtime/images/overlay.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "runtime/os/fs.h"
#include "runtime/os/mounts.h"

namespace moth::images {
namespace {

Result<void> check_id(std::string_view id) {
  bool valid = !id.empty() && id.size() <= 200 && id.front() != '.' &&
               std::all_of(id.begin(), id.end(), [](char c) {
                 return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
               });
  if (valid) return {};
  return fail(Error::bad_request(fmt::format("snapshot: \"{}\" is no valid id", id)));
}

Snapshot describe(const std::string& root, const std::string& id) {
  Snapshot snapshot;
  snapshot.id = id;
  std::string folder = root + "/" + id;
  snapshot.path = folder + "/merged";
  if (os::is_directory(folder + "/upper")) snapshot.upper = folder + "/upper";
  if (auto text = os::read_file(folder + "/snapshot.json")) {
    Json document = Json::parse(*text, nullptr, false);
    snapshot.image_id = string_or(document, "image");
    if (const Json* chain = find_member(document, "layers"); chain && chain->is_array()) {
      for (const Json& layer : *chain) {
        if (layer.is_string()) snapshot.chain_ids.push_back(layer.get<std::string>());
      }
    }
  }
  return snapshot;
}

}  // namespace

Snapshots::Snapshots(std::string root) : root_(std::move(root)) {}

Result<Snapshot> Snapshots::prepare(const SnapshotSpec& spec) const {
  MOTH_TRY(check_id(spec.id));
  if (spec.layers.empty()) return fail(Error::bad_request("snapshot: an image without layers"));
  std::string folder = root_ + "/" + spec.id;
  MOTH_ASSIGN(bool mounted, os::is_mount_point(folder + "/merged"));
  if (mounted) {
    Snapshot present = describe(root_, spec.id);
    present.mounted = true;
    return present;
  }
  // A leftover's upper directory may have been volatile, which must not be mounted again.
  MOTH_TRY(os::remove_tree(folder));
  MOTH_TRY(os::make_dirs(folder + "/merged", 0755));
  Json document = {{"image", spec.image_id}, {"layers", spec.chain_ids}};
  MOTH_TRY(os::write_file(folder + "/snapshot.json", document.dump(), 0600));

  os::OverlayOptions options;
  options.lowers.assign(spec.extra_layers.rbegin(), spec.extra_layers.rend());
  options.lowers.insert(options.lowers.end(), spec.layers.rbegin(), spec.layers.rend());
  // A read-only overlay of one layer does not exist for the kernel: an empty one is put above it.
  if (spec.read_only && options.lowers.size() == 1) {
    MOTH_TRY(os::make_dirs(folder + "/empty", 0755));
    options.lowers.insert(options.lowers.begin(), folder + "/empty");
  }
  if (!spec.read_only) {
    options.upper = folder + "/upper";
    options.work = folder + "/work";
    options.volatile_upper = spec.is_volatile;
    // The root directory's owner and mode show through from the upper one.
    struct stat info {};
    mode_t mode = ::stat(spec.layers.back().c_str(), &info) == 0 ? info.st_mode & 07777 : 0755;
    MOTH_TRY(os::make_dirs(options.upper, mode));
    MOTH_TRY(os::make_dirs(options.work, 0700));
  }
  auto done = os::mount_overlay(folder + "/merged", options);
  if (!done) {
    auto cleaned = os::remove_tree(folder);
    static_cast<void>(cleaned);  // the mount's error is the one that matters
    return fail(std::move(done.error().with_context("snapshot " + spec.id)));
  }
  Snapshot snapshot = describe(root_, spec.id);
  snapshot.mounted = true;
  return snapshot;
}

Result<void> Snapshots::remove(const std::string& id) const {
  MOTH_TRY(check_id(id));
  std::string folder = root_ + "/" + id;
  if (!os::exists(folder)) return {};
  MOTH_TRY(os::unmount_below(folder));
  return os::remove_tree(folder);
}

Result<std::vector<Snapshot>> Snapshots::list() const {
  std::vector<Snapshot> snapshots;
  if (!os::exists(root_)) return snapshots;
  MOTH_ASSIGN(auto entries, os::list_dir(root_));
  MOTH_ASSIGN(auto mounts, os::mounts_below(root_));
  for (const auto& entry : entries) {
    if (!check_id(entry.name)) continue;
    Snapshot snapshot = describe(root_, entry.name);
    snapshot.mounted = std::any_of(mounts.begin(), mounts.end(), [&](const os::MountEntry& mount) {
      return mount.target == snapshot.path;
    });
    snapshots.push_back(std::move(snapshot));
  }
  return snapshots;
}

Result<Snapshots::Usage> Snapshots::usage(const std::string& id) const {
  MOTH_TRY(check_id(id));
  MOTH_ASSIGN(auto tree, os::tree_usage(root_ + "/" + id + "/upper"));
  return Usage{tree.bytes, tree.inodes};
}

}  // namespace moth::images
