#include "api/server/webhooks/policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "api/base/json.h"
#include "api/cel/cel.h"
#include "api/resources/edit.h"
#include "api/server/webhooks/configuration.h"
#include "api/server/webhooks/review.h"

namespace moth::server {
namespace {

constexpr const char* kGroup = "admissionregistration.k8s.io";

struct Expression {
  std::string text;
  std::shared_ptr<const cel::Program> program;
  std::string error;  // why there is none
};

Expression compile(std::string text, const cel::TypePtr& wanted) {
  static const cel::Environment kEnvironment = [] {
    cel::Environment environment;
    for (const char* name :
         {"object", "oldObject", "request", "params", "namespaceObject", "variables"})
      environment.variables.emplace_back(name, cel::dyn());
    return environment;
  }();
  Expression expression{std::move(text), nullptr, ""};
  auto program = cel::Program::compile(expression.text, kEnvironment, wanted);
  if (program) {
    expression.program = std::make_shared<const cel::Program>(std::move(*program));
  } else {
    expression.error = program.error().message;
  }
  return expression;
}

struct Validation {
  Expression rule, message_expression;
  std::string message, reason;
};

// matchConstraints of a policy, matchResources of a binding. Absent: everything.
struct Constraints {
  std::vector<WebhookRule> rules, excluded;
  std::vector<std::vector<std::string>> names, excluded_names;  // of each rule; none: all
  LabelSelector namespaces, objects;
  bool equivalent = true, any_rule = true;
};

struct AdmissionPolicy {
  std::string name;
  Constraints constraints;
  std::vector<std::pair<std::string, Expression>> conditions, variables;
  std::vector<Validation> validations;
  bool must_not_fail = true;
  std::optional<Gvk> param_kind;
};

struct Binding {
  std::string name, policy;
  Constraints constraints;
  bool deny = false, warn = false;
  Json param_ref;  // null: none
};

WebhookRule rule_of(const Json& json, std::vector<std::vector<std::string>>& names) {
  WebhookRule rule;
  rule.operations = resources::strings(json, "operations");
  rule.groups = resources::strings(json, "apiGroups");
  rule.versions = resources::strings(json, "apiVersions");
  rule.resources = resources::strings(json, "resources");
  rule.scope = string_or(json, "scope", "*");
  names.push_back(resources::strings(json, "resourceNames"));
  return rule;
}

LabelSelector selector_of(const Json& json, std::string_view key) {
  const Json* given = resources::member(json, key);
  if (!given) return {};
  auto parsed = LabelSelector::from_json(*given);
  return parsed ? *parsed : LabelSelector::nothing();
}

Constraints constraints_of(const Json& spec, std::string_view key) {
  Constraints out;
  const Json& json = resources::object_of(spec, key);
  for (const Json& rule : resources::items(json, "resourceRules"))
    out.rules.push_back(rule_of(rule, out.names));
  for (const Json& rule : resources::items(json, "excludeResourceRules"))
    out.excluded.push_back(rule_of(rule, out.excluded_names));
  out.any_rule = out.rules.empty();
  out.namespaces = selector_of(json, "namespaceSelector");
  out.objects = selector_of(json, "objectSelector");
  out.equivalent = string_or(json, "matchPolicy", "Equivalent") == "Equivalent";
  return out;
}

AdmissionPolicy policy_of(const Object& object) {
  AdmissionPolicy policy;
  const Json whole = object.parse();
  const Json& spec = resources::object_of(whole, "spec");
  policy.name = object.name();
  policy.constraints = constraints_of(spec, "matchConstraints");
  policy.must_not_fail = string_or(spec, "failurePolicy", "Fail") == "Fail";
  if (const Json* kind = resources::member(spec, "paramKind"))
    policy.param_kind = Gvk::of(string_or(*kind, "apiVersion"), string_or(*kind, "kind"));
  const auto boolean = cel::simple(cel::Kind::kBool);
  for (const Json& one : resources::items(spec, "matchConditions"))
    policy.conditions.emplace_back(string_or(one, "name"),
                                   compile(string_or(one, "expression"), boolean));
  for (const Json& one : resources::items(spec, "variables"))
    policy.variables.emplace_back(string_or(one, "name"),
                                  compile(string_or(one, "expression"), cel::dyn()));
  for (const Json& one : resources::items(spec, "validations")) {
    Validation validation;
    validation.rule = compile(string_or(one, "expression"), boolean);
    validation.message = string_or(one, "message");
    validation.reason = string_or(one, "reason", "Invalid");
    if (std::string text = string_or(one, "messageExpression"); !text.empty())
      validation.message_expression = compile(text, cel::simple(cel::Kind::kString));
    policy.validations.push_back(std::move(validation));
  }
  return policy;
}

Binding binding_of(const Object& object) {
  Binding binding;
  const Json whole = object.parse();
  const Json& spec = resources::object_of(whole, "spec");
  binding.name = object.name();
  binding.policy = string_or(spec, "policyName");
  binding.constraints = constraints_of(spec, "matchResources");
  for (const std::string& action : resources::strings(spec, "validationActions")) {
    binding.deny |= action == "Deny";
    binding.warn |= action == "Warn";
  }
  if (const Json* reference = resources::member(spec, "paramRef")) binding.param_ref = *reference;
  return binding;
}

std::string trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t\r\n"), last = text.find_last_not_of(" \t\r\n");
  return first == std::string_view::npos ? "" : std::string(text.substr(first, last - first + 1));
}

Labels labels_of(const Json& object) {
  Labels labels;
  const Json& metadata = resources::object_of(object, "metadata");
  for (const auto& [key, value] : resources::object_of(metadata, "labels").items()) {
    if (value.is_string()) labels.emplace(key, value.get<std::string>());
  }
  return labels;
}

class ValidatingPolicies final : public Admission {
 public:
  ValidatingPolicies(Storage& storage, const resources::Registry& registry)
      : storage_(storage),
        registry_(registry),
        policies_def_(registry.find(kGroup, "v1", "validatingadmissionpolicies")),
        bindings_def_(registry.find(kGroup, "v1", "validatingadmissionpolicybindings")),
        namespaces_(registry.find("", "v1", "namespaces")) {
    for (const auto* def : {policies_def_, bindings_def_}) {
      if (def) storage.subscribe(*def, [this](const StoreEvent&) { stale_ = true; });
    }
  }
  std::string_view name() const override { return "ValidatingAdmissionPolicy"; }

