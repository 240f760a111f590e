#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/discovery_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::size_t kShown = 3;
constexpr std::size_t kMaxEndpoints = 1000;
constexpr std::size_t kMaxPorts = 20000;
constexpr std::size_t kMaxAddresses = 100;

void set_defaults(Json& object) {
  edit_items(object, "ports", [](Json& port) {
    default_to(port, "name", "");
    default_text(port, "protocol", "TCP");
  });
}

bool is_six(std::string_view address) {
  return address.find(':') != std::string_view::npos;
}

void check_address(FieldErrors& errors, const std::string& address, std::string_view type,
                   const FieldPath& path) {
  if (type == "FQDN") {
    add_invalid(errors, path, address, check_dns1123_subdomain(address));
    return;
  }
  if (Messages wrong = check_ip(address); !wrong.empty()) {
    add_invalid(errors, path, address, wrong);
  } else if (is_six(address) != (type == "IPv6")) {
    errors.push_back(
        FieldError::invalid(path, address, fmt::format("must be an {} address", type)));
  }
}

void check_endpoint(FieldErrors& errors, const Json& endpoint, std::string_view type,
                    const FieldPath& path) {
  const Json& addresses = items(endpoint, "addresses");
  FieldPath at = path.child("addresses");
  if (addresses.empty()) {
    errors.push_back(FieldError::required(at, "must contain at least 1 address"));
  } else if (addresses.size() > kMaxAddresses) {
    errors.push_back(FieldError::too_many(at, addresses.size(), kMaxAddresses));
  }
  std::size_t i = 0;
  for (const std::string& address : strings(endpoint, "addresses")) {
    check_address(errors, address, type, at.index(i++));
  }
  check_name(errors, endpoint, "nodeName", path, check_dns1123_subdomain);
  check_name(errors, endpoint, "hostname", path, check_dns1123_label);
}

void check_ports(FieldErrors& errors, const Json& object) {
  FieldPath path("ports");
  const Json& ports = items(object, "ports");
  if (ports.size() > kMaxPorts) {
    errors.push_back(FieldError::too_many(path, ports.size(), kMaxPorts));
    return;
  }
  UniqueNames names;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    FieldPath at = path.index(i);
    check_name(errors, ports[i], "name", at, check_dns1123_label);
    names.add(errors, string_or(ports[i], "name"), at.child("name"));
    check_supported(errors, ports[i], "protocol", at, {"SCTP", "TCP", "UDP"}, true);
    if (const Json* number = member(ports[i], "port"); number && number->is_number_integer()) {
      add_invalid(errors, at.child("port"), *number,
                  check_port_number(number->get<std::int64_t>()));
    }
    check_name(errors, ports[i], "appProtocol", at, check_qualified_name);
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  check_supported(errors, object, "addressType", FieldPath(), {"FQDN", "IPv4", "IPv6"}, true);
  std::string type = string_or(object, "addressType");
  const Json& endpoints = items(object, "endpoints");
  if (endpoints.size() > kMaxEndpoints) {
    errors.push_back(FieldError::too_many(FieldPath("endpoints"), endpoints.size(), kMaxEndpoints));
  } else {
    for (std::size_t i = 0; i < endpoints.size(); ++i) {
      check_endpoint(errors, endpoints[i], type, FieldPath("endpoints").index(i));
    }
  }
  check_ports(errors, object);
  return errors;
}

FieldErrors validate_update(const Json& object, const Json& old) {
  FieldErrors errors = validate(object);
  check_immutable(errors, object, old, "addressType", FieldPath());
  return errors;
}

Json cells(const Json& object, const RowContext& context) {
  std::vector<std::string> ports, addresses;
  for (const Json& port : items(object, "ports")) {
    std::string name = string_or(port, "name");
    std::string number = has(port, "port") ? std::to_string(int_or(port, "port")) : "*";
    ports.push_back(!has(port, "port") && !name.empty() ? name : number);
  }
  for (const Json& endpoint : items(object, "endpoints")) {
    for (std::string& address : strings(endpoint, "addresses")) {
      addresses.push_back(std::move(address));
    }
  }
  return Json::array({name_cell(object), string_or(object, "addressType"),
                      limited_list(ports, kShown, ",", "<unset>"),
                      limited_list(addresses, kShown, ",", "<unset>"), age_cell(object, context)});
}

}  // namespace

ResourceDef endpoint_slices() {
  ResourceDef row = row_of("discovery.k8s.io", "v1", "endpointslices", "endpointslice",
                           "EndpointSlice", "discovery.v1.EndpointSlice");
  row.rebuilt = [](const Json& object) {
    const Json* by =
        find_path(object, "metadata", "labels", "endpointslice.kubernetes.io/managed-by");
    return by && *by == "endpointslice-controller.k8s.io";
  };
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.validate_update = validate_update;
  row.columns = columns(
      {column("Name", "Name of the slice, unique in its namespace"),
       column("AddressType", "IPv4, IPv6 or FQDN"), column("Ports", "Ports of every endpoint"),
       column("Endpoints", "Addresses of the endpoints"), column("Age", "Time since creation")});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
