#pragma once
// Metrics in the format of Prometheus. A Registry belongs to the process's composition root and is
// passed to whoever measures; there is no global one. Metrics live as long as their registry. All
// methods on any thread; add(), set() and observe() take no lock.
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace moth::metrics {

// Only grows.
class Counter {
 public:
  void add(double amount = 1) { value_.fetch_add(amount, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Gauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double amount) { value_.fetch_add(amount, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

class Histogram {
 public:
  // Upper bounds, ascending; +Inf is added.
  explicit Histogram(std::vector<double> bounds);
  void observe(double value);
  const std::vector<double>& bounds() const { return bounds_; }
  // Observations in each bucket (not cumulative), the last for +Inf.
  std::vector<std::uint64_t> buckets() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  std::uint64_t count() const;

 private:
  std::vector<double> bounds_;
  std::unique_ptr<std::atomic<std::uint64_t>[]> buckets_;
  std::atomic<double> sum_{0};
};

// From 100 microseconds to 10 seconds.
std::vector<double> latency_buckets();

// A metric with labels: one T for each combination of values. Bounded: combinations beyond
// kMaxSeries share one series whose values are all "other".
template <class T>
class Family {
 public:
  static constexpr std::size_t kMaxSeries = 1000;
  virtual ~Family() = default;
  // The series of these label values, in the order of the label names; made at the first call.
  // A missing value is "", surplus ones are dropped. The reference stays valid.
  virtual T& with(const std::vector<std::string_view>& values) = 0;
};

// One measured value of a collector.
struct Sample {
  std::vector<std::string> label_values;
  double value = 0;
};

class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // The same name gives the same metric; another type, or other labels, under one name is a bug and
  // aborts. Counters' names end in _total, units are base units (seconds, bytes).
  Counter& counter(std::string_view name, std::string_view help);
  Gauge& gauge(std::string_view name, std::string_view help);
  Histogram& histogram(std::string_view name, std::string_view help, std::vector<double> bounds);
  Family<Counter>& counters(std::string_view name, std::string_view help,
                            std::vector<std::string> labels);
  Family<Gauge>& gauges(std::string_view name, std::string_view help,
                        std::vector<std::string> labels);
  Family<Histogram>& histograms(std::string_view name, std::string_view help,
                                std::vector<std::string> labels, std::vector<double> bounds);

  // Keeps a collector registered; it must go before what the collector reads.
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  using SubscriptionPtr = std::unique_ptr<Subscription>;
  // A gauge that is asked at each exposition, on the thread that calls expose(). Must not call
  // back into the registry.
  [[nodiscard]] SubscriptionPtr collect(std::string_view name, std::string_view help,
                                        std::vector<std::string> labels,
                                        std::function<std::vector<Sample>()> collector);

  // The text exposition format, version 0.0.4, ordered by name.
  std::string expose() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace moth::metrics
