#include "api/base/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>

#include "api/base/log.h"

namespace moth::metrics {

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)),
      buckets_(std::make_unique<std::atomic<std::uint64_t>[]>(bounds_.size() + 1)) {}

void Histogram::observe(double value) {
  auto it = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  buckets_[static_cast<std::size_t>(it - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<std::uint64_t> Histogram::buckets() const {
  std::vector<std::uint64_t> counts(bounds_.size() + 1);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    counts[i] = buckets_[i].load(std::memory_order_relaxed);
  }
  return counts;
}

std::uint64_t Histogram::count() const {
  std::uint64_t total = 0;
  for (std::uint64_t bucket : buckets()) total += bucket;
  return total;
}

std::vector<double> latency_buckets() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

namespace {

std::string escaped(std::string_view text, bool quotes) {
  std::string result;
  for (char c : text) {
    if (c == '\\') {
      result += "\\\\";
    } else if (c == '\n') {
      result += "\\n";
    } else if (c == '"' && quotes) {
      result += "\\\"";
    } else {
      result += c;
    }
  }
  return result;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value == std::floor(value) && std::abs(value) < 1e15) {
    return fmt::format("{}", static_cast<std::int64_t>(value));
  }
  return fmt::format("{}", value);
}

// `{a="x",b="y"}`, or "" without labels. `extra` is a ready pair such as le="1".
std::string label_text(const std::vector<std::string>& names,
                       const std::vector<std::string>& values, std::string_view extra = "") {
  std::string text;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!text.empty()) text += ',';
    text += fmt::format("{}=\"{}\"", names[i], i < values.size() ? escaped(values[i], true) : "");
  }
  if (!extra.empty()) {
    if (!text.empty()) text += ',';
    text += extra;
  }
  return text.empty() ? text : "{" + text + "}";
}

// What the exposition needs of every kind of metric.
class Metric {
 public:
  Metric(const char* type, std::string help, std::vector<std::string> labels)
      : type_(type), help_(std::move(help)), labels_(std::move(labels)) {}
  virtual ~Metric() = default;
  virtual void write(std::string_view name, std::string& out) const = 0;
  std::string_view type() const { return type_; }
  const std::string& help() const { return help_; }
  const std::vector<std::string>& labels() const { return labels_; }

 private:
  const char* type_;
  std::string help_;
  std::vector<std::string> labels_;
};

void write_series(std::string_view name, const std::vector<std::string>& labels,
                  const std::vector<std::string>& values, const Counter& counter,
                  std::string& out) {
  out += fmt::format("{}{} {}\n", name, label_text(labels, values), number(counter.value()));
}

void write_series(std::string_view name, const std::vector<std::string>& labels,
                  const std::vector<std::string>& values, const Gauge& gauge, std::string& out) {
  out += fmt::format("{}{} {}\n", name, label_text(labels, values), number(gauge.value()));
}

void write_series(std::string_view name, const std::vector<std::string>& labels,
                  const std::vector<std::string>& values, const Histogram& histogram,
                  std::string& out) {
  auto buckets = histogram.buckets();
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    total += buckets[i];
    std::string bound = i < histogram.bounds().size() ? number(histogram.bounds()[i]) : "+Inf";
    out += fmt::format("{}_bucket{} {}\n", name,
                       label_text(labels, values, fmt::format("le=\"{}\"", bound)), total);
  }
  std::string text = label_text(labels, values);
  out += fmt::format("{}_sum{} {}\n{}_count{} {}\n", name, text, number(histogram.sum()), name,
                     text, total);
}

// A metric without labels is a family of one series.
template <class T>
class FamilyMetric final : public Metric, public Family<T> {
 public:
  FamilyMetric(const char* type, std::string help, std::vector<std::string> labels,
               std::function<std::unique_ptr<T>()> make)
      : Metric(type, std::move(help), std::move(labels)), make_(std::move(make)) {}

  T& with(const std::vector<std::string_view>& values) override {
    std::vector<std::string> key(labels().size());
    for (std::size_t i = 0; i < key.size() && i < values.size(); ++i) key[i] = values[i];
    std::lock_guard lock(mutex_);
    auto it = series_.find(key);
    if (it == series_.end() && series_.size() >= Family<T>::kMaxSeries) {
      key.assign(labels().size(), "other");
      it = series_.find(key);
    }
    if (it == series_.end()) it = series_.emplace(std::move(key), make_()).first;
    return *it->second;
  }

