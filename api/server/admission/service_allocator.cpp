#include "api/server/admission/service_allocator.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "api/base/json.h"
#include "api/machinery/field_error.h"

namespace moth::server {
namespace {

struct Cidr {
  std::uint32_t base = 0;
  std::uint32_t size = 0;
};

Result<Cidr> parse_cidr(std::string_view text) {
  auto slash = text.find('/');
  in_addr address{};
  int bits = 0;
  bool good =
      slash != std::string_view::npos &&
      ::inet_pton(AF_INET, std::string(text.substr(0, slash)).c_str(), &address) == 1 &&
      std::from_chars(text.data() + slash + 1, text.data() + text.size(), bits).ec == std::errc{};
  if (!good || bits < 8 || bits > 29) {
    return fail(Error::bad_request(fmt::format(
        "service-cidr: {} is not an IPv4 network of /8 to /29, e.g. 10.96.0.0/16", text)));
  }
  Cidr cidr;
  cidr.size = 1u << (32 - bits);
  cidr.base = ntohl(address.s_addr) & ~(cidr.size - 1);
  return cidr;
}

std::string format_address(std::uint32_t address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, (address >> 16) & 255, (address >> 8) & 255,
                     address & 255);
}

std::optional<std::uint32_t> parse_address(const std::string& text) {
  in_addr address{};
  if (::inet_pton(AF_INET, text.c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::set<std::string> addresses_of(const Json& service) {
  std::set<std::string> addresses;
  const Json* spec = find_member(service, "spec");
  if (!spec) return addresses;
  std::string single = string_or(*spec, "clusterIP");
  if (!single.empty() && single != "None") addresses.insert(single);
  if (const Json* list = find_member(*spec, "clusterIPs"); list && list->is_array()) {
    for (const Json& entry : *list) {
      if (entry.is_string() && entry != "None" && entry != "")
        addresses.insert(entry.get<std::string>());
    }
  }
  return addresses;
}

std::set<std::int64_t> ports_of(const Json& service) {
  std::set<std::int64_t> ports;
  const Json* list = find_path(service, "spec", "ports");
  if (!list || !list->is_array()) return ports;
  for (const Json& port : *list) {
    if (std::int64_t number = int_or(port, "nodePort"); number > 0) ports.insert(number);
  }
  return ports;
}

class ServiceAllocator final : public Admission {
 public:
  ServiceAllocator(Storage& storage, const resources::Registry& registry, Cidr cidr,
                   const ServiceAllocatorOptions& options)
      : cidr_(cidr), options_(options) {
    const auto* services = registry.find("", "v1", "services");
    for (const ObjectPtr& object : storage.list(*services, "").objects) take(object->parse());
    storage.subscribe(*services, [this](const StoreEvent& event) { note(event); });
  }
  std::string_view name() const override { return "ServiceAllocator"; }
  bool reserves() const override { return true; }

  Result<> mutate(const AdmissionRequest& request, Json& service) override {
    if (request.def.resource != "services" || !request.def.group.empty()) return {};
    if (request.operation == Operation::kDelete || !request.subresource.empty()) return {};
    taken_addresses_.clear();
    taken_ports_.clear();
    Result<> result = assign_address(request, service);
    if (result) result = assign_ports(request, service);
    if (!result) {
      for (const std::string& address : taken_addresses_) give_back(address);
      for (std::int64_t port : taken_ports_) give_back(port);
    }
    return result;
  }

  void release(const AdmissionRequest& request, const Json& service) override {
    if (request.def.resource != "services" || !request.def.group.empty()) return;
    auto kept_addresses = request.old ? addresses_of(*request.old) : std::set<std::string>{};
    auto kept_ports = request.old ? ports_of(*request.old) : std::set<std::int64_t>{};
    for (const std::string& address : addresses_of(service)) {
      if (!kept_addresses.contains(address)) give_back(address);
    }
    for (std::int64_t port : ports_of(service)) {
      if (!kept_ports.contains(port)) give_back(port);
    }
  }

 private:
  void give_back(const std::string& address) {
    if (fresh_addresses_.erase(address)) addresses_.erase(address);
  }
  void give_back(std::int64_t port) {
    if (fresh_ports_.erase(port)) ports_.erase(port);
  }

  void take(const Json& service) {
    for (const std::string& address : addresses_of(service)) addresses_.insert(address);
    for (std::int64_t port : ports_of(service)) ports_.insert(port);
  }

  // What a committed change gave up is free again.
  void note(const StoreEvent& event) {
    const Json now = event.type == EventType::kDeleted ? Json::object() : event.object->parse();
    auto addresses = addresses_of(now);
    auto ports = ports_of(now);
    for (const std::string& address : addresses) fresh_addresses_.erase(address);
    for (std::int64_t port : ports) fresh_ports_.erase(port);
    take(now);
    if (!event.previous) return;
    const Json before = event.previous->parse();
    for (const std::string& address : addresses_of(before)) {
      if (!addresses.contains(address)) addresses_.erase(address);
    }
    for (std::int64_t port : ports_of(before)) {
      if (!ports.contains(port)) ports_.erase(port);
    }
  }

  Result<> assign_address(const AdmissionRequest& request, Json& service) {
    Json& spec = service["spec"];
    std::string type = string_or(spec, "type", "ClusterIP");
    if (type == "ExternalName") {
      spec.erase("clusterIP");
      spec.erase("clusterIPs");
      return {};
    }
    std::string wanted = string_or(spec, "clusterIP");
    if (wanted.empty()) {
      if (const Json* list = find_member(spec, "clusterIPs");
          list && list->is_array() && !list->empty()) {
        wanted = list->front().is_string() ? list->front().get<std::string>() : "";
      }
    }
    if (wanted == "None") {
      spec["clusterIP"] = "None";
      spec["clusterIPs"] = Json::array({"None"});
      return {};
    }
    if (request.old && addresses_of(*request.old).contains(wanted)) {
      spec["clusterIP"] = wanted;
      spec["clusterIPs"] = Json::array({wanted});
      return {};
    }
    if (wanted.empty()) {
      MOTH_ASSIGN(wanted, next_address());
    } else {
      MOTH_TRY(claim_address(request, wanted));
    }
    addresses_.insert(wanted);
    fresh_addresses_.insert(wanted);
    taken_addresses_.push_back(wanted);
    spec["clusterIP"] = wanted;
    spec["clusterIPs"] = Json::array({wanted});
    return {};
  }

  Result<> claim_address(const AdmissionRequest& request, const std::string& wanted) {
    auto refuse = [&](std::string why) {
      return fail(to_invalid_error(
          "", "Service", request.name,
          {FieldError::invalid(FieldPath("spec").child("clusterIPs"), Json::array({wanted}),
                               fmt::format("failed to allocate IP {}: {}", wanted, why))}));
    };
    auto address = parse_address(wanted);
    if (!address || *address <= cidr_.base || *address >= cidr_.base + cidr_.size - 1) {
      return refuse(
          fmt::format("the provided network does not match the current range"
                      " ({})",
                      options_.service_cidr));
    }
    if (addresses_.contains(wanted)) return refuse("provided IP is already allocated");
    return {};
  }

  // The band below is kept for static wishes; it is used when the rest is full.
  Result<std::string> next_address() {
    std::uint32_t reserved = std::min(std::max(16u, cidr_.size / 16), 256u);
    if (reserved >= cidr_.size) reserved = 1;
    std::uint32_t first = reserved, last = cidr_.size - 2;
    for (std::uint32_t tries = 0; tries <= last - first; ++tries) {
      if (next_ < first || next_ > last) next_ = first;
      std::string address = format_address(cidr_.base + next_++);
      if (!addresses_.contains(address)) return address;
    }
    for (std::uint32_t n = 2; n < first; ++n) {
      std::string address = format_address(cidr_.base + n);
      if (!addresses_.contains(address)) return address;
    }
    return fail(Error::internal("failed to allocate a serviceIP: range is full"));
  }

  Result<> assign_ports(const AdmissionRequest& request, Json& service) {
    Json& spec = service["spec"];
    std::string type = string_or(spec, "type", "ClusterIP");
    bool wants = type == "NodePort" ||
                 (type == "LoadBalancer" && bool_or(spec, "allocateLoadBalancerNodePorts", true));
    if (!spec.contains("ports") || !spec["ports"].is_array()) return {};
    auto old_ports = request.old ? ports_of(*request.old) : std::set<std::int64_t>{};
    for (std::size_t i = 0; i < spec["ports"].size(); ++i) {
      Json& port = spec["ports"][i];
      std::int64_t number = int_or(port, "nodePort");
      if (number == 0 && !wants) continue;
      if (number != 0 && old_ports.contains(number)) continue;
      FieldPath path = FieldPath("spec").child("ports").index(i).child("nodePort");
      if (number == 0) {
        number = next_port();
        if (number == 0)
          return fail(Error::internal("failed to allocate a nodePort: range is full"));
      } else if (number < options_.node_port_min || number > options_.node_port_max) {
        return fail(to_invalid_error(
            "", "Service", request.name,
            {FieldError::invalid(
                path, number,
                fmt::format("provided port is not in the valid range. The range of valid ports is "
                            "{}-{}",
                            options_.node_port_min, options_.node_port_max))}));
      } else if (ports_.contains(number)) {
        return fail(to_invalid_error(
            "", "Service", request.name,
            {FieldError::invalid(path, number, "provided port is already allocated")}));
      }
      port["nodePort"] = number;
      ports_.insert(number);
      fresh_ports_.insert(number);
      taken_ports_.push_back(number);
    }
    return {};
  }

  std::int64_t next_port() {
    int span = options_.node_port_max - options_.node_port_min + 1;
    int reserved = std::min(std::max(16, span / 32), 128);
    if (reserved >= span) reserved = 0;
    for (int n = reserved; n < span; ++n) {
      if (!ports_.contains(options_.node_port_min + n)) return options_.node_port_min + n;
    }
    for (int n = 0; n < reserved; ++n) {
      if (!ports_.contains(options_.node_port_min + n)) return options_.node_port_min + n;
    }
    return 0;
  }

  Cidr cidr_;
  ServiceAllocatorOptions options_;
  std::set<std::string> addresses_;
  std::set<std::int64_t> ports_;
  // Taken by writes that are not published yet.
  std::set<std::string> fresh_addresses_;
  std::set<std::int64_t> fresh_ports_;
  // By the mutate() that runs, to undo it when it fails half-way.
  std::vector<std::string> taken_addresses_;
  std::vector<std::int64_t> taken_ports_;
  std::uint32_t next_ = 0;
};

}  // namespace

Result<std::unique_ptr<Admission>> make_service_allocator(Storage& storage,
                                                          const resources::Registry& registry,
                                                          const ServiceAllocatorOptions& options) {
  MOTH_ASSIGN(Cidr cidr, parse_cidr(options.service_cidr));
  if (options.node_port_min < 1 || options.node_port_max > 65535 ||
      options.node_port_min > options.node_port_max) {
    return fail(Error::bad_request(fmt::format("node-port-range: {}-{} is not a range of ports",
                                               options.node_port_min, options.node_port_max)));
  }
  return std::make_unique<ServiceAllocator>(storage, registry, cidr, options);
}

Result<std::string> cidr_address(std::string_view text, std::uint32_t n) {
  MOTH_ASSIGN(Cidr cidr, parse_cidr(text));
  if (n >= cidr.size)
    return fail(Error::bad_request(fmt::format("{} has no address number {}", text, n)));
  return format_address(cidr.base + n);
}

}  // namespace moth::server
