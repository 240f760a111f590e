#include "runtime/images/gc.h"

#include <fmt/format.h>

#include <algorithm>

namespace moth::images {

GcPlan plan_image_gc(std::uint64_t capacity_bytes, std::uint64_t available_bytes,
                     const std::vector<GcCandidate>& images, const GcPolicy& policy, MonoTime now) {
  GcPlan plan;
  if (capacity_bytes == 0) return plan;
  available_bytes = std::min(available_bytes, capacity_bytes);
  plan.usage_percent = 100 - static_cast<int>(static_cast<double>(available_bytes) * 100.0 /
                                              static_cast<double>(capacity_bytes));
  if (plan.usage_percent < policy.high_percent) return plan;
  double wanted_free =
      static_cast<double>(capacity_bytes) * static_cast<double>(100 - policy.low_percent) / 100.0;
  auto target = static_cast<std::uint64_t>(wanted_free);
  if (target <= available_bytes) return plan;
  plan.bytes_to_free = target - available_bytes;

  std::vector<const GcCandidate*> order;
  for (const GcCandidate& image : images) {
    if (!image.in_use && !image.pinned && now - image.first_seen >= policy.min_age &&
        now - image.last_used >= policy.min_age) {
      order.push_back(&image);
    }
  }
  std::sort(order.begin(), order.end(), [](const GcCandidate* a, const GcCandidate* b) {
    if (a->last_used != b->last_used) return a->last_used < b->last_used;
    if (a->first_seen != b->first_seen) return a->first_seen < b->first_seen;
    return a->id < b->id;
  });
  for (const GcCandidate* image : order) {
    if (plan.planned_bytes >= plan.bytes_to_free) break;
    plan.delete_ids.push_back(image->id);
    plan.planned_bytes += image->size_bytes;
  }
  if (plan.planned_bytes < plan.bytes_to_free) {
    plan.shortfall = fmt::format(
        "Failed to garbage collect required amount of images. Attempted to free {} bytes, but only "
        "found {} bytes eligible to free.",
        plan.bytes_to_free, plan.planned_bytes);
  }
  return plan;
}

}  // namespace moth::images
