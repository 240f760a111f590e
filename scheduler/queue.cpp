#include "scheduler/queue.h"

#include <algorithm>

namespace moth::scheduler {
namespace {

constexpr auto kFirstBackoff = std::chrono::seconds(1);
constexpr auto kMaxBackoff = std::chrono::seconds(10);
constexpr auto kFlushAfter = std::chrono::seconds(300);

}  // namespace

void Queue::add(const QueuedPod& pod) {
  Entry& entry = pods_[pod.uid];
  entry.pod = pod;
  entry.active = entry.woken = true;
}

void Queue::remove(const std::string& uid) {
  pods_.erase(uid);
}

std::optional<QueuedPod> Queue::pop(MonoTime now) {
  Entry* best = nullptr;
  for (auto& [uid, entry] : pods_) {
    if (entry.in_flight) continue;
    bool due = entry.active ? entry.not_before <= now : entry.flush_at <= now;
    if (!due) continue;
    bool better =
        !best || entry.pod.priority > best->pod.priority ||
        (entry.pod.priority == best->pod.priority && entry.pod.created < best->pod.created);
    if (better) best = &entry;
  }
  if (!best) return std::nullopt;
  best->in_flight = true;
  best->woken = false;
  return best->pod;
}

void Queue::failed(const QueuedPod& pod, MonoTime now) {
  auto it = pods_.find(pod.uid);
  if (it == pods_.end()) return;
  Entry& entry = it->second;
  Duration backoff = kFirstBackoff;
  for (int i = 0; i < entry.failures && backoff < kMaxBackoff; ++i) backoff *= 2;
  ++entry.failures;
  entry.in_flight = false;
  // What changed meanwhile was perhaps not seen.
  entry.active = entry.woken;
  entry.not_before = now + std::min<Duration>(backoff, kMaxBackoff);
  entry.flush_at = now + kFlushAfter;
}

void Queue::wake(MonoTime) {
  for (auto& [uid, entry] : pods_) entry.active = entry.woken = true;
}

MonoTime Queue::next_time(MonoTime) const {
  MonoTime earliest = MonoTime::max();
  for (const auto& [uid, entry] : pods_) {
    if (!entry.in_flight)
      earliest = std::min(earliest, entry.active ? entry.not_before : entry.flush_at);
  }
  return earliest;
}

}  // namespace moth::scheduler
