#include "daemon/housekeeping.h"

#include <malloc.h>

#include <string_view>

#include "api/base/log.h"

namespace moth {
namespace {

using namespace std::chrono_literals;

constexpr Duration kTrimInterval = 60s;
// Less than this is not worth the walk over the heap.
constexpr std::size_t kTrimBytes = 2 << 20;
constexpr Duration kProbeInterval = 5s;
constexpr Duration kTooLate = 1s;

// The start leaves a lot behind (certificates, parsed documents, the database's pages), so does
// every burst of work. glibc keeps it unless it lies at the end of the heap.
Task<void> give_memory_back(asio::any_io_executor blocking, Clock& clock) {
  for (;;) {
    co_await call_on(blocking, [] {
      if (::mallinfo2().fordblks > kTrimBytes) ::malloc_trim(0);
    });
    co_await clock.sleep_for(kTrimInterval);
  }
}

Task<void> probe_lag(asio::any_io_executor executor, std::string_view name, Clock& clock,
                     metrics::Histogram& lag) {
  for (;;) {
    MonoTime asked = clock.mono();
    Duration late = co_await call_on(executor, [&] { return clock.mono() - asked; });
    lag.observe(std::chrono::duration<double>(late).count());
    if (late > kTooLate)
      log::warning("an executor is late", log::field("executor", name),
                   log::field("milliseconds",
                              std::chrono::duration_cast<std::chrono::milliseconds>(late).count()));
    co_await clock.sleep_for(kProbeInterval);
  }
}

// Control is where the probes wait themselves, so its lag is that of a timer.
Task<void> probe_own_lag(Clock& clock, metrics::Histogram& lag) {
  for (;;) {
    MonoTime due = clock.mono() + kProbeInterval;
    co_await clock.sleep_until(due);
    Duration late = clock.mono() - due;
    lag.observe(std::chrono::duration<double>(late).count());
    if (late > kTooLate)
      log::warning("an executor is late", log::field("executor", "control"),
                   log::field("milliseconds",
                              std::chrono::duration_cast<std::chrono::milliseconds>(late).count()));
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
