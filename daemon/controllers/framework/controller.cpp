#include "daemon/controllers/framework/controller.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "api/base/log.h"

namespace moth::controllers {

bool is_namespace_terminating(const Error& error) {
  return std::any_of(error.causes.begin(), error.causes.end(),
                     [](const Cause& cause) { return cause.reason == "NamespaceTerminating"; });
}

void watch_own(client::ObjectReader& reader, const Gvr& gvr, WorkQueue& queue) {
  reader.subscribe(gvr, [&queue](const client::ObjectReader::Change& change) {
    queue.add({change.any().ns(), change.any().name()});
  });
  for (const ObjectPtr& object : reader.list(gvr)) queue.add({object->ns(), object->name()});
}

void watch_owned(client::ObjectReader& reader, const Gvr& gvr, std::string_view owner_kind,
                 WorkQueue& queue) {
  auto add_owner = [&queue, kind = std::string(owner_kind)](const ObjectPtr& object) {
    if (!object) return;
    const OwnerReference* owner = object->meta().controller();
    if (owner && owner->kind == kind) queue.add({object->ns(), owner->name});
  };
  reader.subscribe(gvr, [add_owner](const client::ObjectReader::Change& change) {
    add_owner(change.object);
    add_owner(change.previous);
  });
}

ControllerRunner::ControllerRunner(asio::any_io_executor control, Clock& clock,
                                   std::unique_ptr<Controller> controller)
    : controller_(std::move(controller)), queue_(control, clock), scope_(control) {}

ControllerRunner::~ControllerRunner() = default;

void ControllerRunner::start() {
  controller_->subscribe(queue_);
  for (int i = 0; i < controller_->workers(); ++i) scope_.spawn("controller worker", work());
}

Task<void> ControllerRunner::work() {
  for (;;) {
    Key key = co_await queue_.take();
    ++reconciles_;
    auto result = co_await controller_->reconcile(key);
    if (!result && is_namespace_terminating(result.error())) {
      log::debug("nothing to do in a namespace that goes",
                 log::field("controller", controller_->name()), log::field("key", key.text()));
      queue_.forget(key);
    } else if (!result) {
      ++errors_;
      // Conflicts are everyday: somebody else was faster.
      auto level =
          result.error().reason == Reason::kConflict ? log::Level::kDebug : log::Level::kWarning;
      if (log::level() <= level) {
        log::write(level, "reconcile failed",
                   {log::field("controller", controller_->name()), log::field("key", key.text()),
                    log::field("error", result.error().message)});
      }
      queue_.add_failed(key);
    } else {
      queue_.forget(key);
      if (result->after) queue_.add_after(key, *result->after);
    }
    queue_.done(key);
    // Others get their turn between two keys, however many wait.
    co_await asio::post(asio::use_awaitable);
  }
}

Task<void> ControllerRunner::stop() {
  scope_.cancel();
  co_await scope_.join();
  co_await queue_.stop();
}

}  // namespace moth::controllers
