#include "runtime/cgroups/settings.h"

#include <fmt/format.h>

namespace moth::cgroups {

namespace {

std::string or_max(std::int64_t value) {
  return value < 0 ? "max" : std::to_string(value);
}

void add_cpuset(std::vector<Setting>& settings, const Limits& limits) {
  if (limits.cpuset_cpus) settings.push_back({"cpuset", "cpuset.cpus", *limits.cpuset_cpus});
  if (limits.cpuset_mems) settings.push_back({"cpuset", "cpuset.mems", *limits.cpuset_mems});
}

}  // namespace

std::vector<Setting> v1_settings(const Limits& limits) {
  std::vector<Setting> settings;
  if (limits.cpu_shares) {
    settings.push_back({"cpu", "cpu.shares", std::to_string(*limits.cpu_shares)});
  }
  if (limits.cpu_quota_micros) {
    settings.push_back({"cpu", "cpu.cfs_period_us", std::to_string(kCpuPeriodMicros), true});
    // A kernel without bandwidth control can promise no limit, but can do without one.
    settings.push_back({"cpu", "cpu.cfs_quota_us", std::to_string(*limits.cpu_quota_micros),
                        *limits.cpu_quota_micros < 0});
  }
  if (limits.memory_bytes) {
    const std::string bytes = std::to_string(*limits.memory_bytes);
    // memsw must never be below the limit: opened up first, brought down last.
    settings.push_back({"memory", "memory.memsw.limit_in_bytes", "-1", true});
    settings.push_back({"memory", "memory.limit_in_bytes", bytes});
    if (*limits.memory_bytes >= 0) {
      settings.push_back({"memory", "memory.memsw.limit_in_bytes", bytes, true});
    }
  }
  if (limits.pids) settings.push_back({"pids", "pids.max", or_max(*limits.pids)});
  add_cpuset(settings, limits);
  for (const Limits::HugePages& pages : limits.huge_pages) {
    settings.push_back({"hugetlb", fmt::format("hugetlb.{}.limit_in_bytes", pages.size),
                        std::to_string(pages.bytes)});
  }
  return settings;
}

std::vector<Setting> v2_settings(const Limits& limits) {
  std::vector<Setting> settings;
  if (limits.cpu_shares) {
    settings.push_back({"cpu", "cpu.weight", std::to_string(weight_of_shares(*limits.cpu_shares))});
  }
  if (limits.cpu_quota_micros) {
    settings.push_back(
        {"cpu", "cpu.max", cpu_max_text(*limits.cpu_quota_micros), *limits.cpu_quota_micros < 0});
  }
  if (limits.memory_bytes) {
    settings.push_back({"memory", "memory.max", or_max(*limits.memory_bytes)});
    // A container with a bound gets no swap beyond it, as Kubernetes has it without NodeSwap.
    settings.push_back({"memory", "memory.swap.max", *limits.memory_bytes < 0 ? "max" : "0", true});
  }
  if (limits.memory_low_bytes) {
    settings.push_back({"memory", "memory.low", std::to_string(*limits.memory_low_bytes), true});
  }
  if (limits.memory_high_bytes) {
    settings.push_back({"memory", "memory.high", or_max(*limits.memory_high_bytes), true});
  }
  if (limits.oom_group) {
    settings.push_back({"memory", "memory.oom.group", *limits.oom_group ? "1" : "0", true});
  }
  if (limits.pids) settings.push_back({"pids", "pids.max", or_max(*limits.pids)});
  add_cpuset(settings, limits);
  for (const Limits::HugePages& pages : limits.huge_pages) {
    settings.push_back(
        {"hugetlb", fmt::format("hugetlb.{}.max", pages.size), std::to_string(pages.bytes)});
  }
  return settings;
}

}  // namespace moth::cgroups
