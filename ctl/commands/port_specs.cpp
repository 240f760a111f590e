#include "ctl/commands/port_specs.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace moth::ctl {
namespace {

std::optional<std::uint16_t> port_number(const std::string& text) {
  std::uint16_t number = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

std::optional<std::uint16_t> container_port(const Json& pod, const std::string& name) {
  for (const char* list : {"containers", "initContainers"}) {
    const Json* containers = find_path(pod, "spec", list);
    for (const Json& container : containers ? *containers : Json::array()) {
      const Json ports = container.value("ports", Json::array());
      for (const Json& port : ports)
        if (string_or(port, "name") == name)
          return static_cast<std::uint16_t>(int_or(port, "containerPort"));
    }
  }
  return std::nullopt;
}

// The pod's port behind a Service's.
Outcome<std::uint16_t> through_service(const Json& service, const Json& pod,
                                       const std::string& text) {
  auto number = port_number(text);
  std::string name = string_or(service["metadata"], "name");
  const Json* ports = find_path(service, "spec", "ports");
  for (const Json& port : ports ? *ports : Json::array()) {
    if (number ? int_or(port, "port") != *number : string_or(port, "name") != text) continue;
    if (string_or(port, "protocol", "TCP") == "UDP")
      return refuse(fmt::format("UDP protocol is not supported for {}", text));
    std::int64_t own = int_or(port, "port");
    const Json target = port.value("targetPort", Json(own));
    if (string_or(service["spec"], "clusterIP") == "None" && target.is_number())
      return static_cast<std::uint16_t>(own);
    if (target.is_number()) {
      auto led_to = target.get<std::int64_t>();
      return static_cast<std::uint16_t>(led_to == 0 ? own : led_to);
    }
    auto found = container_port(pod, target.get<std::string>());
    if (found) return *found;
    return refuse(fmt::format("Pod '{}' does not have a named port '{}'",
                              string_or(pod["metadata"], "name"), target.get<std::string>()));
  }
  if (number) return refuse(fmt::format("Service {} does not have a service port {}", name, text));
  return refuse(fmt::format("Service '{}' does not have a named port '{}'", name, text));
}

Outcome<std::uint16_t> remote_port(const Json& object, const Json& pod, const std::string& text) {
  if (string_or(object, "kind") == "Service") return through_service(object, pod, text);
  if (auto number = port_number(text)) return *number;
  if (auto named = container_port(pod, text)) return *named;
  return refuse(fmt::format("Pod '{}' does not have a named port '{}'",
                            string_or(pod["metadata"], "name"), text));
}

}  // namespace

Outcome<std::vector<ForwardedPort>> parse_ports(const std::vector<std::string>& words,
                                                const Json& object, const Json& pod) {
  std::vector<ForwardedPort> ports;
  for (const std::string& word : words) {
    auto colon = word.find(':');
    std::string local = word.substr(0, colon);
    std::string remote = colon == std::string::npos ? word : word.substr(colon + 1);
    if (remote.empty() || remote.find(':') != std::string::npos)
      return refuse(fmt::format("invalid port format '{}'", word));
    ForwardedPort port;
    MOTH_ASSIGN(port.remote, remote_port(object, pod, remote));
    if (port.remote == 0) return refuse("remote port must be > 0");
    if (colon == std::string::npos) {
      auto number = port_number(word);
      port.local = number ? *number : port.remote;
    } else if (!local.empty()) {
      auto number = port_number(local);
      if (!number)
        return refuse(
            fmt::format("error parsing local port '{}': a port number is expected", local));
      port.local = *number;
    }
    ports.push_back(port);
  }
  return ports;
}

}  // namespace moth::ctl
