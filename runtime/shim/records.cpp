#include "runtime/shim/records.h"

#include <fmt/format.h>

#include <cstdio>

#include "api/base/json.h"
#include "runtime/os/fs.h"
#include "runtime/shim/protocol.h"

namespace moth::shim {

WallTime wall_of_ns(std::uint64_t nanoseconds) {
  return WallTime(std::chrono::duration_cast<WallTime::duration>(
      std::chrono::nanoseconds(static_cast<std::int64_t>(nanoseconds))));
}

Result<Started> parse_state(std::string_view text) {
  int shim_pid = 0, pid = 0;
  unsigned long long shim_start = 0, start = 0, started_at = 0;
  if (std::sscanf(std::string(text).c_str(), MOTH_SHIM_STATE_FORMAT, &shim_pid, &shim_start, &pid,
                  &start, &started_at) != 5) {
    return fail(Error::internal(fmt::format("the shim's record cannot be read: {}", text)));
  }
  Started started;
  started.pid = pid;
  started.start_time = start;
  started.shim_pid = shim_pid;
  started.shim_start_time = shim_start;
  started.started_at = wall_of_ns(started_at);
  return started;
}

Result<Started> read_state(const std::string& path) {
  MOTH_ASSIGN(const std::string text, os::read_file(path, 4096));
  return parse_state(text);
}

Result<Exit> parse_exit(std::string_view json) {
  const Json record = Json::parse(json, nullptr, false);
  if (!record.is_object()) {
    return fail(Error::internal(fmt::format("the shim's exit record cannot be read: {}", json)));
  }
  Exit exit;
  exit.exit_code = static_cast<int>(int_or(record, "exitCode"));
  exit.signal = static_cast<int>(int_or(record, "signal"));
  exit.started_at = wall_of_ns(static_cast<std::uint64_t>(int_or(record, "startedAt")));
  exit.finished_at = wall_of_ns(static_cast<std::uint64_t>(int_or(record, "finishedAt")));
  exit.oom_kills = static_cast<std::uint64_t>(int_or(record, "oomKills"));
  return exit;
}

Result<Exit> read_exit(const std::string& bundle) {
  MOTH_ASSIGN(const std::string text, os::read_file(bundle + "/" MOTH_SHIM_EXIT, 4096));
  return parse_exit(text);
}

std::string runtime_error(const std::string& bundle) {
  auto text = os::read_file_tail(bundle + "/" MOTH_SHIM_RUNTIME_LOG, 16 * 1024);
  std::string message;
  if (!text) return message;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const Json line = Json::parse(rest.substr(0, end), nullptr, false);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (string_or(line, "level") == "error") message = string_or(line, "msg");
  }
  return message;
}

}  // namespace moth::shim
