#include "api/base/json.h"
#include "api/machinery/names.h"
#include "api/machinery/selectors.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/check_text.h"
#include "api/resources/edit.h"
#include "api/resources/networking_v1/rows.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

// How the rules of a direction are called, and their peers.
struct Direction {
  const char* rules;
  const char* peers;
};
constexpr Direction kDirections[] = {{"ingress", "from"}, {"egress", "to"}};

void set_defaults(Json& object) {
  Json& spec = object_at(object, "spec");
  for (const Direction& direction : kDirections) {
    edit_items(spec, direction.rules, [](Json& rule) {
      edit_items(rule, "ports", [](Json& port) { default_to(port, "protocol", "TCP"); });
    });
  }
  if (!items(spec, "policyTypes").empty()) return;
  Json& types = spec["policyTypes"] = Json::array({"Ingress"});
  if (!items(spec, "egress").empty()) types.push_back("Egress");
}

void check_end_port(FieldErrors& errors, const Json& port, const FieldPath& path) {
  const Json* end = member(port, "endPort");
  if (!end) return;
  FieldPath at = path.child("endPort");
  const Json* start = member(port, "port");
  if (!start) {
    errors.push_back(
        FieldError::invalid(at, *end, "may not be specified when `port` is not specified"));
  } else if (start->is_string()) {
    errors.push_back(
        FieldError::invalid(at, *end, "may not be specified when `port` is non-numeric"));
  } else {
    if (*end < *start) {
      errors.push_back(FieldError::invalid(at, *end, "must be greater than or equal to `port`"));
    }
    add_invalid(errors, at, *end, check_port_number(int_or(port, "endPort")));
  }
}

void check_port(FieldErrors& errors, const Json& port, const FieldPath& path) {
  std::string protocol = string_or(port, "protocol", "TCP");
  if (protocol != "TCP" && protocol != "UDP" && protocol != "SCTP") {
    errors.push_back(
        FieldError::not_supported(path.child("protocol"), protocol, {"TCP", "UDP", "SCTP"}));
  }
  const Json* number = member(port, "port");
  if (number && number->is_string()) {
    check_end_port(errors, port, path);
    check_port_or_name(errors, port, "port", path);
  } else {
    if (number) check_port_or_name(errors, port, "port", path);
    check_end_port(errors, port, path);
  }
}

void check_ip_block(FieldErrors& errors, const Json& block, const FieldPath& path) {
  if (!check_required(errors, block, "cidr", path)) return;
  std::string text = string_or(block, "cidr");
  check_cidr(errors, text, path.child("cidr"));
  auto cidr = parse_cidr(text);
  if (!cidr) return;
  std::size_t i = 0;
  for (const std::string& except : strings(block, "except")) {
    FieldPath at = path.child("except").index(i++);
    check_cidr(errors, except, at);
    auto inner = parse_cidr(except);
    if (inner && !cidr->strictly_contains(*inner)) {
      errors.push_back(FieldError::invalid(at, except, "must be a strict subset of `cidr`"));
    }
  }
}

void check_peer(FieldErrors& errors, const Json& peer, const FieldPath& path) {
  int count = 0;
  for (const char* key : {"podSelector", "namespaceSelector"}) {
    const Json* selector = member(peer, key);
    if (!selector) continue;
    ++count;
    append(errors, validate_label_selector(*selector, path.child(key)));
  }
  const Json* block = member(peer, "ipBlock");
  if (block) check_ip_block(errors, *block, path.child("ipBlock"));
  if (!block && count == 0) {
    errors.push_back(FieldError::required(path, "must specify a peer"));
  } else if (block && count > 0) {
    errors.push_back(FieldError::forbidden(path, "may not specify both ipBlock and another peer"));
  }
}

void check_types(FieldErrors& errors, const Json& spec, const FieldPath& path) {
  FieldPath at = path.child("policyTypes");
  std::vector<std::string> types = strings(spec, "policyTypes");
  if (types.size() > 2) {
    errors.push_back(FieldError::invalid(at, items(spec, "policyTypes"),
                                         "may not specify more than two policyTypes"));
    return;
  }
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (types[i] == "Ingress" || types[i] == "Egress") continue;
    errors.push_back(FieldError::not_supported(at.index(i), types[i], {"Ingress", "Egress"}));
  }
}

FieldErrors validate(const Json& object) {
  FieldErrors errors;
  FieldPath path("spec");
  const Json& spec = object_of(object, "spec");
  append(errors,
         validate_label_selector(object_of(spec, "podSelector"), path.child("podSelector")));
  for (const Direction& direction : kDirections) {
    const Json& rules = items(spec, direction.rules);
    for (std::size_t i = 0; i < rules.size(); ++i) {
      FieldPath at = path.child(direction.rules).index(i);
      const Json& ports = items(rules[i], "ports");
      for (std::size_t j = 0; j < ports.size(); ++j) {
        check_port(errors, ports[j], at.child("ports").index(j));
      }
      const Json& peers = items(rules[i], direction.peers);
      for (std::size_t j = 0; j < peers.size(); ++j) {
        check_peer(errors, peers[j], at.child(direction.peers).index(j));
      }
    }
  }
  check_types(errors, spec, path);
  return errors;
}

}  // namespace

ResourceDef network_policies() {
  ResourceDef row = row_of("networking.k8s.io", "v1", "networkpolicies", "networkpolicy",
                           "NetworkPolicy", "networking.v1.NetworkPolicy");
  row.short_names = {"netpol"};
  row.has_generation = true;
  row.set_defaults = set_defaults;
  row.validate = validate;
  row.validate_update = [](const Json& object, const Json&) { return validate(object); };
  row.columns = columns({column("Name", "Name of the policy, unique in its namespace"),
                         column("Pod-Selector", "Labels of the pods that it is about"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    const Json& spec = object_of(object, "spec");
    return Json::array({name_cell(object), format_label_selector(object_of(spec, "podSelector")),
                        age_cell(object, context)});
  };
  return row;
}

}  // namespace moth::resources
