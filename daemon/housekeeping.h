#pragma once
// What the process does for itself beside its work: gives freed memory back to the kernel, and
// measures how late its executors are (moth_executor_lag_seconds; a warning beyond a second).
// An executor that is late runs a handler that takes too long.
#include "api/base/clock.h"
#include "api/base/executors.h"
#include "api/base/metrics.h"
#include "api/base/task.h"
#include "api/base/task_scope.h"

namespace moth {

// Spawns its loops into `scope`, which is cancelled before the arguments go. Control thread.
void start_housekeeping(TaskScope& scope, Executors& executors, Clock& clock,
                        metrics::Registry& metrics);

}  // namespace moth
