#pragma once
// What a group uses. The reader keeps descriptors, so that a sweep over a hundred containers costs
// a quarter of a millisecond.
#include <cstdint>
#include <optional>
#include <string>

#include "api/base/result.h"
#include "runtime/os/unique_fd.h"

namespace moth::cgroups {

struct Usage {
  std::uint64_t cpu_ns = 0;             // since the group exists
  std::uint64_t memory_bytes = 0;       // with page cache
  std::uint64_t working_set_bytes = 0;  // memory_bytes less the inactive file cache
  std::uint64_t rss_bytes = 0;
  std::uint64_t pids = 0;
  std::uint64_t oom_kills = 0;
  std::uint64_t major_page_faults = 0, page_faults = 0;
  // Periods in which the group was held back by its cpu limit.
  std::uint64_t cpu_periods = 0, cpu_throttled_periods = 0, cpu_throttled_ns = 0;
};

class UsageReader {
 public:
  // Files that do not exist (a controller is missing) read as zero.
  struct Files {
    std::string cpu_usage;  // v1 cpuacct.usage; v2 cpu.stat (usage_usec)
    std::string cpu_stat;   // throttling
    std::string memory_usage, memory_stat, memory_oom;
    std::string pids;
  };
  // NotFound when the group does not exist.
  static Result<UsageReader> open(const Files& files);
  // All of it. NotFound once the group was removed.
  Result<Usage> read() const;
  // cpu_ns, memory_bytes and working set alone: what metrics and autoscaling need.
  Result<Usage> read_brief() const;

 private:
  UsageReader() = default;
  os::UniqueFd cpu_usage_, cpu_stat_, memory_usage_, memory_stat_, memory_oom_, pids_;
};

// The number after `key` at the start of a line of a "key value" file; nullopt when there is none.
std::optional<std::uint64_t> stat_value(std::string_view text, std::string_view key);

}  // namespace moth::cgroups