  Result<> validate(const AdmissionRequest& request, const Json& object) override {
    refresh();
    if (bindings_.empty() || request.def.group == kGroup) return {};
    for (const Binding& binding : bindings_) {
      auto policy = policies_.find(binding.policy);
      if (policy == policies_.end()) continue;
      const resources::ResourceDef* def = version_for(policy->second.constraints, request);
      if (!def || !selected(policy->second.constraints, request, object) ||
          !version_for(binding.constraints, request) ||
          !selected(binding.constraints, request, object))
        continue;
      MOTH_TRY(judge(policy->second, binding, *def, request, object));
    }
    return {};
  }

 private:
  void refresh() {
    if (!stale_ || !policies_def_ || !bindings_def_) return;
    stale_ = false;
    policies_.clear();
    bindings_.clear();
    for (const ObjectPtr& object : storage_.list(*policies_def_, "").objects)
      policies_.emplace(object->name(), policy_of(*object));
    for (const ObjectPtr& object : storage_.list(*bindings_def_, "").objects)
      bindings_.push_back(binding_of(*object));
  }

  static bool any(const std::vector<WebhookRule>& rules,
                  const std::vector<std::vector<std::string>>& names,
                  const AdmissionRequest& request, const resources::ResourceDef& def) {
    for (std::size_t i = 0; i < rules.size(); ++i) {
      bool named = names[i].empty() ||
                   std::find(names[i].begin(), names[i].end(), request.name) != names[i].end();
      if (named &&
          rules[i].matches(request.operation, def.gvr(), request.subresource, def.namespaced))
        return true;
    }
    return false;
  }

