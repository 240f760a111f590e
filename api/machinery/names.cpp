#include "api/machinery/names.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <memory>

namespace moth {
namespace {

constexpr std::string_view kLabelRegex = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kSubdomainRegex =
    "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
constexpr std::string_view kDns1035Regex = "[a-z]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kQualifiedRegex = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
constexpr std::string_view kLabelValueRegex = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
constexpr std::string_view kConfigMapKeyRegex = "[-._a-zA-Z0-9]+";

constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
constexpr std::size_t kGeneratedBaseMax = 58;
constexpr std::size_t kGeneratedSuffix = 5;

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_lower_or_digit(char c) {
  return is_lower(c) || is_digit(c);
}
bool is_alphanumeric(char c) {
  return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

bool is_label(std::string_view value) {
  return !value.empty() && is_lower_or_digit(value.front()) && is_lower_or_digit(value.back()) &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return is_lower_or_digit(c) || c == '-'; });
}

bool is_subdomain(std::string_view value) {
  for (;;) {
    auto dot = value.find('.');
    if (!is_label(value.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    value.remove_prefix(dot + 1);
  }
}

bool is_qualified_part(std::string_view value) {
  return !value.empty() && is_alphanumeric(value.front()) && is_alphanumeric(value.back()) &&
         std::all_of(value.begin(), value.end(),
                     [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

std::string max_bytes_message(std::size_t max) {
  return fmt::format("must be no more than {} bytes", max);
}

std::string subdomain_message() {
  return regex_message(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
      "'.', and must start and end with an alphanumeric character",
      kSubdomainRegex, {"example.com"});
}

std::string qualified_message() {
  return regex_message(
      "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
      "alphanumeric character",
      kQualifiedRegex, {"MyName", "my.name", "123-abc"});
}

}  // namespace

std::string max_length_message(std::size_t max) {
  return fmt::format("must be no more than {} characters", max);
}

std::string regex_message(std::string_view message, std::string_view regex,
                          std::initializer_list<std::string_view> examples) {
  std::string out = fmt::format("{} (", message);
  if (examples.size() > 0) out += "e.g. ";
  bool first = true;
  for (std::string_view example : examples) {
    // Two spaces, as upstream has them.
    if (!first) out += " or ";
    first = false;
    out += fmt::format("'{}', ", example);
  }
  return out += fmt::format("regex used for validation is '{}')", regex);
}

Messages check_dns1123_label(std::string_view value) {
  Messages messages;
  if (value.size() > kDns1123LabelMax) messages.push_back(max_bytes_message(kDns1123LabelMax));
  if (is_label(value)) return messages;
  if (is_subdomain(value)) {
    messages.emplace_back("must not contain dots");
  } else {
    messages.push_back(regex_message(
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
        "must start and end with an alphanumeric character",
        kLabelRegex, {"my-name", "123-abc"}));
  }
  return messages;
}

Messages check_dns1123_subdomain(std::string_view value) {
  Messages messages;
  if (value.size() > kDns1123SubdomainMax)
    messages.push_back(max_bytes_message(kDns1123SubdomainMax));
  if (!is_subdomain(value)) messages.push_back(subdomain_message());
  return messages;
}

Messages check_dns1035_label(std::string_view value) {
  Messages messages;
  if (value.size() > kDns1123LabelMax) messages.push_back(max_bytes_message(kDns1123LabelMax));
  if (!is_label(value) || !is_lower(value.front())) {
    messages.push_back(regex_message(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
        "alphabetic character, and end with an alphanumeric character",
        kDns1035Regex, {"my-name", "abc-123"}));
  }
  return messages;
}

Messages check_qualified_name(std::string_view value) {
  Messages messages;
  std::string_view name = value;
  if (auto slash = value.find('/'); slash != std::string_view::npos) {
    std::string_view prefix = value.substr(0, slash);
    name = value.substr(slash + 1);
    if (name.find('/') != std::string_view::npos) {
      messages.push_back("a qualified name " + qualified_message() +
                         " with an optional DNS subdomain prefix and '/' (e.g. "
                         "'example.com/MyName')");
      return messages;
    }
    if (prefix.empty()) {
      messages.emplace_back("prefix part must be non-empty");
    } else {
      for (const std::string& message : check_dns1123_subdomain(prefix)) {
        messages.push_back("prefix part " + message);
      }
    }
  }
  if (name.empty()) {
    messages.emplace_back("name part must be non-empty");
  } else if (name.size() > kQualifiedNameMax) {
    messages.push_back("name part " + max_bytes_message(kQualifiedNameMax));
  }
  if (!is_qualified_part(name)) messages.push_back("name part " + qualified_message());
  return messages;
}

Messages check_label_value(std::string_view value) {
  Messages messages;
  if (value.size() > kLabelValueMax) messages.push_back(max_bytes_message(kLabelValueMax));
  if (!value.empty() && !is_qualified_part(value)) {
    messages.push_back(regex_message(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
        "'.', and must start and end with an alphanumeric character",
        kLabelValueRegex, {"MyValue", "my_value", "12345"}));
  }
  return messages;
}

Messages check_path_segment_name(std::string_view value) {
  Messages messages;
  if (value == "." || value == "..") return {fmt::format("may not be '{}'", value)};
  for (char c : {'/', '%'}) {
    if (value.find(c) != std::string_view::npos) {
      messages.push_back(fmt::format("may not contain '{}'", c));
    }
  }
  return messages;
}

Messages check_port_name(std::string_view value) {
  constexpr std::size_t kMax = 15;
  Messages messages;
  if (value.size() > kMax) messages.push_back(max_length_message(kMax));
  if (value.empty() || !std::all_of(value.begin(), value.end(),
                                    [](char c) { return is_lower_or_digit(c) || c == '-'; })) {
    messages.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  }
  if (std::none_of(value.begin(), value.end(), is_lower)) {
    messages.emplace_back("must contain at least one letter (a-z)");
  }
  if (value.find("--") != std::string_view::npos) {
    messages.emplace_back("must not contain consecutive hyphens");
  }
  if (!value.empty() && (value.front() == '-' || value.back() == '-')) {
    messages.emplace_back("must not begin or end with a hyphen");
  }
  return messages;
}

Messages check_port_number(std::int64_t value) {
  if (value >= 1 && value <= 65535) return {};
  return {"must be between 1 and 65535, inclusive"};
}

Messages check_config_map_key(std::string_view value) {
  Messages messages;
  if (value.size() > kDns1123SubdomainMax)
    messages.push_back(max_length_message(kDns1123SubdomainMax));
  bool allowed = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
    return is_alphanumeric(c) || c == '-' || c == '_' || c == '.';
  });
  if (!allowed) {
    messages.push_back(
        regex_message("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                      kConfigMapKeyRegex, {"key.name", "KEY_NAME", "key-name"}));
  }
  if (value == "." || value == "..") {
    messages.push_back(fmt::format("must not be '{}'", value));
  } else if (value.starts_with("..")) {
    messages.emplace_back("must not start with '..'");
  }
  return messages;
}

Messages check_env_var_name(std::string_view value) {
  if (value.empty()) return {"environment variable name must be non-empty"};
  bool allowed = std::all_of(value.begin(), value.end(),
                             [](char c) { return c >= 0x20 && c < 0x7F && c != '='; });
  if (allowed) return {};
  return {
      "a valid environment variable name must consist only of printable ASCII characters other "
      "than '='"};
}

Messages check_ip(std::string_view value) {
  std::string text(value);
  in6_addr address{};
  bool valid =
      text.find('\0') == std::string::npos && (::inet_pton(AF_INET, text.c_str(), &address) == 1 ||
                                               ::inet_pton(AF_INET6, text.c_str(), &address) == 1);
  if (valid) return {};
  return {"must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"};
}

Messages check_percent(std::string_view value) {
  bool valid = value.size() > 1 && value.back() == '%' &&
               std::all_of(value.begin(), value.end() - 1, is_digit);
  if (valid) return {};
  return {regex_message("a valid percent string must be a numeric string followed by an ending '%'",
                        "[0-9]+%", {"1%", "93%"})};
}

Messages check_generate_name(std::string_view prefix, Messages (*check)(std::string_view)) {
  std::string masked(prefix);
  if (masked.size() > 1 && masked.back() == '-') masked.back() = 'a';
  return check(masked);
}

RandomSource system_random() {
  return [] {
    constexpr std::size_t kWords = 64;
    thread_local std::array<std::uint64_t, kWords> words;
    thread_local std::size_t used = kWords;
    if (used == kWords) {
      // At most 256 bytes come whole or with EINTR before the pool is ready.
      std::size_t filled = 0;
      auto* bytes = reinterpret_cast<unsigned char*>(words.data());
      while (filled < sizeof(words)) {
        ssize_t got = ::getrandom(bytes + filled, sizeof(words) - filled, 0);
        if (got > 0) filled += static_cast<std::size_t>(got);
        if (got < 0 && errno != EINTR) std::abort();
      }
      used = 0;
    }
    return words[used++];
  };
}

RandomSource seeded_random(std::uint64_t seed) {
  // splitmix64
  return [state = seed]() mutable {
    state += 0x9E3779B97F4A7C15u;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  };
}

std::string random_suffix(std::size_t count, const RandomSource& random) {
  std::string suffix;
  suffix.reserve(count);
  for (std::size_t i = 0; i < count; ++i) suffix += kAlphabet[random() % kAlphabet.size()];
  return suffix;
}

std::string generate_name(std::string_view base, const RandomSource& random) {
  return std::string(base.substr(0, kGeneratedBaseMax)) + random_suffix(kGeneratedSuffix, random);
}

std::string uuid_v4(const RandomSource& random) {
  std::uint64_t high = (random() & ~0xF000ull) | 0x4000ull;
  std::uint64_t low = (random() & ~(3ull << 62)) | (2ull << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xFFFF,
                     high & 0xFFFF, low >> 48, low & 0xFFFFFFFFFFFFull);
}

}  // namespace moth
