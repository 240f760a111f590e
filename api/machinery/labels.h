#pragma once
// Labels and annotations: a sorted map that can be asked with a string_view.
#include <functional>
#include <map>
#include <string>

namespace moth {
using Labels = std::map<std::string, std::string, std::less<>>;
}  // namespace moth
