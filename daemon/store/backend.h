#pragma once
// Backend: where committed rows live. Implementations: SqliteBackend (the daemon) and MemoryBackend
// (tests). Every method blocks and is called on one thread, the store's commit thread.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "api/machinery/object.h"

namespace moth::store {

// One row to be replaced or removed. Rows are keyed by (resource, namespace, name).
struct RowWrite {
  std::string resource;  // qualified name of the stored resource, e.g. deployments.apps
  ObjectPtr object;      // for a removal: any version of the object, for its key
  bool remove = false;
};

// What one transaction writes.
struct CommitBatch {
  std::vector<RowWrite> rows;
  // The new end of the reserved block of revisions: none above it was ever given out.
  std::optional<std::uint64_t> reserved_revision;
  // The last commit of an orderly stop: everything is on disk.
  bool clean_stop = false;
};

struct LoadedRow {
  std::string resource;
  ObjectPtr object;
};

struct Snapshot {
  std::vector<LoadedRow> rows;
  std::uint64_t reserved_revision = 0;
  bool clean_stop = false;  // of the last commit
};

class Backend {
 public:
  virtual ~Backend() = default;
  // Everything that is stored. Called once, before any commit. The error names the remedy.
  virtual Result<Snapshot> load() = 0;
  // All of it or nothing, on stable storage when it returns. After an error nothing more is
  // committed: the store turns read-only.
  virtual Result<> commit(const CommitBatch& batch) = 0;
  // A consistent copy at `path`, which must not exist yet.
  virtual Result<> backup(const std::string& path) = 0;
  // Bounds what a restart has to read and releases the files. The last call.
  virtual void close() = 0;
};

}  // namespace moth::store
