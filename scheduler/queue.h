#pragma once
// Queue: pods that wait for a node. Active ones by priority and age; those that found none back off
// (1 s doubling to 10 s), wake up when something relevant changed, and are tried every 300 s in any
// case. Control thread; time is the caller's.
#include <map>
#include <optional>
#include <set>
#include <string>

#include "api/base/clock.h"

namespace moth::scheduler {

struct QueuedPod {
  std::string uid, ns, name;
  std::int64_t priority = 0;
  WallTime created{};
};

class Queue {
 public:
  void add(const QueuedPod& pod);  // also replaces
  void remove(const std::string& uid);
  // The most important pod that may be tried now; it stays out until failed() or remove().
  std::optional<QueuedPod> pop(MonoTime now);
  void failed(const QueuedPod& pod, MonoTime now);
  // Something changed that may help: those that are not in back-off become active, those that are
  // being tried will be tried again.
  void wake(MonoTime now);
  // When pop() may give something, without another change; MonoTime::max() if never.
  MonoTime next_time(MonoTime now) const;
  std::size_t size() const { return pods_.size(); }

 private:
  struct Entry {
    QueuedPod pod;
    int failures = 0;
    bool active = true;  // may be tried once not_before has passed
    bool in_flight = false;
    bool woken = false;     // while it was in flight
    MonoTime not_before{};  // end of the back-off
    MonoTime flush_at{};    // tried again by then even without a change
  };
  std::map<std::string, Entry> pods_;
};

}  // namespace moth::scheduler
