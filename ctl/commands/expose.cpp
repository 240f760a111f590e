#include <fmt/format.h>

#include <charconv>

#include "ctl/commands/all.h"
#include "ctl/commands/create_object.h"
#include "ctl/commands/edit_objects.h"
#include "ctl/commands/generators.h"
#include "ctl/commands/overrides.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Outcome<Json> selector_of(const ObjectInfo& info, const Arguments& arguments) {
  if (arguments.given("selector")) return parse_label_list(arguments.text("selector"));
  const std::string& kind = info.resource->kind;
  const Json* selector = nullptr;
  if (kind == "Pod") {
    selector = find_path(info.object, "metadata", "labels");
    if (!selector || selector->empty())
      return refuse("the pod has no labels and cannot be exposed");
    return *selector;
  }
  if (kind == "Service" || kind == "ReplicationController") {
    selector = find_path(info.object, "spec", "selector");
  } else {
    selector = find_path(info.object, "spec", "selector", "matchLabels");
    const Json* expressions = find_path(info.object, "spec", "selector", "matchExpressions");
    if (expressions && !expressions->empty())
      return refuse(
          "couldn't convert expressions - \"matchExpressions\" to map-based selector "
          "format");
  }
  if (!selector || !selector->is_object() || selector->empty())
    return refuse(fmt::format("cannot expose a {}", info.resource->kind));
  return *selector;
}

Json port_or_name(const std::string& text) {
  std::int64_t number = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem == std::errc() && end == text.data() + text.size()) return number;
  return text;
}

// Number and protocol of each port that the object's containers, or the service, declare.
std::vector<std::pair<std::int64_t, std::string>> declared_ports(Json object) {
  std::vector<std::pair<std::int64_t, std::string>> ports;
  auto add = [&](const Json& list, const char* member) {
    for (const Json& port : list)
      ports.emplace_back(int_or(port, member), string_or(port, "protocol", "TCP"));
  };
  if (string_or(object, "kind") == "Service") {
    if (const Json* list = find_path(object, "spec", "ports")) add(*list, "port");
    return ports;
  }
  Json* spec = pod_spec_of(object);
  if (!spec || !spec->contains("containers")) return ports;
  for (const Json& container : (*spec)["containers"]) {
    if (const Json* list = find_member(container, "ports")) add(*list, "containerPort");
  }
  return ports;
}

Outcome<Json> ports_of(const ObjectInfo& info, const Arguments& arguments) {
  std::vector<std::pair<std::int64_t, std::string>> ports;
  if (arguments.given("port")) {
    for (const std::string& text : arguments.texts("port")) {
      Json number = port_or_name(text);
      if (!number.is_number()) return refuse(fmt::format("invalid port \"{}\"", text));
      ports.emplace_back(number.get<std::int64_t>(), arguments.text("protocol"));
    }
  } else {
    ports = declared_ports(info.object);
  }
  if (ports.empty()) {
    return refuse(
        "couldn't find port via --port flag or introspection\nSee 'moth expose -h' for help and "
        "examples");
  }
  Json list = Json::array();
  for (std::size_t i = 0; i < ports.size(); ++i) {
    auto [number, protocol] = ports[i];
    Json port{{"port", number}, {"protocol", protocol.empty() ? "TCP" : protocol}};
    port["targetPort"] =
        arguments.given("target-port") ? port_or_name(arguments.text("target-port")) : Json(number);
    if (ports.size() > 1) port["name"] = fmt::format("port-{}", i + 1);
    list.push_back(std::move(port));
  }
  return list;
}

Outcome<Json> make_exposing(const ObjectInfo& info, const Arguments& arguments) {
  MOTH_ASSIGN(Json selector, selector_of(info, arguments));
  MOTH_ASSIGN(Json ports, ports_of(info, arguments));
  std::string name = arguments.given("name") ? arguments.text("name") : info.name;
  Json service{{"apiVersion", "v1"},
               {"kind", "Service"},
               {"metadata", {{"name", name}}},
               {"spec", {{"ports", std::move(ports)}, {"selector", std::move(selector)}}},
               {"status", {{"loadBalancer", Json::object()}}}};
  if (arguments.given("labels")) {
    MOTH_ASSIGN(service["metadata"]["labels"], parse_label_list(arguments.text("labels")));
  } else if (const Json* labels = find_path(info.object, "metadata", "labels")) {
    service["metadata"]["labels"] = *labels;
  }
  Json& spec = service["spec"];
  if (arguments.given("type")) spec["type"] = arguments.text("type");
  if (arguments.given("external-ip"))
    spec["externalIPs"] = Json::array({arguments.text("external-ip")});
  if (arguments.given("cluster-ip")) spec["clusterIP"] = arguments.text("cluster-ip");
  if (arguments.given("session-affinity"))
    spec["sessionAffinity"] = arguments.text("session-affinity");
  if (arguments.given("load-balancer-ip"))
    spec["loadBalancerIP"] = arguments.text("load-balancer-ip");
  return overridden(arguments, std::move(service));
}

Outcome<int> run_expose(Context& context, const Arguments& arguments) {
  MOTH_ASSIGN(auto objects,
              select_objects(context, select_options(arguments, arguments.words, false)));
  for (const ObjectInfo& info : objects) {
    auto service = make_exposing(info, arguments);
    auto created = service ? create_object(context, arguments, *std::move(service),
                                           "kubectl-expose", "exposed")
                           : service;
    if (!created) MOTH_TRY(context.carry_on(created.error()));
  }
  return context.exit_code();
}

}  // namespace

Command expose_command() {
  return {.name = "expose",
          .group = "Change",
          .summary = "Take a workload or pod and expose it as a new service",
          .usage = "(-f FILENAME | TYPE NAME) [--port=port] [--target-port=number-or-name]",
          .examples =
              "moth expose deploy web --port=80 --target-port=8080\n"
              "moth expose deploy web --type=NodePort --port=80",
          .flags = join_flags(
              {create_flags(),
               override_flags(),
               filename_flags("Files that name the objects."),
               {{"load-balancer-ip", 0, FlagKind::kText, "", "Its address at the load balancer."},
                {"cluster-ip", 0, FlagKind::kText, "", "Its address; None for a headless service."},
                {"external-ip", 0, FlagKind::kText, "", "A further address of the service."},
                {"labels", 'l', FlagKind::kText, "", "Labels of the service; the object's."},
                {"name", 0, FlagKind::kText, "", "Name of the service; the object's."},
                {"port", 0, FlagKind::kList, "", "Port of the service; those of the containers."},
                {"protocol", 0, FlagKind::kText, "TCP", "TCP, UDP or SCTP."},
                {"selector", 0, FlagKind::kText, "", "Labels of the pods; the object's selector."},
                {"session-affinity", 0, FlagKind::kText, "", "None or ClientIP."},
                {"target-port", 0, FlagKind::kText, "", "Port of the pods, number or name."},
                {"type", 0, FlagKind::kText, "", "ClusterIP, NodePort, LoadBalancer."}}}),
          .words = Words::kResourceNames,
          .run = run_expose};
}

}  // namespace moth::ctl
