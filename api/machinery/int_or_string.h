#pragma once
// IntOrString: a JSON number or string, as of ports and of surge or unavailable counts.
#include <cstdint>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

struct IntOrString {
  bool is_string = false;
  std::int32_t number = 0;
  std::string text;

  static IntOrString of(std::int32_t number) { return {false, number, {}}; }
  static IntOrString of(std::string text) { return {true, 0, std::move(text)}; }
  // BadRequest when `json` is neither a string nor a whole number of 32 bits.
  static Result<IntOrString> from_json(const Json& json);
  Json to_json() const;
  std::string to_string() const;

  // "25%" and the like.
  bool is_percent() const;
  // The number, a percentage of `total` (rounded up or down), or an error for any other string.
  Result<std::int32_t> scaled(std::int32_t total, bool round_up) const;

  bool operator==(const IntOrString&) const = default;
};

}  // namespace moth
