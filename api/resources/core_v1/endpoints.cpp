#include <fmt/format.h>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::size_t kShown = 3;

void set_defaults(Json& object) {
  edit_items(object, "subsets", [](Json& subset) {
    edit_items(subset, "ports", [](Json& port) { default_text(port, "protocol", "TCP"); });
  });
}

void check_addresses(FieldErrors& errors, const Json& subset, std::string_view key,
                     const FieldPath& path) {
  std::size_t i = 0;
  for (const Json& address : items(subset, key)) {
    FieldPath at = path.child(key).index(i++);
    check_ip_text(errors, Json(string_or(address, "ip")), at.child("ip"));
    check_name(errors, address, "hostname", at, check_dns1123_label);
    check_name(errors, address, "nodeName", at, check_dns1123_subdomain);
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  std::size_t i = 0;
  for (const Json& subset : items(object, "subsets")) {
    FieldPath path = FieldPath("subsets").index(i++);
    if (items(subset, "addresses").empty() && items(subset, "notReadyAddresses").empty()) {
      errors.push_back(
          FieldError::required(path, "must specify `addresses` or `notReadyAddresses`"));
    }
    check_addresses(errors, subset, "addresses", path);
    check_addresses(errors, subset, "notReadyAddresses", path);
    const Json& ports = items(subset, "ports");
    for (std::size_t j = 0; j < ports.size(); ++j) {
      FieldPath at = path.child("ports").index(j);
      if (ports.size() > 1) check_required(errors, ports[j], "name", at);
      check_name(errors, ports[j], "name", at, check_dns1123_label);
      std::int64_t number = int_or(ports[j], "port");
      add_invalid(errors, at.child("port"), number, check_port_number(number));
      check_supported(errors, ports[j], "protocol", at, {"SCTP", "TCP", "UDP"}, true);
    }
  }
  return errors;
}

std::string with_port(const std::string& ip, std::int64_t port) {
  return ip.find(':') == std::string::npos ? fmt::format("{}:{}", ip, port)
                                           : fmt::format("[{}]:{}", ip, port);
}

std::string endpoints_cell(const Json& object) {
  std::vector<std::string> parts;
  for (const Json& subset : items(object, "subsets")) {
    const Json& ports = items(subset, "ports");
    if (ports.empty()) {
      for (const Json& address : items(subset, "addresses")) {
        parts.push_back(string_or(address, "ip"));
      }
    }
    for (const Json& port : ports) {
      for (const Json& address : items(subset, "addresses")) {
        parts.push_back(with_port(string_or(address, "ip"), int_or(port, "port")));
      }
    }
  }
  return limited_list(parts, kShown, ",", "<none>");
}

}  // namespace

ResourceDef endpoints() {
  ResourceDef row = row_of("", "v1", "endpoints", "endpoints", "Endpoints", "core.v1.Endpoints");
  row.short_names = {"ep"};
  row.rebuilt = [](const Json& object) {
    const Json* by = find_path(object, "metadata", "labels", "endpoints.kubernetes.io/managed-by");
    return by && *by == "endpoint-controller";
  };
  row.allow_create_on_update = true;
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.warnings = [](const Json&) -> std::vector<std::string> {
    return {"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"};
  };
  row.columns = columns({column("Name", "Name of the service that these are behind"),
                         column("Endpoints", "Addresses and ports that take traffic"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array({name_cell(object), endpoints_cell(object), age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
