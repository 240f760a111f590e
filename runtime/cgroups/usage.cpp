#include "runtime/cgroups/usage.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <charconv>

namespace moth::cgroups {

namespace {

// memory.stat is the longest, 4 KiB at most so far.
using Buffer = char[16 * 1024];

Result<os::UniqueFd> open_if_present(const std::string& path, bool& any) {
  if (path.empty()) return os::UniqueFd();
  os::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd && errno != ENOENT) return fail(Error::from_errno(errno, path));
  any |= static_cast<bool>(fd);
  return fd;
}

// The text of a kept file, empty when there is none. NotFound when its group was removed.
Result<std::string_view> read_kept(const os::UniqueFd& fd, Buffer& buffer) {
  if (!fd) return std::string_view();
  const ssize_t n = ::pread(fd.get(), buffer, sizeof buffer, 0);
  if (n < 0) return fail(Error::from_errno(errno == ENODEV ? ENOENT : errno, "read cgroup"));
  return std::string_view(buffer, static_cast<std::size_t>(n));
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The first key that the text has: v1 and v2 name things differently.
std::uint64_t first_of(std::string_view text, std::initializer_list<std::string_view> keys) {
  for (std::string_view key : keys) {
    if (const auto value = stat_value(text, key)) return *value;
  }
  return 0;
}

Result<void> read_cpu(const os::UniqueFd& fd, Usage& usage) {
  Buffer buffer;
  MOTH_ASSIGN(const std::string_view text, read_kept(fd, buffer));
  if (const auto micros = stat_value(text, "usage_usec")) {
    usage.cpu_ns = *micros * 1000;
  } else {
    usage.cpu_ns = number(text);
  }
  return {};
}

Result<void> read_memory(const os::UniqueFd& usage_fd, const os::UniqueFd& stat_fd, Usage& usage) {
  Buffer buffer;
  MOTH_ASSIGN(const std::string_view total, read_kept(usage_fd, buffer));
  usage.memory_bytes = number(total);
  MOTH_ASSIGN(const std::string_view text, read_kept(stat_fd, buffer));
  const std::uint64_t inactive = first_of(text, {"total_inactive_file", "inactive_file"});
  usage.working_set_bytes = usage.memory_bytes > inactive ? usage.memory_bytes - inactive : 0;
  usage.rss_bytes = first_of(text, {"total_rss", "anon"});
  usage.page_faults = first_of(text, {"total_pgfault", "pgfault"});
  usage.major_page_faults = first_of(text, {"total_pgmajfault", "pgmajfault"});
  return {};
}

Result<void> read_throttling(const os::UniqueFd& fd, Usage& usage) {
  Buffer buffer;
  MOTH_ASSIGN(const std::string_view text, read_kept(fd, buffer));
  usage.cpu_periods = first_of(text, {"nr_periods"});
  usage.cpu_throttled_periods = first_of(text, {"nr_throttled"});
  usage.cpu_throttled_ns =
      stat_value(text, "throttled_time").value_or(first_of(text, {"throttled_usec"}) * 1000);
  return {};
}

}  // namespace

std::optional<std::uint64_t> stat_value(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    if (line.size() > key.size() && line.substr(0, key.size()) == key && line[key.size()] == ' ') {
      return number(line.substr(key.size() + 1));
    }
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return std::nullopt;
}

Result<UsageReader> UsageReader::open(const Files& files) {
  UsageReader reader;
  bool any = false;
  MOTH_ASSIGN(reader.cpu_usage_, open_if_present(files.cpu_usage, any));
  MOTH_ASSIGN(reader.cpu_stat_, open_if_present(files.cpu_stat, any));
  MOTH_ASSIGN(reader.memory_usage_, open_if_present(files.memory_usage, any));
  MOTH_ASSIGN(reader.memory_stat_, open_if_present(files.memory_stat, any));
  MOTH_ASSIGN(reader.memory_oom_, open_if_present(files.memory_oom, any));
  MOTH_ASSIGN(reader.pids_, open_if_present(files.pids, any));
  if (!any) {
    return fail(Error::of(Reason::kNotFound,
                          fmt::format("there is no cgroup with {}", files.memory_usage)));
  }
  return reader;
}

Result<Usage> UsageReader::read_brief() const {
  Usage usage;
  MOTH_TRY(read_cpu(cpu_usage_, usage));
  MOTH_TRY(read_memory(memory_usage_, memory_stat_, usage));
  return usage;
}

Result<Usage> UsageReader::read() const {
  MOTH_ASSIGN(Usage usage, read_brief());
  MOTH_TRY(read_throttling(cpu_stat_, usage));
  Buffer buffer;
  MOTH_ASSIGN(const std::string_view oom, read_kept(memory_oom_, buffer));
  usage.oom_kills = first_of(oom, {"oom_kill"});
  MOTH_ASSIGN(const std::string_view pids, read_kept(pids_, buffer));
  usage.pids = number(pids);
  return usage;
}

}  // namespace moth::cgroups
