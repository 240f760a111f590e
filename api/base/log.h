#pragma once
// One line per event on stderr: time, level, message, key=value fields. Thread-safe; each line is
// one write(2). `log::info("pod started", log::field("pod", key), log::field("ms", 12))`.
#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace moth::log {

enum class Level { kDebug, kInfo, kWarning, kError, kOff };

void set_level(Level level);
Level level();
// "debug" | "info" | "warning" | "error" | "off"; false when unknown.
bool set_level(std::string_view name);

struct Field {
  std::string_view key;
  std::string value;
};

template <class T>
Field field(std::string_view key, const T& value) {
  return {key, fmt::format("{}", value)};
}

void write(Level level, std::string_view message, const std::vector<Field>& fields);

template <class... Fields>
void debug(std::string_view message, Fields... fields) {
  if (level() <= Level::kDebug) write(Level::kDebug, message, {std::move(fields)...});
}
template <class... Fields>
void info(std::string_view message, Fields... fields) {
  if (level() <= Level::kInfo) write(Level::kInfo, message, {std::move(fields)...});
}
template <class... Fields>
void warning(std::string_view message, Fields... fields) {
  if (level() <= Level::kWarning) write(Level::kWarning, message, {std::move(fields)...});
}
template <class... Fields>
void error(std::string_view message, Fields... fields) {
  if (level() <= Level::kError) write(Level::kError, message, {std::move(fields)...});
}

}  // namespace moth::log
