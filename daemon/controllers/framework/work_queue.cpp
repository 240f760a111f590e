#include "daemon/controllers/framework/work_queue.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>

namespace moth::controllers {

Duration Backoff::of(int failures) const {
  Duration wait = base;
  for (int i = 1; i < failures && wait < max; ++i) wait *= 2;
  return std::min(wait, max);
}

WorkQueue::WorkQueue(asio::any_io_executor control, Clock& clock, Backoff backoff)
    : control_(control),
      clock_(clock),
      backoff_(backoff),
      has_ready_(control),
      timers_changed_(control),
      became_idle_(control),
      scope_(control) {
  scope_.spawn("work queue timers", run_timers());
}

WorkQueue::~WorkQueue() = default;

void WorkQueue::add(const Key& key) {
  if (!dirty_.insert(key).second) return;
  if (working_.contains(key)) return;  // done() puts it in
  ready_.push_back(key);
  has_ready_.notify();
}

void WorkQueue::add_after(const Key& key, Duration after) {
  if (after <= Duration::zero()) return add(key);
  MonoTime when = clock_.mono() + after;
  if (auto known = due_.find(key); known != due_.end() && known->second <= when) return;
  cancel_delayed(key);
  due_[key] = when;
  delayed_.emplace(when, key);
  timers_changed_.notify();
}

void WorkQueue::cancel_delayed(const Key& key) {
  auto known = due_.find(key);
  if (known == due_.end()) return;
  auto [begin, end] = delayed_.equal_range(known->second);
  auto old = std::find_if(begin, end, [&](const auto& entry) { return entry.second == key; });
  if (old != end) delayed_.erase(old);
  due_.erase(known);
}

void WorkQueue::add_failed(const Key& key) {
  add_after(key, backoff_.of(++failures_[key]));
}
void WorkQueue::forget(const Key& key) {
  failures_.erase(key);
}

int WorkQueue::failures(const Key& key) const {
  auto it = failures_.find(key);
  return it == failures_.end() ? 0 : it->second;
}

Task<Key> WorkQueue::take() {
  while (ready_.empty()) co_await has_ready_.wait();
  Key key = std::move(ready_.front());
  ready_.pop_front();
  dirty_.erase(key);
  working_.insert(key);
  co_return key;
}

void WorkQueue::done(const Key& key) {
  working_.erase(key);
  if (!dirty_.contains(key)) {
    if (idle()) became_idle_.notify();
    return;
  }
  ready_.push_back(key);
  has_ready_.notify();
}

Task<void> WorkQueue::wait_idle() {
  while (!idle()) co_await became_idle_.wait();
}

Task<void> WorkQueue::run_timers() {
  for (;;) {
    while (!delayed_.empty() && delayed_.begin()->first <= clock_.mono()) {
      Key key = delayed_.begin()->second;
      delayed_.erase(delayed_.begin());
      due_.erase(key);
      add(key);
    }
    if (delayed_.empty()) {
      co_await timers_changed_.wait();
      continue;
    }
    using namespace asio::experimental::awaitable_operators;
    co_await (clock_.sleep_until(delayed_.begin()->first) || timers_changed_.wait());
  }
}

Task<void> WorkQueue::stop() {
  scope_.cancel();
  co_await scope_.join();
}

}  // namespace moth::controllers
