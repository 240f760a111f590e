#pragma once
// Payload: the files of a volume that is made of API objects (configMap, secret, downwardAPI,
// projected). Plain values and pure functions, free of threads.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/base/result.h"

namespace moth::volumes {

struct File {
  std::string content;
  std::uint32_t mode = 0644;
  std::optional<std::uint32_t> owner{};  // unset: root
  bool operator==(const File&) const = default;
};
// By path below the volume's root. An ordered map, so that equal payloads compare equal.
using Payload = std::map<std::string, File>;

struct KeyPath {
  std::string key, path;
  std::optional<std::uint32_t> mode;
};

// Which keys of an object become which files.
struct Selection {
  std::vector<KeyPath> items;  // empty: every key under its own name
  std::uint32_t default_mode = 0644;
  bool optional = false;  // a key in `items` that is missing is left out instead of an error
  // Precedes the key that is missing: "configmap references non-existent config key".
  std::string missing_key_text;
};

// Adds what `selection` takes of `values`. A path that another source wrote before is replaced.
Result<> add_keys(Payload& payload, const std::map<std::string, std::string>& values,
                  const Selection& selection);

// Invalid unless `path` is relative, without "..", no longer than a path may be, and its first
// part does not begin with ".." (the names of the atomic writer).
Result<> check_payload_path(std::string_view path);

}  // namespace moth::volumes
