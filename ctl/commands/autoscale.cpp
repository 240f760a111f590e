#include <fmt/format.h>

#include "api/machinery/quantity.h"
#include "ctl/commands/all.h"
#include "ctl/commands/create_object.h"
#include "ctl/objects/selection.h"

namespace moth::ctl {
namespace {

// "70%" or "500m".
Outcome<Json> resource_metric(const char* resource, const std::string& text) {
  Json target;
  if (text.ends_with('%')) {
    auto percent = Quantity::parse(text.substr(0, text.size() - 1));
    if (!percent || !percent->is_whole() || percent->value() <= 0)
      return refuse(fmt::format("invalid --{} value \"{}\": a percentage is a whole number above 0",
                                resource, text));
    target = {{"type", "Utilization"}, {"averageUtilization", percent->value()}};
  } else {
    auto amount = Quantity::parse(text);
    if (!amount || amount->sign() <= 0)
      return refuse(
          fmt::format("invalid --{} value \"{}\": 70% or an amount such as 500m or 1Gi is "
                      "expected",
                      resource, text));
    target = {{"type", "AverageValue"}, {"averageValue", amount->to_string()}};
  }
  return Json{{"type", "Resource"}, {"resource", {{"name", resource}, {"target", target}}}};
}

Outcome<Json> metrics_of(const Arguments& arguments) {
  Json metrics = Json::array();
  std::string cpu = arguments.text("cpu");
  if (cpu.empty() && arguments.integer("cpu-percent") > 0)
    cpu = arguments.text("cpu-percent") + "%";
  if (!cpu.empty()) {
    MOTH_ASSIGN(Json metric, resource_metric("cpu", cpu));
    metrics.push_back(std::move(metric));
  }
  if (arguments.given("memory")) {
    MOTH_ASSIGN(Json metric, resource_metric("memory", arguments.text("memory")));
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

Outcome<int> run_autoscale(Context& context, const Arguments& arguments) {
  if (!arguments.given("max")) return refuse("required flag(s) \"max\" not set");
  std::int64_t most = arguments.integer("max"), least = arguments.integer("min");
  if (most < 1)
    return refuse(fmt::format("--max=MAXPODS is required and must be at least 1, max: {}", most));
  if (least > most)
    return refuse(
        fmt::format("--max=MAXPODS must be larger or equal to --min=MINPODS, max: {}, "
                    "min: {}",
                    most, least));
  MOTH_ASSIGN(Json metrics, metrics_of(arguments));
  if (arguments.given("cpu-percent")) {
    context.warn(
        "Flag --cpu-percent has been deprecated, Use --cpu with percentage or resource quantity "
        "format (e.g., '70%' for utilization or '500m' for milliCPU).");
  }
  MOTH_ASSIGN(auto objects,
              select_objects(context, select_options(arguments, arguments.words, false)));
  for (const ObjectInfo& info : objects) {
    Json spec{{"maxReplicas", most},
              {"scaleTargetRef",
               {{"apiVersion", info.resource->api_version()},
                {"kind", info.resource->kind},
                {"name", info.name}}}};
    if (least > 0) spec["minReplicas"] = least;
    if (!metrics.empty()) spec["metrics"] = metrics;
    std::string name = arguments.given("name") ? arguments.text("name") : info.name;
    Json hpa{{"apiVersion", "autoscaling/v2"},
             {"kind", "HorizontalPodAutoscaler"},
             {"metadata", {{"name", name}}},
             {"spec", std::move(spec)},
             {"status", {{"currentMetrics", nullptr}, {"desiredReplicas", 0}}}};
    auto created =
        create_object(context, arguments, std::move(hpa), "kubectl-autoscale", "autoscaled");
    if (!created) MOTH_TRY(context.carry_on(created.error()));
  }
  return context.exit_code();
}

}  // namespace

Command autoscale_command() {
  return {.name = "autoscale",
          .group = "Change",
          .summary = "Auto-scale a deployment, replica set, or stateful set",
          .usage = "(-f FILENAME | TYPE NAME) [--min=MINPODS] --max=MAXPODS [--cpu=70%]",
          .examples = "moth autoscale deploy web --min=1 --max=5 --cpu=70%",
          .flags = join_flags(
              {create_flags(),
               filename_flags("Files that name the objects."),
               {{"cpu", 0, FlagKind::kText, "",
                 "Target for CPU: 70% of what is requested, or an amount such as 500m."},
                {"cpu-percent", 0, FlagKind::kInteger, "-1", "Use --cpu.", "", true},
                {"max", 0, FlagKind::kInteger, "-1", "Most replicas."},
                {"memory", 0, FlagKind::kText, "", "Target for memory, as --cpu."},
                {"min", 0, FlagKind::kInteger, "-1", "Fewest replicas."},
                {"name", 0, FlagKind::kText, "", "Name of the autoscaler; the object's."}}}),
          .words = Words::kResourceNames,
          .run = run_autoscale};
}

}  // namespace moth::ctl
