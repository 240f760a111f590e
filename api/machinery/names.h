#pragma once
// What is a valid name. Each check returns upstream's messages, none when `value` is valid. Pure
// functions; they cost no allocation when the value is valid.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace moth {

using Messages = std::vector<std::string>;

inline constexpr std::size_t kDns1123LabelMax = 63;
inline constexpr std::size_t kDns1123SubdomainMax = 253;
inline constexpr std::size_t kQualifiedNameMax = 63;
inline constexpr std::size_t kLabelValueMax = 63;

Messages check_dns1123_label(std::string_view value);
Messages check_dns1123_subdomain(std::string_view value);
Messages check_dns1035_label(std::string_view value);
// An optional DNS prefix, a slash, a name: keys of labels, annotations, taints; finalizers.
Messages check_qualified_name(std::string_view value);
Messages check_label_value(std::string_view value);
// Names of RBAC kinds and the like: whatever can be one segment of a path.
Messages check_path_segment_name(std::string_view value);
// Names of container ports: at most 15 characters, one letter at least, single dashes inside.
Messages check_port_name(std::string_view value);
// 1 to 65535.
Messages check_port_number(std::int64_t value);
// Keys of ConfigMap and Secret data.
Messages check_config_map_key(std::string_view value);
// Since Kubernetes 1.34: any printable ASCII but '='.
Messages check_env_var_name(std::string_view value);
// An IPv4 or IPv6 address in its textual form.
Messages check_ip(std::string_view value);
// Percentages such as "25%".
Messages check_percent(std::string_view value);
// `prefix` of generateName, with `check` applied to what it would give.
Messages check_generate_name(std::string_view prefix, Messages (*check)(std::string_view));

// The messages with upstream's tail: "must be no more than 63 characters" (bytes).
std::string max_length_message(std::size_t max);
// message (e.g. 'a', or 'b', regex used for validation is 'r')
std::string regex_message(std::string_view message, std::string_view regex,
                          std::initializer_list<std::string_view> examples);

// 64 random bits a call. Injected, so that tests can foresee names.
using RandomSource = std::function<std::uint64_t()>;
// From the kernel's generator (buffered per thread). Any thread.
RandomSource system_random();
// A deterministic source for tests.
RandomSource seeded_random(std::uint64_t seed);

// `base` cut to 58 characters and five random ones.
std::string generate_name(std::string_view base, const RandomSource& random);
// `count` characters of the alphabet that makes no words: bcdfghjklmnpqrstvwxz2456789.
std::string random_suffix(std::size_t count, const RandomSource& random);
// A random (version 4) UUID in lower case.
std::string uuid_v4(const RandomSource& random);

}  // namespace moth
