#pragma once
// Batch: the writes that share one commit, and Ticket: how their writers learn of it. Control
// thread only, but for the ObjectPtrs in a CommitBatch.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/base/result.h"
#include "api/base/task.h"
#include "api/server/storage.h"
#include "daemon/store/backend.h"

namespace moth::store {

class Table;

// Namespace and name.
struct Key {
  std::string ns, name;
  auto operator<=>(const Key&) const = default;
};

// The outcome of a batch, awaited by any number of writers.
class Ticket {
 public:
  explicit Ticket(asio::any_io_executor control);
  ~Ticket();
  // Once. Wakes the waiters.
  void resolve(Result<> outcome);
  // The outcome, at once when it is known. Cancellable; the write goes on all the same.
  static Task<Result<>> wait(std::shared_ptr<Ticket> ticket);

 private:
  struct Waiters;
  std::optional<Result<>> outcome_;
  std::unique_ptr<Waiters> waiters_;
};
using TicketPtr = std::shared_ptr<Ticket>;

struct Op {
  Table* table = nullptr;
  std::uint64_t revision = 0;
  server::EventType type = server::EventType::kAdded;
  ObjectPtr object;
  bool durable = true;
};

// The key's newest state is to be on disk, though nothing of it changes.
struct Persist {
  Table* table = nullptr;
  Key key;
};

struct Batch {
  explicit Batch(asio::any_io_executor control)
      : ticket(std::make_shared<Ticket>(std::move(control))) {}
  bool empty() const { return ops.empty() && persists.empty() && !flush; }

  std::vector<Op> ops;  // ascending revisions
  std::vector<Persist> persists;
  bool flush = false;     // with all lazy writes so far
  std::size_t bytes = 0;  // of the objects' texts
  TicketPtr ticket;
};

// What of a batch goes to disk.
struct DiskPlan {
  std::vector<RowWrite> rows;
  struct Touched {
    Table* table = nullptr;
    Key key;
    ObjectPtr object;      // some version of it
    bool on_disk = false;  // the disk has some state of the key
  };
  // Keys whose newest state will be on disk, and keys whose newest state will not. What comes and
  // goes without the disk's ever hearing of it is clean.
  std::vector<Touched> clean, dirty;
};

// One row for each key that a durable write touched (with its newest state in the batch, which may
// be a lazy one), that is asked for, or, with batch.flush, that has lazy state. `tables` are all.
DiskPlan plan_rows(const Batch& batch, const std::vector<Table*>& tables);

}  // namespace moth::store
