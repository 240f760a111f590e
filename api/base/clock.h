#pragma once
// Clock: the only source of time. Real in the daemon, FakeClock in tests. Thread-safe.
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

#include "api/base/task.h"

namespace moth {

using WallTime = std::chrono::system_clock::time_point;
using MonoTime = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual WallTime wall() const = 0;
  virtual MonoTime mono() const = 0;
  // Completes once mono() >= deadline. Cancellable (throws operation_aborted as all of Asio).
  virtual Task<void> sleep_until(MonoTime deadline) = 0;
  Task<void> sleep_for(Duration duration) { return sleep_until(mono() + duration); }
};

class RealClock final : public Clock {
 public:
  WallTime wall() const override;
  MonoTime mono() const override;
  Task<void> sleep_until(MonoTime deadline) override;
};

// Stands still until advance() is called; sleepers wake in the order of their deadlines.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(WallTime start = WallTime(std::chrono::seconds(1'750'000'000)));
  ~FakeClock() override;
  WallTime wall() const override;
  MonoTime mono() const override;
  Task<void> sleep_until(MonoTime deadline) override;
  void advance(Duration duration);
  // Deadline of the earliest sleeper, or MonoTime::max().
  MonoTime next_deadline() const;

 private:
  struct Sleeper;
  mutable std::mutex mutex_;
  WallTime wall_;
  MonoTime mono_{std::chrono::hours(1)};
  std::vector<std::shared_ptr<Sleeper>> sleepers_;
};

}  // namespace moth
