#pragma once
// Kubernetes' own types of values. Immutable; any thread.
#include <optional>
#include <string>

#include "api/cel/value.h"
#include "api/machinery/quantity.h"

namespace moth::cel {

struct QuantityValue final : Opaque {
  explicit QuantityValue(Quantity the_amount) : amount(the_amount) { kind = Kind::kQuantity; }
  bool equals(const Opaque& other) const override {
    return amount == static_cast<const QuantityValue&>(other).amount;
  }
  Quantity amount;
};

struct UrlValue final : Opaque {
  UrlValue() { kind = Kind::kUrl; }
  bool equals(const Opaque& other) const override {
    return text == static_cast<const UrlValue&>(other).text;
  }
  std::string text, scheme, host, hostname, port, path;
  std::vector<std::pair<std::string, std::vector<std::string>>> query;
};

// An address, or a network when bits >= 0.
struct IpValue final : Opaque {
  explicit IpValue(Kind the_kind) { kind = the_kind; }
  bool equals(const Opaque& other) const override {
    const auto& right = static_cast<const IpValue&>(other);
    return family == right.family && bits == right.bits && address == right.address;
  }
  int family = 4;
  int bits = -1;
  std::string address;  // 4 or 16 bytes
};

// A version by the rules of semver.org 2.0.
struct SemverValue final : Opaque {
  SemverValue() { kind = Kind::kSemver; }
  bool equals(const Opaque& other) const override {
    return compare(static_cast<const SemverValue&>(other)) == 0;
  }
  // By precedence: what is behind + does not count.
  int compare(const SemverValue& other) const;
  std::uint64_t parts[3] = {0, 0, 0};  // major, minor, patch
  std::vector<std::string> prerelease;
};

struct FormatValue final : Opaque {
  explicit FormatValue(std::string the_name) : name(std::move(the_name)) { kind = Kind::kFormat; }
  bool equals(const Opaque& other) const override {
    return name == static_cast<const FormatValue&>(other).name;
  }
  std::string name;
};

template <class T>
const T* as_opaque(const Value& value, Kind kind) {
  const OpaquePtr* opaque = value.as<OpaquePtr>();
  return opaque && (*opaque)->kind == kind ? static_cast<const T*>(opaque->get()) : nullptr;
}
inline const Quantity* as_quantity(const Value& value) {
  const auto* quantity = as_opaque<QuantityValue>(value, Kind::kQuantity);
  return quantity ? &quantity->amount : nullptr;
}

// Null when the text is none.
std::shared_ptr<const UrlValue> parse_url(std::string_view text);
// IPv4 in its strict form, IPv6 without zone and not IPv4-mapped.
std::shared_ptr<const IpValue> parse_ip(std::string_view text);
std::shared_ptr<const IpValue> parse_cidr(std::string_view text);
// With `normalize` also v1.2, 1 and 01.2.3, as Kubernetes' semver(text, true) takes them.
std::shared_ptr<const SemverValue> parse_semver(std::string_view text, bool normalize);
std::string format_ip(const IpValue& ip);  // with /bits for a network
bool network_contains(const IpValue& network, const IpValue& other);

// Kubernetes' named formats (format.dns1123Label() ...): what is wrong with `text`, empty when
// right; no value when there is no such format.
std::optional<std::vector<std::string>> check_format(std::string_view name, std::string_view text);

}  // namespace moth::cel
