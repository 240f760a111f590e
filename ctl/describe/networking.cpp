// Ingresses, network policies, endpoints.
#include "api/machinery/selectors.h"
#include "ctl/describe/kinds.h"

namespace moth::ctl {
namespace {

// "web:80 (10.0.0.1:8080,10.0.0.2:8080)" or what is wrong with it.
std::string backend_text(Api& api, const std::string& ns, const Json& backend) {
  if (const Json* resource = find_member(backend, "resource")) {
    std::string group = string_or(*resource, "apiGroup");
    return fmt::format("APIGroup: {}, Kind: {}, Name: {}", group.empty() ? "<none>" : group,
                       string_or(*resource, "kind"), string_or(*resource, "name"));
  }
  const Json* service = find_member(backend, "service");
  if (!service) return "";
  std::string name = string_or(*service, "name");
  const Json port = service->value("port", Json::object());
  std::int64_t number = int_or(port, "number");
  std::string shown = number != 0 ? std::to_string(number) : string_or(port, "name");
  auto services = api.resource("services");
  auto found = services ? api.get(**services, ns, name) : Outcome<Json>(fail(services.error()));
  std::string endpoints;
  if (!found) {
    endpoints = fmt::format("<error: {}>", found.error().error.message);
  } else {
    std::string port_name;
    const Json* ports = find_path(*found, "spec", "ports");
    for (const Json& candidate : ports ? *ports : Json::array()) {
      bool same = number != 0 ? int_or(candidate, "port") == number
                              : string_or(candidate, "name") == string_or(port, "name");
      if (same) port_name = string_or(candidate, "name");
    }
    endpoints = service_endpoints(api, *found, port_name);
  }
  return fmt::format("{}:{} ({})", name, shown, endpoints);
}

void write_tls(DescribeWriter& out, const Json& spec) {
  const Json* tls = find_member(spec, "tls");
  if (!tls || !tls->is_array() || tls->empty()) return;
  out.write(0, "TLS:\n");
  for (const Json& entry : *tls) {
    std::string secret = string_or(entry, "secretName"),
                hosts = joined_text(find_member(entry, "hosts"));
    if (secret.empty())
      out.write(1, "SNI routes {}\n", hosts);
    else
      out.write(1, "{} terminates {}\n", secret, hosts);
  }
}

std::string address_text(const Json& ingress) {
  std::string text;
  const Json* addresses = find_path(ingress, "status", "loadBalancer", "ingress");
  for (const Json& entry : addresses ? *addresses : Json::array()) {
    std::string one = string_or(entry, "ip");
    if (one.empty()) one = string_or(entry, "hostname");
    text += (text.empty() ? "" : ",") + one;
  }
  return text;
}

// One side of a network policy.
struct Side {
  std::string_view word;   // "From", "To"
  const char* member;      // of a rule
  std::string_view what;   // "ingress"
  std::string_view other;  // "source"
};

constexpr Side kIngress{"From", "from", "ingress", "source"};
constexpr Side kEgress{"To", "to", "egress", "destination"};

void write_policy_ports(DescribeWriter& out, const Json& rule) {
  const Json ports = rule.value("ports", Json::array());
  if (ports.empty()) out.write(2, "To Port: <any> (traffic allowed to all ports)\n");
  for (const Json& port : ports) {
    std::string protocol = string_or(port, "protocol", "TCP");
    std::string number = scalar_or(port, "port", "<any>");
    if (port.contains("endPort"))
      out.write(2, "To Port Range: {}-{}/{}\n", number, int_or(port, "endPort"), protocol);
    else
      out.write(2, "To Port: {}/{}\n", number, protocol);
  }
}

void write_peer(DescribeWriter& out, const Json& peer) {
  for (auto [member, title] : {std::pair("namespaceSelector", "NamespaceSelector"),
                               std::pair("podSelector", "PodSelector")}) {
    if (const Json* selector = find_member(peer, member))
      out.write(3, "{}: {}\n", title, format_label_selector(*selector));
  }
  if (const Json* block = find_member(peer, "ipBlock")) {
    out.write(3, "IPBlock:\n");
    out.write(4, "CIDR: {}\n", string_or(*block, "cidr"));
    out.write(4, "Except: {}\n", joined_text(find_member(*block, "except"), ", "));
  }
}

void write_side(DescribeWriter& out, const Json& spec, const Side& side) {
  const Json rules = spec.value(std::string(side.what), Json::array());
  if (rules.empty()) {
    out.write(2, "<none> (Selected pods are isolated for {} connectivity)\n", side.what);
    return;
  }
  for (std::size_t i = 0; i < rules.size(); ++i) {
    write_policy_ports(out, rules[i]);
    const Json peers = rules[i].value(side.member, Json::array());
    if (peers.empty())
      out.write(2, "{}: <any> (traffic not restricted by {})\n", side.word, side.other);
    for (const Json& peer : peers) {
      out.write(2, "{}:\n", side.word);
      write_peer(out, peer);
    }
    if (i + 1 < rules.size()) out.write(2, "----------\n");
  }
}

bool has_type(const Json& spec, std::string_view type) {
  const Json types = spec.value("policyTypes", Json::array());
  for (const Json& entry : types)
    if (entry == type) return true;
  return false;
}

// "2006-01-02 15:04:05 +0000 UTC" of "2006-01-02T15:04:05Z".
std::string plain_time(std::string text) {
  if (text.size() < 20) return text;
  return text.substr(0, 10) + " " + text.substr(11, 8) + " +0000 UTC";
}

}  // namespace

void describe_ingress(DescribeWriter& out, Api& api, const Json& ingress) {
  const Json spec = ingress.value("spec", Json::object());
  std::string ns = text_at(ingress, "metadata", "namespace");
  out.write(0, "Name:\t{}\n", text_at(ingress, "metadata", "name"));
  write_labels(out, "Labels", metadata_member(ingress, "labels"));
  out.write(0, "Namespace:\t{}\n", ns);
  out.write(0, "Address:\t{}\n", address_text(ingress));
  out.write(0, "Ingress Class:\t{}\n", string_or(spec, "ingressClassName", "<none>"));
  const Json* fallback = find_member(spec, "defaultBackend");
  std::string fallback_text = fallback ? backend_text(api, ns, *fallback) : "<default>";
  out.write(0, "Default backend:\t{}\n", fallback_text);
  write_tls(out, spec);
  out.write(0, "Rules:\n  Host\tPath\tBackends\n");
  out.write(1, "----\t----\t--------\n");
  bool any = false;
  const Json rules = spec.value("rules", Json::array());
  for (const Json& rule : rules) {
    const Json* paths = find_path(rule, "http", "paths");
    if (!paths) continue;
    any = true;
    out.write(1, "{}\t\n", string_or(rule, "host", "*"));
    for (const Json& path : *paths)
      out.write(2, "\t{} \t{}\n", string_or(path, "path"),
                backend_text(api, ns, path.value("backend", Json::object())));
  }
  if (!any) out.write(1, "*\t* \t{}\n", fallback_text);
  write_annotations(out, "Annotations", metadata_member(ingress, "annotations"));
}

void describe_ingress_class(DescribeWriter& out, Api&, const Json& ingress_class) {
  out.write(0, "Name:\t{}\n", text_at(ingress_class, "metadata", "name"));
  write_labels(out, "Labels", metadata_member(ingress_class, "labels"));
  write_annotations(out, "Annotations", metadata_member(ingress_class, "annotations"));
  out.write(0, "Controller:\t{}\n", text_at(ingress_class, "spec", "controller"));
  const Json* parameters = find_path(ingress_class, "spec", "parameters");
  if (!parameters) return;
  out.write(0, "Parameters:\n");
  for (auto [key, title] :
       {std::pair("apiGroup", "APIGroup"), std::pair("kind", "Kind"), std::pair("name", "Name")})
    if (parameters->contains(key)) out.write(1, "{}:\t{}\n", title, string_or(*parameters, key));
}

void describe_network_policy(DescribeWriter& out, Api&, const Json& policy) {
  const Json spec = policy.value("spec", Json::object());
  write_name(out, policy);
  out.write(0, "Created on:\t{}\n", plain_time(text_at(policy, "metadata", "creationTimestamp")));
  write_labels(out, "Labels", metadata_member(policy, "labels"));
  write_annotations(out, "Annotations", metadata_member(policy, "annotations"));
  out.write(0, "Spec:\n");
  const Json* selector = find_member(spec, "podSelector");
  std::string pods = selector ? format_label_selector(*selector) : "<none>";
  if (pods == "<none>")
    pods = "<none> (Allowing the specific traffic to all pods in this namespace)";
  out.write(1, "PodSelector:     {}\n", pods);
  for (auto [type, side] : {std::pair("Ingress", kIngress), std::pair("Egress", kEgress)}) {
    if (has_type(spec, type)) {
      out.write(1, "Allowing {} traffic:\n", side.what);
      write_side(out, spec, side);
    } else {
      out.write(1, "Not affecting {} traffic\n", side.what);
    }
  }
  out.write(1, "Policy Types: {}\n", joined_text(find_member(spec, "policyTypes"), ", "));
}

void describe_endpoints(DescribeWriter& out, Api&, const Json& endpoints) {
  write_head(out, endpoints);
  out.write(0, "Subsets:\n");
  const Json subsets = endpoints.value("subsets", Json::array());
  auto ips = [](const Json& subset, const char* member) {
    std::string text;
    const Json addresses = subset.value(member, Json::array());
    for (const Json& address : addresses)
      text += (text.empty() ? "" : ",") + string_or(address, "ip");
    return text.empty() ? std::string("<none>") : text;
  };
  for (const Json& subset : subsets) {
    out.write(1, "Addresses:\t{}\n", ips(subset, "addresses"));
    out.write(1, "NotReadyAddresses:\t{}\n", ips(subset, "notReadyAddresses"));
    const Json ports = subset.value("ports", Json::array());
    if (!ports.empty()) {
      out.write(1, "Ports:\n");
      out.write(2, "Name\tPort\tProtocol\n");
      out.write(2, "----\t----\t--------\n");
      for (const Json& port : ports)
        out.write(2, "{}\t{}\t{}\n", string_or(port, "name", "<unset>"), int_or(port, "port"),
                  string_or(port, "protocol"));
    }
    out.raw("\n");
  }
}

void describe_endpoint_slice(DescribeWriter& out, Api&, const Json& slice) {
  write_head(out, slice);
  out.write(0, "AddressType:\t{}\n", string_or(slice, "addressType"));
  const Json ports = slice.value("ports", Json::array());
  if (ports.empty()) {
    out.write(0, "Ports: <unset>\n");
  } else {
    out.write(0, "Ports:\n");
    out.write(1, "Name\tPort\tProtocol\n");
    out.write(1, "----\t----\t--------\n");
    for (const Json& port : ports) {
      std::string name = string_or(port, "name");
      out.write(1, "{}\t{}\t{}\n", name.empty() ? "<unset>" : name,
                scalar_or(port, "port", "<unset>"), string_or(port, "protocol"));
    }
  }
  const Json endpoints = slice.value("endpoints", Json::array());
  if (endpoints.empty()) {
    out.write(0, "Endpoints: <none>\n");
    return;
  }
  out.write(0, "Endpoints:\n");
  for (const Json& endpoint : endpoints) {
    out.write(1, "- Addresses:\t{}\n", joined_text(find_member(endpoint, "addresses"), ", "));
    out.write(2, "Conditions:\n");
    const Json conditions = endpoint.value("conditions", Json::object());
    out.write(3, "Ready:\t{}\n", scalar_or(conditions, "ready", "<unset>"));
    out.write(2, "Hostname:\t{}\n", string_or(endpoint, "hostname", "<unset>"));
    if (const Json* target = find_member(endpoint, "targetRef"))
      out.write(2, "TargetRef:\t{}/{}\n", string_or(*target, "kind"), string_or(*target, "name"));
    out.write(2, "NodeName:\t{}\n", string_or(endpoint, "nodeName", "<unset>"));
    out.write(2, "Zone:\t{}\n", string_or(endpoint, "zone", "<unset>"));
  }
}

}  // namespace moth::ctl
