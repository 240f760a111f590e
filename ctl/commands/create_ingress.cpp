#include <charconv>

#include "ctl/commands/generator_command.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

Outcome<Json> backend_of(const std::string& text, const std::string& whole) {
  auto colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || colon + 1 == text.size())
    return refuse(fmt::format("{} should be in format service:port", whole));
  std::string port = text.substr(colon + 1);
  std::int64_t number = 0;
  auto [end, problem] = std::from_chars(port.data(), port.data() + port.size(), number);
  Json entry = Json::object();
  if (problem == std::errc() && end == port.data() + port.size())
    entry["number"] = number;
  else
    entry["name"] = port;
  return Json{{"service", {{"name", text.substr(0, colon)}, {"port", std::move(entry)}}}};
}

struct Rule {
  std::string host, path, backend;
  bool prefix = false, tls = false;
  std::string secret;
};

// host/path=service:port[,tls[=secret]]; a path that ends in * is a prefix.
Outcome<Rule> parse_rule(const std::string& text) {
  auto bad = [&] {
    return refuse(fmt::format(
        "rule {} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]",
        text));
  };
  Rule rule;
  auto comma = text.find(',');
  std::string main = text.substr(0, comma);
  if (comma != std::string::npos) {
    std::string tail = text.substr(comma + 1);
    if (tail != "tls" && !tail.starts_with("tls=")) return bad();
    rule.tls = true;
    rule.secret = tail.size() > 4 ? tail.substr(4) : "";
  }
  auto equals = main.find('='), slash = main.find('/');
  if (equals == std::string::npos || slash == std::string::npos || slash > equals) return bad();
  rule.host = main.substr(0, slash);
  rule.path = main.substr(slash, equals - slash);
  rule.backend = main.substr(equals + 1);
  if (rule.backend.find(':') == std::string::npos) return bad();
  if (rule.path.ends_with('*')) {
    rule.prefix = true;
    rule.path.pop_back();
  }
  return rule;
}

// Rules and TLS entries of one host come together, in the order of their first mention.
Json& entry_of(Json& list, const std::string& host) {
  for (Json& entry : list)
    if (string_or(entry, "host") == host) return entry;
  list.push_back(host.empty() ? Json::object() : Json{{"host", host}});
  return list.back();
}

void add_tls(Json& list, const Rule& rule) {
  for (Json& entry : list) {
    if (string_or(entry, "secretName") != rule.secret) continue;
    if (rule.host.empty()) return;
    for (const Json& host : entry["hosts"])
      if (host == rule.host) return;
    entry["hosts"].push_back(rule.host);
    return;
  }
  Json entry = Json::object();
  if (!rule.host.empty()) entry["hosts"] = Json::array({rule.host});
  if (!rule.secret.empty()) entry["secretName"] = rule.secret;
  list.push_back(std::move(entry));
}

Outcome<Json> make_ingress(const Arguments& arguments, const std::string& name) {
  const std::string& fallback = arguments.text("default-backend");
  if (arguments.texts("rule").empty() && fallback.empty()) {
    return refuse(
        "not enough information provided: every ingress has to either specify a default-backend "
        "(which catches all traffic) or a list of rules (which catch specific paths)");
  }
  Json spec = Json::object(), rules = Json::array(), tls = Json::array();
  if (!fallback.empty()) {
    MOTH_ASSIGN(spec["defaultBackend"], backend_of(fallback, "default-backend"));
  }
  for (const std::string& text : arguments.texts("rule")) {
    MOTH_ASSIGN(Rule rule, parse_rule(text));
    MOTH_ASSIGN(Json backend, backend_of(rule.backend, "rule " + text));
    Json path{{"backend", std::move(backend)}, {"pathType", rule.prefix ? "Prefix" : "Exact"}};
    path["path"] = rule.path;
    entry_of(rules, rule.host)["http"]["paths"].push_back(std::move(path));
    if (rule.tls) add_tls(tls, rule);
  }
  if (!rules.empty()) spec["rules"] = std::move(rules);
  if (!tls.empty()) spec["tls"] = std::move(tls);
  if (!arguments.text("class").empty()) spec["ingressClassName"] = arguments.text("class");
  Json metadata{{"name", name}};
  for (const std::string& text : arguments.texts("annotation")) {
    auto equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      return refuse(
          fmt::format("annotation {} is invalid and should be in format key=[value]", text));
    metadata["annotations"][text.substr(0, equals)] = text.substr(equals + 1);
  }
  return Json{{"apiVersion", "networking.k8s.io/v1"},
              {"kind", "Ingress"},
              {"metadata", std::move(metadata)},
              {"spec", std::move(spec)},
              {"status", {{"loadBalancer", Json::object()}}}};
}

constexpr char kIngress[] = "ingress";

}  // namespace

Command create_ingress_command() {
  return {.name = "ingress",
          .aliases = {"ing"},
          .summary = "Create an ingress with the specified name",
          .usage = "NAME --rule=host/path=service:port[,tls[=secret]]",
          .examples =
              "moth create ingress web --rule='web.example/*=web:80'\n"
              "moth create ingress web --default-backend=web:80",
          .flags = join_flags(
              {create_flags(),
               {{"annotation", 0, FlagKind::kTexts, "", "KEY=VALUE; may be given several times."},
                {"class", 0, FlagKind::kText, "", "The ingress class."},
                {"default-backend", 0, FlagKind::kText, "", "For everything else: SERVICE:PORT."},
                {"rule", 0, FlagKind::kTexts, "",
                 "HOST/PATH=SERVICE:PORT[,tls[=SECRET]]; a path that ends in * is a prefix."}}}),
          .run = run_generator<make_ingress, kIngress>};
}

}  // namespace moth::ctl
