#include "daemon/store/batch.h"

#include <map>
#include <tuple>

#include "api/base/notifier.h"
#include "daemon/store/table.h"

namespace moth::store {

struct Ticket::Waiters {
  explicit Waiters(asio::any_io_executor control) : notifier(std::move(control)) {}
  Notifier notifier;
};

Ticket::Ticket(asio::any_io_executor control)
    : waiters_(std::make_unique<Waiters>(std::move(control))) {}
Ticket::~Ticket() = default;

void Ticket::resolve(Result<> outcome) {
  if (outcome_) return;
  outcome_ = std::move(outcome);
  waiters_->notifier.notify();
}

Task<Result<>> Ticket::wait(std::shared_ptr<Ticket> ticket) {
  while (!ticket->outcome_) co_await ticket->waiters_->notifier.wait();
  co_return *ticket->outcome_;
}

DiskPlan plan_rows(const Batch& batch, const std::vector<Table*>& tables) {
  struct Newest {
    ObjectPtr object;
    bool remove = false;
    bool durable = false;
  };
  std::map<std::tuple<Table*, std::string_view, std::string_view>, Newest> newest;
  for (const Op& op : batch.ops) {
    auto& entry = newest[{op.table, op.object->ns(), op.object->name()}];
    entry.object = op.object;
    entry.remove = op.type == server::EventType::kDeleted;
    entry.durable |= op.durable || batch.flush;
  }
  for (const Persist& persist : batch.persists) {
    auto it = newest.find({persist.table, persist.key.ns, persist.key.name});
    if (it != newest.end()) {
      it->second.durable = true;
    } else if (ObjectPtr object = persist.table->get(persist.key.ns, persist.key.name);
               object && persist.table->dirty().contains(persist.key)) {
      newest[{persist.table, object->ns(), object->name()}] = {object, false, true};
    }
  }

  DiskPlan plan;
  for (auto& [key, entry] : newest) {
    auto& [table, ns, name] = key;
    DiskPlan::Touched touched{table, Key{std::string(ns), std::string(name)}, entry.object};
    auto dirty = table->dirty().find(touched.key);
    touched.on_disk =
        dirty != table->dirty().end() ? dirty->second.on_disk : table->get(ns, name) != nullptr;
    bool clean = entry.durable || (entry.remove && !touched.on_disk);
    (clean ? plan.clean : plan.dirty).push_back(std::move(touched));
    if (entry.durable) plan.rows.push_back({table->name(), entry.object, entry.remove});
  }
  if (!batch.flush) return plan;
  for (Table* table : tables) {
    for (const auto& [key, unsaved] : table->dirty()) {
      if (newest.contains({table, key.ns, key.name})) continue;
      ObjectPtr object = table->get(key.ns, key.name);
      plan.clean.push_back({table, key, unsaved.object});
      plan.rows.push_back({table->name(), object ? object : unsaved.object, !object});
    }
  }
  return plan;
}

}  // namespace moth::store
