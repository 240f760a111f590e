#pragma once
// Checks of texts with a form of their own: domain-prefixed paths, wildcard host names, address
// ranges. Messages are upstream's. Pure functions.
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/base/json_fwd.h"
#include "api/machinery/field_error.h"
#include "api/machinery/names.h"

namespace moth::resources {

// `example.com/path`.
void check_domain_prefixed_path(FieldErrors& errors, std::string_view value, const FieldPath& path);
// `*.example.com`.
Messages check_wildcard_subdomain(std::string_view value);

// An IPv4 or IPv6 range.
struct Cidr {
  std::array<std::uint8_t, 16> address{};  // the first 4 bytes of IPv4
  bool is_v6 = false;
  unsigned prefix = 0;

  unsigned bits() const { return is_v6 ? 128 : 32; }
  // No bits are set beyond the prefix.
  bool is_masked() const;
  // `other` lies in it and is smaller.
  bool strictly_contains(const Cidr& other) const;
  // Masked, in its shortest form.
  std::string to_string() const;
};

std::optional<Cidr> parse_cidr(std::string_view text);
// A range without bits beyond its prefix.
void check_cidr(FieldErrors& errors, std::string_view value, const FieldPath& path);
// The same in its one canonical form.
void check_canonical_cidr(FieldErrors& errors, std::string_view value, const FieldPath& path);
// An address in its one canonical form: upstream's texts of what is wrong.
Messages check_canonical_ip(std::string_view value);

}  // namespace moth::resources
