// Quotas, limits, disruption budgets, priorities.
#include <set>

#include "api/machinery/selectors.h"
#include "ctl/describe/kinds.h"

namespace moth::ctl {
namespace {

std::string_view scope_help(std::string_view scope) {
  if (scope == "Terminating")
    return "Matches all pods that have an active deadline. These pods have a limited lifespan on a "
           "node before being actively terminated by the system.";
  if (scope == "NotTerminating")
    return "Matches all pods that do not have an active deadline. These pods usually include long "
           "running pods whose container command is not expected to terminate.";
  if (scope == "BestEffort")
    return "Matches all pods that do not have resource requirements set. These pods have a best "
           "effort quality of service.";
  if (scope == "NotBestEffort")
    return "Matches all pods that have at least one resource requirement set. These pods have a "
           "burstable or guaranteed quality of service.";
  return "";
}

void write_scopes(DescribeWriter& out, const Json& quota, int level) {
  const Json* scopes = find_path(quota, "spec", "scopes");
  if (!scopes || !scopes->is_array() || scopes->empty()) return;
  std::set<std::string> sorted;
  for (const Json& scope : *scopes) sorted.insert(scalar_text(scope));
  std::string text;
  for (const std::string& scope : sorted) text += (text.empty() ? "" : ", ") + scope;
  out.write(level, "Scopes:\t{}\n", text);
  for (const std::string& scope : sorted)
    if (auto help = scope_help(scope); !help.empty()) out.write(level, " * {}\n", help);
}

void write_usage(DescribeWriter& out, const Json& quota, int level) {
  const Json* hard = find_path(quota, "status", "hard");
  const Json* used = find_path(quota, "status", "used");
  for (const auto& [name, amount] : object_or_empty(hard).items()) {
    out.write(level, "{}\t{}\t{}\n", name, used ? scalar_or(*used, name, "0") : "0",
              scalar_text(amount));
  }
}

void write_limits(DescribeWriter& out, const Json& range, std::string_view indent) {
  const Json* limits = find_path(range, "spec", "limits");
  for (const Json& item : limits ? *limits : Json::array()) {
    std::set<std::string> names;
    for (const char* member : {"min", "max", "default", "defaultRequest", "maxLimitRequestRatio"}) {
      const Json* amounts = find_member(item, member);
      for (const auto& [name, amount] : object_or_empty(amounts).items()) names.insert(name);
    }
    auto cell = [&](const char* member, const std::string& name) {
      const Json* amounts = find_member(item, member);
      return amounts ? scalar_or(*amounts, name, "-") : std::string("-");
    };
    for (const std::string& name : names) {
      out.write(0, "{}{}\t{}\t{}\t{}\t{}\t{}\t{}\n", indent, string_or(item, "type"), name,
                cell("min", name), cell("max", name), cell("defaultRequest", name),
                cell("default", name), cell("maxLimitRequestRatio", name));
    }
  }
}

constexpr std::string_view kLimitTitles =
    "Type\tResource\tMin\tMax\tDefault Request\tDefault Limit\tMax Limit/Request Ratio\n";
constexpr std::string_view kLimitLines =
    "----\t--------\t---\t---\t---------------\t-------------\t-----------------------\n";

Json items_of(Api& api, std::string_view type, const std::string& ns) {
  auto resource = api.resource(type);
  if (!resource) return Json::array();
  auto list = api.list(**resource, ns);
  return list ? (*list)["items"] : Json::array();
}

}  // namespace

void write_quotas_of(DescribeWriter& out, Api& api, const std::string& ns) {
  Json quotas = items_of(api, "resourcequotas", ns);
  out.raw("\n");
  if (quotas.empty()) out.raw("No resource quota.\n");
  if (!quotas.empty()) out.raw("Resource Quotas\n");
  for (const Json& quota : quotas) {
    out.write(1, "Name:\t{}\n", text_at(quota, "metadata", "name"));
    write_scopes(out, quota, 1);
    out.write(1, "Resource\tUsed\tHard\n");
    out.write(1, "--------\t---\t---\n");
    write_usage(out, quota, 1);
  }
  Json limits = items_of(api, "limitranges", ns);
  out.raw("\n");
  if (limits.empty()) {
    out.raw("No LimitRange resource.\n");
    return;
  }
  out.write(0, "Resource Limits\n {} {}", kLimitTitles, kLimitLines);
  for (const Json& range : limits) write_limits(out, range, " ");
}

void describe_resource_quota(DescribeWriter& out, Api&, const Json& quota) {
  write_name(out, quota);
  write_scopes(out, quota, 0);
  out.raw("Resource\tUsed\tHard\n--------\t----\t----\n");
  write_usage(out, quota, 0);
}

void describe_limit_range(DescribeWriter& out, Api&, const Json& limits) {
  write_name(out, limits);
  out.raw(kLimitTitles);
  out.raw(kLimitLines);
  write_limits(out, limits, "");
}

void describe_disruption_budget(DescribeWriter& out, Api&, const Json& budget) {
  const Json spec = budget.value("spec", Json::object());
  const Json status = budget.value("status", Json::object());
  write_name(out, budget);
  if (spec.contains("minAvailable"))
    out.write(0, "Min available:\t{}\n", scalar_text(spec["minAvailable"]));
  else if (spec.contains("maxUnavailable"))
    out.write(0, "Max unavailable:\t{}\n", scalar_text(spec["maxUnavailable"]));
  const Json* selector = find_member(spec, "selector");
  out.write(0, "Selector:\t{}\n", selector ? format_label_selector(*selector) : "<unset>");
  out.write(0, "Status:\n");
  for (auto [key, title] :
       {std::pair("disruptionsAllowed", "Allowed disruptions"),
        std::pair("currentHealthy", "Current"), std::pair("desiredHealthy", "Desired"),
        std::pair("expectedPods", "Total")})
    out.write(2, "{}:\t{}\n", title, int_or(status, key));
}

void describe_priority_class(DescribeWriter& out, Api&, const Json& priority_class) {
  out.write(0, "Name:\t{}\n", text_at(priority_class, "metadata", "name"));
  out.write(0, "Value:\t{}\n", int_or(priority_class, "value"));
  out.write(0, "GlobalDefault:\t{}\n", bool_or(priority_class, "globalDefault"));
  out.write(0, "PreemptionPolicy:\t{}\n",
            string_or(priority_class, "preemptionPolicy", "PreemptLowerPriority"));
  out.write(0, "Description:\t{}\n", string_or(priority_class, "description"));
  out.write(0, "Annotations:\t{}\n", pairs_text(metadata_member(priority_class, "annotations")));
}

}  // namespace moth::ctl
