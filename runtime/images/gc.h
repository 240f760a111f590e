#pragma once
// Which images to delete when the disk fills up (the kubelet's policy). Pure.
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "api/base/clock.h"

namespace moth::images {

struct GcPolicy {
  int high_percent = 85;  // starts above
  int low_percent = 80;   // frees down to
  std::chrono::seconds min_age{120};
};

struct GcCandidate {
  std::string id;
  std::uint64_t size_bytes = 0;
  MonoTime first_seen;
  MonoTime last_used;  // equal to first_seen when never used
  bool in_use = false;
  bool pinned = false;
};

struct GcPlan {
  int usage_percent = 0;
  std::uint64_t bytes_to_free = 0;      // 0: below the threshold
  std::vector<std::string> delete_ids;  // least recently used first
  std::uint64_t planned_bytes = 0;
  // Set when the eligible images do not suffice: upstream's text for the event FreeDiskSpaceFailed.
  std::string shortfall;
};

GcPlan plan_image_gc(std::uint64_t capacity_bytes, std::uint64_t available_bytes,
                     const std::vector<GcCandidate>& images, const GcPolicy& policy, MonoTime now);

}  // namespace moth::images
