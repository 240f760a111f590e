#pragma once
// Snapshots: the root file systems of containers, an overlay mount each.
//
//   <root>/<id>/{upper,work,merged,snapshot.json}
//
// Stateless apart from the directory, thread-safe. Blocking executor; needs CAP_SYS_ADMIN.
#include <string>
#include <vector>

#include "api/base/result.h"

namespace moth::images {

struct SnapshotSpec {
  std::string id;                   // [A-Za-z0-9._-]+, unique
  std::vector<std::string> layers;  // directories, bottom first; at least one
  // Read-only directories put above the image's layers, the first one lowest.
  std::vector<std::string> extra_layers;
  std::vector<std::string> chain_ids;  // kept with the snapshot, to pin its layers after a restart
  std::string image_id;
  bool read_only = false;  // no upper directory
  // Skips syncs of the upper directory; it is lost with the machine, as containers are.
  bool is_volatile = true;
};

struct Snapshot {
  std::string id;
  std::string path;   // the mounted root
  std::string upper;  // empty when read-only
  std::string image_id;
  std::vector<std::string> chain_ids;
  bool mounted = false;
};

class Snapshots {
 public:
  explicit Snapshots(std::string root);

  // Mounts. Preparing an id again that is mounted returns it as it is; a leftover that is not
  // mounted (reboot) is made anew.
  Result<Snapshot> prepare(const SnapshotSpec& spec) const;
  // Unmounts and deletes. No error when there is none.
  Result<void> remove(const std::string& id) const;
  // Everything below root, mounted or not, for recovery and for usage accounting.
  Result<std::vector<Snapshot>> list() const;
  // Bytes and inodes of the writable layer.
  struct Usage {
    std::uint64_t bytes = 0;
    std::uint64_t inodes = 0;
  };
  Result<Usage> usage(const std::string& id) const;

 private:
  std::string root_;
};

}  // namespace moth::images
