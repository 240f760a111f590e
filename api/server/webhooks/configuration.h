#pragma once
// MutatingWebhookConfiguration and ValidatingWebhookConfiguration as values, and which requests
// they are for. Pure but for match conditions, which are compiled once. Control thread.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/machinery/gvk.h"
#include "api/machinery/object.h"
#include "api/machinery/selectors.h"
#include "api/server/admission/admission.h"

namespace moth::cel {
class Program;
}

namespace moth::server {

// CREATE, UPDATE, DELETE, CONNECT
std::string_view to_string(Operation operation);

struct WebhookRule {
  std::vector<std::string> operations, groups, versions, resources;
  std::string scope = "*";  // Cluster, Namespaced, *

  bool matches(Operation operation, const Gvr& gvr, std::string_view subresource,
               bool namespaced) const;
};

struct MatchCondition {
  std::string name;
  std::shared_ptr<const cel::Program> program;
  std::string error;  // why there is no program
};

struct Webhook {
  std::string name, configuration;
  std::vector<WebhookRule> rules;
  bool equivalent = true;  // other versions of a resource count, too
  LabelSelector namespaces, objects;
  bool must_not_fail = true;
  std::chrono::seconds timeout{10};
  bool reinvoke = false;      // reinvocationPolicy IfNeeded
  bool side_effects = false;  // so dry runs are not for it
  bool speaks_v1 = true;
  std::vector<MatchCondition> conditions;

  std::string url;  // or the service:
  std::string service_ns, service_name, path;
  std::int32_t service_port = 443;
  std::string ca_pem;  // empty: the system's trust store

  // "configuration/name"
  std::string key() const { return configuration + "/" + name; }
};

// Where a webhook is, from its clientConfig.
void parse_client(Webhook& webhook, const Json& client);

// The webhooks of one configuration object, in order.
std::vector<Webhook> parse_webhooks(const Object& configuration);

}  // namespace moth::server