  // The version that the rules name; null when they name none.
  const resources::ResourceDef* version_for(const Constraints& constraints,
                                            const AdmissionRequest& request) const {
    const resources::ResourceDef& asked = request.requested ? *request.requested : request.def;
    if (any(constraints.excluded, constraints.excluded_names, request, asked)) return nullptr;
    if (constraints.any_rule || any(constraints.rules, constraints.names, request, asked))
      return &asked;
    if (!constraints.equivalent) return nullptr;
    for (const resources::ResourceDef* def : registry_.all()) {
      if (def->storage_index == asked.storage_index && def != &asked &&
          any(constraints.rules, constraints.names, request, *def))
        return def;
    }
    return nullptr;
  }

  bool selected(const Constraints& constraints, const AdmissionRequest& request,
                const Json& object) const {
    bool is_namespace = request.def.resource == "namespaces" && request.def.group.empty();
    const Json& subject = object.empty() && request.old ? *request.old : object;
    if (!constraints.namespaces.matches_everything() && (is_namespace || !request.ns.empty())) {
      ObjectPtr ns = is_namespace ? nullptr : storage_.latest(*namespaces_, "", request.ns);
      Labels labels = is_namespace ? labels_of(subject) : ns ? ns->meta().labels : Labels();
      if (!constraints.namespaces.matches(labels)) return false;
    }
    if (constraints.objects.matches_everything()) return true;
    return constraints.objects.matches(labels_of(subject)) ||
           (request.old && constraints.objects.matches(labels_of(*request.old)));
  }

  // Null JSON in the list: evaluated once without a parameter.
  Result<std::vector<Json>> params_of(const AdmissionPolicy& policy, const Binding& binding,
                                      const AdmissionRequest& request) const {
    if (!policy.param_kind || binding.param_ref.is_null()) return std::vector<Json>{Json()};
    const resources::ResourceDef* def = registry_.find_kind(*policy.param_kind);
    if (!def) {
      return fail(Error::bad_request(fmt::format(
          "failed to find resource referenced by paramKind: '{}/{}, Kind={}'",
          policy.param_kind->group, policy.param_kind->version, policy.param_kind->kind)));
    }
    const Json& reference = binding.param_ref;
    std::string ns = def->namespaced ? string_or(reference, "namespace", request.ns) : "";
    std::vector<Json> found;
    if (std::string name = string_or(reference, "name"); !name.empty()) {
      if (ObjectPtr one = storage_.latest(*def, ns, name)) found.push_back(one->parse());
    } else {
      LabelSelector selector = selector_of(reference, "selector");
      for (const ObjectPtr& one : storage_.list(*def, ns).objects) {
        if (selector.matches(one->meta().labels)) found.push_back(one->parse());
      }
    }
    if (found.empty() && string_or(reference, "parameterNotFoundAction") != "Allow") {
      return fail(Error::bad_request(
          "no params found for policy binding with `Deny` parameterNotFoundAction"));
    }
    return found;
  }

  Result<> judge(const AdmissionPolicy& policy, const Binding& binding,
                 const resources::ResourceDef& def, const AdmissionRequest& request,
                 const Json& object) const {
    auto params = params_of(policy, binding, request);
    if (!params) {
      return policy.must_not_fail
                 ? deny(policy, binding, request,
                        "failed to configure binding: " + params.error().message, "Invalid")
                 : Result<>();
    }
    auto in_version = [&](const Json& stored) {
      return def.is_storage() || !def.from_storage ? stored : def.from_storage(stored);
    };
    const Json shown = object.empty() ? Json() : in_version(object);
    const Json old = request.old ? in_version(*request.old) : Json();
    const Json review = review_request(request, def, "", shown.is_null() ? nullptr : &shown,
                                       old.is_null() ? nullptr : &old);
    ObjectPtr ns = request.ns.empty() ? nullptr : storage_.latest(*namespaces_, "", request.ns);
    const Json ns_json = ns ? ns->parse() : Json();
    for (const Json& param : *params) {
      cel::Bindings values = {{"object", cel::Value::of(shown, cel::dyn())},
                              {"oldObject", cel::Value::of(old, cel::dyn())},
                              {"request", cel::Value::of(review, cel::dyn())},
                              {"params", cel::Value::of(param, cel::dyn())},
                              {"namespaceObject", cel::Value::of(ns_json, cel::dyn())}};
      MOTH_TRY(evaluate(policy, binding, request, std::move(values)));
    }
    return {};
  }

