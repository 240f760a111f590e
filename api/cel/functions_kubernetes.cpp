// quantity(), semver(), url(), ip(), cidr(), format.
#include <fmt/format.h>

#include "api/cel/convert.h"
#include "api/cel/functions.h"
#include "api/cel/opaque.h"

namespace moth::cel {
namespace {

using Args = std::span<const Value>;

Value wrap(OpaquePtr opaque) {
  return Value::Variant(std::move(opaque));
}
Value wrap(const Quantity& amount) {
  return wrap(std::make_shared<const QuantityValue>(amount));
}

// --- quantity ---

Outcome quantity(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  auto parsed = Quantity::parse(*args[0].string());
  if (!parsed) return failure(parsed.error().message);
  return wrap(*parsed);
}
Outcome is_quantity(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  return Value::Variant(Quantity::parse(*args[0].string()).has_value());
}
Outcome quantity_sign(Args args, Meter&) {
  const Quantity* amount = as_quantity(args[0]);
  return amount ? Outcome(Value::Variant(static_cast<std::int64_t>(amount->sign())))
                : no_such_overload();
}
Outcome is_integer(Args args, Meter&) {
  const Quantity* amount = as_quantity(args[0]);
  return amount ? Outcome(Value::Variant(amount->is_whole())) : no_such_overload();
}
Outcome as_integer(Args args, Meter&) {
  const Quantity* amount = as_quantity(args[0]);
  if (!amount) return no_such_overload();
  if (!amount->is_whole()) return failure("cannot convert value to integer");
  return Value::Variant(amount->value());
}
Outcome as_float(Args args, Meter&) {
  const Quantity* amount = as_quantity(args[0]);
  return amount ? Outcome(Value::Variant(amount->as_double())) : no_such_overload();
}
Outcome quantity_sum(Args args, bool minus) {
  const Quantity* left = as_quantity(args[0]);
  const Quantity* right = as_quantity(args[1]);
  const auto* number = args[1].as<std::int64_t>();
  if (!left || (!right && !number)) return no_such_overload();
  Quantity other = right ? *right : Quantity::from_value(*number);
  return wrap(minus ? *left - other : *left + other);
}
Outcome quantity_add(Args args, Meter&) {
  return quantity_sum(args, false);
}
Outcome quantity_sub(Args args, Meter&) {
  return quantity_sum(args, true);
}

// --- semver ---

bool normalizes(Args args) {
  const bool* given = args.size() > 1 ? args[1].as<bool>() : nullptr;
  return given && *given;
}
Outcome semver(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  auto parsed = parse_semver(*args[0].string(), normalizes(args));
  if (!parsed) return failure("invalid semantic version: " + *args[0].string());
  return wrap(parsed);
}
Outcome is_semver(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  return Value::Variant(parse_semver(*args[0].string(), normalizes(args)) != nullptr);
}
template <std::size_t kPart>
Outcome semver_part(Args args, Meter&) {
  const auto* version = as_opaque<SemverValue>(args[0], Kind::kSemver);
  if (!version) return no_such_overload();
  return Value::Variant(static_cast<std::int64_t>(version->parts[kPart]));
}

// --- order, of quantities and versions ---

template <class Judge>
Outcome order_of(Args args, Judge judge) {
  const auto* version = as_opaque<SemverValue>(args[0], Kind::kSemver);
  const auto* other = as_opaque<SemverValue>(args[1], Kind::kSemver);
  if (version && other) return Value::Variant(judge(version->compare(*other)));
  const Quantity* left = as_quantity(args[0]);
  const Quantity* right = as_quantity(args[1]);
  if (!left || !right) return no_such_overload();
  auto order = *left <=> *right;
  return Value::Variant(judge(order < 0 ? -1 : order > 0 ? 1 : 0));
}
Outcome is_less(Args args, Meter&) {
  return order_of(args, [](int order) { return order < 0; });
}
Outcome is_greater(Args args, Meter&) {
  return order_of(args, [](int order) { return order > 0; });
}
Outcome compare_to(Args args, Meter&) {
  return order_of(args, [](int order) { return std::int64_t{order}; });
}

// --- url ---

Outcome url(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  auto parsed = parse_url(*args[0].string());
  if (!parsed)
    return failure("URL parse error during conversion from string: " + *args[0].string());
  return wrap(parsed);
}
Outcome is_url(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  return Value::Variant(parse_url(*args[0].string()) != nullptr);
}
template <std::string UrlValue::*kPart>
Outcome url_part(Args args, Meter&) {
  const auto* value = as_opaque<UrlValue>(args[0], Kind::kUrl);
  return value ? Outcome(Value::text(value->*kPart)) : no_such_overload();
}
Outcome url_query(Args args, Meter&) {
  const auto* value = as_opaque<UrlValue>(args[0], Kind::kUrl);
  if (!value) return no_such_overload();
  std::vector<std::pair<Value, Value>> entries;
  for (const auto& [key, values] : value->query) {
    std::vector<Value> list;
    for (const std::string& one : values) list.push_back(Value::text(one));
    entries.emplace_back(Value::text(key), Value::list(std::move(list)));
  }
  return Value::map(std::move(entries));
}

// --- ip and cidr ---

Outcome ip(Args args, Meter&) {
  if (const auto* net = as_opaque<IpValue>(args[0], Kind::kCidr)) {
    auto address = std::make_shared<IpValue>(Kind::kIp);
    address->family = net->family;
    address->address = net->address;
    return wrap(std::shared_ptr<const IpValue>(address));
  }
  if (!args[0].string()) return no_such_overload();
  auto parsed = parse_ip(*args[0].string());
  if (!parsed)
    return failure(fmt::format("IP Address \"{}\" parse error during conversion from string",
                               *args[0].string()));
  return wrap(parsed);
}
Outcome is_ip(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  return Value::Variant(parse_ip(*args[0].string()) != nullptr);
}
Outcome is_canonical(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  auto parsed = parse_ip(*args[0].string());
  if (!parsed)
    return failure(fmt::format("IP Address \"{}\" parse error during conversion from string",
                               *args[0].string()));
  return Value::Variant(format_ip(*parsed) == *args[0].string());
}
Outcome cidr(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  auto parsed = parse_cidr(*args[0].string());
  if (!parsed)
    return failure(fmt::format("network address parse error during conversion from string: \"{}\"",
                               *args[0].string()));
  return wrap(parsed);
}
Outcome is_cidr(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  return Value::Variant(parse_cidr(*args[0].string()) != nullptr);
}
Outcome ip_family(Args args, Meter&) {
  const auto* value = as_opaque<IpValue>(args[0], Kind::kIp);
  return value ? Outcome(Value::Variant(static_cast<std::int64_t>(value->family)))
               : no_such_overload();
}
template <class Judge>
Outcome judge_ip(Args args, Judge judge) {
  const auto* value = as_opaque<IpValue>(args[0], Kind::kIp);
  if (!value) return no_such_overload();
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(value->address[i]); };
  return Value::Variant(static_cast<bool>(judge(*value, byte)));
}
bool zeros(const IpValue& ip, std::size_t count) {
  return ip.address.find_first_not_of('\0') >= count;
}
Outcome is_unspecified(Args args, Meter&) {
  return judge_ip(args, [](const IpValue& ip, auto) { return zeros(ip, ip.address.size()); });
}
Outcome is_loopback(Args args, Meter&) {
  return judge_ip(args, [](const IpValue& ip, auto byte) {
    return ip.family == 4 ? byte(0) == 127 : zeros(ip, 15) && byte(15) == 1;
  });
}
Outcome is_link_local_multicast(Args args, Meter&) {
  return judge_ip(args, [](const IpValue& ip, auto byte) {
    return ip.family == 4 ? byte(0) == 224 && byte(1) == 0 && byte(2) == 0
                          : byte(0) == 0xff && (byte(1) & 0x0f) == 2;
  });
}
Outcome is_link_local_unicast(Args args, Meter&) {
  return judge_ip(args, [](const IpValue& ip, auto byte) {
    return ip.family == 4 ? byte(0) == 169 && byte(1) == 254
                          : byte(0) == 0xfe && (byte(1) & 0xc0) == 0x80;
  });
}
Outcome is_global_unicast(Args args, Meter&) {
  return judge_ip(args, [](const IpValue& ip, auto byte) {
    if (zeros(ip, ip.address.size())) return false;
    if (ip.family == 4) {
      bool broadcast = byte(0) == 255 && byte(1) == 255 && byte(2) == 255 && byte(3) == 255;
      bool multicast = (byte(0) & 0xf0) == 0xe0;
      return !broadcast && !multicast && byte(0) != 127 && !(byte(0) == 169 && byte(1) == 254);
    }
    bool loopback = zeros(ip, 15) && byte(15) == 1;
    return !loopback && byte(0) != 0xff && !(byte(0) == 0xfe && (byte(1) & 0xc0) == 0x80);
  });
}
Outcome contains_ip(Args args, Meter&) {
  const auto* net = as_opaque<IpValue>(args[0], Kind::kCidr);
  auto parsed = args[1].string() ? parse_ip(*args[1].string()) : nullptr;
  const auto* other = parsed ? parsed.get() : as_opaque<IpValue>(args[1], Kind::kIp);
  if (!net || (!other && !args[1].string())) return no_such_overload();
  if (!other) return failure("IP Address parse error during conversion from string");
  return Value::Variant(network_contains(*net, *other));
}
Outcome contains_cidr(Args args, Meter&) {
  const auto* net = as_opaque<IpValue>(args[0], Kind::kCidr);
  auto parsed = args[1].string() ? parse_cidr(*args[1].string()) : nullptr;
  const auto* other = parsed ? parsed.get() : as_opaque<IpValue>(args[1], Kind::kCidr);
  if (!net || (!other && !args[1].string())) return no_such_overload();
  if (!other) return failure("network address parse error during conversion from string");
  return Value::Variant(network_contains(*net, *other));
}
Outcome masked(Args args, Meter&) {
  const auto* net = as_opaque<IpValue>(args[0], Kind::kCidr);
  if (!net) return no_such_overload();
  auto out = std::make_shared<IpValue>(*net);
  for (std::size_t bit = static_cast<std::size_t>(net->bits); bit < net->address.size() * 8;
       ++bit) {
    out->address[bit / 8] = static_cast<char>(static_cast<unsigned char>(out->address[bit / 8]) &
                                              ~(0x80u >> (bit % 8)));
  }
  return wrap(std::shared_ptr<const IpValue>(out));
}
Outcome prefix_length(Args args, Meter&) {
  const auto* net = as_opaque<IpValue>(args[0], Kind::kCidr);
  return net ? Outcome(Value::Variant(static_cast<std::int64_t>(net->bits))) : no_such_overload();
}

// --- format ---

Outcome named_format(Args args, Meter&) {
  if (!args[0].string()) return no_such_overload();
  bool known = check_format(*args[0].string(), "").has_value();
  if (!known) return Value::none();
  return Value::some(wrap(std::make_shared<const FormatValue>(*args[0].string())));
}
template <const char* kName>
Outcome the_format(Args, Meter&) {
  return wrap(std::make_shared<const FormatValue>(kName));
}
Outcome validate(Args args, Meter& meter) {
  const auto* format = as_opaque<FormatValue>(args[0], Kind::kFormat);
  if (!format || !args[1].string()) return no_such_overload();
  if (!meter.spend(args[1].string()->size() + 1)) return Meter::spent();
  auto wrong = check_format(format->name, *args[1].string());
  if (!wrong || wrong->empty()) return Value::none();
  std::vector<Value> messages;
  for (std::string& text : *wrong) messages.push_back(Value::text(std::move(text)));
  return Value::some(Value::list(std::move(messages)));
}

constexpr char kDns1123Label[] = "dns1123Label";
constexpr char kDns1123Subdomain[] = "dns1123Subdomain";
constexpr char kDns1035Label[] = "dns1035Label";
constexpr char kQualifiedName[] = "qualifiedName";
constexpr char kDns1123LabelPrefix[] = "dns1123LabelPrefix";
constexpr char kDns1123SubdomainPrefix[] = "dns1123SubdomainPrefix";
constexpr char kDns1035LabelPrefix[] = "dns1035LabelPrefix";
constexpr char kLabelValue[] = "labelValue";
constexpr char kUri[] = "uri";
constexpr char kUuid[] = "uuid";
constexpr char kByte[] = "byte";
constexpr char kDate[] = "date";
constexpr char kDatetime[] = "datetime";

}  // namespace

