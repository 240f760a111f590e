#pragma once
// Json: the one DOM type of the project. Public headers include this file; sources include json.h.
#include <nlohmann/json_fwd.hpp>

namespace moth {
using Json = nlohmann::json;
}  // namespace moth
