#pragma once
// What a group is allowed to use, in the units of Kubernetes, and the pure functions that turn them
// into the numbers of cgroup v1, v2 and oom_score_adj. No state, free of threads.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moth::cgroups {

inline constexpr std::int64_t kUnlimited = -1;
inline constexpr std::int64_t kCpuPeriodMicros = 100'000;
inline constexpr std::int64_t kMinQuotaMicros = 1'000;
inline constexpr std::int64_t kMinShares = 2;
inline constexpr std::int64_t kMaxShares = 262'144;
// A container that gets less memory cannot be started by runc (it needs 2.5 MB itself).
inline constexpr std::int64_t kMinMemoryLimitBytes = 8 * 1024 * 1024;

// Members that are unset are left as they are. kUnlimited lifts a limit.
struct Limits {
  std::optional<std::int64_t> cpu_shares;         // the v1 scale (1024 = one cpu), 2 to 262144
  std::optional<std::int64_t> cpu_quota_micros;   // per period of kCpuPeriodMicros
  std::optional<std::int64_t> memory_bytes;       // hard limit; swap is bounded to the same
  std::optional<std::int64_t> memory_low_bytes;   // v2 only
  std::optional<std::int64_t> memory_high_bytes;  // v2 only
  std::optional<std::int64_t> pids;
  std::optional<std::string> cpuset_cpus, cpuset_mems;
  std::optional<bool> oom_group;  // v2 only: all processes die together
  struct HugePages {
    std::string size;  // as the kernel spells it: 2MB, 1GB
    std::int64_t bytes = 0;
  };
  std::vector<HugePages> huge_pages;
};

// millicores > cpu.shares; 0 gives the minimum.
std::int64_t shares_of_millicores(std::int64_t millicores);
// millicores > cpu.cfs_quota_us for kCpuPeriodMicros; 0 or less: kUnlimited.
std::int64_t quota_of_millicores(std::int64_t millicores);
// cpu.shares > cpu.weight, the linear form of the kubelet and of runc before 1.3.2.
std::uint64_t weight_of_shares(std::int64_t shares);
// "max 100000" or "<quota> 100000".
std::string cpu_max_text(std::int64_t quota_micros);
// The kernel's name of a page size given as in hugepages-2Mi: "2MB".
std::string huge_page_size_name(std::uint64_t page_bytes);

enum class Qos { kGuaranteed, kBurstable, kBestEffort };
std::string_view to_string(Qos qos);  // "Guaranteed", ...

// `memory_request` of the container, `node_memory` the machine's, in bytes. `critical`: pods of
// class system-node-critical.
int oom_score_adj(Qos qos, std::int64_t memory_request, std::int64_t node_memory, bool critical);

// Group paths of an instance, absolute within each hierarchy:
// /moth-<instance>[/burstable|/besteffort]
std::string root_path(std::string_view instance);
std::string qos_path(std::string_view instance, Qos qos);
std::string pod_path(std::string_view instance, Qos qos, std::string_view pod_uid);
std::string container_path(std::string_view pod_path, std::string_view container_id);

// Sums of a pod that its own group gets. Millicores and bytes; a missing limit of any container
// means no limit of the pod.
struct PodSums {
  std::int64_t cpu_request = 0;
  std::optional<std::int64_t> cpu_limit;
  std::optional<std::int64_t> memory_limit;
  std::optional<std::int64_t> pids;
};
Limits pod_limits(const PodSums& sums);
// The burstable group follows the sum of its pods' requests; best effort has the minimum.
Limits qos_limits(Qos qos, std::int64_t burstable_request_millicores);

}  // namespace moth::cgroups
