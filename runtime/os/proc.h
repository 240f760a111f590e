#pragma once
// Facts about the machine and its processes from /proc and /etc. Synchronous and cheap (under 0.1
// ms).
#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "api/base/result.h"

namespace moth::os {

Result<std::string> boot_id();     // differs after every boot
Result<std::string> machine_id();  // /etc/machine-id, else the DMI product uuid, else NotFound
std::string kernel_version();      // "6.1.0-18-amd64"
std::string architecture();        // as Go names it: amd64, arm64, ...
std::string host_name();           // without a domain, lower case
int cpu_count();                   // online processors
std::chrono::nanoseconds uptime();
// system_clock at boot, for turning start times into wall time.
std::chrono::system_clock::time_point boot_time();

struct MemInfo {
  std::uint64_t total = 0, available = 0, free = 0, swap_total = 0, swap_free = 0;  // bytes
  std::map<std::uint64_t, std::uint64_t> huge_pages;  // page size > number of pages
};
Result<MemInfo> memory_info();

struct OsRelease {
  std::string id, version_id, pretty_name;
};
OsRelease os_release();  // empty members where the machine does not tell

// Clock ticks after boot (field 22 of /proc/PID/stat). NotFound when there is no such process.
Result<std::uint64_t> process_start_time(pid_t pid);
std::chrono::system_clock::time_point start_time_to_wall(std::uint64_t ticks);
// "R", "S", "Z", ...; NotFound as above.
Result<char> process_state(pid_t pid);
// Child to parent: the value of `field` ("VmRSS", "PPid", "CapBnd") in /proc/PID/status.
Result<std::string> process_status_field(pid_t pid, const std::string& field);
// cpu nanoseconds of all processors since boot: busy and total.
struct CpuTimes {
  std::uint64_t busy_ns = 0, total_ns = 0;
};
Result<CpuTimes> cpu_times();

}  // namespace moth::os
