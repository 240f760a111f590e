// Services, autoscalers, configuration, namespaces.
#include <algorithm>
#include <vector>

#include "api/machinery/jsonpath.h"
#include "api/schema/base64.h"
#include "ctl/describe/kinds.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

// "10.0.0.1:80,10.0.0.2:80 + 2 more..." of the ready endpoints for a port's name.
std::string endpoints_text(const Json& slices, const std::string& port_name) {
  constexpr std::size_t kShown = 3;
  if (slices.empty()) return "<none>";
  std::vector<std::string> all;
  for (const Json& slice : slices) {
    for (const Json& port : slice.value("ports", Json::array())) {
      if (string_or(port, "name") != port_name) continue;
      for (const Json& endpoint : slice.value("endpoints", Json::array())) {
        const Json* ready = find_path(endpoint, "conditions", "ready");
        if (ready && ready->is_boolean() && !ready->get<bool>()) continue;
        for (const Json& address : endpoint.value("addresses", Json::array())) {
          std::string host = scalar_text(address);
          if (host.find(':') != std::string::npos) host = "[" + host + "]";
          all.push_back(fmt::format("{}:{}", host, int_or(port, "port")));
        }
      }
    }
  }
  std::string text;
  for (std::size_t i = 0; i < std::min(all.size(), kShown); ++i) text += (i ? "," : "") + all[i];
  if (all.size() > kShown) text += fmt::format(" + {} more...", all.size() - kShown);
  return text;
}

Json endpoint_slices(Api& api, const Json& service) {
  auto resource = api.resource("endpointslices.discovery.k8s.io");
  if (!resource) return Json::array();
  auto list = api.list(
      **resource, text_at(service, "metadata", "namespace"),
      {{"labelSelector", "kubernetes.io/service-name=" + text_at(service, "metadata", "name")}});
  return list ? (*list)["items"] : Json::array();
}

void write_service_ports(DescribeWriter& out, Api& api, const Json& service, const Json& spec) {
  Json slices = endpoint_slices(api, service);
  for (const Json& port : spec.value("ports", Json::array())) {
    std::string name = string_or(port, "name"), protocol = string_or(port, "protocol", "TCP");
    std::string shown = name.empty() ? "<unset>" : name;
    out.write(0, "Port:\t{}\t{}/{}\n", shown, int_or(port, "port"), protocol);
    out.write(0, "TargetPort:\t{}/{}\n",
              scalar_text(port.value("targetPort", Json(int_or(port, "port")))), protocol);
    if (std::int64_t node_port = int_or(port, "nodePort"); node_port != 0)
      out.write(0, "NodePort:\t{}\t{}/{}\n", shown, node_port, protocol);
    out.write(0, "Endpoints:\t{}\n", endpoints_text(slices, name));
  }
}

// "<current> / <target>" of one metric of an autoscaler.
std::string metric_target(const Json& target) {
  if (target.contains("averageUtilization"))
    return fmt::format("{}%", int_or(target, "averageUtilization"));
  for (const char* key : {"averageValue", "value"})
    if (target.contains(key)) return scalar_text(target[key]);
  return "<unset>";
}

const Json* current_of(const Json& status, const Json& metric) {
  std::string type = string_or(metric, "type");
  const Json* list = find_member(status, "currentMetrics");
  if (!list || !list->is_array()) return nullptr;
  std::string name = text_at(metric, "resource", "name");
  for (const Json& candidate : *list) {
    if (string_or(candidate, "type") == type && text_at(candidate, "resource", "name") == name)
      return find_path(candidate, "resource", "current");
  }
  return nullptr;
}

void write_metric(DescribeWriter& out, const Json& status, const Json& metric) {
  std::string type = string_or(metric, "type");
  if (type == "Resource") {
    const Json target = metric["resource"].value("target", Json::object());
    std::string name = text_at(metric, "resource", "name");
    const Json* current = current_of(status, metric);
    std::string now = "<unknown>";
    if (target.contains("averageUtilization")) {
      if (current && current->contains("averageUtilization")) {
        now = fmt::format("{}%", int_or(*current, "averageUtilization"));
        if (current->contains("averageValue"))
          now += fmt::format(" ({})", scalar_text((*current)["averageValue"]));
      }
      out.write(1, "resource {} on pods  (as a percentage of request):\t{} / {}\n", name, now,
                metric_target(target));
    } else {
      if (current && current->contains("averageValue"))
        now = scalar_text((*current)["averageValue"]);
      out.write(1, "resource {} on pods:\t{} / {}\n", name, now, metric_target(target));
    }
    return;
  }
  std::string member = type;
  if (!member.empty()) member[0] = static_cast<char>(std::tolower(member[0]));
  const Json source = metric.value(member, Json::object());
  std::string name = text_at(source, "metric", "name");
  out.write(1, "\"{}\" ({}):\t<unknown> / {}\n", name, type,
            metric_target(source.value("target", Json::object())));
}

}  // namespace

