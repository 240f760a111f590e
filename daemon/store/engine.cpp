#include "daemon/store/engine.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "api/base/executors.h"
#include "api/base/json.h"
#include "api/base/log.h"
#include "daemon/store/sqlite_backend.h"

namespace moth::store {
namespace {

// Keys of one table whose lazy writes wait for the next flush; beyond that it comes at once.
constexpr std::size_t kMaxUnsaved = 1024;

class Staged final : public server::StagedWrite {
 public:
  // Without a ticket it is committed already.
  Staged(ObjectPtr object, TicketPtr ticket)
      : object_(std::move(object)), ticket_(std::move(ticket)) {}
  ObjectPtr object() const override { return object_; }
  Task<Result<>> committed() override { return ticket_ ? Ticket::wait(ticket_) : done(); }

 private:
  static Task<Result<>> done() { co_return Result<>{}; }
  ObjectPtr object_;
  TicketPtr ticket_;
};

}  // namespace

Store::Engine::Engine(StoreOptions options)
    : options_(std::move(options)),
      backend_(std::move(options_.backend)),
      metrics_(options_.metrics),
      filling_(std::make_unique<Batch>(options_.control)),
      work_(options_.control),
      loop_ended_(std::make_shared<Ticket>(options_.control)),
      timers_(options_.control) {
  hub_ = std::make_unique<WatchHub>(options_.control, options_.clock, reserved_);
}

Task<Result<>> Store::Engine::start(std::shared_ptr<Engine> self) {
  auto load = [&]() -> Result<Snapshot> {
    if (!self->backend_) {
      MOTH_ASSIGN(self->backend_, open_sqlite_backend(self->options_.data_dir));
    }
    return self->backend_->load();
  };
  Result<Snapshot> snapshot = co_await call_on(self->commit_thread_.get_executor(), load);
  if (!snapshot) {
    self->abandon();
    co_return fail(std::move(snapshot).error());
  }
  self->load(*std::move(snapshot));
  asio::co_spawn(self->options_.control, run(self), asio::detached);
  co_return Result<>{};
}

void Store::Engine::load(Snapshot snapshot) {
  // Revision 0 means "any" to clients, so that the first to be published is 2 and an empty store
  // is at 1.
  reserved_ = std::max<std::uint64_t>(snapshot.reserved_revision, 1);
  next_revision_ = reserved_ + 1;
  clean_ = snapshot.clean_stop;
  hub_ = std::make_unique<WatchHub>(options_.control, options_.clock, reserved_);
  for (const resources::ResourceDef* def : options_.registry->all()) table(*def);
  Table* last = nullptr;
  for (LoadedRow& row : snapshot.rows) {
    if (!last || last->name() != row.resource) {
      auto it = by_name_.find(row.resource);
      // Rows of a resource that this release or no CustomResourceDefinition knows (yet) are kept.
      last = it == by_name_.end() ? &add_table(row.resource) : it->second;
    }
    last->load(std::move(row.object));
  }
  for (Table* table : all_tables_) {
    metrics_.objects.with({table->name()}).set(static_cast<double>(table->size()));
  }
  metrics_.revision.set(static_cast<double>(reserved_));
}

Table& Store::Engine::add_table(const std::string& name) {
  auto made = std::make_unique<Table>(name, hub_->revision(),
                                      EventRing::Limits{options_.ring_bytes, options_.ring_events});
  Table& table = *made;
  tables_.push_back(std::move(made));
  all_tables_.push_back(&table);
  by_name_.emplace(name, &table);
  return table;
}

const Table* Store::Engine::find_table(const resources::ResourceDef& def) const {
  const resources::ResourceDef& stored = def.storage_def ? *def.storage_def : def;
  std::size_t index = stored.storage_index;
  if (def.storage_def && index < by_index_.size() && by_index_[index]) return by_index_[index];
  auto it = by_name_.find(stored.qualified());
  if (it == by_name_.end()) return nullptr;
  if (def.storage_def) {
    if (index >= by_index_.size()) by_index_.resize(index + 1);
    by_index_[index] = it->second;
  }
  return it->second;
}

Table& Store::Engine::table(const resources::ResourceDef& def) {
  if (const Table* found = find_table(def)) return const_cast<Table&>(*found);
  return add_table((def.storage_def ? *def.storage_def : def).qualified());
}

std::optional<Error> Store::Engine::refusal() const {
  if (failure_) return failure_;
  if (closing_) return Error::unavailable("the store is closed");
  if (filling_->bytes + in_flight_bytes_ > options_.pending_bytes) {
    return Error::too_many_requests(
        fmt::format("{} bytes of writes wait for the disk, which is more than the limit of {}; try "
                    "again later",
                    filling_->bytes + in_flight_bytes_, options_.pending_bytes),
        1);
  }
  return std::nullopt;
}

server::StagedWritePtr Store::Engine::stage(Table& table, server::EventType type, Json dom,
                                            resources::Durability durability) {
  std::uint64_t revision = next_revision_++;
  dom["metadata"]["resourceVersion"] = std::to_string(revision);
  Op op{&table, revision, type, Object::from_json(dom),
        durability == resources::Durability::kDurable};
  table.stage(op);
  filling_->bytes += op.object->text().size();
  auto staged = std::make_unique<Staged>(op.object, filling_->ticket);
  filling_->ops.push_back(std::move(op));
  work_.notify();
  return staged;
}

server::StagedWritePtr Store::Engine::stage_nothing(Table& table, ObjectPtr object,
                                                    resources::Durability durability) {
  TicketPtr ticket = ticket_of(object->meta().resource_version);
  Key key{object->ns(), object->name()};
  if (durability == resources::Durability::kDurable && (ticket || table.dirty().contains(key))) {
    // The version may be a lazy one, which the disk does not have.
    filling_->persists.push_back({&table, std::move(key)});
    ticket = filling_->ticket;
    work_.notify();
  }
  return std::make_unique<Staged>(std::move(object), std::move(ticket));
}

TicketPtr Store::Engine::ticket_of(std::uint64_t revision) const {
  if (revision <= hub_->revision()) return nullptr;
  return in_flight_ && revision <= in_flight_last_ ? in_flight_ : filling_->ticket;
}

Task<void> Store::Engine::run(std::shared_ptr<Engine> self) {
  while (!self->abandoned_) {
    if (!self->filling_->empty()) {
      co_await self->commit_next();
    } else if (self->closing_) {
      break;
    } else {
      co_await self->work_.wait();
    }
  }
  self->loop_ended_->resolve({});
}

Task<void> Store::Engine::commit_next() {
  auto batch = std::exchange(filling_, std::make_unique<Batch>(options_.control));
  DiskPlan plan = plan_rows(*batch, all_tables_);
  CommitBatch disk;
  disk.rows = std::move(plan.rows);
  reserve(*batch, disk);
  in_flight_ = batch->ticket;
  in_flight_bytes_ = batch->bytes;
  in_flight_last_ = batch->ops.empty() ? 0 : batch->ops.back().revision;
  Result<> outcome;
  if (failure_) {
    outcome = fail(*failure_);
  } else if (!disk.rows.empty() || disk.reserved_revision) {
    outcome = co_await commit(disk);
  }
  in_flight_ = nullptr;
  in_flight_bytes_ = 0;
  if (abandoned_) {
    batch->ticket->resolve(fail(Error::unavailable("the store is closed")));
  } else if (!outcome) {
    turn_read_only(outcome.error(), *batch);
  } else {
    publish(*batch, plan);
  }
}

Task<Result<>> Store::Engine::commit(const CommitBatch& disk) {
  MonoTime start = options_.clock->mono();
  Result<> outcome =
      co_await call_on(commit_thread_.get_executor(), [&] { return backend_->commit(disk); });
  if (outcome && disk.reserved_revision) reserved_ = *disk.reserved_revision;
  if (outcome) clean_ = disk.clean_stop;
  metrics_.commit_seconds.observe(
      std::chrono::duration<double>(options_.clock->mono() - start).count());
  metrics_.batch_rows.observe(static_cast<double>(disk.rows.size()));
  co_return outcome;
}

// No revision is published before a block that holds it is on disk: after a crash the next start
// continues behind the block.
void Store::Engine::reserve(const Batch& batch, CommitBatch& disk) const {
  std::uint64_t last = batch.ops.empty() ? next_revision_ - 1 : batch.ops.back().revision;
  bool exhausted = !batch.ops.empty() && last > reserved_;
  bool convenient =
      !disk.rows.empty() && (last >= reserved_ || reserved_ - last < options_.revision_block / 2);
  if (exhausted || convenient) disk.reserved_revision = last + options_.revision_block;
}

void Store::Engine::publish(const Batch& batch, const DiskPlan& plan) {
  std::vector<WatchHub::Change> events;
  std::vector<Table*> changed;
  events.reserve(batch.ops.size());
  for (const Op& op : batch.ops) {
    events.push_back({op.table, op.table->publish(op)});
    if (std::find(changed.begin(), changed.end(), op.table) == changed.end()) {
      changed.push_back(op.table);
    }
    (op.durable ? metrics_.durable_writes : metrics_.lazy_writes).add();
  }
  for (const auto& touched : plan.clean) touched.table->mark_clean(touched.key);
  for (const auto& touched : plan.dirty)
    touched.table->mark_dirty(touched.key, {touched.object, touched.on_disk});
  if (!plan.dirty.empty()) arm_flush();
  // Bounded: what was deleted is nowhere else any more.
  if (std::any_of(changed.begin(), changed.end(),
                  [](Table* table) { return table->dirty().size() > kMaxUnsaved; })) {
    filling_->flush = true;
    work_.notify();
  }
  for (Table* table : changed) {
    metrics_.objects.with({table->name()}).set(static_cast<double>(table->size()));
  }
  std::uint64_t revision = batch.ops.empty() ? hub_->revision() : batch.ops.back().revision;
  metrics_.revision.set(static_cast<double>(revision));
  hub_->publish(revision, events);
  for (const auto& [table, event] : events) {
    // By index: a listener may subscribe another.
    for (std::size_t i = 0; i < table->listeners().size(); ++i) table->listeners()[i](event);
  }
  batch.ticket->resolve({});
}

void Store::Engine::turn_read_only(const Error& why, Batch& batch) {
  if (!failure_) {
    failure_ = Error::unavailable("the store is read-only: " + why.message);
    log::error("the store refuses writes from now on", log::field("reason", why.message));
    metrics_.read_only.set(1);
  }
  for (Table* table : all_tables_) table->drop_pending();
  auto refused = std::exchange(filling_, std::make_unique<Batch>(options_.control));
  batch.ticket->resolve(fail(*failure_));
  refused->ticket->resolve(fail(*failure_));
}

void Store::Engine::arm_flush() {
  if (flush_armed_ || closing_ || options_.lazy_flush_interval == Duration::max()) return;
  flush_armed_ = true;
  timers_.spawn("store flush", flush_later(shared_from_this()));
}

Task<void> Store::Engine::flush_later(std::shared_ptr<Engine> self) {
  co_await self->options_.clock->sleep_for(self->options_.lazy_flush_interval);
  self->flush_armed_ = false;
  if (self->closing_ || self->failure_) co_return;
  self->filling_->flush = true;
  self->work_.notify();
}

Task<Result<>> Store::Engine::flush(std::shared_ptr<Engine> self) {
  if (self->failure_) co_return fail(*self->failure_);
  if (self->closing_) co_return fail(Error::unavailable("the store is closed"));
  self->filling_->flush = true;
  self->work_.notify();
  co_return co_await Ticket::wait(self->filling_->ticket);
}

Task<Result<>> Store::Engine::backup(std::shared_ptr<Engine> self, std::string path) {
  // A store that cannot write is the one that needs its copy most.
  if (!self->failure_) MOTH_CO_TRY(co_await flush(self));
  if (self->closing_) co_return fail(Error::unavailable("the store is closed"));
  co_return co_await call_on(self->commit_thread_.get_executor(),
                             [&] { return self->backend_->backup(path); });
}

Task<Result<>> Store::Engine::close(std::shared_ptr<Engine> self) {
  if (self->closing_) {
    co_await Ticket::wait(self->loop_ended_);
    co_return Result<>{};
  }
  self->filling_->flush = true;
  self->closing_ = true;
  self->work_.notify();
  self->timers_.cancel();
  co_await self->timers_.join();
  co_await Ticket::wait(self->loop_ended_);
  Result<> outcome;
  if (self->abandoned_) co_return fail(Error::unavailable("the store is closed"));
  if (self->failure_) {
    outcome = fail(*self->failure_);
  } else if (!self->clean_ || self->reserved_ != self->next_revision_ - 1) {
    CommitBatch last;
    last.reserved_revision = self->next_revision_ - 1;
    last.clean_stop = true;
    outcome = co_await self->commit(last);
  }
  co_await call_on(self->commit_thread_.get_executor(), [&] { self->backend_->close(); });
  self->abandon();
  if (!self->failure_) self->failure_ = Error::unavailable("the store is closed");
  co_return outcome;
}

void Store::Engine::abandon() {
  if (abandoned_) return;
  abandoned_ = true;
  closing_ = true;
  timers_.cancel();
  hub_->close();
  work_.notify();
  // The commit that runs refers to its batch; after it the data directory is free for the next.
  commit_thread_.join();
  backend_.reset();
  filling_->ticket->resolve(fail(Error::unavailable("the store is closed")));
}

}  // namespace moth::store
