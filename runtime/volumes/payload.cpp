#include "runtime/volumes/payload.h"

#include <fmt/format.h>

namespace moth::volumes {

namespace {

constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMaxName = 255;

Error bad_path(std::string_view path, std::string_view why) {
  return Error::of(Reason::kInvalid, fmt::format("invalid path \"{}\": {}", path, why));
}

}  // namespace

Result<> check_payload_path(std::string_view path) {
  if (path.empty()) return fail(bad_path(path, "must not be empty"));
  if (path.front() == '/') return fail(bad_path(path, "must be relative path"));
  if (path.size() > kMaxPath) return fail(bad_path(path, "is longer than 4096 bytes"));
  if (path.substr(0, 2) == "..") return fail(bad_path(path, "must not start with '..'"));
  std::string_view rest = path;
  while (true) {
    const std::size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view part = rest.substr(0, end);
    if (part == "..") return fail(bad_path(path, "must not contain '..'"));
    if (part.size() > kMaxName) return fail(bad_path(path, "has a part longer than 255 bytes"));
    if (end == rest.size()) break;
    rest.remove_prefix(end + 1);
  }
  return {};
}

Result<> add_keys(Payload& payload, const std::map<std::string, std::string>& values,
                  const Selection& selection) {
  if (selection.items.empty()) {
    for (const auto& [key, value] : values) {
      payload.insert_or_assign(key, File{value, selection.default_mode});
    }
    return {};
  }
  for (const KeyPath& item : selection.items) {
    auto value = values.find(item.key);
    if (value == values.end()) {
      if (selection.optional) continue;
      return fail(Error::of(Reason::kNotFound,
                            fmt::format("{}: {}", selection.missing_key_text, item.key)));
    }
    payload.insert_or_assign(item.path,
                             File{value->second, item.mode.value_or(selection.default_mode)});
  }
  return {};
}

}  // namespace moth::volumes
