#include "ctl/commands/generators.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace moth::ctl {
namespace {

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t number = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || problem != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

// The name of a container after its image: "registry/team/redis:7" gives redis.
std::string image_base(std::string image) {
  if (auto slash = image.rfind('/'); slash != std::string::npos) image.erase(0, slash + 1);
  if (auto end = image.find_first_of(":@"); end != std::string::npos) image.resize(end);
  std::string name;
  for (char c : image) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '-';
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

Outcome<Json> parse_tcp_port(const std::string& text) {
  auto colon = text.find(':');
  auto port = whole(text.substr(0, colon));
  if (!port || *port < 0 || *port > 65535)
    return refuse(fmt::format("invalid port \"{}\": PORT or PORT:TARGET is expected", text));
  std::string target = colon == std::string::npos ? text : text.substr(colon + 1);
  std::string name = text;
  std::replace(name.begin(), name.end(), ':', '-');
  Json entry{{"name", name}, {"port", *port}, {"protocol", "TCP"}};
  if (auto number = whole(target))
    entry["targetPort"] = *number;
  else
    entry["targetPort"] = target;
  return entry;
}

}  // namespace

std::vector<std::string> after_name(const Arguments& arguments) {
  if (arguments.words.size() <= 1) return {};
  return {arguments.words.begin() + 1, arguments.words.end()};
}

Outcome<Json> parse_label_list(std::string_view text) {
  Json labels = Json::object();
  for (std::size_t from = 0; from < text.size();) {
    auto end = std::min(text.find(',', from), text.size());
    std::string_view part = text.substr(from, end - from);
    auto equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return refuse(fmt::format("unexpected label spec: {}", part));
    labels[std::string(part.substr(0, equals))] = std::string(part.substr(equals + 1));
    from = end + 1;
  }
  return labels;
}

Outcome<Json> parse_env(const std::vector<std::string>& words) {
  Json list = Json::array();
  for (const std::string& word : words) {
    auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(fmt::format("invalid env: {}", word));
    list.push_back({{"name", word.substr(0, equals)}, {"value", word.substr(equals + 1)}});
  }
  return list;
}

Outcome<Json> make_namespace(const Arguments&, const std::string& name) {
  return Json{{"apiVersion", "v1"},
              {"kind", "Namespace"},
              {"metadata", {{"name", name}}},
              {"spec", Json::object()},
              {"status", Json::object()}};
}

Outcome<Json> make_service_account(const Arguments&, const std::string& name) {
  return Json{{"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", name}}}};
}

Outcome<Json> make_deployment(const Arguments& arguments, const std::string& name) {
  const auto& images = arguments.texts("image");
  if (images.empty()) return refuse("required flag(s) \"image\" not set");
  std::vector<std::string> command = after_name(arguments);
  if (images.size() > 1 && !command.empty())
    return refuse("cannot specify multiple --image options and command");
  Json containers = Json::array();
  for (const std::string& image : images) {
    containers.push_back(
        {{"image", image}, {"name", image_base(image)}, {"resources", Json::object()}});
  }
  if (!command.empty()) containers[0]["command"] = command;
  if (std::int64_t port = arguments.integer("port"); port > 0)
    containers[0]["ports"] = Json::array({Json{{"containerPort", port}}});
  Json labels{{"app", name}};
  return Json{{"apiVersion", "apps/v1"},
              {"kind", "Deployment"},
              {"metadata", {{"labels", labels}, {"name", name}}},
              {"spec",
               {{"replicas", arguments.integer("replicas")},
                {"selector", {{"matchLabels", labels}}},
                {"strategy", Json::object()},
                {"template",
                 {{"metadata", {{"labels", labels}}}, {"spec", {{"containers", containers}}}}}}},
              {"status", Json::object()}};
}

Outcome<Json> make_service(const Arguments& arguments, const std::string& name,
                           const std::string& type) {
  Json labels{{"app", name}};
  Json spec{{"selector", labels}, {"type", type}};
  for (const std::string& text : arguments.texts("tcp")) {
    MOTH_ASSIGN(Json port, parse_tcp_port(text));
    if (type == "NodePort" && arguments.integer("node-port") > 0)
      port["nodePort"] = arguments.integer("node-port");
    spec["ports"].push_back(std::move(port));
  }
  bool headless = type == "ClusterIP" && arguments.text("clusterip") == "None";
  if (!spec.contains("ports") && type != "ExternalName" && !headless)
    return refuse("at least one tcp port specifier must be provided");
  if (type == "ClusterIP" && arguments.given("clusterip"))
    spec["clusterIP"] = arguments.text("clusterip");
  if (type == "ExternalName") {
    if (arguments.text("external-name").empty())
      return refuse("required flag(s) \"external-name\" not set");
    spec["externalName"] = arguments.text("external-name");
  }
  return Json{{"apiVersion", "v1"},
              {"kind", "Service"},
              {"metadata", {{"labels", labels}, {"name", name}}},
              {"spec", std::move(spec)},
              {"status", {{"loadBalancer", Json::object()}}}};
}

Outcome<Json> make_pod(const Arguments& arguments, const std::string& name) {
  if (arguments.text("image").empty()) return refuse("required flag(s) \"image\" not set");
  Json container{{"image", arguments.text("image")}, {"name", name}, {"resources", Json::object()}};
  if (auto words = after_name(arguments); !words.empty())
    container[arguments.flag("command") ? "command" : "args"] = words;
  if (!arguments.texts("env").empty()) {
    MOTH_ASSIGN(container["env"], parse_env(arguments.texts("env")));
  }
  if (arguments.integer("port") > 0)
    container["ports"] = Json::array({Json{{"containerPort", arguments.integer("port")}}});
  if (arguments.given("image-pull-policy"))
    container["imagePullPolicy"] = arguments.text("image-pull-policy");
  if (arguments.flag("stdin")) {
    container["stdin"] = true;
    container["stdinOnce"] = true;
  }
  if (arguments.flag("tty")) container["tty"] = true;
  if (arguments.flag("leave-stdin-open")) container.erase("stdinOnce");
  if (arguments.flag("privileged")) container["securityContext"] = Json{{"privileged", true}};
  if (arguments.flag("stdin") && !arguments.flag("attach") && arguments.given("attach"))
    container.erase("stdinOnce");
  Json labels{{"run", name}};
  if (arguments.given("labels")) {
    MOTH_ASSIGN(labels, parse_label_list(arguments.text("labels")));
  }
  Json pod{{"apiVersion", "v1"},
           {"kind", "Pod"},
           {"metadata", {{"labels", std::move(labels)}, {"name", name}}},
           {"spec",
            {{"containers", Json::array({std::move(container)})},
             {"dnsPolicy", "ClusterFirst"},
             {"restartPolicy", arguments.text("restart")}}},
           {"status", Json::object()}};
  if (!arguments.texts("annotations").empty()) {
    for (const std::string& text : arguments.texts("annotations")) {
      MOTH_ASSIGN(Json one, parse_label_list(text));
      pod["metadata"]["annotations"].update(one);
    }
  }
  return pod;
}

}  // namespace moth::ctl
