#pragma once
// One run of a container while it lives. Internal to the worker.
#include <memory>

#include "api/base/notifier.h"
#include "runtime/agent/pod_worker.h"

namespace moth::agent {

struct PodWorker::Run {
  Run(asio::any_io_executor control, std::unique_ptr<shim::Container> container, int number)
      : handle(std::move(container)), attempt(number), progress(std::move(control)) {}

  // A kill that is under way ends no later than `latest`.
  void shorten(MonoTime latest) {
    if (latest >= kill_deadline) return;
    kill_deadline = latest;
    progress.notify();
  }

  std::unique_ptr<shim::Container> handle;
  int attempt;
  std::unique_ptr<Prober> prober;
  bool ended = false;
  MonoTime kill_deadline = MonoTime::max();
  Notifier progress;  // ended or kill_deadline changed
};

}  // namespace moth::agent