std::string service_endpoints(Api& api, const Json& service, const std::string& port_name) {
  return endpoints_text(endpoint_slices(api, service), port_name);
}

void describe_service(DescribeWriter& out, Api& api, const Json& service) {
  const Json spec = service.value("spec", Json::object());
  write_head(out, service);
  const Json* selector = find_member(spec, "selector");
  std::string pairs;
  for (const auto& [key, value] : object_or_empty(selector).items())
    pairs += (pairs.empty() ? "" : ",") + key + "=" + scalar_text(value);
  out.write(0, "Selector:\t{}\n", pairs.empty() ? "<none>" : pairs);
  out.write(0, "Type:\t{}\n", string_or(spec, "type"));
  if (std::string policy = string_or(spec, "ipFamilyPolicy"); !policy.empty())
    out.write(0, "IP Family Policy:\t{}\n", policy);
  if (const Json* families = find_member(spec, "ipFamilies"); families && !families->empty())
    out.write(0, "IP Families:\t{}\n", joined_text(families));
  else
    out.write(0, "IP Families:\t<none>\n");
  out.write(0, "IP:\t{}\n", string_or(spec, "clusterIP"));
  if (const Json* ips = find_member(spec, "clusterIPs"); ips && !ips->empty())
    out.write(0, "IPs:\t{}\n", joined_text(ips));
  else
    out.write(0, "IPs:\t<none>\n");
  if (const Json* external = find_member(spec, "externalIPs"); external && !external->empty())
    out.write(0, "External IPs:\t{}\n", joined_text(external));
  if (std::string name = string_or(spec, "externalName"); !name.empty())
    out.write(0, "External Name:\t{}\n", name);
  const Json* ingress = find_path(service, "status", "loadBalancer", "ingress");
  if (ingress && !ingress->empty()) {
    std::string text;
    for (const Json& entry : *ingress) {
      std::string one = string_or(entry, "ip");
      if (one.empty()) one = string_or(entry, "hostname");
      text += (text.empty() ? "" : ", ") + one;
    }
    out.write(0, "LoadBalancer Ingress:\t{}\n", text);
  }
  write_service_ports(out, api, service, spec);
  out.write(0, "Session Affinity:\t{}\n", string_or(spec, "sessionAffinity"));
  if (std::string policy = string_or(spec, "externalTrafficPolicy"); !policy.empty())
    out.write(0, "External Traffic Policy:\t{}\n", policy);
  if (std::string policy = string_or(spec, "internalTrafficPolicy"); !policy.empty())
    out.write(0, "Internal Traffic Policy:\t{}\n", policy);
}

void describe_autoscaler(DescribeWriter& out, Api&, const Json& autoscaler) {
  const Json spec = autoscaler.value("spec", Json::object());
  const Json status = autoscaler.value("status", Json::object());
  write_head(out, autoscaler);
  out.write(0, "CreationTimestamp:\t{}\n",
            long_time(text_at(autoscaler, "metadata", "creationTimestamp")));
  const Json target = spec.value("scaleTargetRef", Json::object());
  out.write(0, "Reference:\t{}/{}\n", string_or(target, "kind"), string_or(target, "name"));
  out.write(0, "Metrics:\t( current / target )\n");
  for (const Json& metric : spec.value("metrics", Json::array())) write_metric(out, status, metric);
  out.write(0, "Min replicas:\t{}\n",
            spec.contains("minReplicas") ? scalar_text(spec["minReplicas"]) : "<unset>");
  out.write(0, "Max replicas:\t{}\n", int_or(spec, "maxReplicas"));
  out.write(0, "{} pods:\t", string_or(target, "kind"));
  out.raw(fmt::format("{} current / {} desired\n", int_or(status, "currentReplicas"),
                      int_or(status, "desiredReplicas")));
  const Json* conditions = find_member(status, "conditions");
  if (!conditions || conditions->empty()) return;
  out.raw("Conditions:\n");
  out.write(1, "Type\tStatus\tReason\tMessage\n");
  out.write(1, "----\t------\t------\t-------\n");
  for (const Json& condition : *conditions) {
    out.write(1, "{}\t{}\t{}\t{}\n", string_or(condition, "type"), string_or(condition, "status"),
              string_or(condition, "reason"), string_or(condition, "message"));
  }
}

void describe_config_map(DescribeWriter& out, Api&, const Json& map) {
  write_head(out, map);
  out.raw("\nData\n====\n");
  for (const auto& [key, value] : map.value("data", Json::object()).items()) {
    out.write(0, "{}:\n----\n", key);
    out.raw(scalar_text(value) + "\n\n");
  }
  out.raw("\nBinaryData\n====\n");
  for (const auto& [key, value] : map.value("binaryData", Json::object()).items()) {
    auto bytes = schema::decode_base64(scalar_text(value));
    out.write(0, "{}: {} bytes\n", key, bytes ? bytes->size() : 0);
  }
  out.raw("\n");
}

