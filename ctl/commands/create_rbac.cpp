// create role, clusterrole, rolebinding, clusterrolebinding.
#include <algorithm>
#include <map>

#include "ctl/commands/generator_command.h"
#include "ctl/commands/rbac_flags.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

constexpr std::string_view kGroup = "rbac.authorization.k8s.io";
constexpr std::string_view kStandardVerbs[] = {
    "get", "list", "watch",   "create", "update",   "patch",       "delete", "deletecollection",
    "use", "bind", "approve", "sign",   "escalate", "impersonate", "*"};

std::vector<std::string> unique(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& word : words)
    if (!word.empty() && std::find(out.begin(), out.end(), word) == out.end()) out.push_back(word);
  return out;
}

Outcome<std::vector<std::string>> verbs_of(Context& context, const Arguments& arguments) {
  std::vector<std::string> verbs = unique(arguments.texts("verb"));
  if (std::find(verbs.begin(), verbs.end(), "*") != verbs.end()) verbs = {"*"};
  if (verbs.empty()) return refuse("at least one verb must be specified");
  for (const std::string& verb : verbs) {
    if (std::find(std::begin(kStandardVerbs), std::end(kStandardVerbs), verb) ==
        std::end(kStandardVerbs))
      context.warn("Warning: '{}' is not a standard resource verb", verb);
  }
  return verbs;
}

// RESOURCE[.GROUP][/SUBRESOURCE] to group and "resource[/sub]", by what the server has.
Outcome<std::pair<std::string, std::string>> resolve(Api& api, const std::string& text) {
  auto slash = text.find('/');
  std::string type = text.substr(0, slash);
  std::string sub = slash == std::string::npos ? "" : text.substr(slash);
  if (type.empty() || text.find('/', slash + 1) != std::string::npos)
    return refuse(fmt::format("invalid resource specified: {}", text));
  if (type == "*") return std::pair<std::string, std::string>("", "*" + sub);
  while (type.ends_with('.')) type.pop_back();
  MOTH_ASSIGN(const ApiResource* resource, api.resource(type));
  return std::pair<std::string, std::string>(resource->group, resource->plural + sub);
}

// One rule for each API group, sorted.
Outcome<Json> resource_rules(Context& context, const Arguments& arguments,
                             const std::vector<std::string>& verbs) {
  MOTH_ASSIGN(Api * api, context.api());
  std::map<std::string, std::vector<std::string>> by_group;
  for (const std::string& text : unique(arguments.texts("resource"))) {
    MOTH_ASSIGN(auto found, resolve(*api, text));
    by_group[found.first].push_back(found.second);
  }
  std::vector<std::string> names = unique(arguments.texts("resource-name"));
  Json rules = Json::array();
  for (const auto& [group, resources] : by_group) {
    Json rule{{"apiGroups", {group}}, {"resources", resources}, {"verbs", verbs}};
    if (!names.empty()) rule["resourceNames"] = names;
    rules.push_back(std::move(rule));
  }
  return rules;
}

Json role_of(const char* kind, const std::string& name, Json rules) {
  return {{"apiVersion", std::string(kGroup) + "/v1"},
          {"kind", kind},
          {"metadata", {{"name", name}}},
          {"rules", std::move(rules)}};
}

Outcome<Json> make_role(Context& context, const Arguments& arguments, const std::string& name) {
  MOTH_ASSIGN(auto verbs, verbs_of(context, arguments));
  if (unique(arguments.texts("resource")).empty())
    return refuse("at least one resource must be specified");
  MOTH_ASSIGN(Json rules, resource_rules(context, arguments, verbs));
  return role_of("Role", name, std::move(rules));
}

Outcome<Json> make_clusterrole(Context& context, const Arguments& arguments,
                               const std::string& name) {
  bool aggregated = arguments.given("aggregation-rule");
  bool ruled = arguments.given("verb") || arguments.given("resource") ||
               arguments.given("non-resource-url") || arguments.given("resource-name");
  if (aggregated) {
    if (ruled)
      return refuse(
          "aggregation rule must be specified without verbs, non-resource-url, resource, or "
          "resource names");
    auto labels = parse_pairs(arguments.text("aggregation-rule"));
    if (!labels) {
      return refuse(fmt::format(
          "invalid argument \"{}\" for \"--aggregation-rule\" flag: malformed pair, expect "
          "string=string",
          arguments.text("aggregation-rule")));
    }
    Json role = role_of("ClusterRole", name, nullptr);
    role["aggregationRule"]["clusterRoleSelectors"] = Json::array({{{"matchLabels", *labels}}});
    return role;
  }
  MOTH_ASSIGN(auto verbs, verbs_of(context, arguments));
  std::vector<std::string> urls = unique(arguments.texts("non-resource-url"));
  bool resources = !unique(arguments.texts("resource")).empty();
  if (!resources && urls.empty())
    return refuse("one of resource or nonResourceURL must be specified");
  Json rules = Json::array();
  if (resources) {
    MOTH_ASSIGN(rules, resource_rules(context, arguments, verbs));
  }
  for (const std::string& url : urls) {
    if (url != "*" && !url.starts_with('/')) return refuse("nonResourceURL should start with /");
  }
  if (!urls.empty()) rules.push_back({{"nonResourceURLs", urls}, {"verbs", verbs}});
  return role_of("ClusterRole", name, std::move(rules));
}