  Result<> evaluate(const AdmissionPolicy& policy, const Binding& binding,
                    const AdmissionRequest& request, cel::Bindings values) const {
    cel::Budget budget;
    std::string failure;
    for (const auto& [name, condition] : policy.conditions) {
      auto verdict = run(condition, values, budget);
      if (verdict && !*verdict) return {};
      if (!verdict && failure.empty()) {
        failure = fmt::format("match condition '{}' resulted in error: {}", name,
                              verdict.error().message);
      }
    }
    if (!failure.empty())
      return policy.must_not_fail ? deny(policy, binding, request, failure, "Invalid") : Result<>();
    // A variable that cannot be computed is missing, so that only its use is an error.
    std::vector<std::pair<cel::Value, cel::Value>> variables;
    for (const auto& [name, expression] : policy.variables) {
      cel::Bindings with = values;
      with.emplace_back("variables", cel::Value::map(variables));
      if (!expression.program) continue;
      if (auto value = expression.program->evaluate(with, budget))
        variables.emplace_back(cel::Value::text(name), std::move(*value));
    }
    values.emplace_back("variables", cel::Value::map(std::move(variables)));
    for (const Validation& validation : policy.validations) {
      auto verdict = run(validation.rule, values, budget);
      if (verdict && *verdict) continue;
      if (!verdict) {
        if (!policy.must_not_fail) continue;
        MOTH_TRY(deny(policy, binding, request,
                      fmt::format("expression '{}' resulted in error: {}", validation.rule.text,
                                  verdict.error().message),
                      "Invalid"));
        continue;
      }
      MOTH_TRY(deny(policy, binding, request, message_of(validation, values, budget),
                    validation.reason));
    }
    return {};
  }

  static Result<bool> run(const Expression& expression, const cel::Bindings& values,
                          cel::Budget& budget) {
    if (!expression.program) return fail(Error::bad_request(expression.error));
    return expression.program->evaluate_bool(values, budget);
  }

  static std::string message_of(const Validation& validation, const cel::Bindings& values,
                                cel::Budget& budget) {
    if (validation.message_expression.program) {
      auto text = validation.message_expression.program->evaluate_string(values, budget);
      if (text && !trimmed(*text).empty()) return trimmed(*text);
    }
    if (!validation.message.empty()) return trimmed(validation.message);
    return "failed expression: " + trimmed(validation.rule.text);
  }

  static Result<> deny(const AdmissionPolicy& policy, const Binding& binding,
                       const AdmissionRequest& request, const std::string& message,
                       const std::string& reason) {
    if (binding.warn) {
      request.context.warnings.push_back(
          fmt::format("Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                      policy.name, binding.name, message));
    }
    if (!binding.deny) return {};
    std::string why =
        fmt::format("ValidatingAdmissionPolicy '{}' with binding '{}' denied request: {}",
                    policy.name, binding.name, message);
    Error error = Error::forbidden(request.def.qualified(), request.name, why);
    error.reason = reason == "Forbidden"               ? Reason::kForbidden
                   : reason == "Unauthorized"          ? Reason::kUnauthorized
                   : reason == "RequestEntityTooLarge" ? Reason::kRequestEntityTooLarge
                                                       : Reason::kInvalid;
    error.causes.push_back({"", why, ""});
    return fail(std::move(error));
  }

  Storage& storage_;
  const resources::Registry& registry_;
  const resources::ResourceDef* policies_def_;
  const resources::ResourceDef* bindings_def_;
  const resources::ResourceDef* namespaces_;
  bool stale_ = true;
  std::map<std::string, AdmissionPolicy> policies_;
  std::vector<Binding> bindings_;
};

}  // namespace

std::unique_ptr<Admission> make_validating_policies(Storage& storage,
                                                    const resources::Registry& registry) {
  return std::make_unique<ValidatingPolicies>(storage, registry);
}

}  // namespace moth::server
