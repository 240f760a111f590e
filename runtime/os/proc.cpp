#include "runtime/os/proc.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <ctime>
#include <optional>
#include <string_view>

#include "runtime/os/fs.h"

namespace moth::os {

namespace {

std::string trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

// Calls `use` with each line; stops when it returns false.
template <class F>
void for_each_line(std::string_view text, F use) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (!use(text.substr(0, end))) return;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::uint64_t number(std::string_view text) {
  const auto first = text.find_first_of("0123456789");
  std::uint64_t value = 0;
  if (first != std::string_view::npos) {
    std::from_chars(text.data() + first, text.data() + text.size(), value);
  }
  return value;
}

std::chrono::nanoseconds clock_now(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

// The text of /proc/PID/stat after the command, which may hold spaces and brackets itself.
Result<std::string> stat_fields(pid_t pid) {
  auto text = read_file(fmt::format("/proc/{}/stat", pid), 4096);
  if (!text) {
    // The process may go between open and read: ESRCH.
    const int error = text.error().os_errno == ESRCH ? ENOENT : text.error().os_errno;
    return fail(Error::from_errno(error, fmt::format("process {}", pid)));
  }
  const auto bracket = text->find_last_of(')');
  if (bracket == std::string::npos || bracket + 2 >= text->size()) {
    return fail(Error::internal(fmt::format("/proc/{}/stat cannot be read", pid)));
  }
  return text->substr(bracket + 2);
}

std::uint64_t ticks_per_second() {
  static const auto ticks = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  return ticks;
}

}  // namespace

Result<std::string> boot_id() {
  MOTH_ASSIGN(const std::string text, read_file("/proc/sys/kernel/random/boot_id", 256));
  return trim(text);
}

Result<std::string> machine_id() {
  for (const char* path :
       {"/etc/machine-id", "/var/lib/dbus/machine-id", "/sys/class/dmi/id/product_uuid"}) {
    auto text = read_file(path, 256);
    if (text && !trim(*text).empty()) return trim(*text);
  }
  return fail(Error::of(Reason::kNotFound, "this machine has no machine id"));
}

std::string kernel_version() {
  utsname name{};
  ::uname(&name);
  return name.release;
}

std::string architecture() {
  utsname name{};
  ::uname(&name);
  const std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  if (machine == "i686" || machine == "i386") return "386";
  if (machine.substr(0, 3) == "arm") return "arm";
  return std::string(machine);
}

std::string host_name() {
  char buffer[256] = {};
  ::gethostname(buffer, sizeof buffer - 1);
  std::string name = buffer;
  name = name.substr(0, name.find('.'));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name.empty() ? "localhost" : name;
}

int cpu_count() {
  return static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

std::chrono::nanoseconds uptime() {
  return clock_now(CLOCK_BOOTTIME);
}

std::chrono::system_clock::time_point boot_time() {
  return std::chrono::system_clock::time_point(clock_now(CLOCK_REALTIME) -
                                               clock_now(CLOCK_BOOTTIME));
}

Result<MemInfo> memory_info() {
  MOTH_ASSIGN(const std::string text, read_file("/proc/meminfo", 64 * 1024));
  MemInfo info;
  for_each_line(text, [&](std::string_view line) {
    const auto is = [&](std::string_view key) { return line.substr(0, key.size()) == key; };
    const std::uint64_t bytes = number(line) * 1024;
    if (is("MemTotal:")) info.total = bytes;
    if (is("MemAvailable:")) info.available = bytes;
    if (is("MemFree:")) info.free = bytes;
    if (is("SwapTotal:")) info.swap_total = bytes;
    if (is("SwapFree:")) info.swap_free = bytes;
    return true;
  });
  auto sizes = list_dir("/sys/kernel/mm/hugepages");
  if (!sizes) return info;
  for (const DirEntry& entry : *sizes) {
    auto count = read_file("/sys/kernel/mm/hugepages/" + entry.name + "/nr_hugepages", 64);
    if (count) info.huge_pages[number(entry.name) * 1024] = number(*count);
  }
  return info;
}

OsRelease os_release() {
  OsRelease release;
  for (const char* path : {"/etc/os-release", "/usr/lib/os-release"}) {
    auto text = read_file(path, 64 * 1024);
    if (!text) continue;
    for_each_line(*text, [&](std::string_view line) {
      const auto equals = line.find('=');
      if (equals == std::string_view::npos) return true;
      std::string value = trim(line.substr(equals + 1));
      if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'')) {
        value = value.substr(1, value.size() - 2);
      }
      const std::string_view key = line.substr(0, equals);
      if (key == "ID") release.id = value;
      if (key == "VERSION_ID") release.version_id = value;
      if (key == "PRETTY_NAME") release.pretty_name = value;
      return true;
    });
    break;
  }
  return release;
}

Result<std::uint64_t> process_start_time(pid_t pid) {
  MOTH_ASSIGN(const std::string fields, stat_fields(pid));
  // The text starts with field 3; the start time is field 22.
  std::string_view rest = fields;
  for (int field = 3; field < 22; ++field) {
    const auto space = rest.find(' ');
    if (space == std::string_view::npos) {
      return fail(Error::internal(fmt::format("/proc/{}/stat cannot be read", pid)));
    }
    rest.remove_prefix(space + 1);
  }
  return number(rest);
}

std::chrono::system_clock::time_point start_time_to_wall(std::uint64_t ticks) {
  return boot_time() + std::chrono::nanoseconds(ticks * (1'000'000'000 / ticks_per_second()));
}

Result<char> process_state(pid_t pid) {
  MOTH_ASSIGN(const std::string fields, stat_fields(pid));
  return fields.front();
}

Result<std::string> process_status_field(pid_t pid, const std::string& field) {
  MOTH_ASSIGN(const std::string text, read_file(fmt::format("/proc/{}/status", pid), 64 * 1024));
  std::optional<std::string> found;
  for_each_line(text, [&](std::string_view line) {
    if (line.substr(0, field.size()) != field || line.size() <= field.size() ||
        line[field.size()] != ':') {
      return true;
    }
    found = trim(line.substr(field.size() + 1));
    return false;
  });
  if (found) return *found;
  return fail(Error::of(Reason::kNotFound, fmt::format("/proc/{}/status has no {}", pid, field)));
}

Result<CpuTimes> cpu_times() {
  MOTH_ASSIGN(const std::string text, read_file("/proc/stat", 1024 * 1024));
  // "cpu  user nice system idle iowait irq softirq steal guest guest_nice"; guest is within user.
  std::string_view line = std::string_view(text).substr(0, text.find('\n'));
  line.remove_prefix(std::min(line.find(' '), line.size()));
  std::uint64_t values[8] = {};
  for (std::uint64_t& value : values) {
    const auto first = line.find_first_of("0123456789");
    if (first == std::string_view::npos) break;
    line.remove_prefix(first);
    value = number(line);
    line.remove_prefix(std::min(line.find(' '), line.size()));
  }
  const std::uint64_t tick_ns = 1'000'000'000 / ticks_per_second();
  CpuTimes times;
  for (std::uint64_t value : values) times.total_ns += value * tick_ns;
  times.busy_ns = times.total_ns - (values[3] + values[4]) * tick_ns;
  return times;
}

}  // namespace moth::os