void describe_secret(DescribeWriter& out, Api&, const Json& secret) {
  write_head(out, secret);
  out.write(0, "\nType:\t{}\n", string_or(secret, "type"));
  out.raw("\nData\n====\n");
  for (const auto& [key, value] : secret.value("data", Json::object()).items()) {
    auto bytes = schema::decode_base64(scalar_text(value));
    if (key == "token" && string_or(secret, "type") == "kubernetes.io/service-account-token")
      out.write(0, "{}:\t{}\n", key, bytes.value_or(""));
    else
      out.write(0, "{}:\t{} bytes\n", key, bytes ? bytes->size() : 0);
  }
}

void describe_namespace(DescribeWriter& out, Api& api, const Json& ns) {
  write_head(out, ns);
  out.write(0, "Status:\t{}\n", text_at(ns, "status", "phase"));
  if (const Json* conditions = find_path(ns, "status", "conditions");
      conditions && !conditions->empty()) {
    out.raw("Conditions:\n");
    out.write(1, "Type\tStatus\tLastTransitionTime\tReason\tMessage\n");
    out.write(1, "----\t------\t------------------\t------\t-------\n");
    for (const Json& condition : *conditions) {
      out.write(1, "{}\t{}\t{}\t{}\t{}\n", string_or(condition, "type"),
                string_or(condition, "status"),
                long_time(string_or(condition, "lastTransitionTime")),
                string_or(condition, "reason"), string_or(condition, "message"));
    }
  }
  write_quotas_of(out, api, text_at(ns, "metadata", "name"));
}

void describe_service_account(DescribeWriter& out, Api&, const Json& account) {
  write_head(out, account);
  std::string text;
  const Json secrets = account.value("imagePullSecrets", Json::array());
  for (const Json& entry : secrets)
    text += (text.empty() ? "" : "\n                   \t") + string_or(entry, "name");
  out.write(0, "Image pull secrets:\t{}\n", text.empty() ? "<none>" : text);
}

namespace {

// "creationTimestamp" to "Creation Timestamp", "apiVersion" to "API Version".
std::string spelled(const std::string& key) {
  if (key == "openAPIV3Schema") return key;
  std::vector<std::string> words(1);
  for (std::size_t i = 0; i < key.size(); ++i) {
    unsigned char c = static_cast<unsigned char>(key[i]);
    bool starts = std::isupper(c) && i > 0 &&
                  (!std::isupper(static_cast<unsigned char>(key[i - 1])) ||
                   (i + 1 < key.size() && std::islower(static_cast<unsigned char>(key[i + 1]))));
    if (starts) words.emplace_back();
    words.back() += key[i];
  }
  std::string text;
  for (std::string word : words) {
    std::string lower = word;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    if (lower == "api" || lower == "url" || lower == "uid" || lower == "tls" || lower == "tcp" ||
        lower == "osb" || lower == "guid" || lower == "id")
      std::transform(word.begin(), word.end(), word.begin(),
                     [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    else if (!word.empty())
      word[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(word[0])));
    text += (text.empty() ? "" : " ") + word;
  }
  return text;
}

void write_members(DescribeWriter& out, int level, const Json& object, const std::string& path) {
  for (const auto& [key, value] : object.items()) {
    std::string here = path + "." + key;
    static const std::vector<std::string> kSkipped = {".metadata.name", ".metadata.namespace",
                                                      ".metadata.labels", ".metadata.annotations",
                                                      ".metadata.managedFields"};
    if (std::find(kSkipped.begin(), kSkipped.end(), here) != kSkipped.end()) continue;
    if (value.is_object()) {
      out.write(level, "{}:\n", spelled(key));
      write_members(out, level + 1, value, here);
    } else if (value.is_array()) {
      out.write(level, "{}:\n", spelled(key));
      for (const Json& entry : value) {
        if (entry.is_object())
          write_members(out, level + 1, entry, here);
        else
          out.write(level + 1, "{}\n", scalar_text(entry));
      }
    } else {
      out.write(level, "{}:\t{}\n", spelled(key), scalar_text(value));
    }
  }
}

}  // namespace

void describe_anything(DescribeWriter& out, Api&, const Json& object) {
  out.write(0, "Name:\t{}\n", text_at(object, "metadata", "name"));
  out.write(0, "Namespace:\t{}\n", text_at(object, "metadata", "namespace"));
  write_labels(out, "Labels", metadata_member(object, "labels"));
  write_annotations(out, "Annotations", metadata_member(object, "annotations"));
  write_members(out, 0, object, "");
}

}  // namespace moth::ctl
