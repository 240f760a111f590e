#include "api/server/webhooks/configuration.h"

#include <algorithm>

#include "api/base/json.h"
#include "api/cel/cel.h"
#include "api/resources/edit.h"
#include "api/schema/base64.h"

namespace moth::server {
namespace {

bool has(const std::vector<std::string>& list, std::string_view value) {
  return std::any_of(list.begin(), list.end(),
                     [&](const std::string& one) { return one == "*" || one == value; });
}

// "pods", "pods/log", "pods/*", "*/log", "*/*" and "*", which is all without subresources.
bool resource_fits(const std::string& pattern, std::string_view resource, std::string_view sub) {
  auto slash = pattern.find('/');
  std::string_view left = std::string_view(pattern).substr(0, slash);
  std::string_view right =
      slash == std::string::npos ? "" : std::string_view(pattern).substr(slash + 1);
  return (left == "*" || left == resource) && (right == "*" || right == sub);
}

LabelSelector selector_of(const Json& webhook, std::string_view key) {
  const Json* given = find_member(webhook, key);
  if (!given || given->is_null()) return {};
  auto parsed = LabelSelector::from_json(*given);
  return parsed ? *parsed : LabelSelector::nothing();
}

WebhookRule parse_rule(const Json& json) {
  WebhookRule rule;
  rule.operations = resources::strings(json, "operations");
  rule.groups = resources::strings(json, "apiGroups");
  rule.versions = resources::strings(json, "apiVersions");
  rule.resources = resources::strings(json, "resources");
  rule.scope = string_or(json, "scope", "*");
  return rule;
}

MatchCondition parse_condition(const Json& json) {
  static const cel::Environment kEnvironment = [] {
    cel::Environment environment;
    environment.variables = {
        {"object", cel::dyn()}, {"oldObject", cel::dyn()}, {"request", cel::dyn()}};
    return environment;
  }();
  MatchCondition condition;
  condition.name = string_or(json, "name");
  auto program = cel::Program::compile(string_or(json, "expression"), kEnvironment,
                                       cel::simple(cel::Kind::kBool));
  if (program) {
    condition.program = std::make_shared<const cel::Program>(std::move(*program));
  } else {
    condition.error = program.error().message;
  }
  return condition;
}

}  // namespace

void parse_client(Webhook& webhook, const Json& client) {
  webhook.url = string_or(client, "url");
  const Json& service = resources::object_of(client, "service");
  webhook.service_ns = string_or(service, "namespace");
  webhook.service_name = string_or(service, "name");
  webhook.path = string_or(service, "path", "/");
  webhook.service_port = static_cast<std::int32_t>(int_or(service, "port", 443));
  // A Secret's bytes: the PEM text in base64.
  if (auto pem = schema::decode_base64(string_or(client, "caBundle"))) webhook.ca_pem = *pem;
}

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::kCreate:
      return "CREATE";
    case Operation::kUpdate:
      return "UPDATE";
    case Operation::kDelete:
      return "DELETE";
    case Operation::kConnect:
      return "CONNECT";
  }
  return "";
}

bool WebhookRule::matches(Operation operation, const Gvr& gvr, std::string_view subresource,
                          bool namespaced) const {
  if (scope == "Cluster" && namespaced) return false;
  if (scope == "Namespaced" && !namespaced) return false;
  return has(operations, to_string(operation)) && has(groups, gvr.group) &&
         has(versions, gvr.version) &&
         std::any_of(resources.begin(), resources.end(), [&](const std::string& pattern) {
           return resource_fits(pattern, gvr.resource, subresource);
         });
}

std::vector<Webhook> parse_webhooks(const Object& configuration) {
  std::vector<Webhook> all;
  const Json whole = configuration.parse();
  for (const Json& json : resources::items(whole, "webhooks")) {
    Webhook webhook;
    webhook.name = string_or(json, "name");
    webhook.configuration = configuration.name();
    for (const Json& rule : resources::items(json, "rules"))
      webhook.rules.push_back(parse_rule(rule));
    webhook.equivalent = string_or(json, "matchPolicy", "Equivalent") == "Equivalent";
    webhook.namespaces = selector_of(json, "namespaceSelector");
    webhook.objects = selector_of(json, "objectSelector");
    webhook.must_not_fail = string_or(json, "failurePolicy", "Fail") == "Fail";
    webhook.timeout = std::chrono::seconds(int_or(json, "timeoutSeconds", 10));
    webhook.reinvoke = string_or(json, "reinvocationPolicy") == "IfNeeded";
    std::string effects = string_or(json, "sideEffects");
    webhook.side_effects = effects != "None" && effects != "NoneOnDryRun";
    auto versions = resources::strings(json, "admissionReviewVersions");
    webhook.speaks_v1 = std::find(versions.begin(), versions.end(), "v1") != versions.end();
    for (const Json& condition : resources::items(json, "matchConditions"))
      webhook.conditions.push_back(parse_condition(condition));
    parse_client(webhook, resources::object_of(json, "clientConfig"));
    all.push_back(std::move(webhook));
  }
  return all;
}

}  // namespace moth::server
