// create poddisruptionbudget, priorityclass and quota.
#include <algorithm>

#include "api/machinery/quantity.h"
#include "api/machinery/selectors.h"
#include "ctl/commands/generator_command.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

// "3" or "50%".
Outcome<Json> count_or_share(const std::string& flag, const std::string& text) {
  std::string digits = text.ends_with('%') ? text.substr(0, text.size() - 1) : text;
  bool good = !digits.empty() && digits.size() < 10 &&
              std::all_of(digits.begin(), digits.end(),
                          [](unsigned char c) { return std::isdigit(c) != 0; });
  if (!good) return refuse(fmt::format("invalid format specified for {}", flag));
  if (digits != text) return Json(text);
  return Json(std::stoll(digits));
}

Outcome<Json> make_budget(const Arguments& arguments, const std::string& name) {
  const std::string &least = arguments.text("min-available"),
                    &most = arguments.text("max-unavailable");
  if (arguments.text("selector").empty()) return refuse("a selector must be specified");
  if (least.empty() && most.empty())
    return refuse("one of min-available or max-unavailable must be specified");
  if (!least.empty() && !most.empty())
    return refuse("min-available and max-unavailable cannot be both specified");
  MOTH_ASSIGN(LabelSelector selector, LabelSelector::parse(arguments.text("selector")));
  Json labels = Json::object(), expressions = Json::array();
  for (const LabelRequirement& requirement : selector.requirements()) {
    if (requirement.op == SelectorOperator::kEquals && requirement.values.size() == 1) {
      labels[requirement.key] = requirement.values[0];
      continue;
    }
    const char* op = requirement.op == SelectorOperator::kExists         ? "Exists"
                     : requirement.op == SelectorOperator::kDoesNotExist ? "DoesNotExist"
                     : requirement.op == SelectorOperator::kIn           ? "In"
                                                                         : "NotIn";
    Json entry{{"key", requirement.key}, {"operator", op}};
    if (!requirement.values.empty()) entry["values"] = requirement.values;
    expressions.push_back(std::move(entry));
  }
  Json spec{{"selector", Json::object()}};
  if (!labels.empty()) spec["selector"]["matchLabels"] = std::move(labels);
  if (!expressions.empty()) spec["selector"]["matchExpressions"] = std::move(expressions);
  if (!least.empty()) {
    MOTH_ASSIGN(spec["minAvailable"], count_or_share("min-available", least));
  } else {
    MOTH_ASSIGN(spec["maxUnavailable"], count_or_share("max-unavailable", most));
  }
  return Json{{"apiVersion", "policy/v1"},
              {"kind", "PodDisruptionBudget"},
              {"metadata", {{"name", name}}},
              {"spec", std::move(spec)},
              {"status",
               {{"currentHealthy", 0},
                {"desiredHealthy", 0},
                {"disruptionsAllowed", 0},
                {"expectedPods", 0}}}};
}

Outcome<Json> make_priority_class(const Arguments& arguments, const std::string& name) {
  Json object{{"apiVersion", "scheduling.k8s.io/v1"},
              {"kind", "PriorityClass"},
              {"metadata", {{"name", name}}},
              {"preemptionPolicy", arguments.text("preemption-policy")},
              {"value", arguments.integer("value")}};
  if (arguments.flag("global-default")) object["globalDefault"] = true;
  if (!arguments.text("description").empty()) object["description"] = arguments.text("description");
  return object;
}

Outcome<Json> make_quota(const Arguments& arguments, const std::string& name) {
  Json spec = Json::object();
  for (const std::string& part : arguments.texts("hard")) {
    auto equals = part.find('=');
    if (equals == std::string::npos || equals == 0 ||
        part.find('=', equals + 1) != std::string::npos)
      return refuse(fmt::format("Invalid argument syntax {}, expected <resource>=<value>", part));
    auto amount = Quantity::parse(part.substr(equals + 1));
    if (!amount) return fail(Failure(amount.error()));
    spec["hard"][part.substr(0, equals)] = amount->to_string();
  }
  for (const std::string& scope : arguments.texts("scopes")) spec["scopes"].push_back(scope);
  return Json{{"apiVersion", "v1"},
              {"kind", "ResourceQuota"},
              {"metadata", {{"name", name}}},
              {"spec", std::move(spec)},
              {"status", Json::object()}};
}

constexpr char kBudget[] = "poddisruptionbudgets", kPriority[] = "priorityclass",
               kQuota[] = "resourcequota";

}  // namespace

Command create_poddisruptionbudget_command() {
  return {.name = "poddisruptionbudget",
          .aliases = {"pdb"},
          .summary = "Create a pod disruption budget with the specified name",
          .usage = "NAME --selector=SELECTOR --min-available=N",
          .examples =
              "moth create pdb web --selector=app=web --min-available=1\n"
              "moth create pdb web --selector=app=web --max-unavailable=25%",
          .flags = join_flags(
              {create_flags(),
               {{"max-unavailable", 0, FlagKind::kText, "", "How many may be away: 1 or 25%."},
                {"min-available", 0, FlagKind::kText, "", "How many must be there: 1 or 75%."},
                {"selector", 0, FlagKind::kText, "", "Labels of the pods."}}}),
          .run = run_generator<make_budget, kBudget>};
}

Command create_priorityclass_command() {
  return {.name = "priorityclass",
          .aliases = {"pc"},
          .summary = "Create a priority class with the specified name",
          .usage = "NAME --value=VALUE [--global-default=BOOL]",
          .examples = "moth create priorityclass high --value=1000 --description='before others'",
          .flags = join_flags(
              {create_flags(),
               {{"description", 0, FlagKind::kText, "", "When to use the class."},
                {"global-default", 0, FlagKind::kBool, "", "For pods that name no class."},
                {"preemption-policy", 0, FlagKind::kText, "PreemptLowerPriority",
                 "PreemptLowerPriority or Never."},
                {"value", 0, FlagKind::kInteger, "0", "The priority."}}}),
          .run = run_generator<make_priority_class, kPriority>};
}

Command create_quota_command() {
  return {.name = "quota",
          .aliases = {"resourcequota"},
          .summary = "Create a quota with the specified name",
          .usage = "NAME [--hard=key1=value1,key2=value2] [--scopes=Scope1,Scope2]",
          .examples = "moth create quota small --hard=cpu=2,memory=4Gi,pods=10",
          .flags = join_flags(
              {create_flags(),
               {{"hard", 0, FlagKind::kList, "", "Hard limits: RESOURCE=AMOUNT, joined by commas."},
                {"scopes", 0, FlagKind::kList, "", "Only objects in these scopes."}}}),
          .run = run_generator<make_quota, kQuota>};
}

}  // namespace moth::ctl
