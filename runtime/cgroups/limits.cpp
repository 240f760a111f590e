#include "runtime/cgroups/limits.h"

#include <fmt/format.h>

#include <algorithm>

namespace moth::cgroups {

namespace {

constexpr int kGuaranteedOomScore = -997;
constexpr int kBestEffortOomScore = 1000;

}  // namespace

std::int64_t shares_of_millicores(std::int64_t millicores) {
  if (millicores <= 0) return kMinShares;
  // Clamped first: the product of a nonsense request would overflow.
  const std::int64_t bounded = std::min(millicores, kMaxShares * 1000 / 1024);
  return std::clamp(bounded * 1024 / 1000, kMinShares, kMaxShares);
}

std::int64_t quota_of_millicores(std::int64_t millicores) {
  if (millicores <= 0) return kUnlimited;
  return std::max(kMinQuotaMicros, millicores * kCpuPeriodMicros / 1000);
}

std::uint64_t weight_of_shares(std::int64_t shares) {
  const std::int64_t bounded = std::clamp(shares, kMinShares, kMaxShares);
  return static_cast<std::uint64_t>(1 + (bounded - 2) * 9999 / 262142);
}

std::string cpu_max_text(std::int64_t quota_micros) {
  if (quota_micros < 0) return fmt::format("max {}", kCpuPeriodMicros);
  return fmt::format("{} {}", quota_micros, kCpuPeriodMicros);
}

std::string huge_page_size_name(std::uint64_t page_bytes) {
  const char* units[] = {"B", "KB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  while (page_bytes >= 1024 && page_bytes % 1024 == 0 && unit + 1 < std::size(units)) {
    page_bytes /= 1024;
    ++unit;
  }
  return fmt::format("{}{}", page_bytes, units[unit]);
}

std::string_view to_string(Qos qos) {
  switch (qos) {
    case Qos::kGuaranteed:
      return "Guaranteed";
    case Qos::kBurstable:
      return "Burstable";
    case Qos::kBestEffort:
      return "BestEffort";
  }
  return "";
}

int oom_score_adj(Qos qos, std::int64_t memory_request, std::int64_t node_memory, bool critical) {
  if (critical || qos == Qos::kGuaranteed) return kGuaranteedOomScore;
  if (qos == Qos::kBestEffort || node_memory <= 0) return kBestEffortOomScore;
  // In two steps, so that a petabyte does not overflow; the result is that of integer division.
  const auto share =
      static_cast<std::int64_t>(static_cast<__int128>(1000) * memory_request / node_memory);
  const std::int64_t score = 1000 - share;
  // Never as safe as a guaranteed container, never as doomed as a best effort one.
  return static_cast<int>(
      std::clamp<std::int64_t>(score, 1000 + kGuaranteedOomScore, kBestEffortOomScore - 1));
}

std::string root_path(std::string_view instance) {
  return fmt::format("/moth-{}", instance);
}

std::string qos_path(std::string_view instance, Qos qos) {
  switch (qos) {
    case Qos::kGuaranteed:
      return root_path(instance);
    case Qos::kBurstable:
      return root_path(instance) + "/burstable";
    case Qos::kBestEffort:
      return root_path(instance) + "/besteffort";
  }
  return root_path(instance);
}

std::string pod_path(std::string_view instance, Qos qos, std::string_view pod_uid) {
  return fmt::format("{}/pod{}", qos_path(instance, qos), pod_uid);
}

std::string container_path(std::string_view pod_path, std::string_view container_id) {
  return fmt::format("{}/{}", pod_path, container_id);
}

Limits pod_limits(const PodSums& sums) {
  Limits limits;
  limits.cpu_shares = shares_of_millicores(sums.cpu_request);
  // Written also when there is none: a resize may have taken it away.
  limits.cpu_quota_micros = sums.cpu_limit ? quota_of_millicores(*sums.cpu_limit) : kUnlimited;
  limits.memory_bytes = sums.memory_limit.value_or(kUnlimited);
  if (sums.pids) limits.pids = *sums.pids;
  return limits;
}

Limits qos_limits(Qos qos, std::int64_t burstable_request_millicores) {
  Limits limits;
  if (qos == Qos::kBurstable) {
    limits.cpu_shares = shares_of_millicores(burstable_request_millicores);
  } else if (qos == Qos::kBestEffort) {
    limits.cpu_shares = kMinShares;
  }
  return limits;
}

}  // namespace moth::cgroups
