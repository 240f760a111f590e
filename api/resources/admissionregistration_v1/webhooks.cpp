#include <fmt/format.h>

#include <algorithm>

#include "api/base/json.h"
#include "api/resources/admissionregistration_v1/match_checks.h"
#include "api/resources/admissionregistration_v1/rows.h"
#include "api/resources/cells.h"
#include "api/resources/check.h"
#include "api/resources/edit.h"
#include "api/resources/row_base.h"

namespace moth::resources {
namespace {

constexpr std::int64_t kUsualTimeout = 10;
constexpr std::int64_t kLongestTimeout = 30;
constexpr std::int64_t kHttpsPort = 443;
constexpr const char* kUrlForm = "; desired format: https://host[/path]";

void default_webhook(Json& webhook) {
  default_to(webhook, "failurePolicy", "Fail");
  default_matching(webhook);
  default_to(webhook, "timeoutSeconds", kUsualTimeout);
  default_rules(webhook, "rules");
  if (Json* config = member(webhook, "clientConfig")) {
    if (Json* service = member(*config, "service")) default_to(*service, "port", kHttpsPort);
  }
}

void check_full_name(FieldErrors& errors, const Json& webhook, const FieldPath& path) {
  if (!check_required(errors, webhook, "name", path)) return;
  std::string name = string_or(webhook, "name");
  FieldPath at = path.child("name");
  if (Messages wrong = check_dns1123_subdomain(name); !wrong.empty()) {
    errors.push_back(FieldError::invalid(at, name, join(wrong, ",")));
  } else if (std::count(name.begin(), name.end(), '.') < 2) {
    errors.push_back(FieldError::invalid(
        at, name, "should be a domain with at least three segments separated by dots"));
  }
}

void check_url(FieldErrors& errors, const std::string& url, const FieldPath& path) {
  auto mark = url.find("://");
  std::string scheme = mark == std::string::npos ? "" : url.substr(0, mark);
  if (scheme != "https") {
    errors.push_back(FieldError::invalid(
        path, scheme, std::string("'https' is the only allowed URL scheme") + kUrlForm));
  }
  std::string rest = mark == std::string::npos ? "" : url.substr(mark + 3);
  std::string host = rest.substr(0, rest.find_first_of("/?#"));
  auto at = host.rfind('@');
  std::string user = at == std::string::npos ? "" : host.substr(0, at);
  if (at != std::string::npos) host = host.substr(at + 1);
  if (host.empty()) {
    errors.push_back(
        FieldError::invalid(path, host, std::string("host must be specified") + kUrlForm));
  }
  if (!user.empty()) {
    errors.push_back(
        FieldError::invalid(path, user, "user information is not permitted in the URL"));
  }
  auto hash = rest.find('#');
  if (hash != std::string::npos && hash + 1 < rest.size()) {
    errors.push_back(
        FieldError::invalid(path, rest.substr(hash + 1), "fragments are not permitted in the URL"));
  }
  auto question = rest.substr(0, hash).find('?');
  if (question != std::string::npos && question + 1 < rest.substr(0, hash).size()) {
    errors.push_back(FieldError::invalid(path, rest.substr(0, hash).substr(question + 1),
                                         "query parameters are not permitted in the URL"));
  }
}

void check_service_path(FieldErrors& errors, const std::string& text, const FieldPath& path) {
  if (text.empty() || text == "/") return;
  if (text == "//") {
    errors.push_back(FieldError::invalid(path, text, "segment[0] may not be empty"));
    return;
  }
  if (text[0] != '/') {
    errors.push_back(FieldError::invalid(path, text, "must start with a '/'"));
  }
  std::string_view rest = std::string_view(text).substr(1);
  if (rest.ends_with('/')) rest.remove_suffix(1);
  for (std::size_t i = 0;; ++i) {
    auto slash = rest.find('/');
    std::string_view step = rest.substr(0, slash);
    if (step.empty()) {
      errors.push_back(
          FieldError::invalid(path, text, fmt::format("segment[{}] may not be empty", i)));
    }
    for (const std::string& message : check_dns1123_subdomain(step)) {
      errors.push_back(FieldError::invalid(path, text, fmt::format("segment[{}]: {}", i, message)));
    }
    if (slash == std::string_view::npos) return;
    rest.remove_prefix(slash + 1);
  }
}

void check_service(FieldErrors& errors, const Json& service, const FieldPath& path) {
  check_required(errors, service, "name", path, "service name is required");
  check_required(errors, service, "namespace", path, "service namespace is required");
  std::int64_t port = int_or(service, "port", kHttpsPort);
  if (Messages wrong = check_port_number(port); !wrong.empty()) {
    errors.push_back(
        FieldError::invalid(path.child("port"), port, "port is not valid: " + join(wrong, ",")));
  }
  check_service_path(errors, string_or(service, "path"), path.child("path"));
}

}  // namespace

void check_client(FieldErrors& errors, const Json& webhook, const FieldPath& parent) {
  const Json& config = object_of(webhook, "clientConfig");
  FieldPath path = parent.child("clientConfig");
  const Json* url = member(config, "url");
  const Json* service = member(config, "service");
  if ((url == nullptr) == (service == nullptr)) {
    errors.push_back(FieldError::required(path, "exactly one of url or service is required"));
  } else if (url) {
    check_url(errors, string_or(config, "url"), path.child("url"));
  } else {
    check_service(errors, *service, path.child("service"));
  }
}

namespace {

void check_review_versions(FieldErrors& errors, const Json& webhook, const FieldPath& parent) {
  FieldPath path = parent.child("admissionReviewVersions");
  std::vector<std::string> versions = strings(webhook, "admissionReviewVersions");
  if (versions.empty()) {
    errors.push_back(FieldError::required(path, "must specify one of v1, v1beta1"));
    return;
  }
  UniqueNames seen;
  bool known = false;
  for (std::size_t i = 0; i < versions.size(); ++i) {
    seen.add(errors, versions[i], path.index(i));
    add_invalid(errors, path.index(i), versions[i], check_dns1035_label(versions[i]));
    known = known || versions[i] == "v1" || versions[i] == "v1beta1";
  }
  if (!known) {
    errors.push_back(FieldError::invalid(path, items(webhook, "admissionReviewVersions"),
                                         "must include at least one of v1, v1beta1"));
  }
}

void check_side_effects(FieldErrors& errors, const Json& webhook, const FieldPath& path) {
  if (has(webhook, "sideEffects")) {
    check_supported(errors, webhook, "sideEffects", path, {"None", "NoneOnDryRun"});
  } else {
    errors.push_back(
        FieldError::required(path.child("sideEffects"), "must specify one of None, NoneOnDryRun"));
  }
}

void check_webhook(FieldErrors& errors, const Json& webhook, const FieldPath& path, bool mutates) {
  check_full_name(errors, webhook, path);
  check_rules(errors, webhook, "rules", path);
  check_supported(errors, webhook, "failurePolicy", path, {"Fail", "Ignore"});
  check_supported(errors, webhook, "matchPolicy", path, {"Equivalent", "Exact"});
  check_side_effects(errors, webhook, path);
  if (mutates) {
    check_supported(errors, webhook, "reinvocationPolicy", path, {"IfNeeded", "Never"});
  }
  std::int64_t timeout = int_or(webhook, "timeoutSeconds", kUsualTimeout);
  if (timeout < 1 || timeout > kLongestTimeout) {
    errors.push_back(FieldError::invalid(path.child("timeoutSeconds"), timeout,
                                         "the timeout value must be between 1 and 30 seconds"));
  }
  check_selectors(errors, webhook, path);
  check_client(errors, webhook, path);
  check_match_conditions(errors, webhook, path);
}

FieldErrors validate(const Json& object, bool mutates) {
  FieldErrors errors;
  const Json& webhooks = items(object, "webhooks");
  UniqueNames names;
  for (std::size_t i = 0; i < webhooks.size(); ++i) {
    FieldPath path = FieldPath("webhooks").index(i);
    check_webhook(errors, webhooks[i], path, mutates);
    check_review_versions(errors, webhooks[i], path);
    std::string name = string_or(webhooks[i], "name");
    if (!name.empty()) names.add(errors, name, path.child("name"));
  }
  return errors;
}

ResourceDef configuration(std::string resource, std::string singular, const std::string& kind) {
  ResourceDef row = row_of("admissionregistration.k8s.io", "v1", std::move(resource),
                           std::move(singular), kind, "admissionregistration.v1." + kind);
  row.namespaced = false;
  row.categories = {"api-extensions"};
  row.allow_unconditional_update = false;
  row.has_generation = true;
  row.columns = columns({column("Name", "Name of the configuration"),
                         column("Webhooks", "How many webhooks it has", "integer"),
                         column("Age", "Time since creation")});
  row.row = [](const Json& object, const RowContext& context) {
    return Json::array(
        {name_cell(object), items(object, "webhooks").size(), age_cell(object, context)});
  };
  return row;
}

}  // namespace

ResourceDef mutating_webhook_configurations() {
  ResourceDef row = configuration("mutatingwebhookconfigurations", "mutatingwebhookconfiguration",
                                  "MutatingWebhookConfiguration");
  row.set_defaults = [](Json& object) {
    edit_items(object, "webhooks", [](Json& webhook) {
      default_webhook(webhook);
      default_to(webhook, "reinvocationPolicy", "Never");
    });
  };
  row.validate = [](const Json& object) { return validate(object, true); };
  return row;
}

ResourceDef validating_webhook_configurations() {
  ResourceDef row =
      configuration("validatingwebhookconfigurations", "validatingwebhookconfiguration",
                    "ValidatingWebhookConfiguration");
  row.set_defaults = [](Json& object) { edit_items(object, "webhooks", default_webhook); };
  row.validate = [](const Json& object) { return validate(object, false); };
  return row;
}

}  // namespace moth::resources
