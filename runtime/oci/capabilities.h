#pragma once
// Names and numbers of Linux capabilities. Pure.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace moth::oci {

// "NET_ADMIN" or "CAP_NET_ADMIN", any case; nullopt when unknown.
std::optional<int> capability_number(std::string_view name);
std::string capability_name(int number);  // "CAP_NET_ADMIN"; empty when unknown
int capability_count();
std::uint64_t capability_mask(const std::vector<std::string>& names);

}  // namespace moth::oci
