#pragma once
// Controller: one level-triggered reconciler. It is given a key, never an event: it reads the state
// that there is, plans (a pure function in xyz_plan.h) and executes. ControllerRunner gives it
// workers. Control thread.
//
// Mapping: in subscribe() a controller maps changes of objects to keys of its own kind (the object
// itself, its controller owner, or something looked up) and adds them to the queue.
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "api/base/clock.h"
#include "api/base/result.h"
#include "api/base/task_scope.h"
#include "api/client/object_client.h"
#include "daemon/controllers/framework/work_queue.h"

namespace moth::client {
class EventRecorder;
class NodeApi;
}  // namespace moth::client

namespace moth::controllers {

// What every controller may use; all outlive it.
struct ControllerContext {
  asio::any_io_executor control;
  Clock& clock;
  const client::ObjectReader& reader;
  client::ObjectReader& subscriptions;  // the same reader, for subscribe()
  client::ObjectClient& client;
  client::EventRecorder& events;
};

// When to look at the key again although nothing changed.
struct Requeue {
  std::optional<Duration> after;
};

class Controller {
 public:
  virtual ~Controller() = default;
  virtual std::string_view name() const = 0;
  virtual int workers() const { return 4; }
  // Once, before the first reconcile: subscribe to changes. Every key of the controller's kind that
  // exists at that time is to be added, too.
  virtual void subscribe(WorkQueue& queue) = 0;
  // An error of reason Conflict, or any other but is_namespace_terminating(), brings the key back
  // with backoff. Errors that trying again cannot mend are told as an Event, and success is
  // returned.
  virtual Task<Result<Requeue>> reconcile(Key key) = 0;
};

// A write was refused because its namespace is being terminated: what the controller keeps there
// goes as well, so there is nothing to do, to tell or to try again. The runner takes such an error
// of reconcile() for success.
bool is_namespace_terminating(const Error& error);

// Adds the key of every changed object of `gvr`, and of those that exist.
void watch_own(client::ObjectReader& reader, const Gvr& gvr, WorkQueue& queue);
// Adds the key of the controller owner (of Kind `owner_kind`) of every changed object of `gvr`.
void watch_owned(client::ObjectReader& reader, const Gvr& gvr, std::string_view owner_kind,
                 WorkQueue& queue);

class ControllerRunner {
 public:
  ControllerRunner(asio::any_io_executor control, Clock& clock,
                   std::unique_ptr<Controller> controller);
  ~ControllerRunner();
  void start();
  // Lets no reconcile begin any more and waits for those that run.
  Task<void> stop();
  WorkQueue& queue() { return queue_; }
  Controller& controller() { return *controller_; }
  std::uint64_t reconciles() const { return reconciles_; }
  std::uint64_t errors() const { return errors_; }

 private:
  Task<void> work();

  std::unique_ptr<Controller> controller_;
  WorkQueue queue_;
  TaskScope scope_;
  std::uint64_t reconciles_ = 0, errors_ = 0;
};

}  // namespace moth::controllers
