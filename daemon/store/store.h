#pragma once
// Store: the daemon's implementation of server::Storage.
//
// Control thread only. Writes are staged into the filling batch; one loop hands batch after batch
// to the commit thread, which owns the backend, and publishes each after its commit: tables, watch
// rings and the revision first, then listeners, then watchers and the writers that wait. Lazy
// writes are published in the same order without a disk write and flushed coalesced.
//
// Failure: an error of the backend makes the store read-only until the daemon is restarted; reads
// and watches go on, every write that was not acknowledged fails with failure().
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "api/base/clock.h"
#include "api/base/metrics.h"
#include "api/base/task.h"
#include "api/server/storage.h"
#include "daemon/store/backend.h"

namespace moth::store {

struct StoreOptions {
  // Holds state.db and its lock; created with mode 0700. Unused when `backend` is set.
  std::string data_dir;
  // Outlives the store, and so do clock and metrics.
  const resources::Registry* registry = nullptr;
  asio::any_io_executor control;
  Clock* clock = nullptr;
  metrics::Registry* metrics = nullptr;  // may be null

  // Lazy writes reach the disk at most this often, and only if there are any.
  Duration lazy_flush_interval = std::chrono::seconds(300);
  // Bounds of each resource's ring of events; what falls out answers 410 Expired.
  std::size_t ring_bytes = std::size_t{8} << 20;
  std::size_t ring_events = 16384;
  // Bounds the writes that wait for their commit; more are refused with 429.
  std::size_t pending_bytes = std::size_t{64} << 20;
  // Revisions are reserved on disk in blocks, so that lazy writes need none each.
  std::uint64_t revision_block = 1'000'000;

  std::unique_ptr<Backend> backend;  // tests: in place of SQLite in data_dir
};

class Store final : public server::Storage {
 public:
  // Locks the data directory, opens or creates the database, migrates it and loads every object.
  // Errors name the remedy; nothing is half-started. On the control executor.
  static Task<Result<std::unique_ptr<Store>>> open(StoreOptions options);
  // Without close() it stops as a crash would: acknowledged writes are on disk, lazy ones are lost.
  ~Store() override;

  // Commits what is staged, flushes lazy writes, records the exact revision and releases the data
  // directory. Writes are refused from now on, watches end with ServiceUnavailable. Reads go on.
  Task<Result<>> close();
  // Brings every lazy write that was published or staged before to disk.
  Task<Result<>> flush();
  // A consistent copy of the database, lazy writes included. Fails when `path` exists.
  Task<Result<>> backup(std::string path);

  ObjectPtr get(const resources::ResourceDef& def, std::string_view ns,
                std::string_view name) const override;
  ObjectPtr latest(const resources::ResourceDef& def, std::string_view ns,
                   std::string_view name) const override;
  server::ListResult list(const resources::ResourceDef& def, std::string_view ns) const override;
  Result<server::ListResult> list_at(const resources::ResourceDef& def, std::string_view ns,
                                     std::uint64_t revision) const override;
  std::size_t count(const resources::ResourceDef& def) const override;
  std::uint64_t revision() const override;
  Task<bool> reach(std::uint64_t revision, MonoTime deadline) override;

  Result<server::StagedWritePtr> stage_create(const resources::ResourceDef& def, Json object,
                                              resources::Durability durability) override;
  Result<server::StagedWritePtr> stage_update(const resources::ResourceDef& def, Json object,
                                              const ObjectPtr& expected,
                                              resources::Durability durability) override;
  Result<server::StagedWritePtr> stage_delete(const resources::ResourceDef& def,
                                              const ObjectPtr& expected,
                                              resources::Durability durability) override;

  Result<std::unique_ptr<server::StoreWatch>> watch(const resources::ResourceDef& def,
                                                    std::uint64_t after,
                                                    server::WatchInterest interest = {}) override;
  void subscribe(const resources::ResourceDef& def, Listener listener) override;
  const Error* failure() const override;

 private:
  class Engine;
  explicit Store(std::shared_ptr<Engine> engine);
  std::shared_ptr<Engine> engine_;
};

}  // namespace moth::store
