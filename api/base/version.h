#pragma once
// The version of moth, and of the Kubernetes API that it serves.
#include <string_view>

namespace moth {

inline constexpr std::string_view kVersion = MOTH_VERSION;
inline constexpr std::string_view kKubernetesVersion = "v1.36.0+moth." MOTH_VERSION;

}  // namespace moth
