#include <fmt/format.h>

#include <set>

#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/resources/cells.h"
#include "api/resources/core_v1/rows.h"
#include "api/resources/core_v1/service_rules.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

std::string cluster_ip_cell(const Json& spec) {
  const Json& list = items(spec, "clusterIPs");
  if (!list.empty() && list.front().is_string()) return list.front().get<std::string>();
  return or_none(string_or(spec, "clusterIP"));
}

std::string external_ip_cell(const Json& service, const Json& spec) {
  std::string type = string_or(spec, "type");
  if (type == "ExternalName") return string_or(spec, "externalName");
  std::vector<std::string> external = strings(spec, "externalIPs");
  if (type != "LoadBalancer") return or_none(join(external, ","));
  std::set<std::string> ingress;
  if (const Json* balancer = find_path(service, "status", "loadBalancer")) {
    for (const Json& entry : items(*balancer, "ingress")) {
      std::string address = string_or(entry, "ip", string_or(entry, "hostname"));
      if (!address.empty()) ingress.insert(std::move(address));
    }
  }
  std::vector<std::string> all(ingress.begin(), ingress.end());
  all.insert(all.end(), external.begin(), external.end());
  return all.empty() ? "<pending>" : join(all, ",");
}

std::string ports_cell(const Json& spec) {
  std::vector<std::string> parts;
  for (const Json& port : items(spec, "ports")) {
    std::int64_t node_port = int_or(port, "nodePort");
    std::string number = std::to_string(int_or(port, "port"));
    if (node_port > 0) number += ":" + std::to_string(node_port);
    parts.push_back(number + "/" + string_or(port, "protocol", "TCP"));
  }
  return or_none(join(parts, ","));
}

Json cells(const Json& service, const RowContext& context) {
  const Json& spec = object_of(service, "spec");
  return Json::array({name_cell(service), string_or(spec, "type"), cluster_ip_cell(spec),
                      external_ip_cell(service, spec), ports_cell(spec), age_cell(service, context),
                      labels_cell(object_of(spec, "selector"))});
}

}  // namespace

ResourceDef services() {
  ResourceDef row = row_of("", "v1", "services", "service", "Service", "core.v1.Service");
  row.short_names = {"svc"};
  row.categories = {"all"};
  row.subresources = {{"proxy", {"", "v1", "ServiceProxyOptions"}, kProxyVerbs},
                      own_subresource(row, "status")};
  row.allow_create_on_update = true;
  row.set_defaults = set_service_defaults;
  row.prepare_create = prepare_service_create;
  row.prepare_update = prepare_service_update;
  row.validate = validate_service;
  row.validate_update = validate_service_update;
  row.validate_name = check_dns1123_label;
  row.selectable_fields = {"spec.clusterIP", "spec.type"};
  row.field = [](const Json& object, std::string_view path) {
    return string_or(object_of(object, "spec"), path.substr(path.find('.') + 1));
  };
  row.columns = columns({column("Name", "Name of the service, unique in its namespace"),
                         column("Type", "ClusterIP, NodePort, LoadBalancer or ExternalName"),
                         column("Cluster-IP", "Address inside the cluster, None if headless"),
                         column("External-IP", "Addresses from outside"),
                         column("Port(s)", "Ports, each with its node port and protocol"),
                         column("Age", "Time since creation"),
                         column("Selector", "Labels of the pods behind it", "string", 1)});
  row.row = cells;
  return row;
}

}  // namespace moth::resources
