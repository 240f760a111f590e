#pragma once
// Store::Engine: what a Store is made of. Its commit loop and timers keep it alive, so that a Store
// may go while they end. Control thread only, but for the backend, which the commit thread calls.
#include <boost/asio/thread_pool.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/notifier.h"
#include "api/base/task_scope.h"
#include "daemon/store/batch.h"
#include "daemon/store/store.h"
#include "daemon/store/store_metrics.h"
#include "daemon/store/table.h"
#include "daemon/store/watch_hub.h"

namespace moth::store {

class Store::Engine : public std::enable_shared_from_this<Engine> {
 public:
  explicit Engine(StoreOptions options);

  static Task<Result<>> start(std::shared_ptr<Engine> self);
  static Task<Result<>> close(std::shared_ptr<Engine> self);
  static Task<Result<>> flush(std::shared_ptr<Engine> self);
  static Task<Result<>> backup(std::shared_ptr<Engine> self, std::string path);
  // Ends at once, as a crash would; waits for a commit that runs. Idempotent.
  void abandon();

  // The table of the stored version of `def`, made when it is asked for first.
  Table& table(const resources::ResourceDef& def);
  // Null when nothing of `def` was ever stored.
  const Table* find_table(const resources::ResourceDef& def) const;

  // Null when writes are accepted now, else why not.
  std::optional<Error> refusal() const;
  // Gives `dom` the next revision and stages it.
  server::StagedWritePtr stage(Table& table, server::EventType type, Json dom,
                               resources::Durability durability);
  // A write that changes nothing: completes when `object` is as durable as asked for.
  server::StagedWritePtr stage_nothing(Table& table, ObjectPtr object,
                                       resources::Durability durability);

  WatchHub& hub() { return *hub_; }
  std::uint64_t revision() const { return hub_->revision(); }
  const Error* failure() const { return failure_ ? &*failure_ : nullptr; }

 private:
  static Task<void> run(std::shared_ptr<Engine> self);
  static Task<void> flush_later(std::shared_ptr<Engine> self);
  Task<void> commit_next();
  Task<Result<>> commit(const CommitBatch& disk);
  void load(Snapshot snapshot);
  Table& add_table(const std::string& name);
  void reserve(const Batch& batch, CommitBatch& disk) const;
  void publish(const Batch& batch, const DiskPlan& plan);
  void turn_read_only(const Error& why, Batch& batch);
  void arm_flush();
  TicketPtr ticket_of(std::uint64_t revision) const;

  StoreOptions options_;
  std::unique_ptr<Backend> backend_;
  asio::thread_pool commit_thread_{1};
  StoreMetrics metrics_;

  std::vector<std::unique_ptr<Table>> tables_;
  std::vector<Table*> all_tables_;
  std::map<std::string, Table*, std::less<>> by_name_;
  mutable std::vector<Table*> by_index_;  // by ResourceDef::storage_index
  std::unique_ptr<WatchHub> hub_;

  std::unique_ptr<Batch> filling_;
  TicketPtr in_flight_;  // of the batch at the commit thread, else null
  std::uint64_t in_flight_last_ = 0;
  std::size_t in_flight_bytes_ = 0;
  std::uint64_t next_revision_ = 2;
  std::uint64_t reserved_ = 1;
  bool clean_ = false;  // on disk: the last stop was an orderly one

  Notifier work_;
  TicketPtr loop_ended_;
  TaskScope timers_;
  bool flush_armed_ = false;
  bool closing_ = false;
  bool abandoned_ = false;
  std::optional<Error> failure_;
};

}  // namespace moth::store
