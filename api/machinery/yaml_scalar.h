#pragma once
// What the text of a YAML scalar means. Internal to yaml.cpp and yaml_emit.cpp. Pure functions.
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/base/result.h"

namespace moth {

// `tag` as the parser reports it: "?" for a plain scalar, "!" for a quoted one, or an explicit one.
Result<Json> resolve_yaml_scalar(std::string_view tag, std::string_view text);
// Whether the text, written plain, would be read back as something else than a string.
bool yaml_plain_is_not_text(std::string_view text);

}  // namespace moth
