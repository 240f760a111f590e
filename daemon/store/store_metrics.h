#pragma once
// What the store measures.
#include <map>
#include <memory>
#include <string>

#include "api/base/metrics.h"

namespace moth::store {

class StoreMetrics {
 public:
  // Without a registry the values go nowhere.
  explicit StoreMetrics(metrics::Registry* registry)
      : own_(registry ? nullptr : std::make_unique<metrics::Registry>()),
        to_(registry ? *registry : *own_) {}

 private:
  std::unique_ptr<metrics::Registry> own_;
  metrics::Registry& to_;

 public:
  metrics::Counter& durable_writes =
      to_.counters("moth_store_writes_total", "Published writes.", {"durability"})
          .with({"durable"});
  metrics::Counter& lazy_writes =
      to_.counters("moth_store_writes_total", "Published writes.", {"durability"}).with({"lazy"});
  metrics::Histogram& commit_seconds =
      to_.histogram("moth_store_commit_seconds", "Time of a transaction on the disk.",
                    metrics::latency_buckets());
  metrics::Histogram& batch_rows =
      to_.histogram("moth_store_commit_rows", "Rows that share a transaction.",
                    {1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096});
  metrics::Gauge& revision =
      to_.gauge("moth_store_revision", "The resourceVersion published last.");
  metrics::Gauge& read_only =
      to_.gauge("moth_store_read_only", "1 when the store refuses writes after an error.");
  metrics::Family<metrics::Gauge>& objects =
      to_.gauges("moth_store_objects", "Stored objects.", {"resource"});
};

}  // namespace moth::store
