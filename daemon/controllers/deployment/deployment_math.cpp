#include "daemon/controllers/deployment/deployment_math.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace moth::controllers {
namespace {

std::int32_t sum_spec(const std::vector<SetSize>& sets) {
  return std::accumulate(sets.begin(), sets.end(), std::int32_t{0},
                         [](std::int32_t sum, const SetSize& set) { return sum + set.spec; });
}

// Largest first; of equal ones the newest when there are pods to add, the oldest when some must go.
std::vector<std::size_t> order_for_scaling(const std::vector<SetSize>& sets, bool up) {
  std::vector<std::size_t> order(sets.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (sets[a].spec != sets[b].spec) return sets[a].spec > sets[b].spec;
    return up ? sets[a].age_rank > sets[b].age_rank : sets[a].age_rank < sets[b].age_rank;
  });
  return order;
}

// By how much one set is to change, before it is bounded by what is left.
std::int32_t fraction(const RolloutBounds& bounds, const SetSize& set,
                      std::int32_t status_replicas) {
  if (bounds.replicas == 0) return -set.spec;
  std::int32_t before = set.max_annotation != 0 ? set.max_annotation : status_replicas;
  if (before == 0) return 0;
  double size = static_cast<double>(set.spec) * (bounds.replicas + bounds.surge) / before;
  return static_cast<std::int32_t>(std::lround(size)) - set.spec;
}

}  // namespace

std::int32_t new_set_size(const RolloutBounds& bounds, std::int32_t current, std::int32_t total) {
  if (bounds.recreate || current > bounds.replicas) return bounds.replicas;
  std::int32_t room = bounds.replicas + bounds.surge - total;
  if (room <= 0) return current;
  return current + std::min(room, bounds.replicas - current);
}

std::vector<std::int32_t> shrink_old_sets(const RolloutBounds& bounds,
                                          const std::vector<SetSize>& old_sets,
                                          const SetSize& new_set) {
  std::vector<std::int32_t> sizes;
  std::int32_t available = new_set.available;
  for (const SetSize& set : old_sets) {
    sizes.push_back(set.spec);
    available += set.available;
  }
  std::int32_t min_available = bounds.replicas - bounds.unavailable;
  std::int32_t total = sum_spec(old_sets) + new_set.spec;
  std::int32_t may_go = total - min_available - (new_set.spec - new_set.available);
  if (may_go <= 0) return sizes;
  for (std::size_t i = 0; i < sizes.size() && may_go > 0; ++i) {
    std::int32_t unhealthy = std::max(0, sizes[i] - old_sets[i].available);
    std::int32_t count = std::min(may_go, unhealthy);
    sizes[i] -= count;
    may_go -= count;
  }
  std::int32_t healthy_may_go = available - min_available;
  for (std::size_t i = 0; i < sizes.size() && healthy_may_go > 0; ++i) {
    std::int32_t count = std::min(healthy_may_go, sizes[i]);
    sizes[i] -= count;
    healthy_may_go -= count;
  }
  return sizes;
}

std::vector<std::int32_t> scale_proportionally(const RolloutBounds& bounds,
                                               const std::vector<SetSize>& active,
                                               std::int32_t status_replicas) {
  std::vector<std::int32_t> sizes;
  for (const SetSize& set : active) sizes.push_back(set.spec);
  std::int32_t allowed = bounds.replicas > 0 ? bounds.replicas + bounds.surge : 0;
  std::int32_t to_add = allowed - sum_spec(active);
  if (to_add == 0 || active.empty()) return sizes;
  std::vector<std::size_t> order = order_for_scaling(active, to_add > 0);
  std::int32_t added = 0;
  for (std::size_t i : order) {
    std::int32_t left = to_add - added;
    if (left == 0 || active[i].spec == 0) continue;
    std::int32_t share = fraction(bounds, active[i], status_replicas);
    share = to_add > 0 ? std::min(share, left) : std::max(share, left);
    sizes[i] += share;
    added += share;
  }
  std::int32_t& largest = sizes[order.front()];
  largest = std::max(0, largest + to_add - added);
  return sizes;
}

}  // namespace moth::controllers