std::span<const FunctionRow> kubernetes_rows() {
  static constexpr FunctionRow kRows[] = {
      {"quantity", "(string) quantity", quantity},
      {"isQuantity", "(string) bool", is_quantity},
      {"sign", "quantity.() int", quantity_sign},
      {"isInteger", "quantity.() bool", is_integer},
      {"asInteger", "quantity.() int", as_integer},
      {"asApproximateFloat", "quantity.() double", as_float},
      {"add", "quantity.(quantity) quantity; quantity.(int) quantity", quantity_add},
      {"sub", "quantity.(quantity) quantity; quantity.(int) quantity", quantity_sub},
      {"isLessThan", "quantity.(quantity) bool; semver.(semver) bool", is_less},
      {"isGreaterThan", "quantity.(quantity) bool; semver.(semver) bool", is_greater},
      {"compareTo", "quantity.(quantity) int; semver.(semver) int", compare_to},
      {"semver", "(string) semver; (string,bool) semver", semver},
      {"isSemver", "(string) bool; (string,bool) bool", is_semver},
      {"major", "semver.() int", semver_part<0>},
      {"minor", "semver.() int", semver_part<1>},
      {"patch", "semver.() int", semver_part<2>},
      {"url", "(string) url", url},
      {"isURL", "(string) bool", is_url},
      {"getScheme", "url.() string", url_part<&UrlValue::scheme>},
      {"getHost", "url.() string", url_part<&UrlValue::host>},
      {"getHostname", "url.() string", url_part<&UrlValue::hostname>},
      {"getPort", "url.() string", url_part<&UrlValue::port>},
      {"getEscapedPath", "url.() string", url_part<&UrlValue::path>},
      {"getQuery", "url.() map(string,list(string))", url_query},
      {"ip", "(string) ip; cidr.() ip", ip},
      {"isIP", "(string) bool", is_ip},
      {"ip.isCanonical", "(string) bool", is_canonical},
      {"cidr", "(string) cidr", cidr},
      {"isCIDR", "(string) bool", is_cidr},
      {"family", "ip.() int", ip_family},
      {"isUnspecified", "ip.() bool", is_unspecified},
      {"isLoopback", "ip.() bool", is_loopback},
      {"isLinkLocalMulticast", "ip.() bool", is_link_local_multicast},
      {"isLinkLocalUnicast", "ip.() bool", is_link_local_unicast},
      {"isGlobalUnicast", "ip.() bool", is_global_unicast},
      {"containsIP", "cidr.(ip) bool; cidr.(string) bool", contains_ip},
      {"containsCIDR", "cidr.(cidr) bool; cidr.(string) bool", contains_cidr},
      {"masked", "cidr.() cidr", masked},
      {"prefixLength", "cidr.() int", prefix_length},
      {"format.named", "(string) optional(format)", named_format},
      {"format.dns1123Label", "() format", the_format<kDns1123Label>},
      {"format.dns1123Subdomain", "() format", the_format<kDns1123Subdomain>},
      {"format.dns1035Label", "() format", the_format<kDns1035Label>},
      {"format.qualifiedName", "() format", the_format<kQualifiedName>},
      {"format.dns1123LabelPrefix", "() format", the_format<kDns1123LabelPrefix>},
      {"format.dns1123SubdomainPrefix", "() format", the_format<kDns1123SubdomainPrefix>},
      {"format.dns1035LabelPrefix", "() format", the_format<kDns1035LabelPrefix>},
      {"format.labelValue", "() format", the_format<kLabelValue>},
      {"format.uri", "() format", the_format<kUri>},
      {"format.uuid", "() format", the_format<kUuid>},
      {"format.byte", "() format", the_format<kByte>},
      {"format.date", "() format", the_format<kDate>},
      {"format.datetime", "() format", the_format<kDatetime>},
      {"validate", "format.(string) optional(list(string))", validate},
  };
  return kRows;
}

}  // namespace moth::cel
