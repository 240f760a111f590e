#include "daemon/controllers/eventttl/eventttl_controller.h"

#include <algorithm>

#include "api/base/json.h"
#include "api/machinery/time.h"

namespace moth::controllers {
namespace {

constexpr auto kTimeToLive = std::chrono::hours(1);
constexpr std::size_t kMaxEvents = 4096;
// The whole list is looked at once for so many new events.
constexpr std::uint64_t kTrimEvery = 256;

class EventTtlController final : public Controller {
 public:
  explicit EventTtlController(ControllerContext context) : context_(context) {}
  std::string_view name() const override { return "eventttl"; }
  int workers() const override { return 1; }

  // One timer an event: its first look comes when it may be due.
  void subscribe(WorkQueue& queue) override {
    context_.subscriptions.subscribe(client::gvr::kEvents,
                                     [this, &queue](const client::ObjectReader::Change& change) {
                                       Key key{change.any().ns(), change.any().name()};
                                       if (!change.object) return queue.cancel_delayed(key);
                                       if (change.previous) return;
                                       queue.add_after(key, kTimeToLive);
                                       if (++created_ % kTrimEvery == 0) queue.add(kTrim);
                                     });
    WallTime now = context_.clock.wall();
    for (const ObjectPtr& event : context_.reader.list(client::gvr::kEvents)) {
      auto due = event->meta().created.value_or(now) + kTimeToLive - now;
      queue.add_after({event->ns(), event->name()}, std::chrono::duration_cast<Duration>(due));
    }
  }

  Task<Result<Requeue>> reconcile(Key key) override {
    if (key == kTrim) co_return co_await trim();
    ObjectPtr event = context_.reader.get(client::gvr::kEvents, key.ns, key.name);
    if (!event) co_return Requeue{};
    auto left = last_seen(*event) + kTimeToLive - context_.clock.wall();
    if (left > WallTime::duration::zero())
      co_return Requeue{std::chrono::duration_cast<Duration>(left)};
    auto removed = co_await context_.client.remove(client::gvr::kEvents, key.ns, key.name);
    if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    co_return Requeue{};
  }

 private:
  // No event has an empty namespace.
  inline static const Key kTrim{"", "trim"};

  Task<Result<Requeue>> trim() {
    auto events = context_.reader.list(client::gvr::kEvents);
    if (events.size() <= kMaxEvents) co_return Requeue{};
    std::size_t excess = events.size() - kMaxEvents;
    auto older = [](const ObjectPtr& a, const ObjectPtr& b) {
      return a->meta().resource_version < b->meta().resource_version;
    };
    std::nth_element(events.begin(), events.begin() + static_cast<std::ptrdiff_t>(excess),
                     events.end(), older);
    for (std::size_t i = 0; i < excess; ++i) {
      auto removed =
          co_await context_.client.remove(client::gvr::kEvents, events[i]->ns(), events[i]->name());
      if (!removed && removed.error().reason != Reason::kNotFound) co_return fail(removed.error());
    }
    co_return Requeue{};
  }

  static WallTime last_seen(const Object& event) {
    const Json dom = event.parse();
    WallTime latest = event.meta().created.value_or(WallTime{});
    std::string texts[] = {string_or(dom, "lastTimestamp"), string_or(dom, "eventTime"), ""};
    if (const Json* series = find_member(dom, "series"); series && series->is_object()) {
      texts[2] = string_or(*series, "lastObservedTime");
    }
    for (const std::string& text : texts) {
      if (auto time = parse_rfc3339(text)) latest = std::max(latest, *time);
    }
    return latest;
  }

  ControllerContext context_;
  std::uint64_t created_ = 0;
};

}  // namespace

std::unique_ptr<Controller> make_eventttl_controller(ControllerContext context) {
  return std::make_unique<EventTtlController>(context);
}

}  // namespace moth::controllers
