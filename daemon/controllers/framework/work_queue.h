#pragma once
// WorkQueue: keys that wait to be reconciled. A key is handed to one worker at a time; a key that
// is added while it is worked on is handed out once more afterwards, however often it was added.
// Failed keys come back with exponential backoff. Control thread.
#include <chrono>
#include <compare>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "api/base/clock.h"
#include "api/base/notifier.h"
#include "api/base/task.h"
#include "api/base/task_scope.h"

namespace moth::controllers {

struct Key {
  std::string ns, name;
  auto operator<=>(const Key&) const = default;
  std::string text() const { return ns.empty() ? name : ns + "/" + name; }
};

struct Backoff {
  Duration base = std::chrono::milliseconds(5);
  Duration max = std::chrono::seconds(1000);
  Duration of(int failures) const;  // base doubled with each failure after the first, at most max
};

class WorkQueue {
 public:
  WorkQueue(asio::any_io_executor control, Clock& clock, Backoff backoff = {});
  ~WorkQueue();  // stop() has completed

  void add(const Key& key);
  // Not before `after` from now; an earlier time for the same key wins.
  void add_after(const Key& key, Duration after);
  // Forgets what add_after() was told about the key.
  void cancel_delayed(const Key& key);
  // After the backoff of one more failure.
  void add_failed(const Key& key);
  // The next failure of the key counts as its first.
  void forget(const Key& key);

  // Waits for a key and marks it as being worked on; done() must follow. Cancellable.
  Task<Key> take();
  void done(const Key& key);

  std::size_t size() const { return ready_.size(); }
  // Nothing is ready, waiting for a timer excepted, and nobody works: for tests.
  bool idle() const { return ready_.empty() && working_.empty(); }
  // Completes when idle(). One waiter.
  Task<void> wait_idle();
  int failures(const Key& key) const;
  Task<void> stop();

 private:
  Task<void> run_timers();

  asio::any_io_executor control_;
  Clock& clock_;
  Backoff backoff_;
  std::deque<Key> ready_;
  std::set<Key> dirty_;  // waiting in ready_, or to be put there by done()
  std::set<Key> working_;
  std::map<Key, int> failures_;
  std::multimap<MonoTime, Key> delayed_;
  std::map<Key, MonoTime> due_;
  Notifier has_ready_;
  Notifier timers_changed_;
  Notifier became_idle_;
  TaskScope scope_;
};

}  // namespace moth::controllers
