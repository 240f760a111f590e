#pragma once
// WatchHub: makes watches and wakes them. A watch is a cursor over its table's ring; all waiting
// ones share one sleeper for their deadlines. A change that is of no interest to a waiting watch
// moves its cursor and does not wake it. Control thread only.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "api/base/clock.h"
#include "api/server/storage.h"
#include "daemon/store/table.h"

namespace moth::store {

class WatchHub {
 public:
  WatchHub(asio::any_io_executor control, Clock* clock, std::uint64_t revision);
  // Ends the watches as close() does.
  ~WatchHub();

  struct Change {
    Table* table;
    server::StoreEvent event;
  };

  // Expired when the table's ring does not reach back to `after`, Timeout (as upstream) when
  // `after` is still to come. The watch may outlive the hub. `table` lives as long as the hub.
  Result<std::unique_ptr<server::StoreWatch>> watch(Table& table, std::uint64_t after,
                                                    server::WatchInterest interest = {});
  // Everything up to `revision` is in the rings, `changes` being the newest of it; wakes the
  // watches that one of them is of interest to.
  void publish(std::uint64_t revision, const std::vector<Change>& changes);
  std::uint64_t revision() const;
  // False when `deadline` passed, or the hub was closed, before the store was at `revision`.
  Task<bool> reach(std::uint64_t revision, MonoTime deadline);
  // Watches that exist.
  std::size_t watchers() const;
  // How many watches were told Expired.
  std::uint64_t expired() const;
  // Every watch, now and later, ends with ServiceUnavailable.
  void close();

 private:
  friend class Watch;
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace moth::store
