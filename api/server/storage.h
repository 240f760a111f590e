#pragma once
// Storage: the one door to the stored objects, as the API server sees it (daemon/store implements
// it). Control thread only.
//
// One writer, one revision counter for all resources. A write is staged synchronously (optimistic
// concurrency against the pending version), then committed in a batch; readers and watchers see it
// only after the commit. Keys are (stored resource, namespace, name).
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/json_fwd.h"
#include "api/base/result.h"
#include "api/base/task.h"
#include "api/machinery/object.h"
#include "api/resources/registry.h"

namespace moth::server {

enum class EventType { kAdded, kModified, kDeleted };

struct StoreEvent {
  std::uint64_t revision = 0;
  EventType type = EventType::kAdded;
  ObjectPtr object;    // for kDeleted: the last state, its resourceVersion that of the deletion
  ObjectPtr previous;  // null for kAdded
};

struct ListResult {
  std::vector<ObjectPtr> objects;  // ordered by (namespace, name)
  std::uint64_t revision = 0;      // of the whole store when the list was taken
};

// A write that was accepted and waits for its commit.
class StagedWrite {
 public:
  virtual ~StagedWrite() = default;
  // What will be stored (for a delete: the last state with the revision of the deletion).
  virtual ObjectPtr object() const = 0;
  // Completes after the commit (for lazy writes: after publication in memory). Fails when the
  // store turned read-only.
  virtual Task<Result<>> committed() = 0;
};
using StagedWritePtr = std::unique_ptr<StagedWrite>;

// Which objects of its resource a watch is about; empty: any. Whoever else changes wakes nobody.
struct WatchInterest {
  std::string ns, name;
  bool covers(const Object& object) const {
    return (ns.empty() || ns == object.ns()) && (name.empty() || name == object.name());
  }
};

// A cursor over the changes of one resource after a revision.
class StoreWatch {
 public:
  virtual ~StoreWatch() = default;
  // Waits for the next events of interest (at least one, in order, none lost). Expired (410) when
  // this watcher fell behind the ring. Cancellable. An empty vector when `deadline` passed.
  virtual Task<Result<std::vector<StoreEvent>>> next(MonoTime deadline) = 0;
  // The store's revision up to which next() has delivered everything: for bookmarks.
  virtual std::uint64_t revision() const = 0;
};

class Storage {
 public:
  virtual ~Storage() = default;

  // The committed version, or null.
  virtual ObjectPtr get(const resources::ResourceDef& def, std::string_view ns,
                        std::string_view name) const = 0;
  // The newest staged version (committed or pending), or null: what a writer builds upon.
  virtual ObjectPtr latest(const resources::ResourceDef& def, std::string_view ns,
                           std::string_view name) const = 0;
  // Committed objects; an empty namespace lists all.
  virtual ListResult list(const resources::ResourceDef& def, std::string_view ns) const = 0;
  // The objects as they were at `revision`, which is not to come. Expired (410) when the history
  // does not reach back that far.
  virtual Result<ListResult> list_at(const resources::ResourceDef& def, std::string_view ns,
                                     std::uint64_t revision) const = 0;
  virtual std::size_t count(const resources::ResourceDef& def) const = 0;
  virtual std::uint64_t revision() const = 0;
  // Waits until the store is at `revision`; false when `deadline` passed first. Cancellable.
  virtual Task<bool> reach(std::uint64_t revision, MonoTime deadline) = 0;

  // `object` is complete but for metadata.resourceVersion. AlreadyExists when the key is taken.
  virtual Result<StagedWritePtr> stage_create(const resources::ResourceDef& def, Json object,
                                              resources::Durability durability) = 0;
  // Conflict when the pending version is not `expected`; NotFound when there is none. An object
  // equal to the pending version is no write: the staged object is that version.
  virtual Result<StagedWritePtr> stage_update(const resources::ResourceDef& def, Json object,
                                              const ObjectPtr& expected,
                                              resources::Durability durability) = 0;
  virtual Result<StagedWritePtr> stage_delete(const resources::ResourceDef& def,
                                              const ObjectPtr& expected,
                                              resources::Durability durability) = 0;

  // Changes with revision > `after`. Expired when the ring no longer reaches back that far.
  virtual Result<std::unique_ptr<StoreWatch>> watch(const resources::ResourceDef& def,
                                                    std::uint64_t after,
                                                    WatchInterest interest = {}) = 0;
  // Calls `listener` on the control thread after every commit, in order, for in-process consumers
  // (controllers, scheduler, node). Runs inside the publication: it must only take note.
  using Listener = std::function<void(const StoreEvent& event)>;
  virtual void subscribe(const resources::ResourceDef& def, Listener listener) = 0;

  // Null while writes are accepted, else why the store is read-only.
  virtual const Error* failure() const = 0;
};

}  // namespace moth::server
