#include "daemon/store/event_ring.h"

#include <fmt/format.h>

#include <algorithm>

namespace moth::store {
namespace {

// Metadata, maps and the control blocks beside an object's text.
constexpr std::size_t kOverhead = 512;

// What the event keeps in memory: the newest version is in its table anyway, so it is the version
// before that the ring costs.
std::size_t cost(const server::StoreEvent& event) {
  std::size_t bytes = kOverhead;
  if (event.previous) bytes += event.previous->text().size();
  if (event.type == server::EventType::kDeleted) bytes += event.object->text().size();
  return bytes;
}

// So many changes later nobody works with a superseded version any more, as a rule.
constexpr std::size_t kSettled = 32;

// A superseded version keeps its text for those who watch from here. Its typed view and DOM (many
// times the text) go, unless somebody still holds it beside its two events, the one that made it
// and the one that ended it.
void drop_caches(const server::StoreEvent& event) {
  if (event.previous && event.previous.use_count() <= 2) event.previous->drop_caches();
  if (event.type == server::EventType::kDeleted && event.object.use_count() == 1)
    event.object->drop_caches();
}

}  // namespace

Error too_old(std::uint64_t after, std::uint64_t floor) {
  return Error::expired(fmt::format("too old resource version: {} ({})", after, floor));
}

void EventRing::push(const server::StoreEvent& event) {
  events_.push_back(event);
  bytes_ += cost(event);
  if (events_.size() > kSettled) drop_caches(events_[events_.size() - 1 - kSettled]);
  while (events_.size() > 1 && (events_.size() > limits_.events || bytes_ > limits_.bytes)) {
    bytes_ -= cost(events_.front());
    floor_ = events_.front().revision;
    events_.pop_front();
  }
}

std::vector<server::StoreEvent> EventRing::after(std::uint64_t revision, std::size_t limit) const {
  auto first = std::upper_bound(events_.begin(), events_.end(), revision,
                                [](std::uint64_t wanted, const server::StoreEvent& event) {
                                  return wanted < event.revision;
                                });
  auto available = static_cast<std::size_t>(events_.end() - first);
  return {first, first + static_cast<std::ptrdiff_t>(std::min(limit, available))};
}

}  // namespace moth::store
