#pragma once
// EventRing: the latest changes of one resource, bounded in number and in bytes. Control thread
// only.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "api/base/result.h"
#include "api/server/storage.h"

namespace moth::store {

// What a reader of changes after `after` is told when they are gone: upstream's words.
Error too_old(std::uint64_t after, std::uint64_t floor);

class EventRing {
 public:
  struct Limits {
    std::size_t bytes = 0;
    std::size_t events = 0;
  };

  // Holds every change after `revision`, of which there is none yet.
  EventRing(std::uint64_t revision, Limits limits) : floor_(revision), limits_(limits) {}

  // Revisions ascend. Drops the oldest events beyond the limits, but never the newest one.
  void push(const server::StoreEvent& event);
  // Whether every change after `revision` is still here.
  bool reaches(std::uint64_t revision) const { return revision >= floor_; }
  // The oldest revision that a cursor may have.
  std::uint64_t floor() const { return floor_; }
  // Up to `limit` events after `revision`, in order.
  std::vector<server::StoreEvent> after(std::uint64_t revision, std::size_t limit) const;
  bool any_after(std::uint64_t revision) const {
    return !events_.empty() && events_.back().revision > revision;
  }
  std::size_t bytes() const { return bytes_; }
  std::size_t size() const { return events_.size(); }

 private:
  std::deque<server::StoreEvent> events_;
  std::uint64_t floor_;
  std::size_t bytes_ = 0;
  Limits limits_;
};

}  // namespace moth::store