Outcome<Json> make_binding(const Arguments& arguments, const std::string& name, const char* kind,
                           const char* role_kind, const std::string& role) {
  MOTH_ASSIGN(Json subjects, subjects_of(arguments));
  Json binding{{"apiVersion", std::string(kGroup) + "/v1"},
               {"kind", kind},
               {"metadata", {{"name", name}}},
               {"roleRef", {{"apiGroup", kGroup}, {"kind", role_kind}, {"name", role}}}};
  if (!subjects.empty()) binding["subjects"] = std::move(subjects);
  return binding;
}

Outcome<Json> make_rolebinding(const Arguments& arguments, const std::string& name) {
  const std::string &role = arguments.text("role"), &cluster_role = arguments.text("clusterrole");
  if (role.empty() == cluster_role.empty())
    return refuse("exactly one of clusterrole or role must be specified");
  return role.empty() ? make_binding(arguments, name, "RoleBinding", "ClusterRole", cluster_role)
                      : make_binding(arguments, name, "RoleBinding", "Role", role);
}

Outcome<Json> make_clusterrolebinding(const Arguments& arguments, const std::string& name) {
  if (!arguments.given("clusterrole")) return refuse("required flag(s) \"clusterrole\" not set");
  return make_binding(arguments, name, "ClusterRoleBinding", "ClusterRole",
                      arguments.text("clusterrole"));
}

constexpr char kPlain[] = "", kRoleBinding[] = "rolebinding",
               kClusterRoleBinding[] = "clusterrolebinding";

std::vector<FlagSpec> rule_flags() {
  return join_flags(
      {create_flags(),
       {{"resource", 0, FlagKind::kList, "", "Resources of the rule: RESOURCE[.GROUP][/SUB]."},
        {"resource-name", 0, FlagKind::kTexts, "", "Only objects with these names."},
        {"verb", 0, FlagKind::kList, "", "Verbs of the rule."}}});
}

}  // namespace

Command create_role_command() {
  return {.name = "role",
          .summary = "Create a role with single rule",
          .usage = "NAME --verb=verb --resource=resource.group/subresource",
          .examples =
              "moth create role pod-reader --verb=get,list,watch --resource=pods\n"
              "moth create role scaler --verb=update --resource=deployments.apps/scale",
          .flags = rule_flags(),
          .run = run_generator<make_role, kPlain>};
}

Command create_clusterrole_command() {
  return {.name = "clusterrole",
          .summary = "Create a cluster role",
          .usage = "NAME --verb=verb --resource=resource.group",
          .examples =
              "moth create clusterrole node-reader --verb=get,list --resource=nodes\n"
              "moth create clusterrole health --verb=get --non-resource-url=/healthz",
          .flags = join_flags(
              {rule_flags(),
               {{"aggregation-rule", 0, FlagKind::kText, "",
                 "Labels of the cluster roles whose rules it gathers: KEY=VALUE,..."},
                {"non-resource-url", 0, FlagKind::kList, "", "Paths of the rule: /healthz."}}}),
          .run = run_generator<make_clusterrole, kPlain>};
}

Command create_rolebinding_command() {
  return {
      .name = "rolebinding",
      .summary = "Create a role binding for a particular role or cluster role",
      .usage =
          "NAME --clusterrole=NAME|--role=NAME [--user=name] [--group=name] "
          "[--serviceaccount=namespace:name]",
      .examples = "moth create rolebinding admin --clusterrole=admin --user=jane",
      .flags = join_flags({create_flags(),
                           subject_flags(),
                           {{"clusterrole", 0, FlagKind::kText, "", "The cluster role to bind."},
                            {"role", 0, FlagKind::kText, "", "The role to bind."}}}),
      .run = run_generator<make_rolebinding, kRoleBinding>};
}

Command create_clusterrolebinding_command() {
  return {
      .name = "clusterrolebinding",
      .summary = "Create a cluster role binding for a particular cluster role",
      .usage =
          "NAME --clusterrole=NAME [--user=name] [--group=name] "
          "[--serviceaccount=namespace:name]",
      .examples = "moth create clusterrolebinding root --clusterrole=cluster-admin --user=jane",
      .flags = join_flags({create_flags(),
                           subject_flags(),
                           {{"clusterrole", 0, FlagKind::kText, "", "The cluster role to bind."}}}),
      .run = run_generator<make_clusterrolebinding, kClusterRoleBinding>};
}

}  // namespace moth::ctl