  void write(std::string_view name, std::string& out) const override {
    std::lock_guard lock(mutex_);
    for (const auto& [values, series] : series_) write_series(name, labels(), values, *series, out);
  }

 private:
  std::function<std::unique_ptr<T>()> make_;
  mutable std::mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<T>> series_;
};

class CollectedMetric final : public Metric {
 public:
  CollectedMetric(std::string help, std::vector<std::string> labels,
                  std::function<std::vector<Sample>()> collector)
      : Metric("gauge", std::move(help), std::move(labels)), collector_(std::move(collector)) {}

  void write(std::string_view name, std::string& out) const override {
    for (const Sample& sample : collector_()) {
      out += fmt::format("{}{} {}\n", name, label_text(labels(), sample.label_values),
                         number(sample.value));
    }
  }

 private:
  std::function<std::vector<Sample>()> collector_;
};

}  // namespace

struct Registry::Impl {
  mutable std::mutex mutex;
  std::map<std::string, std::unique_ptr<Metric>, std::less<>> metrics;

  template <class T>
  FamilyMetric<T>& family(const char* type, std::string_view name, std::string_view help,
                          std::vector<std::string> labels,
                          std::function<std::unique_ptr<T>()> make) {
    std::lock_guard lock(mutex);
    auto it = metrics.find(name);
    if (it == metrics.end()) {
      auto made = std::make_unique<FamilyMetric<T>>(type, std::string(help), std::move(labels),
                                                    std::move(make));
      it = metrics.emplace(std::string(name), std::move(made)).first;
    } else if (it->second->type() != type || it->second->labels() != labels) {
      mismatch(name);
    }
    auto* found = dynamic_cast<FamilyMetric<T>*>(it->second.get());
    if (!found) mismatch(name);
    return *found;
  }

  [[noreturn]] static void mismatch(std::string_view name) {
    log::error("a metric is registered twice with different types or labels",
               log::field("metric", name));
    std::abort();
  }
};

Registry::Registry() : impl_(std::make_shared<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help) {
  return counters(name, help, {}).with({});
}

Gauge& Registry::gauge(std::string_view name, std::string_view help) {
  return gauges(name, help, {}).with({});
}

Histogram& Registry::histogram(std::string_view name, std::string_view help,
                               std::vector<double> bounds) {
  return histograms(name, help, {}, std::move(bounds)).with({});
}

Family<Counter>& Registry::counters(std::string_view name, std::string_view help,
                                    std::vector<std::string> labels) {
  return impl_->family<Counter>("counter", name, help, std::move(labels),
                                [] { return std::make_unique<Counter>(); });
}

Family<Gauge>& Registry::gauges(std::string_view name, std::string_view help,
                                std::vector<std::string> labels) {
  return impl_->family<Gauge>("gauge", name, help, std::move(labels),
                              [] { return std::make_unique<Gauge>(); });
}

Family<Histogram>& Registry::histograms(std::string_view name, std::string_view help,
                                        std::vector<std::string> labels,
                                        std::vector<double> bounds) {
  return impl_->family<Histogram>(
      "histogram", name, help, std::move(labels),
      [bounds = std::move(bounds)] { return std::make_unique<Histogram>(bounds); });
}

Registry::SubscriptionPtr Registry::collect(std::string_view name, std::string_view help,
                                            std::vector<std::string> labels,
                                            std::function<std::vector<Sample>()> collector) {
  // Waits for a running expose(), which holds the mutex while it asks the collectors.
  struct Removal final : Subscription {
    Removal(std::shared_ptr<Impl> owner, std::string metric)
        : impl(std::move(owner)), name(std::move(metric)) {}
    ~Removal() override {
      std::lock_guard lock(impl->mutex);
      impl->metrics.erase(name);
    }
    std::shared_ptr<Impl> impl;
    std::string name;
  };
  {
    std::lock_guard lock(impl_->mutex);
    auto metric = std::make_unique<CollectedMetric>(std::string(help), std::move(labels),
                                                    std::move(collector));
    if (!impl_->metrics.emplace(std::string(name), std::move(metric)).second) Impl::mismatch(name);
  }
  return std::make_unique<Removal>(impl_, std::string(name));
}

std::string Registry::expose() const {
  std::string out;
  std::lock_guard lock(impl_->mutex);
  for (const auto& [name, metric] : impl_->metrics) {
    out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(metric->help(), false), name,
                       metric->type());
    metric->write(name, out);
  }
  return out;
}

}  // namespace moth::metrics
