#pragma once
// The order of API versions [apimachinery pkg/version]: stable ones first, newer before older, then
// beta, alpha, and at last names that are no such version, by their text. Pure; any thread.
#include <string_view>

namespace moth {

// Negative when `a` comes before `b` in discovery (v2, v1, v1beta2, v1beta1, v1alpha1, foo1), zero
// when equal.
int compare_versions(std::string_view a, std::string_view b);

}  // namespace moth
