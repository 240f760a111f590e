#include "api/base/log.h"

#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <ctime>

namespace moth::log {
namespace {

std::atomic<Level> current_level{Level::kInfo};
constexpr std::array<std::string_view, 5> kNames = {"debug", "info", "warning", "error", "off"};

bool needs_quotes(std::string_view value) {
  if (value.empty()) return true;
  for (char c : value) {
    if (c == ' ' || c == '"' || c == '=' || static_cast<unsigned char>(c) < 0x20) return true;
  }
  return false;
}

void append_value(std::string& line, std::string_view value) {
  if (!needs_quotes(value)) {
    line += value;
    return;
  }
  line += '"';
  for (char c : value) {
    if (c == '"' || c == '\\') {
      line += '\\';
      line += c;
    } else if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      line += ' ';
    } else {
      line += c;
    }
  }
  line += '"';
}

}  // namespace

void set_level(Level level) {
  current_level = level;
}
Level level() {
  return current_level.load(std::memory_order_relaxed);
}

bool set_level(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) {
      set_level(static_cast<Level>(i));
      return true;
    }
  }
  return false;
}

void write(Level level, std::string_view message, const std::vector<Field>& fields) {
  auto now = std::chrono::system_clock::now();
  auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  std::time_t seconds = micros / 1'000'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::string line =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z {} ", parts.tm_year + 1900,
                  parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                  micros % 1'000'000, kNames[static_cast<std::size_t>(level)]);
  append_value(line, message);
  for (const Field& entry : fields) {
    line += ' ';
    line += entry.key;
    line += '=';
    append_value(line, entry.value);
  }
  line += '\n';
  // A log line that cannot be written has nowhere else to go.
  [[maybe_unused]] auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace moth::log
