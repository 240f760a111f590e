#include "daemon/housekeeping.h"

#include <malloc.h>

#include <algorithm>
#include <string_view>

#include "api/base/log.h"

namespace moth {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTrimInterval = 60s;
// Less than this, freed since the last time, is not worth the walk over the heap.
constexpr std::size_t kTrimBytes = 2 << 20;
constexpr Duration kProbeInterval = 5s;
constexpr Duration kTooLate = 1s;

// The start leaves a lot behind (certificates, parsed documents, the database's pages), so does
// every burst of work. glibc keeps it unless it lies at the end of the heap.
Task<void> give_memory_back(asio::any_io_executor blocking, Clock& clock) {
  // What stays free within the heap after a trim: pieces, their pages given back or not.
  std::size_t left = 0;
  for (;;) {
    co_await call_on(blocking, [&left] {
      std::size_t freed = ::mallinfo2().fordblks;
      left = std::min(left, freed);
      if (freed < left + kTrimBytes) return;
      ::malloc_trim(0);
      left = ::mallinfo2().fordblks;
    });
    co_await clock.sleep_for(kTrimInterval);
  }
}

void note_lag(std::string_view executor, Duration late, metrics::Histogram& lag) {
  lag.observe(std::chrono::duration<double>(late).count());
  if (late <= kTooLate) return;
  log::warning("an executor is late", log::field("executor", executor),
               log::field("milliseconds",
                          std::chrono::duration_cast<std::chrono::milliseconds>(late).count()));
}

Task<void> probe_lag(asio::any_io_executor executor, std::string_view name, Clock& clock,
                     metrics::Histogram& lag) {
  for (;;) {
    MonoTime asked = clock.mono();
    note_lag(name, co_await call_on(executor, [&] { return clock.mono() - asked; }), lag);
    co_await clock.sleep_for(kProbeInterval);
  }
}

// Control is where the probes wait themselves, so its lag is that of a timer.
Task<void> probe_own_lag(Clock& clock, metrics::Histogram& lag) {
  for (;;) {
    MonoTime due = clock.mono() + kProbeInterval;
    co_await clock.sleep_until(due);
    note_lag("control", clock.mono() - due, lag);
  }
}

}  // namespace

void start_housekeeping(TaskScope& scope, Executors& executors, Clock& clock,
                        metrics::Registry& metrics) {
  auto& lag = metrics.histograms("moth_executor_lag_seconds",
                                 "How long a handler waits before its executor runs it",
                                 {"executor"}, metrics::latency_buckets());
  scope.spawn("heap", give_memory_back(executors.blocking(), clock));
  scope.spawn("lag of control", probe_own_lag(clock, lag.with({"control"})));
  scope.spawn("lag of io", probe_lag(executors.io(), "io", clock, lag.with({"io"})));
  scope.spawn("lag of blocking",
              probe_lag(executors.blocking(), "blocking", clock, lag.with({"blocking"})));
}

}  // namespace moth
