#include "runtime/cgroups/limits.h"

#include <gtest/gtest.h>

#include "runtime/cgroups/settings.h"

namespace moth::cgroups {
namespace {

TEST(Limits, Shares) {
  const std::pair<std::int64_t, std::int64_t> table[] = {{0, 2},
                                                         {-5, 2},
                                                         {1, 2},
                                                         {2, 2},
                                                         {3, 3},
                                                         {100, 102},
                                                         {250, 256},
                                                         {500, 512},
                                                         {1000, 1024},
                                                         {1500, 1536},
                                                         {2000, 2048},
                                                         {256'000, 262'144},
                                                         {300'000, 262'144},
                                                         {INT64_MAX, 262'144}};
  for (const auto& [milli, shares] : table) EXPECT_EQ(shares_of_millicores(milli), shares) << milli;
}

TEST(Limits, Quota) {
  const std::pair<std::int64_t, std::int64_t> table[] = {
      {0, kUnlimited}, {-1, kUnlimited}, {1, 1000},       {9, 1000},       {10, 1000},
      {11, 1100},      {500, 50'000},    {1000, 100'000}, {1500, 150'000}, {64'000, 6'400'000}};
  for (const auto& [milli, quota] : table) EXPECT_EQ(quota_of_millicores(milli), quota) << milli;
}

TEST(Limits, Weight) {
  const std::pair<std::int64_t, std::uint64_t> table[] = {
      {0, 1},     {2, 1},     {102, 4},          {512, 20},
      {1024, 39}, {2048, 79}, {262'144, 10'000}, {999'999, 10'000}};
  for (const auto& [shares, weight] : table) EXPECT_EQ(weight_of_shares(shares), weight) << shares;
  EXPECT_EQ(cpu_max_text(kUnlimited), "max 100000");
  EXPECT_EQ(cpu_max_text(25'000), "25000 100000");
}

TEST(Limits, OomScore) {
  constexpr std::int64_t kGi = 1 << 30;
  EXPECT_EQ(oom_score_adj(Qos::kGuaranteed, kGi, 8 * kGi, false), -997);
  EXPECT_EQ(oom_score_adj(Qos::kBestEffort, 0, 8 * kGi, false), 1000);
  EXPECT_EQ(oom_score_adj(Qos::kBestEffort, 0, 8 * kGi, true), -997);
  EXPECT_EQ(oom_score_adj(Qos::kBurstable, 0, 8 * kGi, false), 999);
  EXPECT_EQ(oom_score_adj(Qos::kBurstable, 4 * kGi, 8 * kGi, false), 500);
  EXPECT_EQ(oom_score_adj(Qos::kBurstable, 1, 8 * kGi, false), 999);
  EXPECT_EQ(oom_score_adj(Qos::kBurstable, 8 * kGi, 8 * kGi, false), 3);
  EXPECT_EQ(oom_score_adj(Qos::kBurstable, 80 * kGi, 8 * kGi, false), 3);
  EXPECT_EQ(oom_score_adj(Qos::kBurstable, INT64_MAX, INT64_MAX, false), 3);
  EXPECT_EQ(oom_score_adj(Qos::kBurstable, kGi, 0, false), 1000);
}

TEST(Limits, Paths) {
  EXPECT_EQ(root_path("edge"), "/moth-edge");
  EXPECT_EQ(pod_path("edge", Qos::kGuaranteed, "u-1"), "/moth-edge/podu-1");
  EXPECT_EQ(pod_path("edge", Qos::kBurstable, "u-1"), "/moth-edge/burstable/podu-1");
  EXPECT_EQ(pod_path("edge", Qos::kBestEffort, "u-1"), "/moth-edge/besteffort/podu-1");
  EXPECT_EQ(container_path("/a/b", "c"), "/a/b/c");
  EXPECT_EQ(huge_page_size_name(2 << 20), "2MB");
  EXPECT_EQ(huge_page_size_name(1 << 30), "1GB");
  EXPECT_EQ(huge_page_size_name(64 << 10), "64KB");
}

TEST(Limits, Pods) {
  const Limits whole = pod_limits({.cpu_request = 250, .cpu_limit = 500, .memory_limit = 64 << 20});
  EXPECT_EQ(whole.cpu_shares, 256);
  EXPECT_EQ(whole.cpu_quota_micros, 50'000);
  EXPECT_EQ(whole.memory_bytes, 64 << 20);
  EXPECT_FALSE(whole.pids);
  const Limits open = pod_limits({.cpu_request = 0, .pids = 100});
  EXPECT_EQ(open.cpu_shares, 2);
  EXPECT_EQ(open.cpu_quota_micros, kUnlimited);
  EXPECT_EQ(open.memory_bytes, kUnlimited);
  EXPECT_EQ(open.pids, 100);
  EXPECT_EQ(qos_limits(Qos::kBurstable, 1500).cpu_shares, 1536);
  EXPECT_EQ(qos_limits(Qos::kBestEffort, 1500).cpu_shares, 2);
  EXPECT_FALSE(qos_limits(Qos::kGuaranteed, 1500).cpu_shares);
}

std::string texts(const std::vector<Setting>& settings) {
  std::string all;
  for (const Setting& setting : settings) all += setting.file + "=" + setting.value + "\n";
  return all;
}

TEST(Settings, OfBothVersions) {
  Limits limits;
  limits.cpu_shares = 1024;
  limits.cpu_quota_micros = 50'000;
  limits.memory_bytes = 1000;
  limits.pids = 10;
  limits.cpuset_cpus = "0-1";
  limits.huge_pages = {{"2MB", 4096}};
  limits.oom_group = true;
  EXPECT_EQ(texts(v1_settings(limits)),
            "cpu.shares=1024\ncpu.cfs_period_us=100000\ncpu.cfs_quota_us=50000\n"
            "memory.memsw.limit_in_bytes=-1\nmemory.limit_in_bytes=1000\n"
            "memory.memsw.limit_in_bytes=1000\npids.max=10\ncpuset.cpus=0-1\n"
            "hugetlb.2MB.limit_in_bytes=4096\n");
  EXPECT_EQ(texts(v2_settings(limits)),
            "cpu.weight=39\ncpu.max=50000 100000\nmemory.max=1000\nmemory.swap.max=0\n"
            "memory.oom.group=1\npids.max=10\ncpuset.cpus=0-1\nhugetlb.2MB.max=4096\n");
  Limits none;
  none.memory_bytes = none.pids = none.cpu_quota_micros = kUnlimited;
  EXPECT_EQ(texts(v2_settings(none)),
            "cpu.max=max 100000\nmemory.max=max\nmemory.swap.max=max\npids.max=max\n");
}

}  // namespace
}  // namespace moth::cgroups
